"""Windows: a process and all that it starts end together. Standard library only.

Tried under Wine, not yet on a real Windows.
"""

from __future__ import annotations

import ctypes
import sys

EXTENDED_LIMIT_INFORMATION = 9
LIMIT_KILL_ON_JOB_CLOSE = 0x2000
EXTENDED_LIMIT_BYTES, LIMIT_FLAGS_OFFSET = 144, 16  # JOBOBJECT_EXTENDED_LIMIT_INFORMATION on 64-bit Windows


def contain() -> None:
    """Put this process into a job object that kills its members when its only handle closes: when we die."""
    if sys.platform != "win32":
        return
    from ctypes import wintypes

    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel32.CreateJobObjectW.restype = wintypes.HANDLE
    kernel32.GetCurrentProcess.restype = wintypes.HANDLE
    kernel32.AssignProcessToJobObject.argtypes = [wintypes.HANDLE, wintypes.HANDLE]
    kernel32.SetInformationJobObject.argtypes = [wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD]
    limits = (ctypes.c_byte * EXTENDED_LIMIT_BYTES)()
    ctypes.c_uint32.from_buffer(limits, LIMIT_FLAGS_OFFSET).value = LIMIT_KILL_ON_JOB_CLOSE
    job = kernel32.CreateJobObjectW(None, None)
    kernel32.SetInformationJobObject(job, EXTENDED_LIMIT_INFORMATION, limits, EXTENDED_LIMIT_BYTES)
    kernel32.AssignProcessToJobObject(job, kernel32.GetCurrentProcess())

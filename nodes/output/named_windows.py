"""Windows' named sections and mutexes, for nodes/output/touch_shm.py. Tried under Wine, not yet on a real Windows."""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np

WAIT_OBJECT_0, WAIT_ABANDONED, WAIT_TIMEOUT = 0, 0x80, 0x102

if sys.platform == "win32":
    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel32.CreateMutexW.restype = ctypes.c_void_p
    kernel32.CreateMutexW.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_wchar_p]
    kernel32.WaitForSingleObject.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    kernel32.WaitForSingleObject.restype = ctypes.c_uint32
    kernel32.ReleaseMutex.argtypes = kernel32.CloseHandle.argtypes = [ctypes.c_void_p]

    class section:
        def __init__(self, name: str, size: int):
            # Opens what is there, else makes it; ERROR_ACCESS_DENIED, a PermissionError, where that is too small.
            self._map = mmap.mmap(-1, size, tagname=name)
            self.data = np.frombuffer(self._map, np.uint8)

        def close(self) -> None:
            self.data = np.empty(0, np.uint8)
            self._map.close()

    class mutex:
        def __init__(self, name: str):
            self._handle = kernel32.CreateMutexW(None, False, name)
            if not self._handle:
                raise ctypes.WinError(ctypes.get_last_error())

        def acquire(self, seconds: float) -> bool:
            result = kernel32.WaitForSingleObject(self._handle, round(seconds * 1000))
            if result not in (WAIT_OBJECT_0, WAIT_ABANDONED, WAIT_TIMEOUT):
                raise ctypes.WinError(ctypes.get_last_error())
            return result != WAIT_TIMEOUT

        def release(self) -> None:
            kernel32.ReleaseMutex(self._handle)

        def close(self) -> None:
            kernel32.CloseHandle(self._handle)

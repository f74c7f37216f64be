"""Ending a program that runs beside TouchDesigner, with all that it has started. Standard library only; nothing waits.

Tried on Linux, and for Windows under Wine; never on Windows itself or on macOS.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has no SIGKILL, and there SIGTERM is no less


class Family:
    """A program that runs, and everything that it is known to have started. pid: 0 for none.

    Whoever loses a parent on the way is not found any more, so `look` early and often.
    """

    def __init__(self, pid: int = 0):
        self.pid = pid
        self._members: dict[int, str] = {}  # pid → when it began: a pid alone may be somebody else's later
        table = processes() if pid else {}
        if pid in table:
            self._members[pid] = table[pid][1]
            self.look()

    def look(self) -> None:
        """Find all descendants, and forget who has ended."""
        table = processes()
        known = {pid for pid, began in self._members.items() if pid in table and table[pid][1] == began}
        while more := {pid for pid, (parent, _) in table.items() if parent in known and pid not in known}:
            known |= more
        self._members = {pid: table[pid][1] for pid in known}

    def lives(self) -> bool:
        """Does the program itself still run?"""
        self.look()
        return self.pid in self._members

    def terminate(self) -> None:
        """Tell the program itself to end. On Windows, where there is no way to tell, this is `kill`."""
        if sys.platform == "win32":
            self.kill()
        elif self.pid:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End whoever is left, at once."""
        self.look()
        for pid in self._members:
            with suppress(OSError):
                os.kill(pid, KILL)


def processes() -> dict[int, tuple[int, str]]:
    """All processes but ended ones: pid → (parent's pid, when it began, as the system words it)."""
    if sys.platform == "win32":
        return _on_windows()
    found = {}
    if sys.platform.startswith("linux"):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError, IndexError):  # it has ended while we looked
                    fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()  # names may hold anything
                    if fields[0] not in (b"Z", b"X"):
                        found[int(entry.name)] = (int(fields[1]), fields[19].decode())
        return found
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        words = ["/bin/ps", "-A", "-o", "pid=,ppid=,stat=,lstart="]
        for line in subprocess.run(words, capture_output=True, text=True, timeout=2).stdout.splitlines():
            pid, parent, state, began = line.split(None, 3)
            if not state.startswith("Z"):
                found[int(pid)] = (int(parent), began)
    return found


if sys.platform == "win32":

    class _Entry(ctypes.Structure):
        """PROCESSENTRY32W."""

        _fields_ = [
            ("size", ctypes.c_uint32), ("usage", ctypes.c_uint32), ("pid", ctypes.c_uint32),
            ("heap", ctypes.c_size_t), ("module", ctypes.c_uint32), ("threads", ctypes.c_uint32),
            ("parent", ctypes.c_uint32), ("priority", ctypes.c_int32), ("flags", ctypes.c_uint32),
            ("name", ctypes.c_wchar * 260),
        ]  # fmt: skip

    def _on_windows() -> dict[int, tuple[int, str]]:
        kernel, handle, snapshot_of_processes = ctypes.WinDLL("kernel32"), ctypes.c_void_p, 2
        kernel.CreateToolhelp32Snapshot.restype = kernel.OpenProcess.restype = handle
        kernel.CloseHandle.argtypes = [handle]
        for call in (kernel.Process32FirstW, kernel.Process32NextW):
            call.argtypes = [handle, ctypes.POINTER(_Entry)]
        snapshot = kernel.CreateToolhelp32Snapshot(snapshot_of_processes, 0)
        entry = _Entry(size=ctypes.sizeof(_Entry))
        parents = {}
        there = kernel.Process32FirstW(snapshot, ctypes.byref(entry))
        while there:
            parents[entry.pid] = entry.parent
            there = kernel.Process32NextW(snapshot, ctypes.byref(entry))
        kernel.CloseHandle(snapshot)
        began = {pid: _began(kernel, pid) for pid in parents}
        # A parent's number outlives it and may be another's by now, who is then younger than the child.
        return {
            pid: (parent if began.get(parent, 0) <= began[pid] else 0, str(began[pid]))
            for pid, parent in parents.items()
        }

    def _began(kernel: ctypes.WinDLL, pid: int) -> int:
        """In units of 100 ns; 0 where we may not ask."""
        query_limited_information = 0x1000
        process = kernel.OpenProcess(query_limited_information, False, pid)
        if not process:
            return 0
        times = [ctypes.c_uint64() for _ in range(4)]
        kernel.GetProcessTimes(ctypes.c_void_p(process), *(ctypes.byref(each) for each in times))
        kernel.CloseHandle(process)
        return times[0].value

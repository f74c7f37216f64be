"""Ending a program that runs beside TouchDesigner, with all that it has started. Standard library only; nothing waits.

Tried on Linux, and under Wine for Windows; never on Windows itself or on macOS.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

WINDOWS = sys.platform == "win32"
# Ctrl+Break reaches only the console that one is in oneself, so a helper goes into the program's, which has no window.
CTRL_BREAK = (
    "import ctypes, sys; kernel, group = ctypes.windll.kernel32, int(sys.argv[1]); kernel.FreeConsole(); "
    "kernel.AttachConsole(group) and kernel.GenerateConsoleCtrlEvent(1, group)"
)


def terminate(pid: int, python: str = "") -> None:
    """Ask a program to end, if `pid` is one (0 is none): by SIGTERM, or on Windows by Ctrl+Break, for which a helper
    runs in the interpreter `python`; that reaches only a program that processes.py has started."""
    if not pid:
        return
    if WINDOWS:
        if python:
            _run([python, "-c", CTRL_BREAK, str(pid)])
        return
    with suppress(OSError):
        os.kill(pid, signal.SIGTERM)


class Family:
    """A program that runs, and everything that it is known to have started.

    Whoever loses a parent on the way is not found any more, so `look` early and often. On Windows the system looks.
    """

    def __init__(self, pid: int = 0):
        self.pid = pid
        self._members: dict[int, str] = {}  # pid → when it began: a pid alone may be somebody else's later
        if pid and not WINDOWS:
            table = _processes()
            self._members = {pid: table[pid][1]} if pid in table else {}
            self.look()

    def look(self) -> None:
        """Find all descendants, and forget who has ended."""
        if WINDOWS:
            return
        table = _processes()
        known = {pid for pid, began in self._members.items() if pid in table and table[pid][1] == began}
        while more := {pid for pid, (parent, _) in table.items() if parent in known and pid not in known}:
            known |= more
        self._members = {pid: table[pid][1] for pid in known}

    def kill(self) -> None:
        """At once, all of them, while the program itself still runs."""
        if WINDOWS and self.pid:
            taskkill = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "taskkill.exe"
            _run([str(taskkill), "/PID", str(self.pid), "/T", "/F"])
        self.kill_rest()

    def kill_rest(self) -> None:
        """Whoever is left once the program itself has ended. On Windows an engine's job object has done that."""
        self.look()
        for pid in self._members:  # none on Windows
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _run(words: list[str]) -> None:
    """A helper that nobody waits for."""
    with suppress(OSError):
        subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )  # fmt: skip


def _processes() -> dict[int, tuple[int, str]]:
    """All processes but ended ones: pid → (parent's pid, when it began, as the system words it)."""
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

"""One program of a chain: started without a shell, read through its log file, and ended with all that it started.

It writes into a file that is read here, so no pipe can fill up, no thread waits, and what it said survives it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from engine.clock import now_ns
from engine.process import ROOT, end_with_parent

ASK_S, TERMINATE_S = 5.0, 2.0  # how long it may take after being asked, and after being terminated
READ_MOST = 1 << 20  # bytes of output looked at in one go
LINE_MOST = 1 << 14  # bytes; whatever goes on longer is no line
LOG_MOST = 64_000_000  # bytes that it may print: it must not fill the disk
# Windows: Ctrl+Break reaches only the console that one is in oneself, so a helper goes into the program's.
CTRL_BREAK = (
    "import ctypes, sys; kernel, group = ctypes.windll.kernel32, int(sys.argv[1]); kernel.FreeConsole(); "
    "kernel.AttachConsole(group) and kernel.GenerateConsoleCtrlEvent(1, group)"
)
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")  # what colours a terminal, or rings its bell


class Child:
    """log: what it prints goes there. Raises OSError when it cannot be started."""

    def __init__(self, words: Sequence[str], log: Path):
        environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
        options: dict = {"start_new_session": True}
        if sys.platform == "linux":
            options["preexec_fn"] = end_with_parent  # also when we are killed; no thread of ours can hold a lock here
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                list(words),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                **options,
            )
        self._log = open(log, "rb", buffering=0)  # noqa: SIM115  (closed in `close`)
        self._read = 0  # bytes of it
        self._half = b""
        self.drained = False  # has all been read that there was to read?
        self._family: dict[int, psutil.Process] = {}
        self._stopping_ns = 0
        self._done = 0  # steps of stopping

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self.process.poll()

    @property
    def floods(self) -> bool:
        """Has it printed more than it may? Cutting the file would not help: whoever writes goes on where it was."""
        return self._size() > LOG_MOST

    def _size(self) -> int:
        return os.fstat(self._log.fileno()).st_size

    def lines(self) -> list[str]:
        """What it has printed since the last call. A line that it goes on overwriting (\\r) counts each time.

        Of one that is being ended only the newest is looked at: it may have printed faster than anybody reads.
        """
        if self._stopping_ns:
            self._read = max(self._read, self._size() - READ_MOST // 2)
        self._log.seek(self._read)  # once at a file's end, Wine's C library stays there until it is moved
        data = self._log.read(READ_MOST) or b""
        self._read += len(data)
        self.drained = len(data) < READ_MOST
        whole = (self._half + data).replace(b"\r", b"\n").split(b"\n")
        ended = self.drained and self.process.returncode is not None
        self._half = b"" if ended or len(whole[-1]) > LINE_MOST else whole.pop()
        return [text for line in whole if (text := _readable(line))]

    def stop(self) -> None:
        """Call again and again until it has ended: asks it, then terminates it, then kills it and its whole tree."""
        self._stopping_ns = self._stopping_ns or now_ns()
        waited = (now_ns() - self._stopping_ns) / 1e9
        steps = ((0.0, self._ask), (ASK_S, self._terminate), (ASK_S + TERMINATE_S, self.kill))
        if self._done < len(steps) and waited >= steps[self._done][0]:
            self._remember()
            steps[self._done][1]()
            self._done += 1

    def kill(self) -> None:
        """At once, with everything that it is known to have started."""
        self._stopping_ns = self._stopping_ns or now_ns()
        self._remember()
        if sys.platform != "win32":
            with suppress(OSError):  # its group outlives it as long as anyone is in there
                os.killpg(self.process.pid, signal.SIGKILL)
        for member in self._family.values():
            with suppress(psutil.Error):
                member.kill()

    def close(self) -> None:
        """After its end. One that was stopped leaves nothing behind."""
        if self._stopping_ns:
            self.kill()
        self._log.close()

    def _remember(self) -> None:
        """Who belongs to it: whoever loses a parent on the way is not found any more."""
        with suppress(psutil.Error):
            itself = psutil.Process(self.process.pid) if self.code is None else None
            known = [*self._family.values(), *([itself] if itself else [])]
            for parent in known:
                with suppress(psutil.Error):
                    self._family |= {member.pid: member for member in [parent, *parent.children(recursive=True)]}

    def _ask(self) -> None:
        with suppress(OSError):
            if sys.platform == "win32":
                words = [sys.executable, "-c", CTRL_BREAK, str(self.process.pid)]
                subprocess.Popen(words, stdin=subprocess.DEVNULL, creationflags=subprocess.CREATE_NO_WINDOW)
            else:
                self.process.send_signal(signal.SIGINT)

    def _terminate(self) -> None:
        if sys.platform == "win32":  # there is nothing in between
            self.kill()
            return
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGTERM)


def _readable(line: bytes) -> str:
    return CODES.sub("", line[:LINE_MOST].decode("utf-8", "replace")).strip()

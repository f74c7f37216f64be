"""Programs for Windows, run under Wine; tools/windows_python.sh prepares what they need."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from engine.process import ROOT

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "utsushi" / "windows-python"
FOLDER = Path(os.environ.get("UTSUSHI_WINDOWS_PYTHON") or CACHE)
PROGRAMS = ROOT / "tests" / "wine"
ANSWER_S = 120.0
ENDED = "(it has ended)"
ALWAYS = {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}

COMPILER = "x86_64-w64-mingw32-gcc"

needs_wine = pytest.mark.skipif(
    not ((FOLDER / "stamp").is_file() and shutil.which("wine") and shutil.which(COMPILER)),
    reason=f"Wine, {COMPILER} or {FOLDER} is missing; tools/windows_python.sh brings all three (Debian, Ubuntu)",
)


def windows_path(path: Path) -> str:
    """As programs under Wine name it."""
    return "Z:" + str(path).replace("/", "\\")


class Program:
    """A program for Windows that answers every line with a line. (Wine wants pipes, stderr included.)"""

    def __init__(self, *command: Any, **environment: str):
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [str(word) for word in command], cwd=ROOT, env={**os.environ, **ALWAYS, **environment},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        )  # fmt: skip
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\r\n"))
        self._lines.put(ENDED)

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """The next line that it says."""
        try:
            self.said.append(self._lines.get(timeout=ANSWER_S))
        except Empty:
            raise AssertionError(f"it is silent; before that it said: {self.said}") from None
        assert self.said[-1] != ENDED, "\n".join(self.said)
        return self.said[-1]

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.hear()

    def kill(self) -> None:
        """As by TerminateProcess. Idempotent."""
        self.process.kill()
        self.process.wait()


class Windows:
    """Starts programs and ends them all with the test."""

    def __init__(self) -> None:
        self._programs: list[Program] = []

    def python(self, script: Path, *arguments: Any, **environment: str) -> Program:
        return self._start(FOLDER / "python", script, *arguments, **environment)

    def run(self, program: Path, *arguments: Any) -> Program:
        return self._start(FOLDER / "wine", program, *arguments)

    def _start(self, *command: Any, **environment: str) -> Program:
        self._programs.append(Program(*command, **environment))
        return self._programs[-1]

    def close(self) -> None:
        for program in self._programs:
            program.kill()


def compiled(source: Path, folder: Path) -> Path:
    """A C program for Windows, from the compiler that tools/windows_python.sh has installed."""
    target = folder / source.with_suffix(".exe").name
    subprocess.run([COMPILER, "-O2", "-Wall", "-Werror", "-o", str(target), str(source)], check=True)
    return target

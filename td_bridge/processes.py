"""Starting a program beside TouchDesigner: no shell, no window, nothing that waits. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

WINDOWS = sys.platform == "win32"
SET_UP = "Set it up once, in a terminal in that folder: python3 run_engine.py --setup --no-run"


class CannotStart(Exception):
    """Why a program was not started: a sentence that says what to do."""


def interpreter(folder: str | Path, python: str = "") -> str:
    """The Python that runs Utsushi: `python`, or the one in the folder's .venv. Raises `CannotStart`.

    Never this process's own `sys.executable`, which is TouchDesigner, and never whatever the PATH has.
    """
    folder = Path(folder)
    if not (folder / "run_engine.py").is_file():
        raise CannotStart(f"There is no run_engine.py in the folder '{folder}'. Choose the folder that Utsushi is in.")
    found = Path(python) if python else folder / ".venv" / ("Scripts/python.exe" if WINDOWS else "bin/python")
    if found.stem.lower().startswith("touchdesigner"):
        raise CannotStart(f"{found} is TouchDesigner itself and not a Python. Leave it empty for the folder's own one.")
    if not (found.is_absolute() and found.is_file()):
        missing = f"There is no Python at '{found}'."
        raise CannotStart(f"{missing} Give its full path, or leave it empty." if python else f"{missing} {SET_UP}")
    return str(found)


def make_private(folder: Path) -> None:
    """Make a folder in the engines' own one, which no other user of this computer can look into. Raises OSError."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)


def start(words: list[str], folder: str | Path, log: Path) -> subprocess.Popen:
    """Start a program that has no window and no terminal; what it prints goes to `log`. Raises `CannotStart`.

    It is the head of a process group of its own, so that what ends TouchDesigner does not end it.
    """
    how: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        how = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        make_private(log.parent)
        with open(log, "wb") as output:
            return subprocess.Popen(
                words, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**ours, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}, **how,
            )  # fmt: skip
    except (OSError, ValueError) as error:  # ValueError: a NUL in a path
        raise CannotStart(f"{words[0]} does not start: {error}. Check the folder, the Python and the disk.") from error


def tail(log: Path, lines: int, most: int = 16384) -> list[str]:
    """The last lines of a text file; none where there is no file. most: bytes that are looked at."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - most))
            text = file.read(most).decode("utf-8", "replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.replace("\r", "\n").split("\n") if line.strip()][-lines:]

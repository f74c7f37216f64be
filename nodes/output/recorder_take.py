"""What a recorder writes: takes, each a file of its own, in one of several formats."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from engine.frame import Frame


class Take(Protocol):
    """One file, from its first frame on. bytes: in it, so far. frames: how many; seconds: from the first to the last.

    Opening and writing raise OSError.
    """

    path: Path

    @property
    def bytes(self) -> int: ...

    @property
    def frames(self) -> int: ...

    @property
    def seconds(self) -> float: ...

    def is_over(self, frame: Frame, seconds: float) -> bool:
        """Whether this frame belongs into another file, which may be that long."""

    def write(self, name: str, frame: Frame) -> None: ...

    def finish(self) -> None:
        """Complete the file. Raises OSError."""

    def abandon(self) -> bool:
        """Let go of the file as it is, and keep it if there is something in it. Whether there is."""


class Format(Protocol):
    """How takes are written. suffix: of their names.

    left_out: how many frames came that were not for recording, or did not come, because this node was too slow.
    """

    suffix: str
    left_out: int

    def wants(self, name: str, frame: Frame) -> bool:
        """Whether this frame, the next one of its stream, is to be recorded. Raises ValueError for what cannot be."""

    def open(self, path: Path, frame: Frame) -> Take:
        """A take into this file, which is there and empty. Raises OSError."""

    def pause(self) -> None:
        """Nothing is recorded for now, on purpose."""


def new_file(folder: Path, name: str, suffix: str, wall_ns: int) -> Path:
    """Make an empty file that was not there, named by the wall time; a number sets apart those of one second."""
    stem = f"{name}_{time.strftime('%Y-%m-%d_%H-%M-%S', time.localtime(wall_ns / 1e9))}"
    number = 1
    while True:
        path = folder / f"{stem}{f'_{number}' if number > 1 else ''}{suffix}"
        try:
            path.open("xb").close()
        except FileExistsError:
            number += 1
        else:
            return path

"""Files of the SDK: which can be played, and where a new one goes. Nothing is ever overwritten."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from engine.errors import BadInput
from nodes.camera.capture import check_file

WRITTEN = ".db3"
PLAYED = (WRITTEN, ".bag")  # since 2.58 the SDK writes .db3 only
LEAST_FREE = 2 << 30  # bytes that recording leaves on the disk
LOOK_S = 1.0


def check_recording(path: Path) -> None:
    """Raise BadInput unless this may be a recording."""
    try:
        if path.is_dir():
            raise BadInput(f"{path} is a folder. Name one of its recordings: {path / 'NAME'}{WRITTEN}")
        check_file(path, "recording")
    except OSError as error:  # such as a name that is too long
        raise BadInput(f"Cannot use {str(path)[:200]}: {error.strerror}. Check `recording`.") from None
    if path.suffix.lower() not in PLAYED:
        raise BadInput(f"{path} is no RealSense recording: those end in .db3 or .bag. Check `recording`.")


def unplayable(path: Path, error: RuntimeError) -> BadInput:
    """What the SDK's words about a recording come to."""
    reason = str(error).rpartition("Reason: ")[2].splitlines()[0][:200].rstrip(".")
    return BadInput(
        f"{path} cannot be played: it is damaged or incomplete, or not from a RealSense camera ({reason}). "
        "Copy it again, or choose another `recording`."
    )


def new_file(record: Path) -> Path:
    """A name that is free. record: a folder, or a file, which gets a number where it exists.

    Raises BadInput where nothing can be written.
    """
    is_folder = record.suffix.lower() != WRITTEN
    folder = record if is_folder else record.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"Cannot record into {folder}: {error.strerror}. Check `record`.") from None
    if not has_room(folder):
        raise BadInput(f"There is no room to record in {folder}: less than 2 GB are free. Delete something.")
    stem = time.strftime("realsense-%Y%m%d-%H%M%S") if is_folder else record.stem
    path, number = folder / (stem + WRITTEN), 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{WRITTEN}"
    return path


def has_room(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free >= LEAST_FREE
    except OSError:
        return False


class Take:
    """A file that is being recorded. record: see `new_file`. worth: it holds something; else it is taken away."""

    def __init__(self, record: Path):
        self.path, self.worth = new_file(record), False
        self._look_s = 0.0

    def out_of_room(self) -> bool:
        """Looks once a second."""
        if time.monotonic() < self._look_s:
            return False
        self._look_s = time.monotonic() + LOOK_S
        return not has_room(self.path.parent)

    def close(self) -> None:
        """After the SDK has let go of it."""
        if not self.worth:
            with suppress(OSError):
                self.path.unlink()

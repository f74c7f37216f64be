"""What can be played again from its start: a video file, a sequence of pictures.

A reel has one picture at hand, from its opening on; `advance` moves to the next one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from engine.errors import BadInput
from nodes.camera.capture import Retriever, check_file, fit, open_file, true_size

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
USUAL_FPS = 30.0  # of pictures that say nothing of a rate
FASTEST_FPS = 1000.0  # a container that claims more than that does not know its rate


class Reel(Protocol):
    """size: (width, height) in pixels. count: how many pictures it says it has; 0 where it does not say. These, and
    fps, may be others after `restart`."""

    name: str
    size: tuple[int, int]
    fps: float
    count: int

    @property
    def position(self) -> int:
        """Of the picture at hand; the first one is 1."""

    def advance(self) -> bool:
        """Take the next picture to hand. False at the end, and where the reel is broken."""

    def broken(self) -> str | None:
        """After `advance` gave False: a sentence if pictures are missing, None if this is the end."""

    def restart(self) -> bool:
        """Take the first picture to hand again. False when it cannot be had any more."""

    def read_into(self, array: np.ndarray) -> bool:
        """Fill `array`, (H, W, 3) uint8 BGR, with the picture at hand. False when it cannot be decoded."""

    def close(self) -> None: ...


def open_reel(source: str) -> Reel:
    """A video by its path, or pictures by a pattern such as shots/img_%04d.png or shots/*.png. Raises BadInput."""
    path = Path(source)
    is_pattern = not path.exists() and re.search(r"%\d*d|[*?]", path.name)
    return Sequence(path) if is_pattern or path.suffix.lower() in PICTURES else VideoFile(path)


class VideoFile:
    """A video file, decoded by FFmpeg. One that was replaced meanwhile is taken at the next `restart`."""

    def __init__(self, path: Path):
        self.path, self.name = path, str(path)
        self._retriever = Retriever()
        self._open()

    @property
    def seconds(self) -> float:
        """When the picture at hand is to be shown, from the start on, as the file says."""
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000

    @property
    def turned(self) -> int:
        """Degrees by which the stored pictures were turned, so that they stand upright."""
        return int(self._capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360

    def _open(self) -> None:
        self._opened = _version(self.path)  # asked first: at worst the same file is opened twice
        self._capture = open_file(self.path)
        self.position = 1
        if not self._capture.grab():
            raise BadInput(f"{self.path} holds no picture that can be played. Try it in a player, or choose another.")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps <= FASTEST_FPS else USUAL_FPS
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        size = true_size(self._capture)
        if size is None:
            raise BadInput(
                f"The first picture of {self.path} cannot be decoded. Try it in a player, or choose another."
            )
        self.size = size

    def advance(self) -> bool:
        if not self._capture.grab():
            return False
        self.position += 1
        return True

    def broken(self) -> str | None:
        """Counts are unsure (some containers give a length only, and rates vary), so this goes by time: half a second
        and a fiftieth of the length may be missing."""
        reached_s = max(self.position / self.fps, self.seconds + 1 / self.fps)
        stated_s = self.count / self.fps
        if stated_s - reached_s <= 0.5 + 0.02 * stated_s:
            return None
        return (
            f"{self.path} breaks off after {reached_s:.1f} of {stated_s:.1f} seconds; it is damaged or incomplete. "
            "Copy it again, or choose another."
        )

    def restart(self) -> bool:
        replaced = _version(self.path) not in (self._opened, None)  # a deleted file plays on
        # Some containers, such as MPEG-TS, go back but then give nothing: those are opened anew.
        if not replaced and self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0) and self._capture.grab():
            self.position = 1
            return True
        self.close()
        try:
            self._open()
        except BadInput:
            return False
        return True

    def read_into(self, array: np.ndarray) -> bool:
        return self._retriever.into(self._capture, array)

    def close(self) -> None:
        self._capture.release()


class Sequence:
    """Numbered pictures, or all that a pattern finds, in the order of the numbers in their names."""

    fps = USUAL_FPS

    def __init__(self, pattern: Path):
        self.name, self.paths = str(pattern), _matching(pattern)
        if not self.paths:
            raise BadInput(
                f"No picture is called {pattern}. Check `source`; a pattern is like img_%04d.png or img_*.png."
            )
        check_file(self.paths[0])
        self.count = len(self.paths)
        if not self.restart():
            raise BadInput(f"{self.paths[0]} is not a picture, or it is damaged. Choose another `source`.")
        self.size = self._picture.shape[1], self._picture.shape[0]

    def advance(self) -> bool:
        return self.position < self.count and self._load(self.position + 1)

    def broken(self) -> str | None:
        if self.position == self.count:
            return None
        return f"The picture {self.paths[self.position]} cannot be read. Replace it, or take it away."

    def restart(self) -> bool:
        return self._load(1)

    def _load(self, position: int) -> bool:
        # Not imread: on Windows that finds no file whose path has letters beyond ASCII.
        try:
            picture = cv2.imdecode(np.fromfile(self.paths[position - 1], np.uint8), cv2.IMREAD_COLOR)
        except (OSError, cv2.error):
            return False
        if picture is None:
            return False
        self._picture, self.position = picture, position
        return True

    def read_into(self, array: np.ndarray) -> bool:
        if self._picture.shape == array.shape:
            np.copyto(array, self._picture)
        else:
            fit(self._picture, array)
        return True

    def close(self) -> None:
        pass


def _version(path: Path) -> tuple[int, ...] | None:
    """Another one when the file was replaced or written to; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _matching(pattern: Path) -> list[Path]:
    """The files that a pattern with % or * or ? in its last part means; a plain name means itself."""
    numbered = re.fullmatch(r"(.*?)%(?:0?\d+)?d(.*)", pattern.name)
    if pattern.exists() or not (numbered or re.search(r"[*?]", pattern.name)):
        return [pattern]
    if numbered:
        name = re.compile(re.escape(numbered[1]) + r"\d+" + re.escape(numbered[2]))
        found = [path for path in pattern.parent.glob("*") if name.fullmatch(path.name)]
    else:
        found = [path for path in pattern.parent.glob(pattern.name) if path.suffix.lower() in PICTURES]
    return sorted(found, key=lambda path: [int(n) if n.isdigit() else n for n in re.split(r"(\d+)", path.name)])

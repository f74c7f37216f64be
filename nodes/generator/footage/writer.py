"""Write a clip at a constant rate: H.264 where the package av or OpenCV offers it, else what OpenCV has."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from engine.errors import EngineError

CRF = "14"  # x264's quality: what is lost here no training brings back
PRESET = "veryfast"  # while a camera runs there is no time for more
KEY_EVERY_S = 2.0


class Writer(Protocol):
    codec: str

    def write(self, picture: np.ndarray) -> None:
        """One more picture, (H, W, 3) uint8 BGR. Raises `EngineError`."""

    def close(self) -> None:
        """Complete the file. Raises `EngineError`."""


def open_writer(path: Path, size: tuple[int, int], fps: float) -> Writer:
    """size: (width, height), both even. Raises `EngineError`."""
    try:
        return _Av(path, size, fps)
    except (ImportError, ValueError):  # no package av, or one without x264
        return _OpenCV(path, size, fps)


class _Av:
    codec = "H.264"

    def __init__(self, path: Path, size: tuple[int, int], fps: float):
        from nodes.output.movie import FRAGMENTS, Movie

        self._path, self._written = path, 0
        key_every = max(1, round(KEY_EVERY_S * fps))
        try:
            self._movie = Movie(path, size, fps, FRAGMENTS, key_every=key_every, x264={"crf": CRF, "preset": PRESET})
        except OSError as error:
            raise _cannot(path, error.strerror) from error

    def write(self, picture: np.ndarray) -> None:
        try:
            self._movie.write(np.ascontiguousarray(picture), blue_first=True, stamp=self._written)
        except OSError as error:
            raise _cannot(self._path, error.strerror) from error
        self._written += 1

    def close(self) -> None:
        try:
            self._movie.finish()
        except OSError as error:
            raise _cannot(self._path, error.strerror) from error


class _OpenCV:
    def __init__(self, path: Path, size: tuple[int, int], fps: float):
        for fourcc, self.codec in (("avc1", "H.264"), ("mp4v", "MPEG-4, which is worse than H.264 (pip install av)")):
            self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), fps, size)
            if self._writer.isOpened():
                return
        raise _cannot(path, "OpenCV offers no way to write it")

    def write(self, picture: np.ndarray) -> None:
        self._writer.write(picture)

    def close(self) -> None:
        self._writer.release()


def _cannot(path: Path, why: str | None) -> EngineError:
    return EngineError(f"{path} cannot be written: {why}. Make room, or choose another --out.")

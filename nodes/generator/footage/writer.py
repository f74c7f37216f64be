"""Write a clip at a constant rate: H.264 where the package av or OpenCV offers it, else what OpenCV has."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from engine.errors import EngineError

CRF = "14"  # x264's quality: what is lost here no training brings back
PRESET = "veryfast"  # while a camera runs there is no time for more
COLOURS = 1  # BT.709, limited range
KEY_EVERY_S = 2.0
MOVFLAGS = "frag_keyframe+empty_moov+default_base_moof"  # readable up to its last fragment, however writing ends


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
        import av

        self._av, self._path, self._written = av, path, 0
        rate = Fraction(fps).limit_denominator(1001)
        try:
            self._file: Any = av.open(str(path), "w", options={"movflags": MOVFLAGS})
            self._stream = self._file.add_stream("libx264", rate=rate, options={"crf": CRF, "preset": PRESET})
        except OSError as error:
            raise _cannot(path, error.strerror) from error
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.gop_size = max(1, round(KEY_EVERY_S * fps))
        context = self._stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = COLOURS

    def write(self, picture: np.ndarray) -> None:
        try:
            frame = self._av.VideoFrame.from_ndarray(picture, "bgr24").reformat(
                format="yuv420p", dst_colorspace=COLOURS, dst_color_range=COLOURS
            )
            frame.pts = self._written
            self._file.mux(self._stream.encode(frame))
        except (OSError, self._av.FFmpegError) as error:
            raise _cannot(self._path, error.strerror) from error
        self._written += 1

    def close(self) -> None:
        try:
            self._file.mux(self._stream.encode(None))
            self._file.close()
        except (OSError, self._av.FFmpegError) as error:
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

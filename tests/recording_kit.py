"""Recordings to read: frames of any kind, and files of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import frame

from engine.frame import Frame, Lens
from nodes.recording.reader import Recording
from nodes.recording.writer import FramesFile

START_NS, WALL_NS, SECOND = 5_000_000_123_456, 1_790_000_000_000_000_000, 1_000_000_000
PERIOD = SECOND // 30
LENS = Lens(600.5, 601.25, 31.5, 23.5, "BROWN_CONRADY", (0.1, -0.2, 0.003, 0.0, 1e-9), 0.001)


def at(seq: int, array: np.ndarray, late: int = 5_000_000, **about: Any) -> Frame:
    """Frame `seq` of a stream at 30 frames a second, published `late` ns after its capture."""
    captured = START_NS + seq * PERIOD
    times = {"capture_ns": captured, "capture_wall_ns": WALL_NS + seq * PERIOD, "publish_ns": captured + late}
    return frame(array, seq, **{**times, **about})


def picture(seq: int, **about: Any) -> Frame:
    array = np.random.default_rng(seq).integers(0, 256, (48, 64, 3), np.uint8)
    return at(seq, array, pixel_format="BGR", lens=LENS, **about)


def depth(seq: int, **about: Any) -> Frame:
    array = np.random.default_rng(seq).integers(0, 4000, (48, 64, 1), np.uint16)
    return at(seq, array, pixel_format="DEPTH", lens=LENS, **about)


def keypoints(seq: int, **about: Any) -> Frame:
    array = np.random.default_rng(seq).random((2, 33, 4), np.float32)
    return at(seq, array, 40_000_000, pixel_format="KEYPOINTS", canvas=(64, 48), ids=(7, 3), **about)


def write(path: Path, frames: Iterable[tuple[str, Frame]], order: Sequence[str] = (), whole: bool = True) -> Path:
    """A file of frames. order: of the streams, left out: as they come. whole: else as a kill leaves it."""
    listed = list(frames)
    file = FramesFile(path, order or list(dict.fromkeys(name for name, _ in listed)))
    for name, one in listed:
        file.write(name, one)
    if whole:
        file.finish()
    else:
        file._writer.flush()
        file.abandon()
    return path


def read(path: Path, name: str) -> list[Frame]:
    recording = Recording(path)
    try:
        return list(recording.frames(name))
    finally:
        recording.close()


def assert_same(found: Frame, wanted: Frame) -> None:
    """Every bit and every word of it."""
    assert found.array.dtype == wanted.array.dtype and found.array.shape == wanted.array.shape
    assert found.array.tobytes() == wanted.array.tobytes()
    for word in Frame.__slots__:
        if word != "array":
            assert getattr(found, word) == getattr(wanted, word), word

"""Clips to extract footage from, small and quick to make, with the poses that are in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from people import standing

from nodes.camera.painter.show import Show
from nodes.generator.footage.writer import open_writer

SIZE = 128
STAGE = np.full((SIZE, SIZE, 3), 90, np.uint8)
STAGE[::16] = 130
STAGE[:, ::16] = 60


def write_clip(path: Path, pictures: Iterable[np.ndarray], fps: float = 10) -> Path:
    """pictures: (H, W, 3) uint8 BGR, of even sides."""
    writer = None
    for picture in pictures:
        writer = writer or open_writer(path, (picture.shape[1], picture.shape[0]), fps)
        writer.write(np.ascontiguousarray(picture))
    assert writer
    writer.close()
    return path


def body(x: float, y: float = 64, height: float = 60) -> np.ndarray:
    """(33, 4) float32: somebody who stands with the middle of the body at x, y of the picture."""
    points = standing()
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    points[:, :3] *= height / (high[1] - low[1])
    points[:, :2] += (x, y) - points[:, :2].mean(0)
    return points


def with_body(points: np.ndarray, stage: np.ndarray = STAGE) -> np.ndarray:
    """The stage with a speckled figure where the points are."""
    picture = stage.copy()
    left, top = np.maximum(points[:, :2].min(0).astype(int), 0)
    right, bottom = points[:, :2].max(0).astype(int)
    part = picture[top:bottom, left:right]
    part[:] = np.random.default_rng(0).integers(0, 255, part.shape)
    return picture


def walk(count: int = 60, start: float = 20, end: float = 108) -> np.ndarray:
    """(count, 33, 4): somebody who walks across."""
    return np.stack([body(x) for x in np.linspace(start, end, count)])


def dance(path: Path, count: int = 40, size: int = 256) -> tuple[Path, np.ndarray]:
    """A clip of the drawn performer, and (count, 33, 4) where the body is."""
    show, points = Show(size, size, fps=10), []

    def pictures():
        for number in range(count):
            picture = np.empty((size, size, 3), np.uint8)
            points.append(show.draw(picture, number)[0])
            yield picture

    return write_clip(path, pictures()), np.stack(points)

"""A performer's file with random weights, and people to paint with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from people import CANVAS, standing

from nodes.generator.network import checkpoint
from nodes.generator.playing.repertoire import measure

SIZE, GRID, WIDTH = 64, 16, 8


def people(count: int, seed: int = 3) -> np.ndarray:
    """(count, 33, 4) float32 in picture sizes: people who stand about and move a little."""
    random = np.random.default_rng(seed)
    points = np.repeat(standing()[None], count, 0)
    points[..., :2] += random.normal(0, 15, (count, 33, 2)) + random.uniform(-60, 60, (count, 1, 2))
    points[..., 0] += (CANVAS[1] - CANVAS[0]) / 2
    points[..., :3] /= CANVAS[1]
    return points.astype(np.float32)


def write_performer(path: Path, seed: int = 0, poses: int = 16) -> Path:
    """Its last layer is larger than a new one's, so that the pictures are no even grey."""
    import torch

    from nodes.generator.network.painter import Painter, Shape

    torch.manual_seed(seed)
    shape = Shape(size=SIZE, width=WIDTH, blocks=1, grid=GRID)
    network = Painter(shape)
    with torch.no_grad():
        network.last.weight.mul_(14)
    about = checkpoint.About(
        network=checkpoint.NetworkAbout(architecture=checkpoint.ARCHITECTURE, **shape.as_dict()),
        keypoints=checkpoint.KEYPOINTS, repertoire=measure(people(16)),
        training=checkpoint.Training(steps=0, minutes=0),
    )  # fmt: skip
    checkpoint.write(path, about, np.zeros((SIZE, SIZE, 3), np.uint8), people(poses), network)
    return path

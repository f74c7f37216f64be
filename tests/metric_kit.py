"""Depth pictures of rooms and bodies whose every point is known: rays against boxes, without any camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.frame import Lens

LENS = Lens(380.0, 380.0, 319.5, 239.5, "NONE", (0.0,) * 5, 0.001)
SIZE = (640, 480)
Box = tuple[tuple[float, float, float], tuple[float, float, float]]  # its lowest and highest x, y, z


def turned(pitch: float, roll: float = 0.0) -> np.ndarray:
    """From camera space to floor space for a camera that looks down by `pitch` and leans right by `roll`, degrees."""
    p, r = np.radians((pitch, roll))
    level = np.diag((1.0, -1.0, -1.0))
    down = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    lean = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return level @ down @ lean


def room(
    boxes: Sequence[Box],
    pitch: float = 0.0,
    roll: float = 0.0,
    height: float = 0.0,
    noise: float = 0.0,
    holes: float = 0.0,
    lens: Lens = LENS,
    size: tuple[int, int] = SIZE,
    seed: int = 0,
) -> np.ndarray:
    """(H, W) uint16: boxes in floor space, seen by a camera at (0, height, 0).

    noise: metres at 1 m, growing with the square of the distance. holes: share of pixels without a depth.
    """
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    rays = np.stack([(columns - lens.cx) / lens.fx, (rows - lens.cy) / lens.fy, np.ones(columns.shape)], -1)
    rays = rays @ turned(pitch, roll).T
    depth = np.full(columns.shape, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for low, high in boxes:
            one, two = ((np.array(side) - (0, height, 0)) / rays for side in (low, high))
            enters, leaves = np.minimum(one, two).max(-1), np.maximum(one, two).min(-1)
            depth = np.where((enters <= leaves) & (enters > 0), np.minimum(depth, enters), depth)
    random = np.random.default_rng(seed)
    depth = np.where(np.isfinite(depth), depth, 0)
    depth = depth + random.normal(0, 1, depth.shape) * noise * depth**2
    depth[random.random(depth.shape) < holes] = 0
    return np.round(np.clip(depth / lens.metres, 0, 65535)).astype(np.uint16)


FLOOR: Box = ((-9, -1, -9), (9, 0, 9))
WALL: Box = ((-9, -1, -5), (9, 4, -4))
PERSON: Box = ((-0.25, 0, -2.2), (0.25, 1.75, -2.0))

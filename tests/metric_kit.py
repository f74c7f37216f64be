"""Depth pictures of rooms and bodies whose every point is known: rays against boxes, without any camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.frame import Lens
from nodes.layouts import BLAZEPOSE_33
from nodes.lens import project

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

_NAMES = {name: index for index, name in enumerate(BLAZEPOSE_33)}
_STRIPS = [  # from, to, half the width in metres
    ("shoulder", "elbow", 0.05), ("elbow", "wrist", 0.04), ("wrist", "index", 0.035), ("wrist", "pinky", 0.035),
    ("wrist", "thumb", 0.03), ("hip", "knee", 0.08), ("knee", "ankle", 0.05), ("ankle", "heel", 0.04),
    ("ankle", "foot_index", 0.04),
]  # fmt: skip


def standing(x: float = 0.0, z: float = 2.0, **moved: tuple[float, float, float]) -> np.ndarray:
    """(33, 3) metres in camera space: an adult who faces the camera, arms a little off the body, navel at (x, 0, z).

    moved: points by name, and by how much each.
    """
    half = {
        "eye_inner": (0.02, -0.62), "eye": (0.035, -0.62), "eye_outer": (0.05, -0.62), "ear": (0.08, -0.6),
        "mouth": (0.02, -0.53), "shoulder": (0.18, -0.35), "elbow": (0.27, -0.08), "wrist": (0.33, 0.16),
        "pinky": (0.36, 0.24), "index": (0.35, 0.25), "thumb": (0.32, 0.22), "hip": (0.11, 0.15), "knee": (0.13, 0.58),
        "ankle": (0.14, 1.0), "heel": (0.14, 1.06), "foot_index": (0.17, 1.05),
    }  # fmt: skip
    points = np.zeros((33, 3))
    for name, index in _NAMES.items():
        side = 1 if "left" in name else -1
        part = "_".join(word for word in name.split("_") if word not in ("left", "right"))
        across, down = half.get(part, (0, -0.58))
        points[index] = (x + side * across, down, z)
    for name, by in moved.items():
        points[_NAMES[name]] += by
    return points


def paper_doll(
    bodies: Sequence[np.ndarray], background: float = 0.0, lens: Lens = LENS, size: tuple[int, int] = SIZE
) -> np.ndarray:
    """(H, W) uint16: bodies cut out of paper, so that each point lies exactly on its surface, before a wall."""
    depth = np.full(size[::-1], background or np.inf, float)

    def strip(start: np.ndarray, end: np.ndarray, half: float) -> None:
        ends = project(lens, np.stack([start, end]))
        width = half * lens.fx / min(start[2], end[2]) + 1
        (left, top), (right, bottom) = np.clip([ends.min(0) - width, ends.max(0) + width + 1], 0, size).astype(int)
        columns, rows = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
        (x0, y0), along = ends[0], ends[1] - ends[0]
        t = np.clip(((columns - x0) * along[0] + (rows - y0) * along[1]) / max(along @ along, 1e-9), 0, 1)
        z = 1 / ((1 - t) / start[2] + t / end[2])
        near = np.hypot(columns - x0 - t * along[0], rows - y0 - t * along[1]) <= half * lens.fx / z
        window = depth[top:bottom, left:right]
        window[near] = np.minimum(window, z)[near]

    for body in bodies:
        at = {name: body[index] for name, index in _NAMES.items()}
        for side in ("left_", "right_"):
            for start, end, half in _STRIPS:
                strip(at[side + start], at[side + end], half)
        for share in np.linspace(0, 1, 7):
            low, high = ((1 - share) * at["left_" + part] + share * at["right_" + part] for part in ("hip", "shoulder"))
            strip(low, high, 0.05)
        strip(at["nose"] + (0, -0.06, 0), at["nose"] + (0, 0.06, 0), 0.1)
    return np.round(np.where(np.isfinite(depth), depth / lens.metres, 0)).astype(np.uint16)


def keypoints(bodies: Sequence[np.ndarray], lens: Lens = LENS, own_z: bool = True, score: float = 0.95) -> np.ndarray:
    """(P, 33, 4) float32: what an estimator that makes no mistakes finds of them in the picture.

    own_z: whether it guesses z, in pixels from the hips, or leaves it at 0.
    """
    found = np.full((len(bodies), 33, 4), score, np.float32)
    for index, body in enumerate(bodies):
        found[index, :, :2] = project(lens, body)
        hips = body[[_NAMES["left_hip"], _NAMES["right_hip"]], 2].mean()
        found[index, :, 2] = (body[:, 2] - hips) / hips * lens.fx * own_z
    return found

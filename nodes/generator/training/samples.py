"""From footage to batches. Batch n is a function of the seed and n alone: training may stop and go on anywhere."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from nodes.generator.footage.folder import Footage
from nodes.generator.footage.mattes import masks
from nodes.generator.training.losses import Targets

# How pose estimators err, in picture sizes: each point by itself, and all together.
POINT_NOISE, BODY_NOISE = 1.2 / 512, 0.5 / 512
HIDDEN = 0.15  # how often some point is not seen
# How often the whole picture, stage included, is moved, so that more places, sizes and leans have been seen; how far.
MOVED, SCALE, TURN_DEGREES, SHIFT = 0.5, 0.1, 4.0, 0.06
FAR, FAR_DEGREES = 0.25, 30.0  # how many of those turn farther, for visitors who lean as no dancer did; how far
PIVOT = (0.5, 0.55)


@dataclass(frozen=True)
class Batch:
    """points: (B, 33, 4). places: (B, 2) int, x and y in pixels of some joint, where the critic looks."""

    points: Tensor
    targets: Targets
    places: np.ndarray


JOINTS = (0, 15, 16, 27, 28, 11, 24)  # face, hands, feet, a shoulder, a hip


class Samples:
    """Makes batches. ahead: how many are in the making beside the training, each in a thread of its own; pays only
    where processor cores are left for it."""

    def __init__(self, footage: Footage, size: int, device: str = "cpu", seed: int = 0, ahead: int = 1):
        self._footage, self._size, self._device, self._seed = footage, size, device, seed
        self._pool = ThreadPoolExecutor(ahead, "samples") if ahead else None
        self._ahead = ahead
        self._begun: dict[int, Future[Batch]] = {}

    def batch(self, number: int) -> Batch:
        if self._pool is None:
            return self._make(number)
        known = self._begun
        wanted = range(number, number + self._ahead + 1)
        self._begun = {n: known.get(n) or self._pool.submit(self._make, n) for n in wanted}
        return self._begun.pop(number).result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _make(self, number: int) -> Batch:
        rng = np.random.default_rng((self._seed, number))
        chosen = rng.choice(self._footage.train, self._size)
        parts = list(zip(*(self._one(int(index), rng) for index in chosen), strict=True))
        *pictures, points, places = (np.stack(part) for part in parts)
        targets = Targets(*(self._tensor(picture) for picture in pictures))
        return Batch(torch.from_numpy(points).to(self._device), targets, places)

    def _tensor(self, array: np.ndarray) -> Tensor:
        """(B, S, S, 3) uint8 or (B, S, S) float32 → (B, C, S, S) float32 on the device."""
        tensor = torch.from_numpy(array).to(self._device)
        return tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2).float() / 255

    def _one(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        frame, plate, points = self._footage.frames[index], self._footage.plate, self._footage.points[index].copy()
        if rng.random() < MOVED:
            frame, plate, points = moved(frame, plate, points, movement(rng))
        seen = masks(frame, plate, points)
        place = (points[rng.choice(JOINTS), :2] * len(frame)).astype(int) + rng.integers(-24, 25, 2)
        points[:, :2] += rng.normal(0, POINT_NOISE, (33, 2)) + rng.normal(0, BODY_NOISE, (1, 2))
        if rng.random() < HIDDEN:
            points[rng.integers(33), 3] = 0
        return frame, plate, *seen, points, place


def movement(rng: np.random.Generator) -> np.ndarray:
    """(2, 3): a random turn, scale and shift in picture sizes."""
    scale = rng.uniform(1 - SCALE, 1 + SCALE)
    turn = rng.uniform(-FAR_DEGREES, FAR_DEGREES) if rng.random() < FAR else rng.normal(0, TURN_DEGREES)
    cos, sin = scale * np.cos(np.radians(turn)), scale * np.sin(np.radians(turn))
    linear = np.array([[cos, -sin], [sin, cos]])
    shift = np.array(PIVOT) - linear @ PIVOT + rng.uniform(-SHIFT, SHIFT, 2)
    return np.column_stack([linear, shift])


def moved(
    frame: np.ndarray, plate: np.ndarray, points: np.ndarray, move: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture, empty stage and points, all moved alike. move: (2, 3) in picture sizes."""
    size = len(frame)
    pixels = move.copy()
    pixels[:, 2] = move[:, 2] * size + (move[:, :2].sum(1) - 1) / 2  # pixel centres lie at halves
    warped = [
        cv2.warpAffine(picture, pixels, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for picture in (frame, plate)
    ]
    points = points.copy()
    points[:, :2] = points[:, :2] @ move[:, :2].T + move[:, 2]
    points[:, 2] *= np.hypot(move[0, 0], move[1, 0])
    return warped[0], warped[1], points.astype(np.float32)

"""One picture that shows how far a training has come: pose, painted, real and alpha, one below the other."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from torch import nn

from engine.session import replace_file
from nodes.generator.footage.folder import Footage
from nodes.generator.network.pose_field import LIMBS
from nodes.generator.training.evaluate import paint

COLUMNS = 8
SIDE = 256  # of one picture, pixels
SURE = 0.3


def write_grid(path: Path, net: nn.Module, footage: Footage, numbers: np.ndarray, device: str = "cpu") -> None:
    """Frames evenly chosen from `numbers`, one per column. The name's ending says whether it becomes PNG or JPEG.

    Raises OSError.
    """
    chosen = columns(numbers)
    pictures, alphas = paint(net, footage.points[chosen], footage.plate, device)
    rows = (
        [_skeleton(footage.points[number]) for number in chosen],
        [_fitting(picture) for picture in pictures],
        [_fitting(footage.frames[number]) for number in chosen],
        [_fitting(np.repeat(alpha[..., None], 3, 2)) for alpha in alphas],
    )
    sheet = np.vstack([np.hstack(row) for row in rows])
    replace_file(path, cv2.imencode(path.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes())


def columns(numbers: np.ndarray) -> np.ndarray:
    """Which frames of `numbers` a grid shows."""
    return numbers[np.linspace(0, len(numbers) - 1, min(COLUMNS, len(numbers))).round().astype(int)]


def _fitting(picture: np.ndarray) -> np.ndarray:
    method = cv2.INTER_AREA if len(picture) >= SIDE else cv2.INTER_LINEAR
    return cv2.resize(picture, (SIDE, SIDE), interpolation=method)


def _skeleton(points: np.ndarray) -> np.ndarray:
    """The limbs as the network knows them, the person's left side in one colour and the right in another."""
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    for first, second, _ in LIMBS:
        if min(points[first, 3], points[second, 3]) > SURE:
            left, right = first % 2 and second % 2, not first % 2 and not second % 2
            colour = (255, 150, 60) if left else (80, 170, 255) if right else (220, 220, 220)
            ends = [(int(x), int(y)) for x, y in points[[first, second], :2] * SIDE]
            cv2.line(picture, ends[0], ends[1], colour, 3, cv2.LINE_AA)
    return picture

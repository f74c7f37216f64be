"""What the pose benchmark shows to the networks: clips, people in odd light, and rooms without people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent

# Parts of the clips in which nobody ever is: left, top, width and height, 0..1.
EMPTY = {
    "one1": [(0, 0.72, 1, 0.28), (0.62, 0, 0.38, 0.16)],
    "one2": [(0, 0.66, 1, 0.34), (0, 0, 1, 0.17)],
    "one3": [(0.72, 0.3, 0.28, 0.7), (0, 0.1, 0.24, 0.9)],
    "one4": [(0.55, 0.7, 0.45, 0.3), (0.6, 0, 0.4, 0.22)],
    "two1": [(0.62, 0, 0.38, 0.16)],
    "two2": [(0.35, 0.66, 0.65, 0.34)],
    "two3": [(0.72, 0.3, 0.28, 0.7), (0, 0.68, 1, 0.32)],
    "two4": [(0.55, 0.7, 0.45, 0.3)],
    "room3": [(0, 0, 0.74, 1)],
}


def video(path: Path) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    while (read := capture.read())[0]:
        yield read[1]


def dimmed(picture: np.ndarray, gain: float, noise: float = 1.0) -> np.ndarray:
    """As a dark room gives it: fewer levels, and the noise of the sensor."""
    random = np.random.default_rng(int(picture[::50, ::50].sum()))
    dark = picture * gain + (random.normal(0, noise, picture.shape) if gain < 1 else 0)
    return np.clip(np.rint(dark), 0, 255).astype(np.uint8)


LOOKS = {
    "as it is": lambda picture: picture,
    "grey, as infrared": lambda picture: cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY),
    "upside down": lambda picture: cv2.rotate(picture, cv2.ROTATE_180),
    "a quarter turned": lambda picture: cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE),
    "light 0.3": lambda picture: dimmed(picture, 0.3),
    "light 0.15": lambda picture: dimmed(picture, 0.15),
    "light 0.08, no noise": lambda picture: dimmed(picture, 0.08, noise=0),
    "light 0.08": lambda picture: dimmed(picture, 0.08),
    "light 0.04": lambda picture: dimmed(picture, 0.04),
    "light 0.08, grey": lambda picture: dimmed(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), 0.08),
}


def rooms(files: dict[str, Path]) -> Iterator[np.ndarray]:
    """Pictures in which nobody is: parts of the clips, a room, a stage, and what no camera shows."""
    for name, parts in EMPTY.items():
        whole = [cv2.imread(str(files["room3.png"]))] if name == "room3" else list(video(files[f"{name}.mp4"]))[::20]
        for x, y, width, height in parts:
            for picture in whole:
                down, across = picture.shape[:2]
                part = picture[round(y * down) : round((y + height) * down), round(x * across) :]
                yield np.ascontiguousarray(part[:, : round(width * across)])
    yield cv2.imread(str(ROOT / "assets" / "performer_plate.png"))
    random = np.random.default_rng(0)
    for spread in (0, 1, 2, 3, 5, 8, 60):
        yield np.clip(np.rint(random.normal(spread, spread, (480, 640, 3))), 0, 255).astype(np.uint8)
    yield (np.indices((480, 640)).sum(0) % 64 * 4)[:, :, None].repeat(3, 2).astype(np.uint8)

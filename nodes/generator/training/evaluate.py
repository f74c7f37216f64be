"""How good a performer is on frames that it was not trained on, in figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from nodes.generator.footage.folder import Footage
from nodes.generator.footage.mattes import body, difference

BATCH = 8
Pair = tuple[np.ndarray, np.ndarray]  # a painted picture and its frame, (S, S, 3) uint8


class Score(NamedTuple):
    """Means over frames. psnr, body_psnr: dB, whole picture and body with surroundings. ssim: 0..1, of the grey picture
    (Wang et al. 2004). flicker: how much more or less than the footage a body's pixel changes from frame to frame,
    levels of 255."""

    psnr: float
    ssim: float
    body_psnr: float
    flicker: float
    frames: int


def paint(net: nn.Module, points: np.ndarray, plate: np.ndarray, device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """(N, 33, 4) → pictures (N, S, S, 3) and alphas (N, S, S), both uint8."""
    pictures, alphas = [], []
    empty = torch.from_numpy(plate).to(device).permute(2, 0, 1).float() / 255
    with torch.inference_mode():
        for start in range(0, len(points), BATCH):
            rgba = net(torch.from_numpy(points[start : start + BATCH]).to(device)).float()
            alpha = rgba[:, 3:]
            made = (alpha * rgba[:, :3] + (1 - alpha) * empty).permute(0, 2, 3, 1)
            pictures.append((made * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy())
            alphas.append((alpha[:, 0] * 255).round().to(torch.uint8).cpu().numpy())
    return np.concatenate(pictures), np.concatenate(alphas)


def evaluate(net: nn.Module, footage: Footage, numbers: np.ndarray, device: str = "cpu") -> Score:
    """Scores of the frames `numbers` of the footage, painted from their poses as they were found."""

    def pairs() -> Iterator[Pair]:
        for start in range(0, len(numbers), BATCH):
            some = numbers[start : start + BATCH]
            pictures, _ = paint(net, footage.points[some], footage.plate, device)
            yield from zip(pictures, footage.frames[some], strict=True)

    return score(pairs(), footage.plate, np.diff(numbers) == 1)


def score(pairs: Iterable[Pair], plate: np.ndarray, follows: Iterable[bool]) -> Score:
    """pairs: N painted pictures, each with its frame; looked at one after another, so there may be any number of them.
    follows: (N - 1,), whether a frame comes right after the one before."""
    whole, alike, bodily, flickers = [], [], [], []
    before: Pair | None = None
    directly = iter(follows)
    for picture, frame in pairs:
        where = body(difference(frame, plate))
        whole.append(psnr(picture, frame))
        alike.append(ssim(picture, frame))
        if where.any():
            bodily.append(psnr(picture[where], frame[where]))
        if before and next(directly) and where.any():
            flickers.append(np.abs(_change(before[0], picture) - _change(before[1], frame))[where].mean())
        before = picture, frame
    return Score(_mean(whole), _mean(alike), _mean(bodily), _mean(flickers), len(whole))


def _mean(values: list) -> float:
    return float(np.mean(values)) if values else 0.0


def psnr(picture: np.ndarray, frame: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of uint8 arrays; 99 where they are equal."""
    error = np.mean((picture.astype(np.float32) - frame.astype(np.float32)) ** 2)
    return float(min(99.0, 10 * np.log10(255**2 / max(float(error), 1e-9))))


def ssim(picture: np.ndarray, frame: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004): 11 × 11 Gaussian window of 1.5, on grey. (S, S, 3) uint8, red first."""
    x, y = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (picture, frame))
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    both = _window(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return float((top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


def _window(values: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(values, (11, 11), 1.5)


def _change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.abs(after.astype(np.int16) - before).astype(np.float32)

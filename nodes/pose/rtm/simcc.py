"""Points from SimCC, two distributions for each: one across and one down.

Sources: Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation", 2022; Jiang et
al., "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose", 2023; MMPose, codecs/simcc_label.py.
"""

from __future__ import annotations

import numpy as np


def decode(across: np.ndarray, down: np.ndarray, split: float) -> tuple[np.ndarray, np.ndarray]:
    """across: (K, width × split), down: (K, height × split). Points (K, 2) in pixels of the network's input, and their
    scores (K,), 0..1: the lower of the two peaks. Always finite, whatever the network answers."""
    (x, sure_x), (y, sure_y) = peaks(across), peaks(down)
    return np.stack([x, y], 1) / split, np.clip(np.nan_to_num(np.minimum(sure_x, sure_y)), 0, 1)


def peaks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each row of (K, N) is highest, (K,), and how high, (K,).

    Between two bins: at the top of the parabola through the highest and its two neighbours. The networks were trained
    with Gaussian peaks several bins wide, and bins alone are two or more pixels apart in a large picture.
    """
    rows, best = np.arange(len(values)), values.argmax(1)
    top = values[rows, best].astype(np.float64)
    inside = (best > 0) & (best < values.shape[1] - 1)
    before, after = (values[rows, np.where(inside, best + step, best)].astype(np.float64) for step in (-1, 1))
    with np.errstate(invalid="ignore"):  # what is not finite stays on its bin
        bend = before - 2 * top + after
        shift = np.where(bend < 0, (before - after) / (2 * np.where(bend < 0, bend, 1)), 0)
    return best + np.where(np.isfinite(shift), shift, 0), top

"""A picture of the empty stage brought to the levels at which the clip shows the stage.

A photograph, or a picture that never went through the clip's codec, is a little lighter or darker throughout. That is
invisible, and yet it would be all that a network learns of the stage.
"""

from __future__ import annotations

import numpy as np

from nodes.generator.footage.mattes import FAINT

LEAST_SEEN = 0.05  # share of the stage that must be seen in the clip
LARGEST_GAIN = 0.15  # by which contrast may differ; more is another light, and no business of ours
NOTICED = 0.5  # levels of 255


def levelled(plate: np.ndarray, seen: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, float]:
    """A new plate, (H, W, 3) uint8, and by how many levels it changed on average; the same and 0 where nothing fits.

    seen: (H, W, 3) uint8, the stage as the clip shows it. free: (H, W) bool, where it does. Each channel is fitted by a
    straight line, twice: shadows and whatever else differs by more than `FAINT` from the first line count no more.
    """
    usable = free & (plate.min(2) > 0) & (plate.max(2) < 255)
    if usable.mean() < LEAST_SEEN:
        return plate, 0.0
    new = np.empty(plate.shape, np.float64)
    for channel in range(3):
        x, y = plate[usable, channel].astype(float), seen[usable, channel].astype(float)
        start = np.median(y - x)
        close = np.abs(y - x - start) < FAINT
        if close.mean() < 0.5 or np.ptp(x[close]) < FAINT:
            return plate, 0.0
        gain, offset = np.polyfit(x[close], y[close], 1)
        if abs(gain - 1) > LARGEST_GAIN:
            return plate, 0.0
        new[..., channel] = gain * plate[..., channel] + offset
    changed = float(np.abs(new - plate).mean())
    return (np.clip(np.rint(new), 0, 255).astype(np.uint8), changed) if changed >= NOTICED else (plate, 0.0)

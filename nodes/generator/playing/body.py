"""How tall a body is in a picture, whatever it does and however little of it is seen."""

from __future__ import annotations

import numpy as np

from nodes.generator.playing.repertoire import ANKLES, HEELS, HIPS, KNEES, LEAST_SCORE, SHOULDERS

WRISTS = (15, 16)
_LINE = [*SHOULDERS, *HIPS, *KNEES, *ANKLES]
_LOW = [*HEELS, *WRISTS]
# What part of the height, as `repertoire.height` measures it, a BlazePose body's parts are: medians over the
# performer's clip. A part alone counts for a little less, because people differ and the whole is the better measure.
TRUNK, LEGS, SHOULDER_WIDTH = 0.395, 0.605, 0.29
HIPS_OVER_HEEL = 0.65
DISCOUNT = 0.95


def size(points: np.ndarray) -> tuple[float, bool]:
    """The height that the body of (33, 4) finite points would have standing, in their unit, and whether that is sure.

    Limbs that point at the camera look shorter and none looks longer, so the largest of several measures is the best:
    who squats keeps the trunk, who bows keeps the legs. Of two sides, one that is sure is enough.
    """
    pairs = points[_LINE].reshape(4, 2, 4)
    seen: np.ndarray = pairs[..., 3] > LEAST_SCORE
    known = np.any(seen, 1)
    shoulders, hips, knees, ankles = known.tolist()
    weights = np.where(known[:, None], seen, True)[..., None]
    line = (pairs[..., :2] * weights).sum(1) / weights.sum(1)
    trunk, thigh, shin = np.hypot(*np.diff(line, axis=0).T).tolist()
    measures = []
    if shoulders and hips and knees and ankles:
        measures.append(trunk + thigh + shin)
    if shoulders and hips:
        measures.append(DISCOUNT / TRUNK * trunk)
    if hips and knees and ankles:
        measures.append(DISCOUNT / LEGS * (thigh + shin))
    if measures:
        return max(measures), True
    width = float(np.hypot(*(pairs[0, 0, :2] - pairs[0, 1, :2])))
    return max(trunk / TRUNK, width / SHOULDER_WIDTH), False


def lowest(points: np.ndarray, tall: float) -> tuple[float, bool]:
    """y of what the body stands on, feet or hands, and whether that is sure; without sure feet, `tall` says."""
    low = points[_LOW]
    seen = low[:, 3] > LEAST_SCORE
    if seen[:2].any():
        return float(low[seen, 1].max()), True
    return float(points[list(HIPS), 1].mean()) + HIPS_OVER_HEEL * tall, False

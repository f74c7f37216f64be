"""What a performer was trained on: how tall, where on the stage, and how far each joint turned."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

LEAST_SCORE = 0.3  # a point less sure than this says nothing
SHOULDERS, HIPS, KNEES, ANKLES, HEELS = (11, 12), (23, 24), (25, 26), (27, 28), (29, 30)
# A joint's angle is that between two vectors in the picture: (from, to) of the parent, then of the limb. A pair of
# points stands for its middle.
Vector = tuple[tuple[int, ...], tuple[int, ...]]
TRUNK: Vector = (HIPS, SHOULDERS)
JOINTS: dict[str, tuple[Vector, Vector]] = {
    "neck": (TRUNK, (SHOULDERS, (7, 8))),
    "left_shoulder": (TRUNK, ((11,), (13,))),
    "right_shoulder": (TRUNK, ((12,), (14,))),
    "left_elbow": (((11,), (13,)), ((13,), (15,))),
    "right_elbow": (((12,), (14,)), ((14,), (16,))),
    "left_hip": (TRUNK, ((23,), (25,))),
    "right_hip": (TRUNK, ((24,), (26,))),
    "left_knee": (((23,), (25,)), ((25,), (27,))),
    "right_knee": (((24,), (26,)), ((26,), (28,))),
}


class Arc(BaseModel):
    """A range of angles in degrees: from `start`, `extent` further from x towards y (clockwise on the screen)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    start: float = Field(ge=-360, le=360)
    extent: float = Field(ge=0, le=360)

    def widened(self, degrees: float) -> Arc:
        """The same arc, that much longer at either end."""
        return Arc(start=(self.start - degrees) % 360, extent=min(self.extent + 2 * degrees, 360))


class Repertoire(BaseModel):
    """Lengths and places in picture sizes, 0..1 from the top left. lean: of the trunk, against upright."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    height: float = Field(gt=0, le=4, description="shoulders to hips to knees to ankles")
    floor: float = Field(ge=-1, le=2, description="where the lower heel stands")
    centre: float = Field(ge=-1, le=2, description="where the hips are mostly")
    left: float = Field(ge=-1, le=2, description="how far left the hips went")
    right: float = Field(ge=-1, le=2, description="how far right")
    lean: Arc
    joints: dict[str, Arc] = Field(max_length=64)


def middle(points: np.ndarray, pair: tuple[int, ...]) -> np.ndarray:
    """(…, 2): the middle of some points of (…, 33, 4)."""
    return points[..., list(pair), :2].mean(-2)


def sure(points: np.ndarray, pair: tuple[int, ...]) -> np.ndarray:
    """(…,) bool: whether those points are to be believed."""
    return points[..., list(pair), 3].min(-1) > LEAST_SCORE


def height(points: np.ndarray) -> np.ndarray:
    """(…,): shoulders to hips to knees to ankles, along the middle of the body."""
    line = np.stack([middle(points, pair) for pair in (SHOULDERS, HIPS, KNEES, ANKLES)], -2)
    return np.linalg.norm(np.diff(line, axis=-2), axis=-1).sum(-1)


def lowest(points: np.ndarray) -> np.ndarray:
    """(…,): y of the lower heel."""
    return points[..., list(HEELS), 1].max(-1)


def angle(points: np.ndarray, parent: Vector, limb: Vector) -> np.ndarray:
    """(…,): from the parent's direction to the limb's, degrees in (-180, 180]."""
    first = middle(points, parent[1]) - middle(points, parent[0])
    second = middle(points, limb[1]) - middle(points, limb[0])
    cross = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return np.degrees(np.arctan2(cross, (first * second).sum(-1)))


def lean(points: np.ndarray) -> np.ndarray:
    """(…,): how far the trunk leans to the right of the picture, degrees."""
    trunk = middle(points, SHOULDERS) - middle(points, HIPS)
    return np.degrees(np.arctan2(trunk[..., 0], -trunk[..., 1]))


def arc_of(angles: np.ndarray, left_out: float = 0.5) -> Arc:
    """The shortest arc that holds all angles (degrees) but the most isolated `left_out` percent."""
    if len(angles) == 0:
        return Arc(start=-180, extent=360)
    ordered = np.sort(angles % 360)
    kept = max(1, round(len(ordered) * (1 - left_out / 100)))
    ends = np.concatenate([ordered, ordered + 360])[kept - 1 : kept - 1 + len(ordered)]
    first = int(np.argmin(ends - ordered))
    return Arc(start=float(ordered[first]), extent=float(min(ends[first] - ordered[first], 360)))


def measure(points: np.ndarray, turned: float = 0, shifted: float = 0) -> Repertoire:
    """points: (N, 33, 4) in picture sizes, N >= 1, all finite. turned, shifted: degrees and picture sizes by which
    training turned and shifted them, too.
    """
    hips = middle(points, HIPS)[:, 0]
    left, right = np.percentile(hips, (1, 99))
    joints = {}
    for name, (parent, limb) in JOINTS.items():
        known = sure(points, tuple({*parent[0], *parent[1], *limb[0], *limb[1]}))
        joints[name] = arc_of(angle(points[known], parent, limb))
    return Repertoire(
        height=float(np.percentile(height(points), 80)),
        floor=float(np.percentile(lowest(points), 60)),
        centre=float(np.median(hips)), left=float(left - shifted), right=float(right + shifted),
        lean=arc_of(lean(points)).widened(turned), joints=joints,
    )  # fmt: skip

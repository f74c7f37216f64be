"""`body/1`: a filled figure, lit from above, made of soft shapes drawn from far to near.

A person is six shapes (two legs, two arms, trunk, head), each a few tapered capsules melted together.
All radii are parts of the trunk's length, so a figure keeps its build at any distance. A point's score
becomes the opacity of the limb at that point: what the camera hardly sees fades, it does not pop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nodes.generator.styles.capsules import Patch, patch
from nodes.generator.styles.palette import ramps
from nodes.generator.styles.trail import Trail
from nodes.layouts import BLAZEPOSE_33

INDEX = {name: number for number, name in enumerate(BLAZEPOSE_33)}
FADE = 0.15  # half the width, in score, of the step from unseen to seen
SOFTNESS, TRUNK_SOFTNESS = 0.03, 0.06  # how far shapes melt, in trunk lengths
ARM_BIAS = 0.15  # arms count as this much nearer: a hand beside the body belongs before it
SHOULDERS, HIPS = ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")

# Joints: name → (radius in trunk lengths, tone). Tone runs from 0, the crown, to 1, fingers and toes.
ARM_JOINTS = {
    "shoulder": (0.135, 0.35), "elbow": (0.085, 0.65), "wrist": (0.058, 0.9), "palm": (0.072, 1.0),
    "fingers": (0.045, 1.0), "thumb": (0.032, 1.0),
}  # fmt: skip
LEG_JOINTS = {
    "hip": (0.175, 0.6), "knee": (0.112, 0.75), "ankle": (0.062, 0.93), "heel": (0.062, 1.0), "toes": (0.055, 1.0),
}  # fmt: skip
ARM_BONES = (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "palm"), ("palm", "fingers"), ("wrist", "thumb"))
LEG_BONES = (("hip", "knee"), ("knee", "ankle"), ("ankle", "heel"), ("ankle", "toes"), ("heel", "toes"))


@dataclass(frozen=True)
class Shape:
    """Capsules to melt together, (n, 2, 5) as `capsules.patch` takes them; which side; how far away."""

    ends: np.ndarray
    side: str
    depth: float
    softness: float


Bone = tuple[np.ndarray, np.ndarray]  # two ends of a capsule, (5,) each


class Body:
    """Draws people of one picture size, and remembers their trail."""

    def __init__(self, size: tuple[int, int]):
        self.size = size
        self.trail = Trail(size)

    def draw(
        self,
        canvas: np.ndarray,
        people: np.ndarray,
        ids: Sequence[int],
        *,
        threshold: float,
        trail: float,
        background: Sequence[float],
        time_ns: int,
    ) -> None:
        """Draw people, (P, 33, 4) float64 in pixels of `canvas`, (H, W, 4) uint8 premultiplied RGBA; all of it is
        written. Scores run from 0 to 1, or are -1 where a point cannot be used."""
        self.trail.fade(time_ns)
        self.trail.lay_on(canvas, trail, background)
        shapes = self._patches(people, ids, threshold)
        for shape in shapes:
            shape.over(canvas)
        self.trail.add(shapes)

    def _patches(self, people: np.ndarray, ids: Sequence[int], threshold: float) -> list[Patch]:
        """The shapes of all people. Small people come first: they are the far ones."""
        figures = [
            (_Figure(person, threshold, max(self.size)), track) for person, track in zip(people, ids, strict=True)
        ]
        made = [
            patch(shape.ends, ramps(track)[shape.side], shape.softness * figure.unit, self.size)
            for figure, track in sorted(figures, key=lambda entry: entry[0].unit)
            if figure.unit
            for shape in sorted(figure.shapes(), key=lambda shape: -shape.depth)
        ]
        return [shape for shape in made if shape is not None]


class _Figure:
    """The anatomy of one person.

    unit: the trunk's length in pixels, or 0 where the trunk is not known.
    """

    def __init__(self, person: np.ndarray, threshold: float, largest: float):
        self.place, self.z = person[:, :2], person[:, 2]
        self.usable = person[:, 3] >= 0
        step = np.clip((person[:, 3] - threshold) / (2 * FADE) + 0.5, 0, 1)
        self.opacity = step * step * (3 - 2 * step)
        self.unit = self._trunk_length(largest)

    def _trunk_length(self, largest: float) -> float:
        if not self.usable[[INDEX[name] for name in SHOULDERS + HIPS]].all():
            return 0.0
        return float(np.clip(np.linalg.norm(self._middle(*SHOULDERS) - self._middle(*HIPS)), 4, largest))

    def _middle(self, *names: str) -> np.ndarray:
        """The mean of the named points, x, y, z."""
        rows = [INDEX[name] for name in names]
        return np.array([*self.place[rows].mean(0), self.z[rows].mean()])

    def _joint(self, names: tuple[str, ...], radius: float, tone: float, offset: np.ndarray | float = 0) -> np.ndarray:
        """One end of a capsule at the mean of the named points; NaN where one of them cannot be used."""
        rows = [INDEX[name] for name in names]
        if not self.usable[rows].all():
            return np.full(5, np.nan)
        x, y = self.place[rows].mean(0) + offset
        return np.array([x, y, radius * self.unit, tone, self.opacity[rows].min()])

    def shapes(self) -> list[Shape]:
        """All that can be seen of this person."""
        trunk_depth = self._middle(*SHOULDERS, *HIPS)[2]
        limbs, stubs = [], []
        for side in ("left", "right"):
            for bones, depth in (self._arm(side), self._leg(side)):
                limb, stub = _attach(bones, before=depth < trunk_depth)
                limbs.append(_shape(limb, side, depth))
                stubs.append(stub)
        found = [*limbs, _shape(self._trunk() + stubs, "left", trunk_depth, TRUNK_SOFTNESS), self._head()]
        return [shape for shape in found if len(shape.ends)]

    def _arm(self, side: str) -> tuple[list[Bone], float]:
        wrist, index, pinky = (INDEX[f"{side}_{part}"] for part in ("wrist", "index", "pinky"))
        reach = (self.place[[index, pinky]].mean(0) - self.place[wrist]) * 0.45
        names: dict[str, tuple[str, ...]] = {
            part: (f"{side}_{part}",) for part in ("shoulder", "elbow", "wrist", "thumb")
        }
        names["palm"] = names["fingers"] = (f"{side}_index", f"{side}_pinky")
        joints = {
            part: self._joint(names[part], radius, tone, reach if part == "fingers" else 0)
            for part, (radius, tone) in ARM_JOINTS.items()
        }
        depth = self.z[[INDEX[f"{side}_elbow"], wrist]].mean() - ARM_BIAS * self.unit
        return [(joints[a], joints[b]) for a, b in ARM_BONES], depth

    def _leg(self, side: str) -> tuple[list[Bone], float]:
        names = {part: f"{side}_{part}" for part in ("hip", "knee", "ankle", "heel")} | {"toes": f"{side}_foot_index"}
        joints = {part: self._joint((names[part],), radius, tone) for part, (radius, tone) in LEG_JOINTS.items()}
        depth = self.z[[INDEX[names["knee"]], INDEX[names["ankle"]]]].mean()
        return [(joints[a], joints[b]) for a, b in LEG_BONES], depth

    def _trunk(self) -> list[Bone]:
        """Shoulder girdle, ribs, waist, hips, and the neck."""
        left, right = (self._joint((name,), 0.12, 0.35) for name in SHOULDERS)
        left_hip, right_hip = (self._joint((name,), 0.14, 0.6) for name in HIPS)
        chest = self._joint(SHOULDERS + SHOULDERS + HIPS, 0.2, 0.42)
        pelvis = self._joint(HIPS, 0.15, 0.6)
        neck, throat = self._joint(SHOULDERS, 0.1, 0.32), self._joint(("left_ear", "right_ear"), 0.085, 0.15)
        return [
            (left, right), (left, left_hip), (right, right_hip), (chest, pelvis), (left_hip, right_hip), (neck, throat),
        ]  # fmt: skip

    def _head(self) -> Shape:
        """Skull and jaw: the skull sits over the ears, the jaw below the mouth, so the head turns and nods."""
        down = self._middle("mouth_left", "mouth_right")[:2] - self._middle("left_eye", "right_eye")[:2]
        skull = self._joint(("left_ear", "right_ear"), 0.185, 0.0, -0.6 * down)
        jaw = self._joint(("mouth_left", "mouth_right"), 0.14, 0.2, 0.3 * down)
        return _shape([(skull, jaw)], "left", self._middle("nose", "left_ear", "right_ear")[2])


def _attach(bones: list[Bone], before: bool) -> tuple[list[Bone], Bone]:
    """Cut the first bone of a limb in two, and give the trunk a copy of the near half to melt into itself.

    Whichever of the two is drawn over the other fades into it, so that no seam shows.
    """
    (root, end), *others = bones
    middle = root + 0.5 * (end - root)
    hidden, root, stub = root.copy(), root, middle.copy()
    (hidden if before else stub)[4] = 0
    return [(hidden, middle), (middle, end), *others], (root, stub)


def _shape(bones: list[Bone], side: str, depth: float, softness: float = SOFTNESS) -> Shape:
    """The bones as a shape, without those that have an unusable end or are not seen at all."""
    ends = np.array(bones, np.float32)
    seen = np.isfinite(ends).all((1, 2)) & (ends[:, :, 4] > 0).any(1)
    return Shape(ends[seen], side, float(depth), softness)

"""Joints drawn back to where the performer's went: a network paints badly what it never saw."""

from __future__ import annotations

import cmath
import math

import numpy as np

from nodes.generator.playing.repertoire import JOINTS, LEAST_SCORE, TRUNK, Arc, Repertoire, Vector

KNEE_DEGREES = 12.0  # how far beyond its arc a joint gets at most
FULL_DEGREES = 60.0  # so far beyond its arc, the meter is full
FAR_SIDE = 0.6  # from this part of the way to the far side on, a joint is drawn back less and less
UNSURE, SURE = LEAST_SCORE - 0.1, LEAST_SCORE + 0.1  # between these scores a point goes from unseen to seen
# In body heights: a limb that points at the camera is so short in the picture that its angle says little.
SHORT, LONG = 0.04, 0.12

_LEFT_HAND, _RIGHT_HAND = (15, 17, 19, 21), (16, 18, 20, 22)
_LEFT_FOOT, _RIGHT_FOOT = (27, 29, 31), (28, 30, 32)
# What turns with a joint, from the trunk outwards. A joint turns about the beginning of its limb.
HANGING: dict[str, tuple[int, ...]] = {
    "lean": tuple(range(23)),
    "neck": tuple(range(11)),
    "left_shoulder": (13, *_LEFT_HAND), "right_shoulder": (14, *_RIGHT_HAND),
    "left_elbow": _LEFT_HAND, "right_elbow": _RIGHT_HAND,
    "left_hip": (25, *_LEFT_FOOT), "right_hip": (26, *_RIGHT_FOOT),
    "left_knee": _LEFT_FOOT, "right_knee": _RIGHT_FOOT,
}  # fmt: skip


def clamp(points: np.ndarray, repertoire: Repertoire, strictness: float) -> tuple[np.ndarray, float]:
    """A new (33, 4) array of the same dtype, and how far the pose was out of the trained range, 0..1.

    points: (33, 4), finite, any unit. strictness: 0 leaves points alone, 1 lets joints get `KNEE_DEGREES` out of their
    arcs. Limbs keep their lengths, and what hangs on a limb turns with it. A joint that is not sure is left alone.
    """
    body = _Body(points)
    arcs = {name: arc for name, arc in {"lean": repertoire.lean, **repertoire.joints}.items() if name in HANGING}
    out = 0.0
    for name, arc in arcs.items():
        angle, trust = body.joint(name)
        out = max(out, abs(beyond(angle, arc)) * trust)
    if out == 0 or strictness <= 0:
        return points.copy(), min(out / FULL_DEGREES, 1.0)
    for name in filter(arcs.__contains__, HANGING):
        angle, trust = body.joint(name)
        if back := drawn(angle, arcs[name]) * trust * min(strictness, 1.0):
            body.turn(name, -back)
    return body.written(points), min(out / FULL_DEGREES, 1.0)


def beyond(angle: float, arc: Arc) -> float:
    """By how many degrees an angle is out of the arc, negative before its start, 0 inside."""
    after = (angle - arc.start) % 360  # from the start on
    if after <= arc.extent:
        return 0.0
    past, before = after - arc.extent, 360 - after
    return past if past < before else -before


def drawn(angle: float, arc: Arc) -> float:
    """By how many degrees an angle is to be drawn back, continuous all the way round: 0 opposite the arc's middle."""
    out = beyond(angle, arc)
    far, size = (360 - arc.extent) / 2, abs(out)
    if size == 0 or far <= 0:
        return 0.0
    held = size - KNEE_DEGREES * math.tanh(size / KNEE_DEGREES)
    return math.copysign(held * _ramp(size, far, FAR_SIDE * far), out)


class _Body:
    """Points as complex numbers, x + iy: to turn is to multiply."""

    def __init__(self, points: np.ndarray):
        rows = points.tolist()
        self._places = [complex(x, y) for x, y, _, _ in rows]
        self._scores = [score for *_, score in rows]
        line = [self._middle(pair) for pair in ((11, 12), (23, 24), (25, 26), (27, 28))]
        self._tall = sum(_length(b - a) for a, b in zip(line, line[1:], strict=False))

    def joint(self, name: str) -> tuple[float, float]:
        """Its angle in degrees, as `repertoire` measures it, and how far to trust that, 0..1.

        Of points that are unsure, or lie upon each other, no angle can be told.
        """
        if name == "lean":
            (parent, trust), (limb, limb_trust) = (-1j, 1.0), self._bone(TRUNK)
        else:
            (parent, trust), (limb, limb_trust) = map(self._bone, JOINTS[name])
        return math.degrees(cmath.phase(limb * parent.conjugate())), trust * limb_trust

    def turn(self, name: str, degrees: float) -> None:
        pivot = self._middle((TRUNK if name == "lean" else JOINTS[name][1])[0])
        turn = cmath.rect(1, math.radians(degrees))
        for point in HANGING[name]:
            self._places[point] = pivot + (self._places[point] - pivot) * turn

    def written(self, points: np.ndarray) -> np.ndarray:
        out = points.copy()
        places = np.array(self._places)
        out[:, 0], out[:, 1] = places.real, places.imag
        return out

    def _bone(self, vector: Vector) -> tuple[complex, float]:
        """Its direction, and how far to trust that."""
        direction = self._middle(vector[1]) - self._middle(vector[0])
        score = min(self._scores[point] for pair in vector for point in pair)
        return direction, _ramp(score, UNSURE, SURE) * _ramp(_length(direction), SHORT * self._tall, LONG * self._tall)

    def _middle(self, pair: tuple[int, ...]) -> complex:
        return sum(self._places[point] for point in pair) / len(pair)


def _length(direction: complex) -> float:
    return math.hypot(direction.real, direction.imag)


def _ramp(value: float, none: float, all_: float) -> float:
    """0 at `none`, 1 at `all_`, straight between, flat beyond; `none` may be the larger one."""
    if none == all_:
        return 0.0
    return min(max((value - none) / (all_ - none), 0.0), 1.0)

"""An endless dance: at each beat another key pose, chosen and varied at random, reached by a minimum-jerk movement."""

from __future__ import annotations

import numpy as np

from nodes.camera.painter.angles import ANGLES, LIMB

BEAT_S = 0.85
QUICKEST = 0.45  # the part of a beat in which a movement is over, at least
SWAYS = (("lean", 1.5, 0.7), ("bend", 1.0, 0.31))  # degrees, and times a second
LEGS = tuple(ANGLES.index(f"{side}_{name}") for side in ("left", "right") for name in LIMB[4:])


def _pose(**angles: float) -> np.ndarray:
    """ANGLES by name; what is named without a side is so on both."""
    named = {f"{side}_{name}": angles[name] for name in LIMB if name in angles for side in ("left", "right")} | angles
    return np.array([named.get(name, 0.0) for name in ANGLES])


def _mirrored(pose: np.ndarray) -> np.ndarray:
    swap = {"left": "right", "right": "left"}
    source = [ANGLES.index("_".join(swap.get(word, word) for word in name.split("_"))) for name in ANGLES]
    turned = [name in ("x", "turn", "lean", "twist", "head_turn", "head_tilt") for name in ANGLES]
    return pose[source] * np.where(turned, -1, 1)


REST = _pose(lift=-35, elbow=10)
BOTH_SIDES = (
    REST,
    _pose(lift=45),
    _pose(lift=115, head_nod=-8),
    _pose(lift=40, elbow=85),
    _pose(lift=-10, elbow=100, elbow_turn=80),
    _pose(lift=-30, forward=80),
    _pose(lift=30, kick=35, knee=60, bend=12),
    _pose(lift=110, elbow=20, spread=22),
    _pose(lift=20, bend=35, head_nod=-15, kick=10, knee=12),
    _pose(lift=-5, elbow=115, elbow_turn=20, head_nod=10),
)
ONE_SIDED = (
    _pose(left_lift=120, right_lift=-40, lean=-8, head_tilt=-10),
    _pose(left_forward=80, left_lift=-25, right_lift=60, twist=20),
    _pose(left_lift=60, right_lift=20, left_kick=70, left_knee=80),
    _pose(lift=60, left_spread=30, lean=10),
    _pose(left_lift=90, right_lift=-20, left_elbow=70, right_elbow=60, right_elbow_turn=60, lean=-14, x=-0.6),
    _pose(turn=40, left_lift=60, right_lift=-20, right_elbow=60, right_elbow_turn=70),
    _pose(turn=70, left_lift=-10, right_lift=30, right_kick=25, right_knee=25, left_forward=35),
)
KEYS = (*BOTH_SIDES, *ONE_SIDED, *map(_mirrored, ONE_SIDED))
VARIETY = _pose(
    lift=9, forward=9, elbow=9, elbow_turn=9, kick=4, spread=3, knee=4,
    turn=8, bend=3, lean=3, twist=6, head_turn=12, head_nod=5, head_tilt=4,
)  # fmt: skip
WALK = 1.4  # x strays by so much to either side


class Choreography:
    """The dance of a seed. Any moment of it can be asked for, so it needs no memory and no end."""

    def __init__(self, seed: int):
        self._seed = seed

    def at(self, seconds: float) -> np.ndarray:
        """The pose at that moment (0 or later), (22,) ANGLES."""
        beat = int(seconds // BEAT_S)
        before, _ = self._key(beat)
        after, takes = self._key(beat + 1)
        pose = before + (after - before) * _minimum_jerk(min(1.0, (seconds / BEAT_S - beat) / takes))
        for name, degrees, rate in SWAYS:
            pose[ANGLES.index(name)] += degrees * np.sin(2 * np.pi * rate * seconds)
        return pose

    def _key(self, beat: int) -> tuple[np.ndarray, float]:
        """The pose that is reached at a beat's beginning, and the part of the beat before that it takes."""
        if beat == 0:
            return REST, 1.0
        random = np.random.default_rng((self._seed, beat))
        pose = KEYS[random.integers(len(KEYS))].copy()
        if random.random() < 0.5:
            legs = KEYS[random.integers(len(KEYS))]
            pose[list(LEGS)] = legs[list(LEGS)]
        pose += random.normal(0, 1, len(pose)) * VARIETY
        pose[0] += random.uniform(-WALK, WALK)
        return pose, random.uniform(QUICKEST, 1.0)


def _minimum_jerk(t: float) -> float:
    """From 0 to 1 with speed and acceleration 0 at both ends (Flash and Hogan, 1985)."""
    return t**3 * (10 + t * (6 * t - 15))

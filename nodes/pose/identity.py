"""Who is who from picture to picture, by nothing but where bodies are, how large, and how they move.

Each body is expected to keep its velocity (a constant-velocity Kalman filter), and what was found goes to those who
were expected there. Bodies that cross are one in the picture for a moment, and what is measured then may be either's:
while two are that close, little is learnt from it, so that both come out of it as they went in.

Sources: Bewley et al., "Simple Online and Realtime Tracking", 2016 (motion and assignment); Wojke et al., "Simple
Online and Realtime Tracking with a Deep Association Metric", 2017 (those seen last come first).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nodes.pose.assignment import assign
from nodes.pose.found import Found

ENTERED_AFTER = 5  # pictures; who is seen less often may have been no person
_FLEETING_S = 0.3  # so long is remembered who has not entered
# All in sizes: a size is the side of the square around a body, about 1.5 times its height.
_MEET = 0.35  # bodies whose places are nearer are in each other's way
_MIX_UP = 0.2  # of two that were seen nearer than this the estimator may follow the wrong one
_NEAR = 0.25  # from a body that was just seen to where it is now, at most
_SURE = 2.5  # standard deviations from where a lost body may be to where it comes back
_LIKE = math.log(1.6)  # ratio of sizes, at most
_FOLLOWED = 0.2**2  # being followed by the estimator is worth so much, in squared sizes
_DRIVE = 0.2  # sizes²/s³, spectral density of a body's acceleration: people stop and turn
_NOISE, _NOISE_TOGETHER = 0.01**2, 0.5**2  # variance of where a body was seen, alone and in another's way
_SPEED = 0.3**2  # sizes²/s², variance of the velocity of someone seen for the first time


@dataclass
class Body:
    """id: never used for anyone else. place, velocity: (2,) pixels, pixels/s, as expected at the newest picture.
    measured: (2,) pixels, as last seen. size: pixels. since_ns, seen_ns: first and last seen. pictures: how often.
    here: in the newest picture."""

    id: int
    handle: int
    place: np.ndarray
    measured: np.ndarray
    size: float
    since_ns: int
    seen_ns: int
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    pictures: int = 1
    here: bool = True
    hidden: bool = False  # lost in another's way
    doubted: bool = False  # may not be whom the estimator follows under this handle
    spread: np.ndarray = field(default_factory=lambda: np.diag([_NOISE, _SPEED]))  # covariance of place and velocity

    @property
    def entered(self) -> bool:
        return self.pictures >= ENTERED_AFTER

    def expect(self, seconds: float) -> None:
        """Move on by so much time."""
        step = np.array([[1, seconds], [0, 1]])
        drift = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        self.place = self.place + seconds * self.velocity
        self.spread = step @ self.spread @ step.T + _DRIVE * drift

    def see(self, found: Found, time_ns: int, noise: float) -> None:
        """Learn from a measurement."""
        gain = self.spread[:, 0] / (self.spread[0, 0] + noise)
        missed = found.centre - self.place
        self.place, self.velocity = self.place + gain[0] * missed, self.velocity + gain[1] * missed
        self.spread = self.spread - np.outer(gain, self.spread[0])
        self.size += gain[0] * (found.size - self.size)
        self.handle, self.measured = found.handle, found.centre
        self.seen_ns, self.pictures = time_ns, self.pictures + 1

    def distance(self, place: np.ndarray, size: float) -> float:
        """To another body, in sizes of the larger one."""
        return float(np.hypot(*(self.place - place))) / max(self.size, size, 1)

    def cost(self, found: Found, reach: float) -> float:
        """Of being who was found, in squared sizes; infinite beyond `reach`."""
        away, unlike = self.distance(found.centre, found.size), abs(math.log(max(found.size, 1) / max(self.size, 1)))
        followed = self.here and self.handle == found.handle
        if not followed and (away > reach or unlike > _LIKE):
            return math.inf
        return away**2 + (unlike / 2) ** 2 - followed * _FOLLOWED


class Identity:
    """Remembers bodies. remember_s: how long one who is lost."""

    def __init__(self, remember_s: float = 2.0):
        self.remember_s = remember_s
        self.bodies: list[Body] = []  # known now, those known longest first
        self._next_id = 1
        self._time_ns: int | None = None

    def place(self, body: Body, time_ns: int) -> tuple[float, float]:
        """Where a body is expected at a time, x, y in pixels."""
        passed = 0.0 if self._time_ns is None else max(0, time_ns - self._time_ns) / 1e9
        x, y = body.place + passed * body.velocity
        return float(x), float(y)

    def forget(self) -> None:
        """Everyone: whoever is found next is new."""
        self.bodies = []

    def step(self, found: Sequence[Found], time_ns: int) -> list[Body]:
        """Whose each of `found` is, in that order. time_ns: when they were seen."""
        passed = 0.0 if self._time_ns is None else max(0, time_ns - self._time_ns) / 1e9
        self._time_ns = time_ns
        self._forget_some(found, passed, time_ns)
        for body in self.bodies:
            body.expect(passed)
        together = self._together()
        owners = self._owners(found)
        seen = {body.id for body in owners.values()}
        for body in self.bodies:
            body.hidden = body.id not in seen and (body.id in together if body.here else body.hidden)
            body.here = body.id in seen
        for index, one in enumerate(found):
            if index in owners:
                owners[index].see(one, time_ns, _NOISE_TOGETHER if owners[index].id in together else _NOISE)
            else:
                owners[index] = Body(self._next_id, one.handle, one.centre, one.centre, one.size, time_ns, time_ns)
                self._next_id += 1
                self.bodies.append(owners[index])
        return [owners[index] for index in range(len(found))]

    def _forget_some(self, found: Sequence[Found], passed: float, time_ns: int) -> None:
        """Whoever is lost for too long; where no picture came for that long, whomever the estimator has lost."""
        handles = {one.handle for one in found}
        self.bodies = [
            body
            for body in self.bodies
            if (body.here and (passed <= self.remember_s or body.handle in handles))
            or time_ns - body.seen_ns <= (self.remember_s if body.entered else min(self.remember_s, _FLEETING_S)) * 1e9
        ]

    def _together(self) -> set[int]:
        """The ids of those who are in another's way. Whether their handles are to be doubted is decided on the way."""
        together: set[int] = set()
        doubted: set[int] = set()
        for number, one in enumerate(self.bodies):
            for other in self.bodies[:number]:
                if one.distance(other.place, other.size) < _MEET:
                    together |= {one.id, other.id}
                    apart = np.hypot(*(one.measured - other.measured)) / max(one.size, other.size, 1)
                    if apart < _MIX_UP or not (one.here and other.here):
                        doubted |= {one.id, other.id}
        for body in self.bodies:
            body.doubted = body.id in doubted or (body.doubted and body.id in together)
        return together

    def _owners(self, found: Sequence[Found]) -> dict[int, Body]:
        """The known body of each index of `found` that is one's."""
        owners: dict[int, Body] = {}
        followed = {body.handle: body for body in self.bodies if body.here and not body.doubted}
        for index, one in enumerate(found):
            if one.handle in followed:
                owners[index] = followed[one.handle]
        # Those who may be anywhere near must not take the places of those who were just seen: they come second.
        near = [body for body in self.bodies if body.here or body.hidden]
        self._share(found, owners, [(body, _NEAR) for body in near])
        self._share(found, owners, [(body, _NEAR + _SURE * math.sqrt(body.spread[0, 0])) for body in self.bodies])
        return owners

    @staticmethod
    def _share(found: Sequence[Found], owners: dict[int, Body], reaches: Sequence[tuple[Body, float]]) -> None:
        """Give those of `found` that are nobody's yet to those bodies that are nobody yet, as far as each reaches."""
        taken = {body.id for body in owners.values()}
        bodies = [(body, reach) for body, reach in reaches if body.id not in taken]
        left = [index for index in range(len(found)) if index not in owners]
        if bodies and left:
            costs = np.array([[body.cost(found[index], reach) for index in left] for body, reach in bodies])
            for row, column in assign(costs, alone=max(reach for _, reach in bodies) ** 2):
                owners[left[column]] = bodies[row][0]

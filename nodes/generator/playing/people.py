"""Who is on the stage: whoever was there a moment ago, until they have faded away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nodes.generator.playing.body import lowest, size
from nodes.generator.playing.repertoire import HIPS

JUMP = 0.25  # body heights; who moves farther in one frame is someone else
LONGEST_GAP_S = 0.3  # between two frames, even where nobody is held so long
NEAR = 0.5  # body heights; who appears so close to one who just vanished is the same body under a new number


class Seen(NamedTuple):
    """One person. points: (33, 4) as last seen. opacity: 0..1. away: not in this frame.

    fresh: begins anew, so whatever was remembered of this track counts no more.
    """

    track: int
    points: np.ndarray
    opacity: float
    fresh: bool
    away: bool


@dataclass(slots=True)
class _Person:
    points: np.ndarray
    time_ns: int  # when last seen
    opacity: float = 1.0
    fresh: bool = True


class People:
    """Remembers people from frame to frame. hold_s: how long one who is lost stays; fade_s: how long fading takes."""

    def __init__(self, hold_s: float = 0.3, fade_s: float = 0.5):
        self.hold_s, self.fade_s = hold_s, fade_s
        self._people: dict[int, _Person] = {}  # in the order in which they came
        self._time_ns: int | None = None

    def reset(self) -> None:
        """Forget everyone: whoever is seen next is new."""
        self._people.clear()
        self._time_ns = None

    def see(self, ids: Iterable[int], points: Iterable[np.ndarray], time_ns: int, slots: int = 4) -> list[Seen]:
        """Everyone on the stage, from far to near: lower feet and a larger body count alike.

        ids, points: of the people in this frame; points are (33, 4) finite, in the camera's picture. slots: how many
        may be there; those who are go before those who come, and of those who come the nearest. Time that runs
        backwards, or leaps by more than `hold_s` and `LONGEST_GAP_S`, is a cut: everyone begins anew.
        """
        longest_s = max(self.hold_s, LONGEST_GAP_S)
        if self._time_ns is not None and not 0 <= time_ns - self._time_ns <= longest_s * 1e9:
            self.reset()
        passed_s = 0.0 if self._time_ns is None else (time_ns - self._time_ns) / 1e9
        self._time_ns = time_ns
        here = dict(zip(ids, (np.array(person) for person in points), strict=False))
        renamed = self._rename(here)
        self._let_go(here, passed_s, time_ns)
        for track, person in self._people.items():
            if track in here:
                self._meet(person, here[track], passed_s, time_ns)
                person.fresh |= track in renamed
        newcomers = [track for track in here if track not in self._people]
        for track in sorted(newcomers, key=lambda track: nearness(here[track]), reverse=True):
            self._people[track] = _Person(here[track], time_ns)
        self._people = dict(list(self._people.items())[:slots])
        shown = [
            Seen(track, person.points, person.opacity, person.fresh, away=track not in here)
            for track, person in self._people.items()
        ]
        return sorted(shown, key=lambda seen: nearness(seen.points))

    def _rename(self, here: dict[int, np.ndarray]) -> list[int]:
        """The new tracks that go on with the place and the opacity of one who vanished there: nobody is seen twice."""
        renamed = []
        for track in [track for track in here if track not in self._people]:
            lost = {other: distance(p.points, here[track]) for other, p in self._people.items() if other not in here}
            closest = min(lost, key=lost.__getitem__, default=None)
            if closest is not None and lost[closest] < NEAR:
                self._people = {(track if other == closest else other): p for other, p in self._people.items()}
                renamed.append(track)
        return renamed

    def _let_go(self, here: dict[int, np.ndarray], passed_s: float, time_ns: int) -> None:
        for track, person in list(self._people.items()):
            if track in here:
                continue
            person.fresh = False
            fading_s = min(passed_s, (time_ns - person.time_ns) / 1e9 - self.hold_s)
            if fading_s > 0:
                person.opacity -= fading_s / self.fade_s if self.fade_s else 1
            if person.opacity <= 0:
                del self._people[track]

    def _meet(self, person: _Person, seen: np.ndarray, passed_s: float, time_ns: int) -> None:
        person.fresh = distance(person.points, seen) > JUMP
        person.opacity = min(person.opacity + (passed_s / self.fade_s if self.fade_s else 1), 1.0)
        person.points, person.time_ns = seen, time_ns


def nearness(points: np.ndarray) -> float:
    """The larger, the nearer to the camera."""
    tall, _ = size(points)
    return lowest(points, tall)[0] + tall


def distance(before: np.ndarray, now: np.ndarray) -> float:
    """How far the hips are apart, in heights of the larger of two bodies."""
    step = (now[list(HIPS), :2] - before[list(HIPS), :2]).mean(0)
    return float(np.hypot(*step)) / max(size(before)[0], size(now)[0], 1e-9)

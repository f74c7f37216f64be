"""From what an estimator finds, picture by picture, to people: each under an id, with filtered points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nodes.pose.filters import WORLD_SIZE, Kind, points_filter, world_filter
from nodes.pose.found import Found
from nodes.pose.identity import Body, Identity
from nodes.pose.leader import Leader
from nodes.pose.region import Region

if TYPE_CHECKING:
    from nodes.pose.pose_node import PoseConfig

Event = tuple[str, int]
_SOUGHT_NS = 2_000_000_000  # so long is looked for someone who was lost


@dataclass(frozen=True)
class Person:
    """id: never used for anyone else. points: (K, 4) float32: x, y, z in pixels of the picture, score 0..1. world: the
    same in metres, or None where the estimator gives none."""

    id: int
    points: np.ndarray
    world: np.ndarray | None = None

    def faded(self, opacity: float) -> Person:
        """The same pose, trusted less: the scores times `opacity`."""
        if opacity == 1:
            return self
        by = np.array((1, 1, 1, opacity), np.float32)
        return replace(self, points=self.points * by, world=None if self.world is None else self.world * by)


class _Pose:
    """The filters of one person, and the newest pose."""

    def __init__(self, kind: Kind):
        self._points, self._world = points_filter(kind), world_filter(kind)
        self.newest: Person

    def see(self, id_: int, found: Found, time_ns: int, calm: float) -> None:
        points, metres = _scored(self._points(found.xyz, time_ns, found.size, calm), found.score), None
        if found.world is not None:
            metres = _scored(self._world(found.world, time_ns, WORLD_SIZE, calm), found.score)
        self.newest = Person(id_, points, metres)


class People:
    """Knows who is there. events: what has happened at the newest picture, as (name, id): "entered" and "left", of
    those who stay for a few pictures at least; "leader", with 0 for nobody."""

    def __init__(self, config: PoseConfig):
        self._identity, self._leader = Identity(), Leader()
        self._poses: dict[int, _Pose] = {}
        self._inside: set[int] = set()  # the ids of those who have entered
        self._canvas = (0, 0)
        self._now_ns = self._shift_ns = 0
        self.events: list[Event] = []
        self._config = config
        self.tune(config)

    def tune(self, config: PoseConfig) -> None:
        """The settings that may change between pictures."""
        if config.filter != self._config.filter:
            self._poses = {}
        self._config = config
        self._identity.remember_s = config.remember
        self._leader.rule, self._leader.after_s = config.leader, config.lead_after
        self._leader.area = Region(*config.area)

    def step(self, found: Sequence[Found], canvas: tuple[int, int], time_ns: int) -> list[Person]:
        """The people in this picture: first the leader, then those known longest.

        Those who were lost a moment ago are among them, with their last pose. canvas: the picture's width and height.
        """
        if canvas != self._canvas:  # another camera mode: where people were means nothing now
            self._canvas = canvas
            self._identity.forget()
        now_ns = self._now(time_ns)
        self._now_ns, self._shift_ns = now_ns, now_ns - time_ns
        owners = self._identity.step(found, now_ns)
        for one, body in zip(found, owners, strict=True):
            self._poses.setdefault(body.id, _Pose(self._config.filter)).see(body.id, one, time_ns, self._config.calm)
        bodies = self._identity.bodies
        self._poses = {body.id: self._poses[body.id] for body in bodies if body.id in self._poses}
        opacity = {body.id: self._opacity(body, now_ns) for body in bodies}
        shown = [body for body in bodies if opacity[body.id] > 0 and body.id in self._poses]
        shown.sort(key=lambda body: not body.here)
        del shown[self._config.people :]
        before = self._leader.id
        leader = self._leader.step([body for body in shown if body.entered], canvas, now_ns)
        self._tell({body.id for body in bodies if body.entered}, before, leader)
        shown.sort(key=lambda body: (body.id != leader, body.since_ns, body.id))
        return [self._poses[body.id].newest.faded(opacity[body.id]) for body in shown]

    def expected(self, time_ns: int) -> list[tuple[float, float, float]]:
        """x, y and size (pixels) of where those may be, at `time_ns`, who were lost a moment ago."""
        now_ns = self._now(time_ns)
        lost = [
            body
            for body in self._identity.bodies
            if body.entered and not body.here and now_ns - body.seen_ns <= _SOUGHT_NS
        ]
        return [(*self._identity.place(body, now_ns), body.size) for body in lost]

    def _now(self, time_ns: int) -> int:
        """A picture's time on a clock that never goes back: where a camera's does, ours goes on from where it was, or
        whoever was lost would stay until the old time comes again."""
        return max(self._now_ns, time_ns + self._shift_ns)

    def _opacity(self, body: Body, time_ns: int) -> float:
        """1 for who is here, and for who was lost `hold` seconds ago at most; then down to 0 in `fade` seconds."""
        if body.here:
            return 1.0
        gone_s = (time_ns - body.seen_ns) / 1e9 - self._config.hold
        if gone_s <= 0:
            return float(body.entered)
        return max(0.0, 1 - gone_s / self._config.fade) if body.entered and self._config.fade else 0.0

    def _tell(self, inside: set[int], before: int, leader: int) -> None:
        self.events = [("entered", id_) for id_ in sorted(inside - self._inside)]
        self.events += [("leader", leader)] if leader != before else []
        self.events += [("left", id_) for id_ in sorted(self._inside - inside)]
        self._inside = inside


def _scored(places: np.ndarray, score: np.ndarray) -> np.ndarray:
    return np.column_stack([places, score]).astype(np.float32)

"""Follow several people from picture to picture: where BlazePose looks next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nodes.pose.detector import Detector
from nodes.pose.filters import OneEuro
from nodes.pose.found import Found
from nodes.pose.landmarker import POINTS, Landmarker, Landmarks
from nodes.pose.light import Light
from nodes.pose.lookout import Lookout
from nodes.pose.picture import Picture
from nodes.pose.roi import Roi

# How sure the landmark network must be of someone new, at two looks. Of people it is nearly always surer, however dark
# it is, and of things that the detector took for people less: docs/POSE-QUALITY.md.
SURE = 0.95
# How far inside the picture's sides and top the hips of someone new must be, in parts of their size. Of things that the
# edge cuts off hardly anything tells them from a person. The bottom cuts off people who sit at a table.
_INSIDE = 0.05
_SAME = 0.05  # sizes; points of two squares that are nearer to each other belong to one body


@dataclass
class _Track:
    """What is known of one person between pictures.

    However calm the points are to be, the square must not fall behind the body: it has a filter of its own, with the
    values of MediaPipe's pose_landmark_filtering.pbtxt.
    """

    handle: int
    roi: Roi
    alignment: OneEuro = field(default_factory=lambda: OneEuro(min_cutoff=0.01, beta=10))
    light: Light = field(default_factory=Light)
    moved: float = 0.0  # from the last picture to this one, in sizes
    new: bool = True


class Tracker:
    """A person is found by the detector once and then followed by the landmarks themselves: the alignment points of
    one picture say where to look in the next. Source: MediaPipe, modules/pose_landmark (pose_landmark_cpu.pbtxt)."""

    points = POINTS

    def __init__(self, detector: Detector, landmarker: Landmarker, people: int):
        self._detector, self._landmarker, self._people = detector, landmarker, people
        self._tracks: list[_Track] = []
        self._size = (0, 0)
        self._next_handle = 1
        self._lookout = Lookout()

    def tune(self, config: Any) -> None:
        """The settings that may change between pictures: BlazePose.Config."""
        self._min_detection, self._min_tracking = config.min_detection, config.min_tracking
        self._filters = config.filter != "none"

    def step(self, picture: Picture, time_ns: int) -> list[Found]:
        """The people in this picture, those followed longest first."""
        size = (picture.width, picture.height)
        if size != self._size:  # another camera mode: where people were means nothing now
            self._tracks, self._size = [], size
        if view := self._lookout.look(picture, len(self._tracks), self._people):
            self._search(view)
        seen = [(track, one) for track in self._tracks if (one := self._follow(track, picture, time_ns))]
        # Of two squares that end up on one body, the one that jumped there has lost its own.
        kept: dict[int, Found] = {}
        for track, one in sorted(seen, key=lambda pair: pair[0].moved):
            if not any(_are_one(one, other) for other in kept.values()):
                kept[track.handle] = one
        self._tracks = [track for track in self._tracks if track.handle in kept]
        return [kept[track.handle] for track in self._tracks]

    def _search(self, view: Picture) -> None:
        """Begin a track for each person in the view who has none, as long as there is room."""
        for roi in self._detector(view, self._people, self._min_detection):
            known = any(roi.is_same_person(track.roi) for track in self._tracks)
            if not known and len(self._tracks) < self._people:
                self._tracks.append(_Track(self._next_handle, roi))
                self._next_handle += 1

    def _follow(self, track: _Track, picture: Picture, time_ns: int) -> Found | None:
        """The tracked person in this picture, and where to look in the next; None if they are gone."""
        size = track.roi.size
        seen = self._landmarker(picture, track.roi, track.light)
        if seen.presence < self._min_tracking or (track.new and not self._is_someone(track, picture, seen)):
            return None
        track.new = False
        alignment = track.alignment(seen.alignment, time_ns, size) if self._filters else seen.alignment
        before, track.roi = track.roi, Roi.around(*alignment)
        track.moved = math.hypot(track.roi.x - before.x, track.roi.y - before.y) / size
        if not picture.holds(track.roi.x, track.roi.y):
            return None
        return Found(track.handle, seen.xyz, seen.score, seen.alignment[0], size, seen.world, seen.mask)

    def _is_someone(self, track: _Track, picture: Picture, seen: Landmarks) -> bool:
        """Whether the square in which someone new was `seen`, and the one that this leads to, both hold a person."""
        (x, y), edge = seen.alignment[0], _INSIDE * track.roi.size
        if seen.presence < SURE or y < edge or not edge <= x <= picture.width - edge:
            return False
        return self._landmarker(picture, Roi.around(*seen.alignment), track.light).presence >= SURE


def _are_one(one: Found, other: Found) -> bool:
    """Whether the points of two squares are those of the same body."""
    apart = np.hypot(*(one.xyz - other.xyz)[:, :2].T)
    return float(np.median(apart)) < _SAME * max(one.size, other.size)

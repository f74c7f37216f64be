"""Follow several people from picture to picture: where BlazePose looks next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
SURE = 0.9


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
        people: list[Found] = []
        kept: list[_Track] = []
        for track in self._tracks:
            person = self._follow(track, picture, time_ns)
            if person and not any(track.roi.is_same_person(other.roi) for other in kept):
                people.append(person)
                kept.append(track)
        self._tracks = kept
        return people

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
        track.roi = Roi.around(*alignment)
        if not picture.holds(track.roi.x, track.roi.y):
            return None
        return Found(track.handle, seen.xyz, seen.score, seen.alignment[0], size, seen.world, seen.mask)

    def _is_someone(self, track: _Track, picture: Picture, seen: Landmarks) -> bool:
        """Whether the square in which someone new was `seen`, and the one that this leads to, both hold a person."""
        if seen.presence < SURE:
            return False
        return self._landmarker(picture, Roi.around(*seen.alignment), track.light).presence >= SURE

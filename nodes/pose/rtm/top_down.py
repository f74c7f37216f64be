"""RTMPose, RTMW and DWPose: each person is cut out, and their points are found in the crop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nodes.pose.detector import Detector
from nodes.pose.found import Found
from nodes.pose.light import Light
from nodes.pose.lookout import Lookout
from nodes.pose.picture import Picture
from nodes.pose.rtm.boxes import Letterbox, apart, around, crop_matrix, detections
from nodes.pose.rtm.network import Network
from nodes.pose.rtm.simcc import decode

BODY = 17  # all layouts of the family begin with COCO's points
_SEEN = 0.3  # a point with this score helps to say where the body is in the next picture
_NEAR = 0.2  # a box whose middle is nearer than this part of its height to someone's holds nobody new
_SAME = 0.05  # two bodies whose points are nearer than this part of their size are one

Boxes = Callable[[Picture, float], list[np.ndarray]]
"""(picture, how sure): the boxes of the people in it, the surest first."""


def found_by(network: Network) -> Boxes:
    """People as a detector of the family finds them."""
    letterbox = Letterbox(network.size)

    def boxes(picture: Picture, min_score: float) -> list[np.ndarray]:
        corners, scores = detections(network(letterbox(picture)), network.size)
        return [letterbox.back(corners[index].reshape(2, 2)).ravel() for index in apart(corners, scores, min_score)]

    return boxes


def found_by_blazepose(detector: Detector, people: int) -> Boxes:
    """People as BlazePose's detector finds them: by the circle around the body."""

    def boxes(picture: Picture, min_score: float) -> list[np.ndarray]:
        rois = detector(picture, people, min_score)
        return [np.array([r.x, r.y, r.x, r.y]) + np.array([-1, -1, 1, 1]) * (r.size / 2.5) for r in rois]

    return boxes


@dataclass
class _Track:
    handle: int
    box: np.ndarray
    light: Light = field(default_factory=Light)


class TopDown:
    """A person is found by a detector once, and then their own points say where to look in the next picture."""

    def __init__(self, network: Network, boxes: Boxes, people: int):
        self._network, self._boxes, self._people = network, boxes, people
        self.points = len(network.about.points)
        self._tracks: list[_Track] = []
        self._size = (0, 0)
        self._next_handle = 1
        self._lookout = Lookout()

    def tune(self, config: Any) -> None:
        self._min_detection, self._min_tracking = config.min_detection, config.min_tracking

    def step(self, picture: Picture, time_ns: int) -> list[Found]:
        size = (picture.width, picture.height)
        if size != self._size:  # another camera mode: where people were means nothing now
            self._tracks, self._size = [], size
        if view := self._lookout.look(picture, len(self._tracks), self._people):
            self._search(view)
        people: list[Found] = []
        kept: list[_Track] = []
        for track in self._tracks:
            one = self._follow(track, picture)
            if one and picture.holds(*one.centre) and not any(_same(one, other) for other in people):
                people.append(one)
                kept.append(track)
        self._tracks = kept
        return people

    def _search(self, picture: Picture) -> None:
        """Begin a track for each person who has none, as long as there is room."""
        for box in self._boxes(picture, self._min_detection):
            known = any(_are_near(box, track.box) for track in self._tracks)
            if not known and len(self._tracks) < self._people and picture.holds(*_middle(box)):
                self._tracks.append(_Track(self._next_handle, box))
                self._next_handle += 1

    def _follow(self, track: _Track, picture: Picture) -> Found | None:
        """The tracked person in this picture, and where to look in the next; None if they are gone."""
        size = self._network.size
        matrix = crop_matrix(track.box, size)
        across, down = self._network(picture.crop(matrix, size, track.light))
        in_crop, score = decode(across, down, self._network.about.split)
        if score[:BODY].mean() < self._min_tracking:
            return None
        xy = in_crop @ matrix[:, :2].T + matrix[:, 2]
        if (score >= _SEEN).sum() > 1:
            track.box = around(xy[score >= _SEEN])
        return as_found(track.handle, xy, score, max(size) * float(matrix[0, 0]))


def as_found(handle: int, xy: np.ndarray, score: np.ndarray, size: float) -> Found:
    """xy: (K, 2), without depth."""
    xyz = np.column_stack([xy, np.zeros(len(xy))])
    return Found(handle, xyz, score.astype(np.float64), xy[11:13].mean(0), size)


def _middle(box: np.ndarray) -> np.ndarray:
    return (box[:2] + box[2:]) / 2


def _are_near(one: np.ndarray, other: np.ndarray) -> bool:
    height = max(one[3] - one[1], other[3] - other[1])
    return bool(np.linalg.norm(_middle(one) - _middle(other)) < _NEAR * height)


def _same(one: Found, other: Found) -> bool:
    distance = np.linalg.norm((one.xyz - other.xyz)[:BODY, :2], axis=1)
    return bool(np.median(distance) < _SAME * max(one.size, other.size))

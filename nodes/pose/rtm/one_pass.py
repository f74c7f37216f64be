"""RTMO: everyone's points in one pass over the whole picture, however many there are.

Source: Lu et al., "RTMO: Towards High-Performance One-Stage Real-Time Multi-Person Pose Estimation", 2024.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nodes.pose.found import Found
from nodes.pose.picture import Picture
from nodes.pose.rtm.boxes import PADDING, Letterbox, apart
from nodes.pose.rtm.network import Network
from nodes.pose.rtm.top_down import as_found

_NEAR = 0.25  # within this part of someone's size from where they were it is still them


class OnePass:
    """It follows nobody: every person in every picture has a new handle. But where there is no room for all, those who
    were there in the last picture stay, before the surest."""

    def __init__(self, network: Network, people: int):
        self._network, self._people = network, people
        self.points = len(network.about.points)
        self._letterbox = Letterbox(network.size)
        self._last: list[Found] = []
        self._next_handle = 1

    def tune(self, config: Any) -> None:
        self._min_detection = config.min_detection

    def step(self, picture: Picture, time_ns: int) -> list[Found]:
        found, points = self._network(self._letterbox(picture))
        found = np.where(np.isfinite(points).all((1, 2))[:, None], found, 0)  # a card may answer what is no number
        people: list[Found] = []
        for index in apart(found[:, :4], found[:, 4], self._min_detection):
            low, high = self._letterbox.back(found[index, :4].reshape(2, 2))
            xy, score = self._letterbox.back(points[index, :, :2]), np.clip(points[index, :, 2], 0, 1)
            people.append(as_found(self._next_handle, xy, score, PADDING * float((high - low).max())))
            self._next_handle += 1
        people = sorted((one for one in people if picture.holds(*one.centre)), key=self._is_new)
        self._last = people[: self._people]
        return self._last

    def _is_new(self, one: Found) -> bool:
        return all(np.linalg.norm(one.centre - other.centre) > _NEAR * other.size for other in self._last)

"""What every pose node has, whatever estimates the poses: settings, people, and what is published of them.

class BlazePose(PoseNode, Node):
    class Config(PoseConfig):
        quality: Literal["lite", "full", "heavy"] = "full"

    outputs = {"keypoints": Keypoints(points=33)}

    def estimator(self) -> Estimator:
        return Tracker(...)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from engine import node
from engine.frame import Frame
from engine.node import Latest, NodeConfig, live
from nodes.pose.filters import Kind
from nodes.pose.found import Estimator, Found
from nodes.pose.leader import Rule
from nodes.pose.region import Region, RegionSetting

if TYPE_CHECKING:
    from nodes.pose.people import Person


class PoseConfig(NodeConfig):
    people: int = Field(1, ge=1, le=8, description="how many people to follow at most; each costs one network run")
    filter: Kind = live(
        "one_euro", "one_euro: calm at rest; kalman: hardly late, for dance, but it overshoots; none: as measured"
    )
    calm: float = live(0.5, "how calm the filter makes the points, and how late: 0 quick, 1 calm", ge=0, le=1)
    hold: float = live(0.2, "how long a person who is lost keeps the last pose", unit="s", ge=0, le=60)
    fade: float = live(0.3, "how long the scores of that pose then take to reach 0", unit="s", ge=0, le=60)
    remember: float = live(
        2.0, "how long a person who is lost keeps the id, to come back under it; after that they have left",
        unit="s", ge=0, le=60,
    )  # fmt: skip
    leader: Rule = live(
        "nearest", "who stands first: the nearest, who is closest to the picture's middle, who has been here longest, "
        "or who has stood longest in the area",
    )  # fmt: skip
    area: RegionSetting = live(
        (0.25, 0, 0.5, 1), "where one leads, with leader: area: left, top, width and height in parts of the picture"
    )
    lead_after: float = live(
        1.0, "how long another must have been clearly better before the lead passes on", unit="s", ge=0, le=60
    )
    level: Literal["auto", "off"] = live(
        "auto", "auto: brighten dark pictures for the network, which else sees nobody; what others get stays as it is"
    )
    region: RegionSetting = live(
        (0, 0, 1, 1), "where people count: left, top, width and height in parts of the picture, 0 to 1"
    )


# Spelt node.Node, because a file that has a class with the base `Node` counts as a node type.
class PoseNode(node.Node):
    """Publishes (P, K, 4) float32 for each picture, P from 0 to `people`: x, y in pixels of the picture, z in the same
    unit, score 0..1. `ids` tells who is who; the leader stands first, then those known longest. Who was lost a moment
    ago is still among them. Tells the events `entered`, `left` and `leader`, each with an id; no leader is 0.

    Where the estimator gives them and `outs` has the port, also `world`, the same in metres, and `mask`, (H, W, 1)
    uint8, 255 where any body is; both for the same picture and with the same times.
    """

    inputs = {"image": Latest}

    def estimator(self) -> Estimator:
        """Load what finds people. Raises `BadInput` for what cannot be loaded."""
        raise NotImplementedError

    def setup(self) -> None:
        from nodes.pose.people import People
        from nodes.pose.picture import Picture

        self._picture = Picture
        self._estimator = self.estimator()
        self._people = People(self.config)
        self.configured()

    def configured(self) -> None:
        self._estimator.tune(self.config)
        self._people.tune(self.config)

    def step(self, image: Frame) -> None:
        expected = self._people.expected(image.capture_ns)
        picture = self._picture(image, Region(*self.config.region), self.config.level == "auto", expected)
        found = self._estimator.step(picture, image.capture_ns)
        people = self._people.step(found, (picture.width, picture.height), image.capture_ns)
        self.publish(image, people)
        if "world" in self.outs:
            self.write("world", image, people, [person.world for person in people], "WORLD")
        if "mask" in self.outs:
            self._publish_mask(image, found)
        for name, id_ in self._people.events:
            self.event(name, id_)

    def publish(self, image: Frame, people: Sequence[Person]) -> None:
        """Publish the points. A node whose estimator finds other points than its first output has makes them here."""
        self.write("keypoints", image, people, [person.points for person in people])

    def write(
        self, port: str, image: Frame, people: Sequence[Person], rows: Sequence[np.ndarray | None],
        kind: Literal["KEYPOINTS", "WORLD"] = "KEYPOINTS", points: int = 0,
    ) -> None:  # fmt: skip
        """Publish what was found of `people`, in their order: (K, 4) for each. points: K, if not the estimator's."""
        with self.outs[port].begin(
            (len(people), points or self._estimator.points, 4),
            np.float32,
            source=image,
            pixel_format=kind,
            canvas=(image.shape[1], image.shape[0]) if kind == "KEYPOINTS" else (0, 0),
            ids=[person.id for person in people],
        ) as slot:
            for index, row in enumerate(rows):
                slot.array[index] = row

    def _publish_mask(self, image: Frame, found: Sequence[Found]) -> None:
        shape = (*image.shape[:2], 1)
        with self.outs["mask"].begin(shape, np.uint8, source=image, pixel_format="GRAY") as slot:
            slot.array.fill(0)
            for one in found:
                if one.mask:
                    one.mask.onto(slot.array)

"""What every pose node has, whatever estimates the poses: settings, people, and what is published of them.

class BlazePose(PoseNode, Node):
    class Config(PoseConfig):
        quality: Literal["lite", "full", "heavy"] = "full"

    outputs = {"keypoints": Keypoints(points=33)}

    def estimator(self) -> Estimator:
        return Tracker(...)
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from engine import node
from engine.frame import Frame
from engine.node import Latest, NodeConfig, live
from nodes.pose.filters import Kind
from nodes.pose.found import Estimator


class PoseConfig(NodeConfig):
    people: int = Field(1, ge=1, le=8, description="how many people to follow at most; each costs one network run")
    filter: Kind = live(
        "one_euro", "one_euro: calm at rest; kalman: hardly late, for dance, but it overshoots; none: as measured"
    )
    calm: float = live(0.5, "how calm the filter makes the points, and how late: 0 quick, 1 calm", ge=0, le=1)


# Spelt node.Node, because a file that has a class with the base `Node` counts as a node type.
class PoseNode(node.Node):
    """Publishes (P, K, 4) float32 for each picture, P from 0 to `people`: x, y in pixels of the picture, z in the same
    unit, score 0..1. `ids` tells who is who."""

    inputs = {"image": Latest}

    def estimator(self) -> Estimator:
        """Load what finds people. Raises `BadInput` for what cannot be loaded."""
        raise NotImplementedError

    def setup(self) -> None:
        from nodes.pose.people import People
        from nodes.pose.picture import Picture

        self._picture = Picture
        self._estimator = self.estimator()
        self._people = People()
        self.configured()

    def configured(self) -> None:
        self._estimator.tune(self.config)
        self._people.tune(self.config.filter, self.config.calm)

    def step(self, image: Frame) -> None:
        picture = self._picture(image)
        people = self._people.step(self._estimator.step(picture, image.capture_ns), image.capture_ns)
        with self.out.begin(
            (len(people), self._estimator.points, 4),
            np.float32,
            source=image,
            pixel_format="KEYPOINTS",
            canvas=(picture.width, picture.height),
            ids=[person.id for person in people],
        ) as slot:
            for index, person in enumerate(people):
                slot.array[index] = person.points

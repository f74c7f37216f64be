"""pose.blazepose: the people in a picture, 33 points each, by BlazePose on the CPU. See docs/POSE.md."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from engine.frame import Frame
from engine.node import Keypoints, Latest, Node, NodeConfig, live

POINTS = 33


class BlazePose(Node):
    """Publishes (P, 33, 4) float32 for each picture, P from 0 to `people`: x, y in pixels of the picture, z in the same
    unit, score 0..1. `ids` tells who is who."""

    class Config(NodeConfig):
        quality: Literal["lite", "full", "heavy"] = Field("full", description="which network: quicker or more exact")
        people: int = Field(1, ge=1, le=8, description="how many people to follow at most; each costs one network run")
        threads: int = Field(
            1, ge=1, le=16, description="threads of a network; more than 1 helps only on an idle machine"
        )
        min_detection: float = live(0.5, "how sure the detector must be to begin following someone", ge=0, le=1)
        min_tracking: float = live(0.5, "how sure the network must be that someone is still there", ge=0, le=1)
        smooth: float = live(1.0, "0 shows the points as measured; the higher, the calmer and the later", ge=0, le=10)

    inputs = {"image": Latest}
    outputs = {"keypoints": Keypoints(points=POINTS)}

    def setup(self) -> None:
        from engine.models import model_path
        from nodes.pose.detector import Detector
        from nodes.pose.landmarker import Landmarker
        from nodes.pose.model import Model
        from nodes.pose.picture import Picture
        from nodes.pose.tracker import Tracker

        detector = Model(model_path("pose_detection.tflite"), self.config.threads)
        landmarks = Model(model_path(f"pose_landmark_{self.config.quality}.tflite"), self.config.threads)
        self._picture = Picture
        self._tracker = Tracker(Detector(detector), Landmarker(landmarks), self.config.people)
        self.configured()

    def configured(self) -> None:
        config = self.config
        self._tracker.tune(config.min_detection, config.min_tracking, config.smooth)

    def step(self, image: Frame) -> None:
        picture = self._picture(image)
        people = self._tracker.step(picture, image.capture_ns)
        with self.out.begin(
            (len(people), POINTS, 4),
            np.float32,
            source=image,
            pixel_format="KEYPOINTS",
            canvas=(picture.width, picture.height),
            ids=[person.id for person in people],
        ) as slot:
            for index, person in enumerate(people):
                slot.array[index] = person.points

"""pose.blazepose: the people in a picture, 33 points each, by BlazePose on the CPU. See docs/POSE.md."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.node import Keypoints, Node, live
from nodes.pose.found import Estimator
from nodes.pose.pose_node import PoseConfig, PoseNode

POINTS = 33


class BlazePose(PoseNode, Node):
    class Config(PoseConfig):
        quality: Literal["lite", "full", "heavy"] = Field("full", description="which network: quicker or more exact")
        device: Literal["auto", "cpu", "cuda"] = Field(
            "auto", description="where the networks run; auto: on a CUDA graphics card if torch finds one, else the CPU"
        )
        threads: int = Field(
            1, ge=1, le=16, description="threads of a network; more than 1 helps only on an idle machine"
        )
        min_detection: float = live(0.5, "how sure the detector must be to begin following someone", ge=0, le=1)
        min_tracking: float = live(0.5, "how sure the network must be that someone is still there", ge=0, le=1)

    outputs = {"keypoints": Keypoints(points=POINTS)}
    profiles = ({"device": "cpu"},)

    def estimator(self) -> Estimator:
        from engine.models import model_path
        from nodes.pose.detector import Detector
        from nodes.pose.landmarker import Landmarker
        from nodes.pose.model import Model, load
        from nodes.pose.tracker import Tracker

        def network(name: str) -> Model:
            return load(model_path(f"{name}.tflite"), self.config.threads, self.config.device)

        detector, landmarks = network("pose_detection"), network(f"pose_landmark_{self.config.quality}")
        return Tracker(Detector(detector), Landmarker(landmarks), self.config.people)

"""pose.blazepose: the people in a picture, 33 points each, by BlazePose. See docs/POSE.md."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from engine.node import Image, Keypoints, Node, Port, World, live
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
        min_detection: float = live(0.65, "how sure the detector must be to begin following someone", ge=0, le=1)
        min_tracking: float = live(0.5, "how sure the network must be that someone is still there", ge=0, le=1)
        world: bool = Field(False, description="whether to publish the points in metres, too, as the port `world`")
        mask: bool = Field(False, description="whether to publish where in the picture bodies are, as the port `mask`")

    outputs = {"keypoints": Keypoints(points=POINTS)}
    profiles = ({"device": "cpu"},)

    @classmethod
    def outputs_of(cls, config: Any) -> dict[str, Port]:
        world: dict[str, Port] = {"world": World(points=POINTS)} if config.world else {}
        mask: dict[str, Port] = {"mask": Image(channels=1)} if config.mask else {}
        return cls.outputs | world | mask

    def estimator(self) -> Estimator:
        from engine.models import model_path
        from nodes.pose.detector import Detector
        from nodes.pose.landmarker import Landmarker
        from nodes.pose.model import Model, load
        from nodes.pose.tracker import Tracker

        def network(name: str) -> Model:
            return load(model_path(f"{name}.tflite"), self.config.threads, self.config.device)

        detector, landmarks = network("pose_detection"), network(f"pose_landmark_{self.config.quality}")
        landmarker = Landmarker(landmarks, self.config.world, self.config.mask, fine=self.config.quality == "heavy")
        return Tracker(Detector(detector), landmarker, self.config.people)

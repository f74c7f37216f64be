"""pose.rtmpose: the people in a picture by RTMPose, RTMO, RTMW or DWPose; you bring the files. See docs/RTMPOSE.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from engine.errors import BadInput
from engine.frame import Frame
from engine.node import Keypoints, Node, Port, live
from nodes.pose.found import Estimator
from nodes.pose.pose_node import PoseConfig, PoseNode

if TYPE_CHECKING:
    from nodes.pose.people import Person
    from nodes.pose.rtm.network import Network

MOST_POINTS = 133


class RtmPose(PoseNode, Node):
    """Its first output is BlazePose's 33 points, whatever the network finds; `all` has the network's own."""

    class Config(PoseConfig):
        model: str = Field(min_length=1, description="path of the network's .onnx file, its manifest beside it")
        detector: str | None = Field(
            None, description="path of a person detector's .onnx file; left out: BlazePose's detector. RTMO needs none"
        )
        device: Literal["auto", "cpu", "cuda", "directml"] = Field(
            "auto", description="where the networks run; auto: on a card that this build of ONNX Runtime knows, if any"
        )
        threads: int = Field(1, ge=1, le=16, description="threads of a network on the CPU")
        all: bool = Field(False, description="whether to publish the network's own points, too, as the port `all`")
        min_detection: float = live(0.5, "how sure the detector must be to begin following someone", ge=0, le=1)
        min_tracking: float = live(0.3, "how sure the network must be that someone is still there", ge=0, le=1)

    outputs = {"keypoints": Keypoints(points=33)}
    profiles = ({"device": "cpu"},)

    @classmethod
    def outputs_of(cls, config: Any) -> dict[str, Port]:
        return cls.outputs | ({"all": Keypoints(points=MOST_POINTS)} if config.all else {})

    def estimator(self) -> Estimator:
        from nodes.pose.rtm.body import AsBlazePose
        from nodes.pose.rtm.one_pass import OnePass
        from nodes.pose.rtm.top_down import TopDown, found_by, found_by_blazepose

        network, people = self._network(self.config.model, "simcc", "rtmo"), self.config.people
        self._as_blazepose = AsBlazePose(network.about.points)
        if network.about.kind == "rtmo":
            if self.config.detector:
                raise BadInput(f"{self.config.model} finds people by itself. Leave `detector` out.")
            return OnePass(network, people)
        if self.config.detector:
            return TopDown(network, found_by(self._network(self.config.detector, "detector")), people)
        from engine.models import model_path
        from nodes.pose.detector import Detector
        from nodes.pose.model import load

        model = load(model_path("pose_detection.tflite"), self.config.threads, "cpu")
        return TopDown(network, found_by_blazepose(Detector(model), people), people)

    def _network(self, path: str, *kinds: Any) -> Network:
        from nodes.pose.rtm.network import Network

        network = Network(Path(path), kinds, self.config.device, self.config.threads)
        self.log.info("%s runs on %s.", path, network.provider)
        if network.remark:
            self.log.warning(network.remark)
        return network

    def publish(self, image: Frame, people: Sequence[Person]) -> None:
        self.write("keypoints", image, people, [self._as_blazepose(person.points) for person in people], points=33)
        if "all" in self.outs:
            self.write("all", image, people, [person.points for person in people])

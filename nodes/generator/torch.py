"""`generator.torch`: runs somebody else's network, pose to picture or picture to picture. See docs/TORCH.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from engine.errors import BadInput, Unrecoverable
from engine.frame import Flags, Frame
from engine.node import Image, Latest, Node, NodeConfig, live
from nodes.generator.foreign import description, model_file, network
from nodes.generator.foreign.description import Side
from nodes.generator.stage import Fit, ids_of, on_stage
from nodes.generator.styles.raster import Raster

BLACK = (0, 0, 0, 255)
WARM_UP_RUNS = 3  # TorchScript watches two runs before it is as fast as it gets


class NetworkFailed(Exception):
    """One picture could not be made; the sentence says why."""


class TorchModel(Node):
    """Run a network of TorchScript, torch.export or ONNX that a YAML file describes. The picture is RGBA, top down."""

    class Config(NodeConfig):
        model: str = Field(min_length=1, description="path of the YAML file that describes the network")
        device: network.Device = Field("auto", description="where the network runs; auto: a GPU if there is one")
        threads: int = Field(0, ge=0, le=256, description="processor threads of the network; 0: its library decides")
        size: tuple[Side, Side] | None = Field(
            None, description="width and height of the picture; left out: as the network gives it"
        )
        threshold: float = live(0.3, "points with a lower score are not drawn for the network", ge=0, le=1)
        fit: Fit = live("contain", "contain: show the network the whole camera picture; cover: fill its input")
        mirror: bool = live(False, "show people as in a mirror")

    inputs = {"frame": Latest}
    outputs = {"image": Image(channels=4)}
    profiles = ({"device": "cpu"},)

    def setup(self) -> None:
        from nodes.generator.foreign.codec import Decoder, Encoder

        config = self.config
        about = description.read(Path(config.model))
        self.shown = about.shown
        data, kind = model_file.read(about.file, about.sha256)
        self.network = network.load(
            data, kind, about.file, device=config.device, threads=config.threads, index=about.answered.index
        )
        width, height = self.shown.size
        self.canvas = np.zeros((height, width, 4), np.uint8)  # what the network is shown
        self.canvas[..., 3] = 255
        self.raster = Raster(self.shown.size)
        self.encoder, self.decoder = Encoder(self.shown), Decoder(about.answered)
        try:
            for _ in range(WARM_UP_RUNS):
                answer = self._run()
        except NetworkFailed as error:
            raise BadInput(f"{about.file} cannot be used as {config.model} describes it: {error}.") from error
        self.shape = answer.shape
        self.picture = np.empty((*answer.shape[:2], 4), np.uint8)

    def step(self, frame: Frame) -> None:
        try:
            ids = self._show(frame)
        except ValueError as error:
            self.troubled(str(error))
            return
        try:
            answer = self._run()
            if answer.shape != self.shape:
                raise NetworkFailed(f"its picture was {self.shape} at the start and is {answer.shape} now")
        except NetworkFailed as error:
            self.troubled(f"The network gave no picture: {error}. What it was shown is on the screen instead.")
            answer = None
        else:
            self.troubled(None)
        width, height = size = self.config.size or self.picture.shape[1::-1]
        with self.out.begin(
            (height, width, 4), np.uint8, source=frame, pixel_format="RGBA", canvas=size, ids=ids,
            flags=Flags(0) if answer is not None else Flags.DEGRADED,
        ) as slot:  # fmt: skip
            self._write(answer, slot.array)

    def _show(self, frame: Frame) -> tuple[int, ...]:
        """Fill `self.canvas` with what the network is to see; the track ids of the people on it.

        Raises ValueError, a sentence, where the frame is of the wrong kind.
        """
        shown, config = self.shown, self.config
        is_pose = frame.pixel_format == "KEYPOINTS"
        if shown.style is None:
            if is_pose:
                raise ValueError("This network is shown pictures, not keypoints: connect its input to a camera.")
            self._show_picture(frame)
            return ()
        if not is_pose:
            raise ValueError(
                f"This network is shown people drawn in the style {shown.style}: connect its input to a pose node, "
                "such as pose.blazepose."
            )
        people = on_stage(frame, shown.size, config.fit, config.mirror)
        ids = ids_of(frame, people)
        self.raster.draw(
            self.canvas, people, ids, shown.style, threshold=config.threshold, stick_width=shown.stick_width,
            trail=0.0, background=BLACK, time_ns=frame.capture_ns,
        )  # fmt: skip
        return ids

    def _show_picture(self, frame: Frame) -> None:
        import cv2

        from nodes.output.fit import fit_rgba

        fit_rgba(frame, self.config.fit, self.canvas)
        if self.config.mirror:
            cv2.flip(self.canvas, 1, dst=self.canvas)

    def _run(self) -> np.ndarray:
        """The network's answer to `self.canvas`, (H, W, channels). The one place where the network is called.

        Raises NetworkFailed, and `OutOfMemory` or `DeviceFailed`, after which this process can only end.
        """
        try:
            return self.decoder.pixels(self.network(self.encoder(self.canvas)))
        except Unrecoverable:
            raise
        except Exception as error:  # it is foreign: it may raise anything
            raise NetworkFailed(network.brief(error)) from error

    def _write(self, answer: np.ndarray | None, out: np.ndarray) -> None:
        """Fill `out`, (H, W, 4) uint8, with the answer, or with what the network was shown."""
        import cv2

        same_size = out.shape == self.picture.shape
        picture = self.canvas
        if answer is not None:
            picture = out if same_size else self.picture
            self.decoder.write(answer, picture)
        if picture is not out:
            shrinks = out.shape[1] < picture.shape[1]
            way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            cv2.resize(picture, out.shape[1::-1], dst=out, interpolation=way)

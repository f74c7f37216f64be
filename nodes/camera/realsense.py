"""camera.realsense: pictures, colour or infrared, with the depth of each pixel. See docs/REALSENSE.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from engine.clock import now_ns
from engine.errors import BadInput, EngineError
from engine.node import Depth, Image, Node, NodeConfig, Port, live
from nodes.camera.turn import Degrees, Turn

WAIT_S = 0.1  # for the next picture, in one step

Side = Annotated[int, Field(ge=16, le=16384)]
Options = dict[str, float]


class RealSense(Node):
    """Publish pictures, (H, W, 3) uint8 BGR, and with them depths, (H, W, 1) uint16, of the same pixels and moment."""

    class Config(NodeConfig):
        serial: str = Field("", max_length=64, description="the camera's serial number; left out: any camera")
        recording: str | None = Field(
            None, min_length=1, max_length=4000, description="a file to play instead of a camera: .db3 or .bag"
        )
        loop: bool = Field(False, description="play a recording again and again")
        fast: bool = Field(False, description="play each picture of a recording, as quickly as they are taken")
        size: tuple[Side, Side] = Field((848, 480), description="[width, height] to ask a camera for, as published")
        fps: float = Field(30.0, gt=0, le=300, description="pictures per second to ask a camera for")
        depth: bool = Field(True, description="false: pictures only")
        infrared: bool = Field(False, description="true: the left infrared picture instead of the colour picture")
        rotate: Degrees = Field(0, description="degrees clockwise by which pictures are turned: how the camera hangs")
        mirror: bool = live(False, "swap left and right")
        decimate: int = Field(1, ge=1, le=8, description="how many pixels of depth become one, each way; 1: none")
        spatial: bool = live(False, "smooth depths over their neighbours, but not over edges")
        temporal: bool = live(False, "smooth depths over time")
        holes: Literal["keep", "left", "nearest", "farthest"] = live("keep", "fill unknown depths from a neighbour")
        nearest: float = live(0.0, "depths below this are unknown", "m", ge=0, le=16)
        farthest: float = live(0.0, "depths beyond this are unknown; 0: no limit", "m", ge=0, le=16)
        picture_options: Options = Field({}, description="the picture sensor's settings by the SDK's names")
        depth_options: Options = Field({}, description="the depth sensor's settings, such as visual_preset: 3")
        record: str | None = Field(
            None, min_length=1, max_length=4000, description="a folder, or a .db3 file, to record the camera into"
        )
        read_timeout: float = Field(
            2.0, gt=0, le=60, description="seconds without pictures until a camera is restarted"
        )
        frozen_after: float = Field(
            10.0, ge=0, description="seconds of the very same picture, or black, until a camera is restarted; 0: never"
        )
        reset: bool = Field(True, description="reset a camera that has given nothing several times in a row")
        required: bool = Field(True, description="false: start without the camera, and keep looking for it")
        stop_timeout: float = Field(2.0, gt=0, description="seconds a node may take to stop when asked")

        @model_validator(mode="after")
        def _fits(self) -> RealSense.Config:
            if self.recording is not None and self.record is not None:
                raise ValueError("a recording is not recorded again: leave out `record` or `recording`")
            if self.farthest and self.farthest <= self.nearest:
                raise ValueError("`farthest` must be more than `nearest`, or 0")
            return self

    outputs = {"image": Image(channels=3), "depth": Depth()}

    feed: Any = None
    filters: Any = None
    watchdog: Any = None
    counted = 0

    @classmethod
    def outputs_of(cls, config: Any) -> dict[str, Port]:
        return cls.outputs if config.depth else {"image": cls.outputs["image"]}

    def setup(self) -> None:
        from nodes.camera.librealsense import sdk
        from nodes.camera.librealsense.feed import Feed
        from nodes.camera.librealsense.filters import Filters
        from nodes.camera.watchdog import Watchdog

        config = self.config
        if self.offline and config.recording is None:
            raise BadInput("A camera is live and cannot wait; an offline run needs a `recording`.")
        self.rs = sdk.load()
        self.turn = Turn(config.rotate, config.mirror)
        if config.depth:
            self.filters = Filters(self.rs, self._filter_settings(), config.infrared)
        if config.recording:
            self.feed = Feed(self._recording, every=config.fast or self.offline, mend=not self.offline)
        else:
            self.context, self.watchdog = sdk.new_context(), Watchdog("The RealSense camera", config.frozen_after)
            self.feed = Feed(self._camera, every=False, reset=self._reset if config.reset else None)
        trouble = self.feed.first_trouble()
        if trouble and (config.recording or (config.required and not self.has_run)):
            self.feed.close()
            raise BadInput(trouble)
        self.troubled(self.feed.trouble)

    # --- called in the feed's thread ---

    def _recording(self) -> Any:
        from nodes.camera.librealsense.playback import open_recording

        config = self.config
        connection = open_recording(
            self.rs,
            Path(config.recording),
            config.depth,
            config.infrared,
            real_time=not (config.fast or self.offline),
            loop=config.loop and not self.offline,
            as_filmed=self.offline,
        )
        if self.offline:
            self.expect(connection.total)
        return connection

    def _camera(self) -> Any:
        from nodes.camera.librealsense.live import CameraConnection, CameraSettings
        from nodes.camera.librealsense.modes import Wanted

        config = self.config
        wanted = Wanted(self.turn.size(config.size), config.fps, config.depth, config.infrared)
        record = Path(config.record) if config.record else None
        options = config.picture_options, config.depth_options
        settings = CameraSettings(config.serial, wanted, config.read_timeout, record, *options)
        return CameraConnection(self.rs, self.context, settings)

    def _reset(self) -> str:
        from nodes.camera.librealsense.live import reset

        return reset(self.context, self.config.serial)

    # --- the node's own thread ---

    def step(self) -> None:
        pair = self.feed.next(WAIT_S)
        if pair is not None:
            self.publish(pair)
        if self.counted != self.feed.mismatched:
            self.counted = self.feed.mismatched
            self.metric("mismatched", self.counted)
        self.troubled(self.feed.trouble or (self.watchdog and self.watchdog.trouble))
        if self.feed.ended:
            self.end()

    def publish(self, pair: Any) -> None:
        """The depths first: who pairs them with the picture finds them there."""
        from nodes.camera.librealsense.picture import lens_of, picture_into, picture_of, pixels_of

        try:
            frames = self.filters.apply(pair.frames) if self.filters else pair.frames
        except RuntimeError as error:  # the SDK's
            raise EngineError(f"A picture cannot be processed ({error}); it is left out.") from None
        picture = picture_of(frames, self.config.infrared)
        size = picture.get_width(), picture.get_height()
        lens = self.turn.lens(lens_of(picture.profile), size)
        about = {"capture_ns": pair.capture_ns}
        if self.config.depth:
            depth, shape = frames.get_depth_frame(), self.turn.shape((size[1], size[0], 1))
            deep = lens._replace(metres=depth.get_units())
            with self.outs["depth"].begin(shape, np.uint16, pixel_format="DEPTH", lens=deep, **about) as slot:
                self.turn.into(pixels_of(depth), slot.array[..., 0])
        shape = self.turn.shape((size[1], size[0], 3))
        with self.out.begin(shape, np.uint8, pixel_format="BGR", lens=lens, **about) as slot:
            if self.turn.nothing:
                picture_into(picture, slot.array)
            else:
                upright = np.empty((size[1], size[0], 3), np.uint8)
                picture_into(picture, upright)
                self.turn.into(upright, slot.array)
            if self.watchdog and self.watchdog.see(slot.array, size, now_ns()):
                self.feed.reopen()

    def configured(self) -> None:
        self.turn = Turn(self.config.rotate, self.config.mirror)
        if self.filters:
            self.filters.configure(self._filter_settings())

    def _filter_settings(self) -> Any:
        from nodes.camera.librealsense.filters import FilterSettings

        config = self.config
        return FilterSettings(**{name: getattr(config, name) for name in FilterSettings._fields})

    def close(self) -> None:
        if self.feed is not None:
            self.feed.close()

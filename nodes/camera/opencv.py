"""camera.opencv: a camera, a video file, a stream, or a sequence of pictures. See docs/CAMERAS.md."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from engine.clock import now_ns
from engine.errors import BadInput
from engine.node import Image, Node, NodeConfig, live
from nodes.camera.turn import Degrees, Turn

WAIT_S = 0.1  # for the next picture, in one step
HUNG_FACTOR = 5  # a call into OpenCV that takes this many time-outs will not return

Side = Annotated[int, Field(ge=16, le=16384)]


class OpenCV(Node):
    """Publish pictures as they come or are due, (H, W, 3) uint8 BGR; straight into the slot unless they are turned."""

    class Config(NodeConfig):
        source: Annotated[int, Field(ge=0, le=999)] | Annotated[str, Field(min_length=1, max_length=4000)] = Field(
            description="a camera (`run_engine.py devices` lists them), a file, an address, or pictures: img_%04d.png"
        )
        loop: bool = Field(False, description="play a file again and again")
        start: float = Field(0.0, ge=0, le=1e6, description="seconds of a file to leave out at its beginning")
        seconds: float | None = Field(
            None, gt=0, le=1e6, description="how many seconds of a file to play; left out: to its end"
        )
        fps: float | None = Field(
            None, gt=0, le=1000, description="left out: the file's own rate, the camera's default"
        )
        size: tuple[Side, Side] | None = Field(
            None, description="[width, height]; left out: as it comes. Pictures are scaled, and cut to the proportions"
        )
        open_timeout: float = Field(5.0, gt=0, le=60, description="seconds that opening a stream may take")
        read_timeout: float = Field(2.0, gt=0, le=60, description="seconds without a picture until a stream is lost")
        frozen_after: float = Field(
            10.0, ge=0, description="seconds of the very same picture until a camera is opened again; 0: never"
        )
        rotate: Degrees = Field(0, description="degrees clockwise by which the picture is turned: how the camera hangs")
        mirror: bool = live(False, "swap left and right")
        exposure: float = live(0.0, "of a camera, how long; 0: automatic", unit="ms", ge=0, le=250)
        focus: int = live(-1, "of a camera, its own number; -1: automatic", ge=-1, le=1023)
        white_balance: float = live(0.0, "of a camera, the light's colour; 0: automatic", unit="K", ge=0, le=12000)
        gain: int = live(-1, "of a camera, its own number; -1: as the camera has it", ge=-1, le=1023)
        backend: Literal["auto", "v4l2", "dshow", "msmf", "avfoundation", "any"] = Field(
            "auto", description="how OpenCV talks to a camera"
        )
        required: bool = Field(True, description="false: start without the camera or stream, and keep trying")

    outputs = {"image": Image(channels=3)}

    source: Any = None
    plugged: Any = None  # of a camera
    turn = Turn()
    as_it_came = np.empty(0, np.uint8)  # the picture before it is turned
    watchdog: Any = None
    rate: Any = None

    def setup(self) -> None:
        from nodes.camera.capture import is_address, is_device, shown

        source = self.config.source
        self.turn = Turn(self.config.rotate, self.config.mirror)
        try:
            is_live = is_address(source) or is_device(source)
            if is_live and self.offline:
                raise BadInput(f"{shown(source)} is live and cannot wait; an offline run needs a file as `source`.")
            self.source = self.open_live() if is_live else self.open_reel()
        except OSError as error:
            raise BadInput(f"Cannot use {shown(source)[:200]}: {error.strerror}. Check `source`.") from None

    def open_reel(self) -> Any:
        from nodes.camera.excerpt import Excerpt
        from nodes.camera.playback import Playback
        from nodes.camera.reels import Reel, open_reel

        config = self.config
        reel: Reel = open_reel(str(config.source))
        if config.start or config.seconds is not None:
            reel = Excerpt(reel, config.start, config.seconds)
        playback = Playback(reel, config.fps, config.loop, paced=not self.offline)
        if self.offline and playback.total:
            self.expect(playback.total)
        return playback

    def open_live(self) -> Any:
        from nodes.camera import capture
        from nodes.camera.live import Live
        from nodes.camera.plugged import DeviceSettings, Plugged
        from nodes.camera.rate import Rate
        from nodes.camera.watchdog import Watchdog

        config, where = self.config, self.config.source
        if capture.is_address(where):
            opener: Callable[[], Any] = partial(capture.open_stream, where, config.open_timeout, config.read_timeout)
        else:
            size = config.size and self.turn.size(config.size)
            self.plugged = Plugged(where, DeviceSettings(config.backend, size, config.fps), self.locks())
            opener = self.plugged.open
        name = capture.shown(where)
        hung_after = HUNG_FACTOR * max(config.open_timeout, config.read_timeout)
        self.rate = Rate(name, config.fps)
        source = Live(name, opener, silent_after=1.5 * config.read_timeout, hung_after=hung_after, rate=self.rate)
        trouble = source.first_trouble()
        if trouble and config.required and not self.has_run:
            source.close()
            raise BadInput(trouble)
        self.watchdog = Watchdog(name, config.frozen_after)
        self.troubled(trouble)
        return source

    def step(self) -> None:
        with self.source.picture(WAIT_S) as picture:
            if picture is not None:
                self.publish(picture)
        witnesses = (self.source, self.watchdog, self.rate) if self.watchdog else (self.source,)
        self.troubled(next((witness.trouble for witness in witnesses if witness.trouble), None))
        for remark in self.plugged.news() if self.plugged else ():
            self.log.warning("%s", remark)
        if self.source.ended:
            self.end()

    def publish(self, picture: Any) -> None:
        known = self.watchdog and self.watchdog.size  # what has read of a camera relies on its size
        width, height = self.config.size or self.turn.size(known or picture.size)
        with self.out.begin((height, width, 3), np.uint8, capture_ns=picture.capture_ns, pixel_format="BGR") as slot:
            self.read(picture, slot.array)
            if self.watchdog and self.watchdog.see(slot.array, picture.size, now_ns()):
                self.source.reopen()

    def read(self, picture: Any, array: np.ndarray) -> None:
        """Fill `array` with the picture, turned as the camera hangs."""
        if self.turn.nothing:
            picture.read_into(array)
            return
        shape = self.turn.shape(array.shape)
        if self.as_it_came.shape != shape:
            self.as_it_came = np.empty(shape, np.uint8)
        picture.read_into(self.as_it_came)
        self.turn.into(self.as_it_came, array)

    def locks(self) -> Any:
        from nodes.camera.controls import Locks

        return Locks(*(getattr(self.config, setting) for setting in Locks._fields))

    def configured(self) -> None:
        self.turn = Turn(self.config.rotate, self.config.mirror)
        if self.plugged:
            self.plugged.locks = self.locks()

    def close(self) -> None:
        if self.source is not None:
            self.source.close()

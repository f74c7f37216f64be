"""`generator.performer`: a trained performer whom the visitors' bodies play. See docs/PERFORMER.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from engine.errors import BadInput
from engine.frame import Flags, Frame
from engine.node import Image, Latest, Node, NodeConfig, live
from nodes.generator.playing.fit import Fit
from nodes.generator.stage import ids_of, on_stage

if TYPE_CHECKING:
    from nodes.generator.backends.pinned import RingPin

FilePath = Annotated[str, Field(min_length=1)]
FIRST_WAIT_S = 10.0  # for the first performer; a figure plays until there is one
FIGURE_SIDE = 512  # of the figure's picture where no size is asked for
GIL_S = 0.0005  # how long a thread that loads may hold up the one that paints
MOST_THREADS = 8  # more do not make a network of this size any quicker


class Performer(Node):
    """Paint trained performers in the poses of the visitors. The picture is RGBA, top down, premultiplied alpha."""

    class Config(NodeConfig):
        performer: FilePath | Annotated[list[FilePath], Field(min_length=1, max_length=16)] = live(
            ..., "path of the performer's file, or a list of paths: one for each person, in the order they come"
        )
        size: int | None = Field(
            None, ge=16, le=4096, description="side of the square picture in pixels; left out: the largest performer's"
        )
        people: int = Field(1, ge=1, le=4, description="how many people may be on the stage at once")
        fit: Fit = live(
            "stage", "stage: as tall, on the floor and about where the performer was; follow: where the visitor is "
            "across the picture; exact: the camera's picture as it is",
        )  # fmt: skip
        mirror: bool = live(False, "show people as in a mirror")
        clamp: float = live(0.5, "how strictly joints keep to angles that the performer was trained on", ge=0, le=1)
        background: Literal["transparent", "plate"] = live(
            "transparent", "behind the people; plate: the empty stage on which the performer was filmed"
        )
        hold: float = live(0.3, "how long a person who is lost stays", unit="s", ge=0, le=60)
        fade: float = live(0.5, "how long fading from the stage takes after that", unit="s", ge=0, le=60)
        crossfade: int = live(
            0, "how long a new performer takes to replace the one before", unit="frames", ge=0, le=600
        )
        watch: bool = live(True, "load a performer again when its file changes")
        reset: int = live(0, "give another number to forget who was there and how tall", ge=0)
        backend: Literal["auto", "torch", "cuda-graphs", "onnx", "onnx-int8", "openvino", "tensorrt"] = Field(
            "auto", description="what runs the network; auto: the quickest that paints what torch paints"
        )
        device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where the network runs")
        threads: int = Field(0, ge=0, le=256, description="processor threads of the network; 0: half of the cores")
        pin_ring: bool = Field(
            False, description="CUDA: let the card write the ring itself, where a process that tries it first succeeds"
        )

    inputs = {"keypoints": Latest}
    outputs = {"image": Image(channels=4)}
    profiles = (
        {"backend": "torch"},
        {"backend": "torch", "people": 1},
        {"backend": "torch", "people": 1, "device": "cpu"},
    )

    def setup(self) -> None:
        import os

        from nodes.generator.playing.cast import Cast
        from nodes.generator.playing.people import People
        from nodes.generator.playing.swap import Loader
        from nodes.generator.styles.raster import Raster

        sys.setswitchinterval(GIL_S)
        config = self.config
        self.people = People()
        self.cast: Cast | None = None
        self.leaving: Cast | None = None
        self.faded = 0  # frames since `leaving` began to leave
        self.resets = config.reset
        self.raster = Raster((config.size or FIGURE_SIDE,) * 2)
        threads = config.threads or min(max((os.cpu_count() or 2) // 2, 1), MOST_THREADS)
        self.loader = Loader(config.backend, config.device, threads, config.people)
        self.pin = self._ring_pin() if config.pin_ring else None
        self.configured()
        self.loader.wait(config.startup_timeout if self.offline else FIRST_WAIT_S)
        self._take_over()
        if self.offline and self.cast is None:  # nobody is there who could mend it
            raise BadInput(self.loader.trouble or "The performer was not loaded in time. Raise startup_timeout.")

    def configured(self) -> None:
        from nodes.generator.playing.swap import Wish

        config = self.config
        self.people.hold_s, self.people.fade_s = config.hold, config.fade
        paths = [config.performer] if isinstance(config.performer, str) else config.performer
        self.loader.want(Wish(tuple(map(Path, paths)), config.watch, config.size))
        if config.reset != self.resets:
            self.resets = config.reset
            self.people.reset()
            for cast in (self.cast, self.leaving):
                if cast is not None:
                    cast.reset()

    def step(self, keypoints: Frame) -> None:
        self._take_over()
        config, cast = self.config, self.cast
        if cast is None:
            self._draw_figure(keypoints)
            return
        from nodes.generator.playing.cast import Stage

        try:
            people = on_stage(keypoints, keypoints.canvas, "contain", config.mirror)  # in the camera's own pixels
        except ValueError as error:
            self.troubled(f"What comes in cannot be played: {error}.")
            return
        seen = self.people.see(ids_of(keypoints, people), people, keypoints.capture_ns, config.people)
        stage = Stage(keypoints.canvas, config.fit, config.clamp, config.background == "plate", keypoints.capture_ns)
        if self.pin is not None:
            self.pin.before_frame(self.out.memory, cast.side * cast.side * 4)
        with self.out.begin(
            (cast.side, cast.side, 4), np.uint8, source=keypoints, pixel_format="RGBA",
            canvas=(cast.side, cast.side), ids=[person.track for person in seen],
        ) as slot:  # fmt: skip
            cast.paint(seen, stage, slot.array)
            if self.leaving is not None:
                self.faded += 1
                self.leaving.mix_in(seen, stage, 1 - self.faded / (config.crossfade + 1), slot.array)
        self.metric("people", len(seen))
        self.metric("out_of_range", cast.out_of_range)
        self.metric("network_ms", cast.network_ms)
        self.metric("backend", cast.backends)

    def close(self) -> None:
        if self.pin is not None:
            self.pin.close()
        self.loader.close()

    def _ring_pin(self) -> RingPin | None:
        from nodes.generator.backends import pinned

        verdict = pinned.probe()
        self.log.info(verdict.sentence)
        return pinned.RingPin(self.log.warning) if verdict.good else None

    def _take_over(self) -> None:
        """Between two frames: let a new cast play, and the one before leave at once or by and by."""
        if self.leaving is not None and self.faded >= self.config.crossfade:
            self.leaving = None
            self.loader.release()
        if self.leaving is None and (new := self.loader.take()):
            if self.cast is not None:
                new.succeed(self.cast)
            fades = self.cast is not None and self.config.crossfade > 0
            self.leaving, self.faded, self.cast = self.cast if fades else None, 0, new
            if not fades:
                self.loader.release()
        trouble = self.loader.trouble
        if self.cast is None:
            trouble = f"{trouble.rstrip('.') or 'The performer is being loaded'}. A drawn figure plays meanwhile."
        self.troubled(trouble)

    def _draw_figure(self, keypoints: Frame) -> None:
        """In place of a performer."""
        size = (self.config.size or FIGURE_SIDE,) * 2
        people = on_stage(keypoints, size, "contain", self.config.mirror)
        ids = ids_of(keypoints, people)
        with self.out.begin(
            (*size, 4), np.uint8, source=keypoints, pixel_format="RGBA", canvas=size, ids=ids, flags=Flags.DEGRADED
        ) as slot:
            self.raster.draw(
                slot.array, people, ids, "body/1", threshold=0.5, stick_width=4, trail=0.0,
                background=(0, 0, 0, 0), time_ns=keypoints.capture_ns,
            )  # fmt: skip

"""What a node author writes: a Config, the inputs and outputs, and `step`.

    class Mirror(Node):
        "Flip every frame."
        class Config(NodeConfig):
            axis: Literal["x", "y"] = live("x", "which way to flip")
        inputs = {"image": Latest}
        outputs = {"image": Image(channels=3)}

        def step(self, image: Frame) -> None:
            with self.out.begin(image.shape, image.dtype, source=image) as slot:
                cv2.flip(image.array, self.config.axis == "x", dst=slot.array)

A node knows its config and its own ports, never its neighbours. It runs in a process of its own
(engine/worker.py). Heavy imports belong into `setup`, because the supervisor imports the module
too, to check the config.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from engine.ring_reader import Policy

if TYPE_CHECKING:
    from engine.directory import NodeHealth
    from engine.stream import StreamWriter


Latest, Every, Paired = Policy.LATEST, Policy.EVERY, Policy.PAIRED


class NodeConfig(BaseModel):
    """The settings of one node, as they stand in the YAML block. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    startup_timeout: float = Field(60.0, gt=0, description="seconds a node may take to get ready")
    step_timeout: float = Field(10.0, gt=0, description="seconds one step may take before the node counts as hung")
    stop_timeout: float = Field(1.0, gt=0, description="seconds a node may take to stop when asked")


def live(default: Any, description: str, unit: str = "", **limits: Any) -> Any:
    """A setting that may change while the node runs. `limits` are pydantic's: ge, le, …; `unit` as in "s" or "pixels".

    Numbers, true or false, text, a choice of words and lists of these get a knob in TouchDesigner (engine/panel.py).
    """
    about: dict[str, JsonValue] = {"live": True} | ({"unit": unit} if unit else {})
    return Field(default, description=description, json_schema_extra=about, **limits)


@dataclass(frozen=True)
class Image:
    """An output of pictures, (H, W, channels) uint8."""

    channels: int = 3

    def capacity(self, config: NodeConfig) -> int:
        """Bytes to reserve per frame: the config's `size`, [width, height] or a square's side, or else 1080p.

        The ring can grow."""
        return _pixels(config) * self.channels


@dataclass(frozen=True)
class Depth:
    """An output of distances, (H, W, 1) uint16; 0 is unknown. The frame's lens says how much one is in metres."""

    def capacity(self, config: NodeConfig) -> int:
        return _pixels(config) * 2


@dataclass(frozen=True)
class Keypoints:
    """An output of keypoints, (people, points, 4) float32: x, y, z, score."""

    points: int

    def capacity(self, config: NodeConfig) -> int:
        return getattr(config, "people", 1) * self.points * 4 * 4


@dataclass(frozen=True)
class World(Keypoints):
    """An output of points in space, (people, points, 4) float32: x, y, z in metres, score."""


Port = Image | Depth | Keypoints


def _pixels(config: NodeConfig) -> int:
    size = getattr(config, "size", None) or (1920, 1080)
    width, height = (size, size) if isinstance(size, int) else size
    return width * height


class Node:
    """Base of all nodes.

    outputs: the first one's stream is called like the node, each further one's "node.port".

    Life: `setup` once, then `step` for ever, then `close`. Raise `BadInput` from `setup` when the config names
    something that cannot be used. An exception from `step` is logged and counted and the next step runs;
    many in a row end the process, and the supervisor starts a new one. `DeviceFailed`, `OutOfMemory` and
    MemoryError end it at once, from `setup` too and without `close`; the next one runs in a smaller profile.

    How `step` is called:
      no inputs        again and again; it waits for its own source, at most about 0.1 s, and may publish nothing.
      inputs           when the first input has a new frame: `step(**frames)`. Further inputs pass their newest
                       frame, or None before their first; a Paired one passes the frame that was captured at the same
                       moment (engine/pairing.py), or None where there is none.
      gathers          reads any number of inputs, named by the config, and is called whenever one of them has a new
                       frame, with the new ones only. `inputs` names the one that a plain `input:` means.
      paced = True     at `config.fps`, with the newest frame of each input or None (the same frame may come again).
    """

    Config: ClassVar[type[NodeConfig]] = NodeConfig
    inputs: ClassVar[dict[str, Policy]] = {}
    gathers: ClassVar[bool] = False
    outputs: ClassVar[dict[str, Port]] = {}
    paced: ClassVar[bool] = False
    slots: ClassVar[int] = 4  # per output ring: few, because cold memory is what costs
    # Settings that need less of the machine, from the first thing to give up to the last. Each replaces configured
    # ones, by itself and not on top of those before it; a number is a limit, which lowers and never raises.
    profiles: ClassVar[tuple[dict[str, Any], ...]] = ()

    _why: str | None = None  # the trouble that `troubled` was told last

    # Set by the worker before `setup`.
    config: Any
    name: str
    offline: bool
    has_run: bool = False  # in an earlier process: what is missing now was there, and may come back
    reads: tuple[str, ...]  # its inputs' names, in the order of the config
    log: logging.Logger
    outs: dict[str, StreamWriter]

    @classmethod
    def outputs_of(cls, config: Any) -> dict[str, Port]:
        """The outputs that a node with these settings has. Raises `EngineError`, a sentence, where it can have none."""
        return cls.outputs

    @property
    def out(self) -> StreamWriter:
        """The first output."""
        return next(iter(self.outs.values()))

    def setup(self) -> None:
        """Load what is slow to load. Runs under `startup_timeout`."""

    def step(self, *args: Any, **frames: Any) -> None:
        raise NotImplementedError

    def configured(self) -> None:
        """Called between steps after a live setting changed; `self.config` is the new one already."""

    def close(self) -> None:
        """Let go of devices and files. Also runs after `finish`."""

    def finish(self) -> None:
        """Offline only: every input has ended and everything was read. Complete the result."""

    # --- what a node may say about itself (bound by the worker) ---

    def degraded(self, why: str) -> None:
        """I run, but `why` (a sentence for a person): shown in the status and on the placeholder."""

    def recovered(self) -> None:
        """Whatever `degraded` complained of is over."""

    def metric(self, name: str, value: float | str) -> None:
        """A figure of mine that a person may want to see: shown in the status and in --stats, as last told."""

    def event(self, name: str, *values: int | float | str) -> None:
        """Something has happened, once: told to whoever listens by OSC or at the control port.

        name: 1 to 32 small letters, digits and _; up to 8 values, text of at most 64 characters.
        """

    def troubled(self, why: str | None) -> None:
        """`degraded(why)`, again and again as long as it is so; with None, `recovered()`, if that was not said yet."""
        if why:
            self.degraded(why)
        elif self._why:
            self.recovered()
        self._why = why

    def end(self) -> None:
        """A source has nothing more to give: publish the end of its streams. Only `step` may call it."""

    def expect(self, total_steps: int) -> None:
        """How many steps this run will take, for the progress bar."""

    def health(self) -> list[NodeHealth]:
        """How every node of the engine is doing: name, phase, sentence."""
        return []

"""A performer's file with random weights, and people to paint with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import make
from people import CANVAS, keypoints, standing

from engine.frame import Frame
from nodes.generator.backends.eager import Eager
from nodes.generator.network import checkpoint
from nodes.generator.performer import Performer
from nodes.generator.playing.fit import contained
from nodes.generator.playing.repertoire import measure

SIZE, GRID, WIDTH = 64, 16, 8


def people(count: int, seed: int = 3) -> np.ndarray:
    """(count, 33, 4) float32 in picture sizes: people who stand about and move a little."""
    random = np.random.default_rng(seed)
    points = np.repeat(standing()[None], count, 0)
    points[..., :2] += random.normal(0, 15, (count, 33, 2)) + random.uniform(-60, 60, (count, 1, 2))
    points[..., 0] += (CANVAS[1] - CANVAS[0]) / 2
    points[..., :3] /= CANVAS[1]
    return points.astype(np.float32)


def write_performer(path: Path, seed: int = 0, poses: int = 16, size: int = SIZE, level: int = 0) -> Path:
    """Its last layer is larger than a new one's, so that the pictures are no even grey. level: of the plate's red."""
    import torch

    from nodes.generator.network.painter import Painter, Shape

    torch.manual_seed(seed)
    shape = Shape(size=size, width=WIDTH, blocks=1, grid=GRID)
    network = Painter(shape)
    with torch.no_grad():
        network.last.weight.mul_(14)
    about = checkpoint.About(
        network=checkpoint.NetworkAbout(architecture=checkpoint.ARCHITECTURE, **shape.as_dict()),
        keypoints=checkpoint.KEYPOINTS, repertoire=measure(people(16)),
        training=checkpoint.Training(steps=0, minutes=0),
    )  # fmt: skip
    plate = np.full((size, size, 3), (level, level // 2, 0), np.uint8)
    checkpoint.write(path, about, plate, people(poses), network)
    return path


MS = 1_000_000
FRAME_NS = 33 * MS


class Play:
    """A performer's node without an engine, in torch. Without settings it shows people exactly as they are.

    tried: begin only when the performers were loaded or refused, however busy the machine is.
    """

    def __init__(self, *performers: Path, tried: bool = True, **settings: Any):
        paths = [str(path) for path in performers]
        plain = {"backend": "torch", "threads": 1, "fit": "exact", "clamp": 0.0, "people": 4}
        given = {"performer": paths if len(paths) > 1 else paths[0], **plain, **settings}
        self.node = make(Performer, **given)
        if tried:
            self.node.loader.wait(60)
            self.node._take_over()
        self.time_ns = 10**9

    def step(self, persons: np.ndarray, ids: tuple[int, ...] | None = None, passed_ns: int = FRAME_NS) -> Frame:
        """The frame that comes of some people, (P, 33, 4) in CANVAS."""
        self.time_ns += passed_ns
        known = {} if ids is None else {"ids": ids}
        self.node.step(keypoints=keypoints(persons, capture_ns=self.time_ns, **known))
        return self.node.frames[-1]

    def change(self, **settings: Any) -> None:
        """Live settings, as the worker changes them."""
        config = self.node.config
        self.node.config = config.model_validate({**config.model_dump(), **settings})
        self.node.configured()

    @property
    def trouble(self) -> str:
        return self.node._why or ""

    def until(self, done: Any, persons: np.ndarray) -> list[Frame]:
        """Step until `done(frame)`; all the frames until then."""
        import time

        frames, deadline = [], time.monotonic() + 30
        while not frames or not done(frames[-1]):
            assert time.monotonic() < deadline, "it never came to that"
            frames.append(self.step(persons))
            time.sleep(0.005)
        return frames


def painted(path: Path, person: np.ndarray) -> np.ndarray:
    """(size, size, 4): what the performer of a file looks like in the pose of one person, (33, 4) in CANVAS."""
    backend = Eager(path, "cpu", 1)
    side = backend._network.painter.shape.size
    out = np.empty((1, side, side, 4), np.uint8)
    backend.run(contained(person, CANVAS).astype(np.float32)[None], out)
    return out[0]


@pytest.fixture(name="play")
def play_fixture() -> Iterator[Callable[..., Play]]:
    """Starts `Play`s, and closes them in the end."""
    plays: list[Play] = []

    def start(*files: Path, **settings: Any) -> Play:
        plays.append(Play(*files, **settings))
        return plays[-1]

    yield start
    for each in plays:
        each.node.close()

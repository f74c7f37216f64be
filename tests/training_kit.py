"""A small folder of footage, drawn by the painter with exact points, and trainings small enough for a test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from nodes.camera.painter.painter import Painter
from nodes.camera.painter.show import truth
from nodes.generator.network.painter import Shape
from nodes.generator.training.plan import Plan
from nodes.generator.training.schedule import Schedule

SIDE = 64
STRIDE = 2  # of the dance's pictures, one each is taken
SMALL = Shape(size=32, width=4, blocks=1, grid=8)


@pytest.fixture(autouse=True, scope="module", name="one_thread")
def one_thread_fixture() -> Iterator[None]:
    """Where something else computes, too, threads that wait for one another make such small steps slow."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_footage(folder: Path, frames: int = 80, found: Any = True, side: int = SIDE, **info: Any) -> Path:
    """What `performer extract` would make of a dance. found: (frames,) bool, or one for all."""
    folder.mkdir(parents=True)
    drawn = [truth(number * STRIDE, seed=1, size=(side, side)) for number in range(frames)]
    writer = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"FFV1"), 15, (side, side))
    for picture, _ in drawn:
        writer.write(picture)
    writer.release()
    cv2.imwrite(str(folder / "plate.png"), Painter(side, side).plate)
    points = np.stack([points for _, points in drawn])
    np.savez(folder / "poses.npz", points=points, found=np.broadcast_to(np.array(found), frames))
    about = {"format": "utsushi.footage/1", "clip": "clip.avi", "sha256": "", "frames": frames, "fps": 15.0}
    text = json.dumps({**about, "crop": [0, 0, side], "performer": "a drawn dancer", "licence": "CC0-1.0", **info})
    (folder / "footage.json").write_text(text, encoding="utf-8")
    return folder


def plan(out: Path, steps: int = 4, **settings: Any) -> Plan:
    """A training of a few steps of the smallest network."""
    schedule = settings.pop("schedule", Schedule(steps=steps))
    return Plan(out, SMALL, schedule, **{"batch": 2, "every": 1e6, **settings})

"""How long one step of each node takes, without an engine around it.

python bench/steps.py

Prints p50 and p95 in milliseconds. Each node runs alone in this process, one thread, on the pictures of
assets/visitor.mp4 (camera.performer makes its own), and writes into memory that is warm. Run it on a quiet machine.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the engine starts its nodes; NumPy reads it when it is loaded
import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from engine.clock import now_ns  # noqa: E402
from engine.config import registry  # noqa: E402
from engine.frame import Frame  # noqa: E402

ROUNDS = 2


class Slots:
    """Stands in for a stream: four warm slots in turn."""

    def __init__(self) -> None:
        self._slots: list[np.ndarray] = []
        self._turn = 0
        self.newest: Frame | None = None

    @contextmanager
    def begin(self, shape: Any, dtype: Any = np.uint8, **about: Any) -> Iterator[SimpleNamespace]:
        if not self._slots or self._slots[0].shape != tuple(shape):
            self._slots = [np.zeros(shape, dtype) for _ in range(4)]
        self._turn += 1
        slot = SimpleNamespace(array=self._slots[self._turn % 4])
        yield slot
        kept = {key: about[key] for key in ("pixel_format", "canvas", "ids") if key in about}
        self.newest = frame(slot.array, self._turn, **kept)


def frame(array: np.ndarray, seq: int, **about: Any) -> Frame:
    return Frame(array, seq, 1, seq, seq * 33_333_333, 0, now_ns(), **about)


def make(kind: str, **settings: Any) -> Any:
    node_class = registry.find(kind)
    node: Any = node_class()
    node.config = node_class.Config.model_validate(settings)
    node.name, node.offline, node.log = kind, False, logging.getLogger(kind)
    node.outs = {port: Slots() for port in node_class.outputs_of(node.config)}
    node.setup()
    return node


def measure(what: str, node: Any, inputs: list[Frame]) -> list[Frame]:
    """Step through the inputs, print the times, and return copies of what came out."""
    times, made = [], []
    for turn in range(ROUNDS):
        for given in inputs:
            before = time.perf_counter_ns()
            node.step(given)
            times.append(time.perf_counter_ns() - before)
            if turn == 0:
                made.append(node.out.newest)
                made[-1].array = made[-1].array.copy()
    report(what, times)
    node.close()
    return made


def measure_performer(side: int) -> None:
    """Every third picture of twenty seconds of a dance: a camera's step is to draw one, and waiting."""
    from nodes.camera.painter.show import Show

    show, picture, times = Show(side, side), np.zeros((side, side, 3), np.uint8), []
    for number in range(0, 600, 3):
        before = time.perf_counter_ns()
        show.draw(picture, number)
        times.append(time.perf_counter_ns() - before)
    report(f"camera.performer, {side} × {side}", times)


def report(what: str, times_ns: list[int]) -> None:
    p50, p95 = np.percentile(np.array(times_ns[len(times_ns) // 20 :]) / 1e6, (50, 95))
    print(f"| {what:<48} | {p50:6.2f} | {p95:6.2f} |", flush=True)


def main() -> None:
    cv2.setNumThreads(1)
    capture, pictures = cv2.VideoCapture(str(ROOT / "assets" / "visitor.mp4")), []
    while (read := capture.read())[0]:
        pictures.append(frame(read[1], len(pictures) + 1, pixel_format="BGR"))
    print(f"| {'node':<48} | p50 ms | p95 ms |\n|{'-' * 50}|-------:|-------:|")
    for side in (256, 512, 1024):
        measure_performer(side)
    poses: list[Frame] = []
    for quality in ("lite", "full", "heavy"):
        try:
            node = make("pose.blazepose", quality=quality)
        except Exception as error:
            print(f"| pose.blazepose {quality}: {error} |")
            continue
        poses = measure(f"pose.blazepose {quality}, 540 × 640", node, pictures) or poses
    figures: list[Frame] = []
    for size in ((512, 512), (1920, 1080)):
        for style in ("openpose18/1", "blazepose33/1", "body/1"):
            node = make("generator.figure", style=style, size=size)
            made = measure(f"generator.figure {style}, {size[0]} × {size[1]}", node, poses)
            figures = made if size[0] == 512 else figures
    for size in ((512, 512), (1280, 720)):
        node = make("output.touchdesigner", size=size)
        measure(f"output.touchdesigner {size[0]} × {size[1]} from 512 × 512", node, figures)


if __name__ == "__main__":
    main()

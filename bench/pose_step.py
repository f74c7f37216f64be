"""What a whole step of `pose.blazepose` takes beyond the runs of its network: one person, one thread, 1280 × 720.

python bench/pose_step.py [--steps 400] [--qualities lite full heavy] [--json FILE]

One process, no engine: a step reads a picture, cuts out, runs the network, refines, filters, and publishes into a real
ring in shared memory. Each step is compared with the bare run of the network inside it (LiteRT's `invoke`, and nothing
around it), so that what else the machine does meets both. The table has the medians, and the median of the quotients.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# As the engine starts its nodes; libraries read it when they are loaded.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OPENCV_FOR_THREADS_NUM"] = "1"
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.steps import ROOT, frame, make
from engine import ring
from engine.frame import Frame
from engine.ring_writer import RingWriter
from engine.shm import Segment
from nodes.pose.blazepose import BlazePose

WIDTH, HEIGHT = 1280, 720
BAR, QUALITY = 1.15, "full"
WARM_UP = 30
CASES: dict[str, tuple[float, dict[str, bool]]] = {
    "points": (1.0, {}),
    "points, dark room": (0.08, {}),
    "points, world": (1.0, {"world": True}),
    "points, mask": (1.0, {"mask": True}),
}


class Timed:
    """An interpreter, and how long its runs took since one last asked."""

    def __init__(self, interpreter: Any):
        self._interpreter = interpreter
        self.spent_ns = 0

    def invoke(self) -> None:
        begun = time.perf_counter_ns()
        self._interpreter.invoke()
        self.spent_ns += time.perf_counter_ns() - begun

    def __getattr__(self, name: str) -> Any:
        return getattr(self._interpreter, name)


@contextmanager
def opened(**settings: Any) -> Iterator[tuple[Any, Timed]]:
    """A node that writes into rings of its own, and the interpreter of its landmark network."""
    node = make("pose.blazepose", device="cpu", **settings)
    segments = []
    for port, output in BlazePose.outputs_of(node.config).items():
        name = f"utsu_ps{os.getpid()}{port[0]}"
        segments.append(ring.create(name, 1, capacity=output.capacity(node.config), slots=4, readers=1))
        segments[-1].words[ring.WORD["granted_epoch"]] = 1
        node.outs[port] = RingWriter(Segment.attach(name), 1)
    model = node._estimator._landmarker._model
    model._interpreter = timed = Timed(model._interpreter)
    try:
        yield node, timed
    finally:
        node.close()
        for writer in node.outs.values():
            writer.close()
        for segment in segments:
            segment.close()
            segment.unlink()


def pictures(gain: float, most: int = 100) -> list[Frame]:
    """The demo's visitor in a room of 1280 × 720, as bright as `gain` says."""
    capture, found = cv2.VideoCapture(str(ROOT / "assets" / "visitor.mp4")), []
    while len(found) < most and (read := capture.read())[0]:
        picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        width = round(read[1].shape[1] * HEIGHT / read[1].shape[0])
        picture[:, (WIDTH - width) // 2 :][:, :width] = cv2.resize(read[1], (width, HEIGHT))
        found.append(frame((picture * gain).astype(np.uint8), len(found) + 1, pixel_format="BGR"))
    return found


def measure(node: Any, timed: Timed, given: list[Frame], steps: int) -> dict[str, float]:
    """Milliseconds and the quotient: medians over the steps."""
    whole, bare = [], []
    slots = np.empty((4, *given[0].shape), np.uint8)  # as many as a camera's ring has, just written when they are read
    for step in range(-WARM_UP, steps):
        slot = slots[step % len(slots)]
        slot[:] = given[step % len(given)].array
        taken = frame(slot, step + WARM_UP + 1, pixel_format="BGR")
        timed.spent_ns, begun = 0, time.perf_counter_ns()
        node.step(taken)
        spent = time.perf_counter_ns() - begun
        if step >= 0:
            whole.append(spent / 1e6)
            bare.append(timed.spent_ns / 1e6)
    if not all(bare):
        raise RuntimeError("In some picture nobody was followed: there is nothing to compare.")
    ratio = np.array(whole) / bare
    rest = np.array(whole) - bare
    figures = {"step": whole, "network": bare, "rest": rest, "times": ratio}
    return {name: float(np.median(values)) for name, values in figures.items()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--qualities", nargs="+", default=["lite", "full", "heavy"])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    print(f"| {'1280 × 720, one person, one thread':<36} | step ms | network ms | rest ms | times |")
    print(f"|{'-' * 38}|--------:|-----------:|--------:|------:|")
    found: dict[str, dict[str, float]] = {}
    for quality in options.qualities:
        for what, (gain, settings) in CASES.items():
            with opened(quality=quality, **settings) as (node, timed):
                row = found[f"{quality}, {what}"] = measure(node, timed, pictures(gain), options.steps)
            times = f"{row['step']:7.2f} | {row['network']:10.2f} | {row['rest']:7.2f} | {row['times']:5.3f}"
            print(f"| {quality + ', ' + what:<36} | {times} |", flush=True)
    if f"{QUALITY}, points" in found:
        times = found[f"{QUALITY}, points"]["times"]
        print(f"{QUALITY}: {times:.3f} <= {BAR}  {'met' if times <= BAR else 'MISSED'}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What reading costs in TouchDesigner's bridge: a new frame beside the bare NumPy copy, and a frame that is not new.

python -m bench.bridge [--rounds N]

One process writes frames with the engine's own code and reads them with the bridge's. For every new frame the bridge's
`poll` and a bare `np.copyto` between two plain arrays, 1080p RGBA, are timed one after the other, each after its source
was written, so that whatever else the machine does meets both. Where `poll` turns the rows, the bare copy of its line
does so too. A ratio is the median over the rounds of each round's ratio of medians.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from engine import layout, ring
from engine.clock import now_ns
from engine.directory import Directory
from engine.process import ROOT
from engine.ring_writer import RingWriter
from engine.shm import Segment

sys.path.insert(0, str(ROOT / "td_bridge"))
from ring_reader import RingReader

NAME = f"n{os.getpid() % 100000}"
SLOTS = 4
FRAMES = 24  # per round; the first of each slot are not counted
POLLS = 2000  # of a frame that is not new, per round
READ_LIMIT, SAME_LIMIT_US = 1.2, 50.0
FULL_HD = (1080, 1920)
STREAMS = {
    "RGBA, bottom row first": ((*FULL_HD, 4), "uint8", "RGBA", "BOTTOM_UP"),
    "RGBA, top row first": ((*FULL_HD, 4), "uint8", "RGBA", "TOP_DOWN"),
    "BGRA": ((*FULL_HD, 4), "uint8", "BGRA", "TOP_DOWN"),
    "RGB": ((*FULL_HD, 3), "uint8", "RGB", "TOP_DOWN"),
    "BGR, a camera": ((*FULL_HD, 3), "uint8", "BGR", "TOP_DOWN"),
    "one channel, a mask": (FULL_HD, "uint8", "GRAY", "TOP_DOWN"),
    "one channel, 32 bits, a depth": (FULL_HD, "float32", "GRAY", "TOP_DOWN"),
    "keypoints of one person": ((1, 33, 4), "float32", "KEYPOINTS", "TOP_DOWN"),
}


class Stage:
    """An engine's memory with one stream, its writer and a reader."""

    def __init__(self, segment: Segment, directory: Directory):
        self.writer, self.directory = RingWriter(segment, 1), directory
        self.reader = RingReader(NAME, "output")

    def write(self, source: np.ndarray, pixel_format: str, row_order: str) -> None:
        self.directory["beat_ns"] = now_ns()
        with self.writer.begin(source.shape, source.dtype, pixel_format=pixel_format, row_order=row_order) as slot:
            np.copyto(slot.array, source)


@contextmanager
def opened(capacity: int) -> Iterator[Stage]:
    directory = Directory.create(NAME, 1, ["output"], [("output", 0)])
    segment = ring.create(f"utsu_{NAME}_1", 1, capacity=capacity, slots=SLOTS, generation=1)
    segment.words[ring.WORD["granted_epoch"]] = 1
    try:
        directory.set_stream(0, segment, 1)
        directory["state"] = layout.STATES["READY"]
        directory.segment.publish()
        yield Stage(segment, directory)
    finally:
        segment.unlink()
        directory.close()


def read_times(stage: Stage, stream: str) -> tuple[float, float]:
    """Medians of one round: `poll` with a new frame, and the bare copy, ns."""
    shape, dtype, pixel_format, row_order = STREAMS[stream]
    source = np.random.default_rng(1).integers(0, 256, int(np.prod(shape)) * np.dtype(dtype).itemsize, np.uint8)
    source = source.view(dtype).reshape(shape)
    step = -1 if row_order == "TOP_DOWN" else 1
    other = np.random.default_rng(2).integers(0, 256, (*FULL_HD, 4), np.uint8)
    plain = [np.zeros((*FULL_HD, 4), np.uint8) for _ in range(SLOTS)]
    own = [np.zeros((*FULL_HD, 4), np.uint8) for _ in range(2)]  # as many as the reader has
    reading, bare = [], []
    for number in range(FRAMES):
        stage.write(source, pixel_format, row_order)
        began = now_ns()
        frame = stage.reader.poll()
        reading.append(now_ns() - began)
        assert frame is not None, stage.reader.message
        np.copyto(plain[number % SLOTS], other)
        began = now_ns()
        np.copyto(own[number % 2], plain[number % SLOTS][::step])
        bare.append(now_ns() - began)
    return statistics.median(reading[SLOTS:]), statistics.median(bare[SLOTS:])


def same_time(stage: Stage) -> float:
    """Of one `poll` without a new frame, ns."""
    began = now_ns()
    for _ in range(POLLS):
        stage.reader.poll()
    return (now_ns() - began) / POLLS


def verdict(value: float, limit: float) -> str:
    return "met" if value <= limit else "MISSED"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="of every stream, in turns (default: 9)")
    rounds = parser.parse_args().rounds
    reading: dict[str, list[float]] = {stream: [] for stream in STREAMS}
    bare: dict[str, list[float]] = {stream: [] for stream in STREAMS}
    same: list[float] = []
    with opened(FULL_HD[0] * FULL_HD[1] * 4) as stage:
        for number in range(rounds):
            print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            for stream in STREAMS:
                taken, copy = read_times(stage, stream)
                reading[stream].append(taken)
                bare[stream].append(copy)
            same.append(same_time(stage))
        stage.reader.close()
    print(file=sys.stderr)
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"NumPy {np.__version__}; median of {rounds} rounds"
    )
    print(f"{'a new frame, 1920x1080':32}{'poll':>9}{'bare':>9} us   ratio   bar")
    for place, stream in enumerate(STREAMS):
        ratio = statistics.median(a / b for a, b in zip(reading[stream], bare[stream], strict=True))
        bar = f"{READ_LIMIT:.2f}  {verdict(ratio, READ_LIMIT)}" if place < 2 else ""
        times = "".join(f"{statistics.median(all_[stream]) / 1e3:9.0f}" for all_ in (reading, bare))
        print(f"{stream:32}{times}    {ratio:7.2f}   {bar}")
    took = statistics.median(same) / 1e3
    bar = f"{SAME_LIMIT_US:4.0f}  {verdict(took, SAME_LIMIT_US)}"
    print(f"{'a frame that is not new':32}{took:9.1f}{'':9} us  {'':7}  {bar}")


if __name__ == "__main__":
    main()

"""What reading costs in TouchDesigner's bridge: a new frame beside the bare NumPy copy, and a frame that is not new.

python -m bench.bridge [--rounds N]

One process writes frames with the engine's own code and reads them with the bridge's. Three things are timed one after
the other, each after its source was written, so that whatever else the machine does meets all of them:

    poll      the bridge's `poll` with a new frame
    slot      a bare `np.copyto` of the same bytes out of the same slot, rows turned where `poll` turns them
    arrays    a bare `np.copyto` of 1080p RGBA between two plain arrays, whose memory the system maps in larger pages

A ratio is the median over the rounds of each round's ratio of medians.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from engine import layout, ring
from engine.clock import now_ns
from engine.directory import Directory
from engine.process import ROOT
from engine.ring_writer import RingWriter
from engine.shm import Segment

sys.path.insert(0, str(ROOT / "td_bridge"))
from ring_mapping import RING, Mapping
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
        self.mapping = Mapping(segment.name, RING, layout.RING_HEADER_BYTES)

    def write(self, source: np.ndarray, pixel_format: str, row_order: str) -> None:
        self.directory["beat_ns"] = now_ns()
        with self.writer.begin(source.shape, source.dtype, pixel_format=pixel_format, row_order=row_order) as slot:
            np.copyto(slot.array, source)

    def newest(self, like: np.ndarray) -> np.ndarray:
        """The newest frame where it lies, in the memory that the reader has mapped."""
        at = self.writer.geometry.slot(self.writer.head) + layout.SLOT_META_BYTES
        return np.frombuffer(self.mapping.bytes, like.dtype, like.size, at).reshape(like.shape)


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


def read_times(stage: Stage, stream: str) -> list[float]:
    """Medians of one round, ns: poll, slot, arrays."""
    shape, dtype, pixel_format, row_order = STREAMS[stream]
    source = np.random.default_rng(1).integers(0, 256, int(np.prod(shape)) * np.dtype(dtype).itemsize, np.uint8)
    source = source.view(dtype).reshape(shape)
    step = -1 if row_order == "TOP_DOWN" else 1
    own = [np.zeros_like(source) for _ in range(2)]  # as many as the reader has
    plain = [np.zeros((*FULL_HD, 4), np.uint8) for _ in range(SLOTS + 3)]
    taken = []
    for number in range(FRAMES):
        stage.write(source, pixel_format, row_order)
        poll = timed(stage.reader.poll)
        assert stage.reader.seq == stage.writer.head, stage.reader.message
        stage.write(source, pixel_format, row_order)
        slot = timed(np.copyto, own[number % 2], stage.newest(source)[::step])
        stage.reader.poll()
        np.copyto(plain[number % SLOTS], plain[-1])
        arrays = timed(np.copyto, plain[SLOTS + number % 2], plain[number % SLOTS])
        taken.append((poll, slot, arrays))
    return [statistics.median(each) for each in zip(*taken[SLOTS:], strict=True)]


def timed(work: Callable[..., object], *what: object) -> int:
    began = now_ns()
    work(*what)
    return now_ns() - began


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
    taken: dict[str, list[list[float]]] = {stream: [] for stream in STREAMS}
    same: list[float] = []
    with opened(FULL_HD[0] * FULL_HD[1] * 4) as stage:
        for number in range(rounds):
            print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            for stream in STREAMS:
                taken[stream].append(read_times(stage, stream))
            same.append(same_time(stage))
        stage.reader.close()
    print(file=sys.stderr)
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"NumPy {np.__version__}; median of {rounds} rounds"
    )
    print(f"{'a new frame, 1920x1080':32}{'poll':>9}{'slot':>9}{'arrays':>9} us   / slot  / arrays   bar")
    for place, (stream, each) in enumerate(taken.items()):
        times = "".join(f"{statistics.median(one) / 1e3:9.0f}" for one in zip(*each, strict=True))
        to_slot, to_arrays = (statistics.median(one[0] / one[other] for one in each) for other in (1, 2))
        bar = f"{READ_LIMIT:.2f}  {verdict(to_slot, READ_LIMIT)}" if place < 2 else ""
        print(f"{stream:32}{times}   {to_slot:7.2f}{to_arrays:10.2f}   {bar}".rstrip())
    took = statistics.median(same) / 1e3
    bar = f"{SAME_LIMIT_US:4.0f}  {verdict(took, SAME_LIMIT_US)}"
    print(f"{'a frame that is not new':32}{took:9.1f}{'':18} us {'':18} {bar}")


if __name__ == "__main__":
    main()

"""What a ring adds to the two copies of a frame that is copied in and copied out."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np

from bench.links import EPOCH, SLOTS, RingLink
from engine.clock import now_ns
from engine.node import Policy
from engine.ring_reader import RingReader
from engine.ring_writer import RingWriter
from engine.shm import Segment

FRAMES = 24  # per round and side; the first of each slot are not counted


def copy_times(name: str, shape: tuple[int, ...], rounds: int) -> tuple[list[float], list[float]]:
    """Medians of each round, in nanoseconds per frame: through a ring, and by bare NumPy copies.

    Ring: begin, np.copyto into the slot, commit, read with its copy. Bare: np.copyto into one of as many plain arrays
    as the ring has slots, in turn, np.copyto out of it. Same bytes, one process, nobody waits; rounds alternate.
    """
    source = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    slots = [np.zeros(shape, np.uint8) for _ in range(SLOTS)]
    own = np.zeros(shape, np.uint8)
    link = RingLink(name, shape, 1)
    with link.opened():
        writer = RingWriter(Segment.attach(name), EPOCH)
        reader = RingReader(Segment.attach(name), Policy.LATEST, 0)

        def through_ring(number: int) -> None:
            with writer.begin(shape, pixel_format="RGBA") as slot:
                np.copyto(slot.array, source)
            frame = reader.read()
            assert frame is not None and frame.ordinal == writer.ordinal

        def bare(number: int) -> None:
            np.copyto(slots[number % SLOTS], source)
            np.copyto(own, slots[number % SLOTS])

        times = [(_median(through_ring), _median(bare)) for _ in range(rounds)]
        writer.close()
        reader.close()
    return [each[0] for each in times], [each[1] for each in times]


def _median(work: Callable[[int], None]) -> float:
    taken = []
    for number in range(FRAMES):
        began = now_ns()
        work(number)
        taken.append(now_ns() - began)
    return statistics.median(taken[SLOTS:])

"""Real writers, really killed: whatever instant it hits, no reader gets a mixed frame, and the books balance."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
import time

from engine import ring
from engine.process import ROOT
from engine.ring_reader import Policy, RingReader
from engine.shm import Segment

NAME = f"utsu_k{os.getpid() % 100000}"
SIZE = 128
LIVES = 25

WRITER = """
    import sys
    from engine.ring_writer import RingWriter
    from engine.shm import Segment
    writer = RingWriter(Segment.attach(sys.argv[1]), int(sys.argv[2]))
    print("ready", flush=True)
    while True:
        with writer.begin((SIZE, SIZE, 3)) as slot:
            for row in slot.array:  # slowly, so that a kill finds it at work
                row[:] = writer.head % 251
"""


def test_twenty_five_writers_killed_at_random_instants() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    owner = ring.create(NAME, 7, capacity=SIZE * SIZE * 3, slots=4, readers=2)
    latest = RingReader(Segment.attach(NAME), Policy.LATEST, 0)
    every = RingReader(Segment.attach(NAME), Policy.EVERY, 1)
    epochs: set[int] = set()
    received = {"latest": 0, "every": 0}

    def read_both() -> None:
        for name, reader in (("latest", latest), ("every", every)):
            before = reader.books.last_seq
            frame = reader.read()
            if frame is None:
                continue
            assert (frame.array == frame.array[0, 0, 0]).all(), f"frame {frame.seq} is mixed (seed {seed})"
            assert frame.seq > before
            epochs.add(frame.epoch)
            received[name] += 1

    try:
        for epoch in range(1, LIVES + 1):
            owner.words[ring.WORD["granted_epoch"]] = epoch
            writer = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(WRITER).replace("SIZE", str(SIZE)), NAME, str(epoch)],
                cwd=ROOT, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert writer.stdout is not None
            try:
                assert writer.stdout.readline() == "ready\n"
                end = time.perf_counter() + chance.uniform(0.0, 0.05)
                while time.perf_counter() < end:
                    read_both()
            finally:  # also when a frame was bad: nobody may be left writing for ever
                writer.kill()
                writer.wait()
                writer.stdout.close()
        for _ in range(10):
            read_both()
        published = ring.newest_ordinal(owner, latest.geometry)
        for name, reader in (("latest", latest), ("every", every)):
            books = reader.books
            assert books.received == received[name]
            assert books.received + books.missed == books.last_ordinal == published
            assert books.last_ordinal + books.lost == books.last_seq == owner.words[ring.WORD["head"]]
        assert len(epochs) > LIVES // 2 and received["latest"] > LIVES
    finally:
        latest.close()
        every.close()
        owner.close()
        owner.unlink()

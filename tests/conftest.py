"""Fixtures for more than one file."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ring_kit
from engine_kit import NAME, Engine, leftovers

from engine import ring
from engine.ring_writer import RingWriter
from engine.session import Session
from engine.shm import Segment


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Engine]]:
    engines: list[Engine] = []

    def launch(nodes: str, mode: str = "live", *arguments: str) -> Engine:
        engines.append(Engine(tmp_path, nodes, mode, *arguments))
        return engines[-1]

    yield launch
    for engine in engines:
        if engine.process.poll() is None:
            engine.process.kill()
            engine.process.wait()
            monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
            Session(NAME).close()  # sweeps what the killed one has left
    assert not [name for name in leftovers() if engines and engines[-1].process.returncode != -signal.SIGKILL]


@pytest.fixture
def owner() -> Iterator[Segment]:
    """A ring, as the supervisor has made it and granted it to the writer of epoch 1."""
    segment = ring.create(ring_kit.NAME, 7, capacity=ring_kit.CAPACITY, slots=ring_kit.SLOTS, readers=2)
    segment.words[ring.WORD["granted_epoch"]] = 1
    yield segment
    segment.close()
    segment.unlink()


@pytest.fixture
def writer(owner: Segment) -> Iterator[RingWriter]:
    writer = RingWriter(Segment.attach(ring_kit.NAME), 1)
    yield writer
    writer.close()

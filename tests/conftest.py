"""Fixtures for more than one file."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_kit import Engine, leftovers


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    engines: list[Engine] = []

    def launch(nodes: str, mode: str = "live", *arguments: str) -> Engine:
        engines.append(Engine(tmp_path, nodes, mode, *arguments))
        return engines[-1]

    yield launch
    for engine in engines:
        if engine.process.poll() is None:
            engine.process.kill()
            engine.process.wait()
    assert not [name for name in leftovers() if engines and engines[-1].process.returncode != -signal.SIGKILL]

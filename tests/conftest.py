"""Fixtures for more than one file."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_kit import NAME, Engine, leftovers

from engine.session import Session


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

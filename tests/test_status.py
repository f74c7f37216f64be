"""The line a second that a person reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from engine import status
from engine.directory import Directory, segment_name
from engine.shm import unlink
from engine.status import Status

NAME = f"z{os.getpid() % 100000}"
MS, SECOND = 1_000_000, 1_000_000_000


class Show:
    """What the status looks at: two nodes, of which the second is the last."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.ns, self.offline, self.said = 1000 * SECOND, False, []  # type: ignore[var-annotated]
        patch.setattr(status, "now_ns", lambda: self.ns)
        self.directory = Directory.create(NAME, 1, ["camera", "output"], [])
        self.lives: list[Any] = [
            SimpleNamespace(name=name, state=state, text="", metrics={}, row=self.directory.node(row))
            for row, (name, state) in enumerate((("camera", "RUNNING"), ("output", "DEGRADED")))
        ]
        self.rings = SimpleNamespace(missed=lambda name: 3 if name == "output" else 0)
        self.status = Status()
        patch.setattr(self.status, "say", self.said.append)

    def last_lives(self) -> list[Any]:
        return self.lives[1:]

    def update(self, seconds: float) -> str | None:
        """What is said after so many seconds more, if anything."""
        self.ns += round(seconds * SECOND)
        before = len(self.said)
        self.status.update(self)  # type: ignore[arg-type]
        return self.said[-1] if len(self.said) > before else None


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Iterator[Show]:
    show = Show(monkeypatch)
    yield show
    show.directory.close()
    unlink(segment_name(NAME))


def test_a_line_a_second_tells_of_that_second(show: Show) -> None:
    camera, output = (life.row for life in show.lives)
    for _ in range(30):
        camera.step_ns.add(4 * MS)
        camera.latency_ns.add(1 * MS)
        output.latency_ns.add(20 * MS)
    output["restarts"] = 2
    assert show.update(0.5) is None
    assert show.update(0.5) == (
        "    1 s | camera running 30 fps 4.0/4.0 ms, skipped 0, restarts 0 | "
        "output degraded 0 fps 0.0/0.0 ms, skipped 3, restarts 2 | latency 20/20 ms"
    )
    assert show.update(0.9) is None
    for _ in range(20):
        camera.step_ns.add(8 * MS)
    line = show.update(1.1)
    assert line is not None
    assert "    3 s | camera running 10 fps 8.0/8.0 ms" in line and line.endswith("latency 0/0 ms")


def test_offline_it_tells_how_far_it_is(show: Show) -> None:
    show.offline = True
    camera, output = (life.row for life in show.lives)
    assert show.update(1) == "0 frames"
    camera["total"] = 100
    assert show.update(1) == f"[{'.' * 30}] 0/100 frames, starting"
    output["steps"], output["first_step_ns"], output["last_step_ns"] = 51, 10 * SECOND, 20 * SECOND
    assert show.update(1) == f"[{'#' * 15}{'.' * 15}] 51/100 frames, 10 s left"
    output["steps"] = 120  # more than was expected
    line = show.update(1)
    assert line is not None and line.startswith(f"[{'#' * 30}] 120/100 frames")


def test_a_table_shows_what_a_node_says_as_it_said_it() -> None:
    line = status.Line("camera", "DEGRADED", "no [bold] device", 29.97, 4.0, 5.0, 1, 2, {"people": 2.0})
    table = status._table([line], 10.0, 20.0)
    cells = [list(column.cells) for column in table.columns]
    assert [column[0] for column in cells][2:] == ["30.0", "4.0", "5.0", "1", "2"]
    console = status.Console(width=120)
    with console.capture() as capture:
        console.print(table)
    shown = capture.get()
    assert "no [bold] device" in shown and "people 2" in shown and "p50 10.0 ms, p99 20.0 ms" in shown

"""A steady rate that a stall does not turn into a burst."""

from __future__ import annotations

import re

import pytest

from engine import clock
from engine.clock import Pacer
from engine.process import ROOT

MS = 1_000_000


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [1000 * MS]
    monkeypatch.setattr(clock, "now_ns", lambda: now[0])
    return now


def test_the_first_tick_is_due_at_once_and_the_others_in_step(time: list[int]) -> None:
    pacer = Pacer(100)
    assert pacer.remaining_s() == 0
    pacer.advance()
    assert pacer.remaining_s() == 0.01
    time[0] += 13 * MS  # 3 ms late
    assert pacer.remaining_s() == 0
    pacer.advance()
    assert pacer.remaining_s() == 0.007


@pytest.mark.parametrize(("stall_ms", "left_ms"), [(10, 0), (10.5, 9.5), (19, 1), (20, 0), (95, 5), (1000, 0)])
def test_ticks_missed_in_a_stall_are_skipped_and_the_step_is_kept(
    time: list[int], stall_ms: float, left_ms: float
) -> None:
    pacer = Pacer(100)
    time[0] += round(stall_ms * MS)
    pacer.advance()
    assert pacer.remaining_s() == left_ms / 1000
    assert (pacer.next_ns - 1000 * MS) % (10 * MS) == 0


def test_a_rate_that_no_whole_number_of_nanoseconds_fits_is_kept_to_the_nearest(time: list[int]) -> None:
    assert Pacer(60).period_ns == 16_666_667


def test_only_names_and_ages_of_files_come_from_the_wall_clock() -> None:
    """So a clock that is set, by an hour or by a second, changes nothing that runs."""
    asks = re.compile(r"\btime\.time(_ns)?\b|\bdatetime\.(now|fromtimestamp)\b")
    folders = [ROOT / name for name in ("engine", "nodes", "td_bridge")]
    files = [path for folder in folders for path in folder.rglob("*.py") if asks.search(path.read_text("utf-8"))]
    assert {path.relative_to(ROOT).as_posix() for path in files} <= {
        "engine/clock.py", "engine/jobs/kept.py", "nodes/generator/backends/cache.py", "nodes/output/recorder_movie.py",
        "nodes/pose/floor/finder.py",
    }  # fmt: skip

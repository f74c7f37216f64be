"""What is counted, and the figures that are made from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import config, layout, stats
from engine.directory import Directory, segment_name
from engine.histogram import BINS, Histogram, bin_of, middle_of, percentile_ms
from engine.life import Life
from engine.shm import unlink

MS = 1_000_000
WORDS = BINS + layout.HISTOGRAM_BINS


def histogram(*samples_ns: int) -> Histogram:
    made = Histogram(memoryview(bytearray(8 * (WORDS + 2))).cast("Q"), 1)
    for ns in samples_ns:
        made.add(ns)
    return made


@given(st.integers(1001, 66_000_000_000))
def test_a_duration_is_kept_to_0_6_percent(ns: int) -> None:
    assert middle_of(bin_of(ns)) == pytest.approx(ns, rel=0.006)


@pytest.mark.parametrize(("ns", "place"), [(-5, 0), (0, 0), (1000, 0), (1001, 0), (1 << 60, layout.HISTOGRAM_BINS - 1)])
def test_what_is_out_of_range_counts_at_the_edge(ns: int, place: int) -> None:
    made = histogram(ns)
    assert made.counts()[place] == made.count == made.counts().sum() == 1


def test_it_stays_within_its_words() -> None:
    words = memoryview(bytearray(8 * (WORDS + 2))).cast("Q")
    made = Histogram(words, 1)
    for ns in (0, 1 << 62):
        made.add(ns)
    assert words[0] == words[WORDS + 1] == 0 and words[1] == 2


def test_the_maximum_is_exact_and_never_goes_down() -> None:
    assert histogram(5 * MS, 7_654_321, 6 * MS).max_ms == 7.654321


@pytest.mark.parametrize(("percent", "expected_ms"), [(1, 1), (50, 50), (51, 51), (95, 95), (99, 99), (100, 100)])
def test_percentiles(percent: int, expected_ms: float) -> None:
    counts = histogram(*(n * MS for n in range(1, 101))).counts()
    assert percentile_ms(counts, percent) == pytest.approx(expected_ms, rel=0.006)


def test_without_samples_everything_is_zero() -> None:
    assert percentile_ms(histogram().counts(), 50) == 0
    assert stats.milliseconds([], (50,)) == stats.milliseconds([histogram()], (50,)) == {"p50": 0.0, "max": 0.0}


def test_several_histograms_count_as_one_and_no_percentile_is_above_the_maximum() -> None:
    figures = stats.milliseconds([histogram(*[2 * MS] * 3), histogram(8 * MS)], (50, 75, 99))
    assert figures["p50"] == figures["p75"] == pytest.approx(2, rel=0.006)
    assert figures["p99"] <= figures["max"] == 8
    lowest_of_its_bin = 1_024_001
    assert stats.milliseconds([histogram(lowest_of_its_bin)], (50,)) == {"p50": 1.024, "max": 1.024}


# --- a node's figures ---


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    name = f"h{os.getpid() % 100000}"
    directory = Directory.create(name, 1, ["camera"], [])
    path = tmp_path / "x.yaml"
    path.write_text("nodes:\n  camera: {type: camera.pattern}\n")
    yield Life(config.load(path).nodes[0], directory.node(0), tmp_path / "camera.log")
    directory.close()
    unlink(segment_name(name))


@pytest.mark.parametrize(
    ("steps", "first_ms", "last_ms", "fps"),
    [(0, 0, 0, 0.0), (1, 5000, 5000, 0.0), (2, 5000, 5100, 10.0), (31, 1, 1001, 30.0)],
)
def test_fps_is_steps_over_the_time_between_the_first_and_the_last(
    life: Life, steps: int, first_ms: int, last_ms: int, fps: float
) -> None:
    life.row["steps"], life.row["first_step_ns"], life.row["last_step_ns"] = steps, first_ms * MS, last_ms * MS
    assert stats.node(life)["fps"] == fps


def test_figures_are_those_of_the_row(life: Life) -> None:
    life.row["errors"], life.row["restarts"], life.failures = 2, 1, 1
    life.row.step_ns.add(4 * MS)
    life.row.latency_ns.add(9 * MS)
    rings: Any = SimpleNamespace(figures=lambda: {"camera": "counts"})
    figures = stats.figures([life], [life], rings)
    assert set(figures) == {"nodes", "streams", "latency_ms"} and figures["streams"] == {"camera": "counts"}
    assert figures["latency_ms"] == pytest.approx({"p50": 9, "p95": 9, "p99": 9, "max": 9}, rel=0.006)
    camera = figures["nodes"]["camera"]
    assert camera.pop("step_ms") == pytest.approx({"p50": 4, "p95": 4, "max": 4}, rel=0.006)
    assert camera.pop("metrics") == {}
    assert camera == {"fps": 0.0, "steps": 0, "restarts": 1, "errors": 2, "state": "RESTARTING", "profile": 0}


def test_the_state_is_what_the_supervisor_knows_better(life: Life) -> None:
    assert life.state == "STOPPED"
    life.failures = 1
    assert life.state == "RESTARTING"
    life.wanted = False
    assert life.state == "STOPPED"
    life.finished = True
    assert life.state == "FINISHED"

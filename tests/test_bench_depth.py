"""The benchmark of depth: its figures, and the bar that does not hang on the machine."""

from __future__ import annotations

import pytest

from bench import depth


def test_a_disc_at_one_and_a_half_metres_is_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyrealsense2", reason="there is no pyrealsense2 here")
    monkeypatch.setattr(depth, "FRAMES", 20)
    found = depth.errors(noise_m=0.0, approach_m=0.0)
    assert found["pictures"] > 10 and found["worst"] <= depth.BAR_MM
    noisy = depth.errors(noise_m=0.005, approach_m=0.0)
    assert found["p95"] < noisy["p95"] <= depth.BAR_MM


def test_every_step_is_timed() -> None:
    found = depth.times_at((320, 240), rounds=20)
    assert depth.READING in found and "pose.metric" in found and "filter.cutout" in found
    assert all(0 < row["p50"] <= row["p95"] and row["cpu"] > 0 for row in found.values())

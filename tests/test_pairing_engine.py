"""Two cameras in processes of their own, and a node that wants both: pairs in a live show, and the same pairs offline.

What the node made of which frames is recorded, and looked at afterwards.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_kit import until
from harness import frame, make
from test_pairing_offline import expected

from engine.frame import Flags, Frame
from nodes.filter.beside import Beside

pytest.importorskip("mcap", reason="recording frames needs the optional package mcap")
pytest.importorskip("lz4", reason="recording frames needs the optional package lz4")

from recording_kit import at, read, write

MS = 1_000_000
Launch = Callable[..., Any]
LIVE = """\
  left: {{type: camera.pattern, fps: {left}, size: [64, 48]}}
  right: {{type: camera.pattern, fps: {right}, size: [64, 48]}}
  both: {{type: filter.beside, inputs: {{left: left, right: right}}}}
  take: {{type: output.recorder, format: frames, folder: {folder}, free_gb: 0.1,
          inputs: {{left: left, right: right, both: both}}}}
"""
REPLAYED = """\
  back: {{type: camera.replay, path: {path}}}
  both: {{type: filter.beside, inputs: {{left: back, right: back.right}}}}
  take: {{type: output.recorder, format: frames, folder: {folder}, free_gb: 0.1,
          inputs: {{left: back, right: back.right, both: both}}}}
"""
LEFT, RIGHT, BOTH = 0, 1, 2  # rows


def recorded(folder: Path) -> dict[str, list[Frame]]:
    (path,) = folder.glob("*.mcap")
    return {name: read(path, name) for name in ("left", "right", "both")}


def captured(frames: list[Frame]) -> dict[tuple[int, int], Frame]:
    return {(one.epoch, one.seq): one for one in frames}


@pytest.mark.parametrize("left, right", [(30, 30), (15, 40)])
def test_live_each_picture_gets_the_one_of_its_moment(launch: Launch, tmp_path: Path, left: int, right: int) -> None:
    engine = launch(LIVE.format(left=left, right=right, folder=tmp_path / "takes"))
    until(lambda: engine.node(BOTH)["steps"] >= 40, 30, engine)
    assert engine.stop() == 0, engine.output
    found = recorded(tmp_path / "takes")
    lefts, rights = captured(found["left"]), captured(found["right"])
    times = sorted(one.capture_ns for one in rights.values())
    widest = max(later - earlier for earlier, later in zip(times, times[1:], strict=False))
    pairs = 0
    for one in found["both"]:
        first, *second = [(source.epoch, source.seq) for source in one.sources]
        if first not in lefts or not second or second[0] not in rights:
            continue  # it was there before the recorder was
        lead, partner = lefts[first], rights[second[0]]
        away = abs(partner.capture_ns - lead.capture_ns)
        assert away <= widest // 2 and one.array.shape == (48, 128, 3) and not one.flags & Flags.DEGRADED
        known = [other for other in rights.values() if other.publish_ns < lead.publish_ns]
        assert all(abs(other.capture_ns - lead.capture_ns) >= away for other in known)
        pairs += 1
    assert pairs >= 20


def test_live_a_late_picture_gets_the_one_of_its_moment_and_not_the_newest(launch: Launch, tmp_path: Path) -> None:
    """As behind a slow network: five pictures of the other camera have come meanwhile."""
    small = np.zeros((8, 8, 3), np.uint8)
    frames = [(name, at(seq, small, late * MS)) for name, late in (("left", 170), ("right", 5)) for seq in range(1, 61)]
    path = write(tmp_path / "late.mcap", sorted(frames, key=lambda one: one[1].publish_ns), order=["left", "right"])
    engine = launch(REPLAYED.format(path=path, folder=tmp_path / "takes"))
    until(lambda: engine.node(1)["steps"] >= 30, 30, engine)
    assert engine.stop() == 0, engine.output
    found = recorded(tmp_path / "takes")
    lefts, rights = captured(found["left"]), captured(found["right"])
    pairs = [
        [line.get((source.epoch, source.seq)) for line, source in zip((lefts, rights), one.sources, strict=False)]
        for one in found["both"]
    ]
    known = [pair for pair in pairs if len(pair) == 2 and all(pair)]
    assert len(known) >= 10 and all(first.capture_ns == second.capture_ns for first, second in known)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_live_a_camera_that_dies_leaves_the_other_alone_until_it_is_back(launch: Launch, tmp_path: Path) -> None:
    engine = launch(LIVE.format(left=30, right=30, folder=tmp_path / "takes"))
    reader = None

    def next_is(paired: bool) -> bool:
        seen = reader.read() if reader else None
        return seen is not None and bool(seen.flags & Flags.DEGRADED) is not paired

    until(lambda: engine.node(BOTH)["steps"] >= 5, 30, engine)
    reader = engine.reader(BOTH)
    until(lambda: next_is(paired=True), 30, engine)
    os.kill(engine.node(RIGHT)["pid"], signal.SIGKILL)
    until(lambda: next_is(paired=False), 30, engine)
    until(lambda: next_is(paired=True) and engine.node(RIGHT)["epoch"] > 1, 30, engine)
    assert engine.stop() == 0, engine.output
    found = recorded(tmp_path / "takes")
    assert {one.sources[1].epoch for one in found["both"] if len(one.sources) > 1} >= {1, 2}
    assert all(len(one.sources) == 1 for one in found["both"] if one.flags & Flags.DEGRADED)


@pytest.mark.parametrize("left, right", [(10, 190), (140, 9)])
def test_offline_the_pairs_hang_on_the_times_alone(launch: Launch, tmp_path: Path, left: int, right: int) -> None:
    """At any rates, out of one process: it never waits for a reader that waits for it."""
    jitter = np.random.default_rng(left)
    times = {
        name: [1000 + int(place * period + jitter.integers(0, period // 5 + 1)) for place in range(4000 // period)]
        for name, period in (("left", left), ("right", right))
    }
    frames = [
        (name, at(seq, np.full((8, 8, 3), seq % 256, np.uint8), capture_ns=ms * MS, publish_ns=ms * MS + MS))
        for name, line in times.items()
        for seq, ms in enumerate(line, 1)
    ]
    path = write(tmp_path / "times.mcap", sorted(frames, key=lambda one: one[1].capture_ns), order=["left", "right"])
    engine = launch(REPLAYED.format(path=path, folder=tmp_path / "takes"), "offline")
    assert engine.wait(60) == 0, engine.output
    found = recorded(tmp_path / "takes")
    rights = captured(found["right"])
    got = [
        (found["left"][one.sources[0].seq - 1].capture_ns // MS,
         rights[one.sources[1][1:]].capture_ns // MS if len(one.sources) > 1 else None)
        for one in found["both"]
    ]  # fmt: skip
    assert got == expected(times["left"], times["right"]) and any(partner for _, partner in got)


def test_beside_takes_the_left_ones_height_and_shows_black_where_there_is_none() -> None:
    node = make(Beside)
    left = frame(np.full((40, 60, 3), 10, np.uint8), 1, pixel_format="BGR", stream=0)
    right = frame(np.full((20, 30, 3), 200, np.uint8), 1, pixel_format="BGR", stream=1)
    for second in (None, right, None):
        node.step(left=left, right=second)
    alone, both, missing = node.frames
    assert alone.shape == (40, 60, 3) and both.shape == missing.shape == (40, 120, 3)
    assert (both.array[:, :60] == 10).all() and (both.array[:, 60:] == 200).all() and len(both.sources) == 2
    assert (missing.array[:, 60:] == 0).all() and missing.flags == Flags.DEGRADED and node.metrics["alone"] == 2
    with pytest.raises(ValueError, match="pixel format"):
        node.step(left=left, right=frame(right.array, 2, pixel_format="RGB"))

"""pose.metric in an engine: its two inputs come from different nodes and are paired by their time."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from engine_kit import Engine, end, until

from engine.process import ROOT

NODES = """\
  room: {type: fault.room, total: 150}
  people: {type: fault.people}
  world: {type: pose.metric, inputs: {keypoints: people, depth: room.depth}}
"""
ROOM_DEPTH, WORLD = 1, 3  # rows of streams: room, room.depth, people, world


def test_keypoints_meet_their_depth_and_live_on_without_it(tmp_path: Path) -> None:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "faults")])
    engine = Engine(tmp_path, NODES, variables={"PYTHONPATH": paths})
    try:
        until(lambda: engine.running(), 20, engine)
        reader, found = engine.reader(WORLD), []

        def measured() -> bool:
            frame = reader.read()
            if frame is not None and frame.lens is not None:
                found.append((frame.pixel_format, frame.shape, frame.ids, len(frame.sources), frame.lens.metres))
                return bool((frame.array[..., 3] > 0.2).all() and (frame.array[..., 2] > 1).all())
            return False

        until(measured, 20, engine)
        assert found[-1] == ("WORLD", (1, 33, 4), (1,), 2, 0.001)

        def alone() -> bool:
            frame = reader.read()
            return frame is not None and frame.shape == (1, 33, 4) and not np.any(frame.array)

        until(alone, 20, engine)
        until(lambda: "no depth picture" in engine.node(2).text, 20, engine)
        assert engine.node(2).phase == "DEGRADED" and engine.node(2)["restarts"] == 0
        assert engine.stop() == 0
    finally:
        end(engine)

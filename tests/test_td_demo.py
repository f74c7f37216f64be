"""The running demo, seen through the component: every picture that it shows is one of the ring's, to the last pixel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engine_kit import NAME, Engine
from td_kit import Desk

from engine.errors import EngineError
from engine.models import model_path
from engine.process import ROOT
from engine.ring_reader import Policy

try:
    MISSING = ""
    model_path("pose_detection.tflite"), model_path("pose_landmark_full.tflite")
except EngineError as error:
    MISSING = str(error)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    nodes = (ROOT / "configs" / "demo.yaml").read_text("utf-8").partition("\nnodes:\n")[2]
    engine = Engine(tmp_path, nodes)
    yield engine
    assert engine.stop() == 0, engine.output


@pytest.mark.parametrize(("build", "pictures"), [(2025, 300), (2023, 60)])
def test_what_the_component_shows_is_what_the_ring_holds(engine: Engine, build: int, pictures: int) -> None:
    desk = Desk(NAME, build)
    desk.par.Morestreams = "camera performer"
    desk.until(lambda: desk.par.State.eval() == "LIVE" and desk.chop("pose").get("p1_present") == 1, 60)
    ring = engine.reader(3, Policy.EVERY)
    kept: dict[int, np.ndarray] = {}
    shown = compared = 0
    before, deadline = 0, time.monotonic() + 60
    reader = desk.kept.by_node[desk.picture.path].reader
    while shown < pictures:
        assert time.monotonic() < deadline, (shown, desk.par.Status.eval())
        desk.frame()
        while (frame := ring.read()) is not None:
            kept[frame.seq] = frame.array.copy()
        seq = reader.seq
        if seq != before:
            shown, before = shown + 1, seq
            if seq in kept:
                np.testing.assert_array_equal(desk.picture.image, kept[seq])
                compared += 1
        kept = {number: picture for number, picture in kept.items() if number > seq - 30}
        time.sleep(0.002)
    print(f"{shown} pictures shown, {compared} of them compared")
    assert compared > 0.9 * pictures and desk.picture.copies >= pictures
    camera, performer = desk.comp.op("picture_camera").image, desk.comp.op("picture_performer").image
    assert camera is not None and performer is not None and performer.shape == (512, 512, 4) and camera.shape[2] == 4
    assert np.ptp(desk.picture.image) > 100, "it is a picture of something"
    desk.close()

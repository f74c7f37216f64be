"""camera.realsense in an engine: its streams, and a process that hangs in the SDK is one that is replaced."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import seen, until
from realsense_kit import SMALL, Disc, lens_of, made_fixture, rs  # noqa: F401

from engine.ring_reader import Policy

LIVE = """\
  camera: {{type: fault.realsense, orders: {orders}, size: [320, 240], read_timeout: 0.5}}
  b: {{type: fault.check, input: camera, path: {folder}/seen.txt}}
"""


def phase(engine, name: str = "camera") -> str:
    return next(node.phase for node in engine.directory().health() if node.name == name)


def sentence(engine) -> str:
    return engine.node(0).text


def test_an_engine_has_both_streams_with_one_moment_and_one_lens(launch, made):
    engine = launch(f"  camera: {{type: camera.realsense, recording: {made}, fast: true, loop: true}}\n")
    until(lambda: engine.running("camera"), 30, engine)
    names = [stream.name for stream in (engine.directory().stream(0), engine.directory().stream(1))]
    images, deep = (engine.reader(names.index(name), Policy.EVERY) for name in ("camera", "camera.depth"))
    scene, found = Disc(size=SMALL), {}

    def look() -> bool:
        for reader, kind in ((images, "image"), (deep, "depth")):
            if (frame := reader.read()) is not None:
                found.setdefault(frame.capture_ns, {})[kind] = (frame.array.copy(), frame.lens)
        return any(len(pair) == 2 for pair in found.values())

    until(look, 20, engine)
    pair = next(pair for pair in found.values() if len(pair) == 2)
    (picture, lens), (metres, deep_lens) = pair["image"], pair["depth"]
    k = next(k for k in range(20) if np.array_equal(picture, scene(k)[0]))
    assert np.array_equal(metres[..., 0], scene(k)[1])
    assert lens == lens_of(SMALL) and deep_lens.metres == pytest.approx(0.001)


def test_an_offline_engine_gives_every_pair_once(launch, made, tmp_path):
    engine = launch(
        f"  camera: {{type: camera.realsense, recording: {made}}}\n"
        f"  b: {{type: fault.check, input: camera, path: {tmp_path}/seen.txt}}\n",
        "offline",
    )
    assert engine.wait() == 0, engine.output
    assert len(seen(tmp_path)) == 20


def test_an_unplugged_camera_comes_back_and_a_hanging_sdk_costs_a_process(launch, tmp_path):
    orders = tmp_path / "orders.txt"
    engine = launch(LIVE.format(orders=orders, folder=tmp_path))
    until(lambda: engine.running("camera") and len(seen(tmp_path)) > 3, 30, engine)
    orders.write_text("unplugged")
    until(lambda: phase(engine) == "DEGRADED", 20, engine)
    assert "unplugged" in sentence(engine) or "No RealSense" in sentence(engine)
    orders.write_text("")
    until(lambda: engine.running("camera"), 20, engine)
    assert engine.node(0)["restarts"] == 0
    orders.write_text("hanging")
    until(lambda: engine.node(0)["restarts"] == 1 and phase(engine) == "DEGRADED", 30, engine)
    assert "No RealSense camera is connected" in sentence(engine)  # `required`, but it was there before
    assert "The RealSense SDK hangs while it stops the camera" in engine.output
    before = len(seen(tmp_path))
    orders.write_text("")
    until(lambda: engine.running("camera") and len(seen(tmp_path)) > before, 20, engine)
    assert engine.node(0)["restarts"] == 1 and engine.stop() == 0

"""kill -9 at every point of the protocol (K0 to K7, engine/crash.py), for every kind of node, while others read on.

Streams of real graphs lose their writer at each point once. What died with it is never seen, what was published is,
and the counts of all readers say the same.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_kit import Engine
from watch_kit import Watcher

from engine import bus
from engine.errors import EngineError, Exit
from engine.frame import Frame
from engine.models import model_path
from engine.process import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills by Linux's means")
POINTS = ["K1", "K2", "K3", "K4", "K5", "K6", "K0"]  # in the order of the protocol
UNPUBLISHED = {"K1", "K2", "K3", "K4", "K5"}  # before PUBLISH: the frame dies with its writer
APART = 8  # frames from one death to the next

VISITOR, PERFORMER = ROOT / "assets" / "visitor.mp4", ROOT / "assets" / "performer.safetensors"
FOOTAGE = f"""\
  camera: {{type: camera.opencv, source: {VISITOR}, loop: true}}
  pose: {{type: pose.blazepose, input: camera, quality: lite}}
  generator: {{type: generator.figure, input: pose, size: [128, 128]}}
  output: {{type: output.touchdesigner, input: generator, size: [128, 128], fps: 30}}
"""
DRAWN = f"""\
  camera: {{type: camera.performer, size: [128, 128]}}
  generator: {{type: generator.performer, input: camera.keypoints, performer: {PERFORMER}, size: 64}}
  output: {{type: output.touchdesigner, input: generator, size: [64, 64], fps: 30}}
"""
Deaths = dict[str, dict[int, str]]  # by stream: frame and point


def deaths_of(points: dict[str, list[str]]) -> Deaths:
    """Each stream's writer dies at these points one after the other."""
    return {
        stream: {APART * number: point for number, point in enumerate(chosen, 1)} for stream, chosen in points.items()
    }


def rehearsal(deaths: Deaths) -> dict[str, str]:
    plan = [f"{stream}:{point}:{frame}" for stream, dead in deaths.items() for frame, point in dead.items()]
    return {"UTSUSHI_CRASH_AT": ",".join(plan)}


def frames_of(path: Path) -> Callable[[Frame], bool]:
    """Whether a picture is one of the video's, to the last pixel."""
    video, sums = cv2.VideoCapture(str(path)), set()
    while (read := video.read())[0]:
        sums.add(zlib.crc32(read[1]))
    return lambda frame: zlib.crc32(frame.array) in sums


def sensible(frame: Frame) -> bool:
    """Keypoints that are on or near the picture."""
    width, height = frame.canvas
    x, y, score = frame.array[..., 0], frame.array[..., 1], frame.array[..., 3]
    finite = np.isfinite(frame.array).all()
    near = (np.abs(x - width / 2) < 2 * width).all() and (np.abs(y - height / 2) < 2 * height).all()
    return bool(finite and near and (score >= 0).all() and (score <= 1).all())


def die_and_come_back(engine: Engine, watcher: Watcher, deaths: Deaths) -> None:
    names = [node.name for node in engine.directory().health()]
    client = bus.Client(engine.directory()["control_port"])
    restarts: dict[str, int] = {}

    def survived() -> bool:
        for stream in deaths:
            node = stream.partition(".")[0]
            if (now := engine.node(names.index(node))["restarts"]) != restarts.get(node, 0):
                restarts[node] = now
                client.send(bus.Set(node=node, values={}, version=0))  # a word from a person ends the back-off
        return all(watcher.frames[stream] and watcher.newest(stream).seq > max(dead) for stream, dead in deaths.items())

    watcher.wait(survived, 120)
    watcher.wait(lambda: engine.running() and watcher.live())
    client.close()
    for stream, dead in deaths.items():
        numbers, books = watcher.numbers(stream), watcher.readers[watcher.names.index(stream)].ring.books
        lost = {frame for frame, point in dead.items() if point in UNPUBLISHED}
        assert not numbers & lost and books.lost == len(lost)
        assert dead.keys() - lost <= numbers or books.missed, "what was published is there"
        assert {seen.epoch for seen in watcher.frames[stream]} == set(range(1, len(dead) + 2))
    books_balance(engine, {stream: len(UNPUBLISHED & set(dead.values())) for stream, dead in deaths.items()})


def books_balance(engine: Engine, dead: dict[str, int]) -> dict[str, Any]:
    """dead: how many frames of each stream died with a writer. Every reader of the engine counts them so.

    Returns what was counted, by stream."""
    client = bus.Client(engine.directory()["control_port"])
    client.send(bus.Stats())
    answer = client.receive(10)
    client.close()
    assert isinstance(answer, bus.Stats)
    for stream, lost in dead.items():
        counted = answer.figures["streams"][stream]
        for counts in counted["readers"].values():
            missed = counts["skipped"] + counts["overrun"]
            assert counts["lost"] == lost and 0 <= counted["published"] - counts["received"] - missed <= 8, counts
    return answer.figures["streams"]


def models_missing() -> str:
    try:
        model_path("pose_detection.tflite"), model_path("pose_landmark_lite.tflite")
    except EngineError as error:
        return str(error)
    return ""


@pytest.mark.skipif(bool(models_missing()), reason=models_missing())
def test_camera_pose_figure_and_output_die_at_every_point(launch: Callable[..., Engine]) -> None:
    deaths = deaths_of(dict.fromkeys(["camera", "pose", "generator", "output"], POINTS))
    engine = launch(FOOTAGE, variables=rehearsal(deaths))
    watcher = Watcher(engine, {"camera": frames_of(VISITOR), "pose": sensible}, output="output")
    die_and_come_back(engine, watcher, deaths)
    watcher.stop()
    assert engine.stop() == Exit.OK, engine.output


def test_the_drawn_camera_dies_at_every_point_and_the_trained_performer_at_two(launch: Callable[..., Engine]) -> None:
    """PyTorch takes long to start, and the ring cannot tell one generator from another."""
    deaths = deaths_of({"camera": POINTS, "generator": ["K2", "K5"]})
    engine = launch(DRAWN, variables=rehearsal(deaths))
    watcher = Watcher(engine, {"camera.keypoints": sensible}, output="output")
    die_and_come_back(engine, watcher, deaths)
    watcher.stop()
    assert engine.stop() == Exit.OK, engine.output


def test_a_reader_that_dies_in_the_middle_of_a_copy_takes_nothing_along(launch: Callable[..., Engine]) -> None:
    nodes = """\
  a: {type: fault.count, fps: 60}
  b: {type: filter.mirror, input: a}
  c: {type: output.touchdesigner, input: b, size: [64, 64], fade: 0}
"""
    engine = launch(nodes, variables={"UTSUSHI_CRASH_AT": "b:K7:30,b:K7:150,c:K7:150"})
    watcher = Watcher(engine)
    watcher.wait(lambda: engine.node(1)["restarts"] == 2 and engine.node(2)["restarts"] == 1)
    watcher.wait(lambda: engine.running() and watcher.live())
    watcher.wait_for_more("b")
    assert {seen.epoch for seen in watcher.frames["a"]} == {1}, "the writer did not notice"
    counted = books_balance(engine, {"a": 0, "b": 0})
    slots = watcher.readers[0].ring.geometry.slots
    assert counted["a"]["readers"]["b"]["skipped"] > 3 * slots, "nor did it wait: two deaths' worth of frames went by"
    watcher.stop()
    assert engine.stop() == Exit.OK, engine.output


@pytest.mark.parametrize("what", ["camera", "camera:K9:3", "camera:K2:x", "camera:K2:1:1"])
def test_a_rehearsal_that_nobody_understands_is_a_sentence(launch: Callable[..., Engine], what: str) -> None:
    engine = launch("  camera: {type: camera.pattern, size: [32, 32]}\n", variables={"UTSUSHI_CRASH_AT": what})
    assert engine.wait() == Exit.BAD_INPUT
    assert "Write NAME:POINT:FRAME" in engine.output


@pytest.mark.parametrize("what", ["camra:K2:3", "camra:K7:3"])
def test_a_rehearsal_for_nobody_is_a_sentence(launch: Callable[..., Engine], what: str) -> None:
    engine = launch("  camera: {type: camera.pattern, size: [32, 32]}\n", variables={"UTSUSHI_CRASH_AT": what})
    assert engine.wait() == Exit.BAD_INPUT
    assert "names 'camra'" in engine.output and "one of: camera" in engine.output

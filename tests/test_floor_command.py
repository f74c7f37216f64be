"""`run_engine.py calibrate`, with a room in an engine of its own, in one that runs, and in a recording."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from engine_kit import Engine, end, leftovers, until

from engine.errors import Exit
from engine.process import ROOT
from engine.setup.launch import INTERRUPTED
from nodes.pose.floor import command, source
from nodes.pose.floor import plane as floors

ROOM = "  room: {type: fault.room}\n"


@pytest.fixture
def calibrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command, with a config of these nodes where one is given, writing floor.json in the test's folder."""
    paths = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "faults")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(paths[2])
    monkeypatch.setattr(source, "OWN_ENGINE", f"f{os.getpid() % 100000}")

    def run(*arguments: str, nodes: str = "", name: str = "unused") -> int:
        if nodes:
            (tmp_path / "config.yaml").write_text(f"engine: {{name: {name}, osc: false}}\nnodes:\n{nodes}")
            arguments = ("--config", str(tmp_path / "config.yaml"), *arguments)
        return command.main(["calibrate", "--frames", "4", "--out", str(tmp_path / "floor.json"), *arguments])

    return run


def written(folder: Path) -> floors.Floor:
    found = floors.read(folder / "floor.json")
    assert found.height == pytest.approx(1.7, abs=0.02) and found.tilt == pytest.approx((20, 0), abs=0.5)
    return found


def test_a_config_whose_engine_does_not_run(
    calibrate: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = ROOM + "  never: {type: output.touchdesigner, input: room, size: [16, 16]}\n"
    assert calibrate(nodes=nodes) == Exit.OK
    found, told = written(tmp_path), capsys.readouterr().out
    assert found.size == (320, 240) and found.lens.metres == 0.001
    assert f"floor: {tmp_path / 'floor.json'}" in told  # a path that a config can name, wherever the command was typed
    for words in ("4 depth pictures, 320 × 240, of room.depth", "m above the floor, looks", "% of all measured points"):
        assert words in told
    assert "never" not in told  # only the camera is started
    picture = cv2.imread(str(tmp_path / "floor.png"))
    assert picture.shape == (240, 320, 3)
    green = (picture[..., 1].astype(int) - picture[..., 2]) > 30
    assert green[180:225].mean() > 0.6 and green[:60].mean() < 0.02  # the floor below, the wall above


def test_an_engine_that_runs_is_read_and_left_alone(
    calibrate: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(tmp_path, ROOM, variables={"PYTHONPATH": os.environ["PYTHONPATH"]})
    try:
        until(lambda: engine.running("room"), 20, engine)
        assert calibrate("--engine", engine.name) == Exit.OK
        written(tmp_path)
        assert calibrate("--config", str(engine.config)) == Exit.OK
        assert "runs; taking its pictures" in capsys.readouterr().out
        assert calibrate("--engine", engine.name, "--stream", "room") == Exit.BAD_INPUT
        assert "carries no depth pictures" in capsys.readouterr().err
        assert calibrate("--engine", engine.name, "--stream", "rom.depth") == Exit.BAD_INPUT
        assert "there are room, room.depth" in capsys.readouterr().err
        assert engine.running("room") and engine.node(0)["restarts"] == 0
        assert engine.stop() == 0
    finally:
        end(engine)


def test_depth_that_the_config_does_not_ask_for(calibrate: Callable[..., int], tmp_path: Path) -> None:
    assert calibrate(nodes="  room: {type: fault.room, depth: false}\n") == Exit.OK
    written(tmp_path)


def test_a_camera_that_was_set_up_anew_meanwhile(calibrate: Callable[..., int], tmp_path: Path) -> None:
    nodes = "  room: {type: fault.room, halve_at: 25, colour: false}\n"
    assert calibrate("--frames", "10", nodes=nodes) == Exit.OK
    assert written(tmp_path).size == (160, 120)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_whoever_ends_it_nothing_stays_behind(
    calibrate: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    number = getattr(signal, name)

    def look(*_: object) -> None:
        assert sys.platform != "linux" or leftovers(source.OWN_ENGINE)
        signal.raise_signal(number)

    def missed(*_: object) -> None:
        raise AssertionError(f"{name} was not caught")

    monkeypatch.setattr(source.Engine, "look", look)
    before = signal.signal(signal.SIGTERM, missed), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert calibrate(nodes=ROOM) == INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    assert not leftovers(source.OWN_ENGINE) and not (tmp_path / "floor.json").exists()


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ("  room: {type: fault.room, floor: false}\n", "No floor was found"),
        ("  room: {type: fault.room, lens: false}\n", "do not say through which lens"),
        ("  room: {type: fault.room}\n  hall: {type: fault.room}\n", "choose with --stream one of"),
        ("  camera: {type: camera.pattern}\n", "has no camera with depth"),
        ("  room: {type: fault.room, floo: 1}\n", "floo"),
    ],
    ids=["no floor", "no lens", "two cameras", "no depth", "bad config"],
)
def test_what_cannot_be_is_a_sentence_and_loses_nothing(
    calibrate: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], nodes: str, told: str
) -> None:
    (tmp_path / "floor.json").write_text("before")
    assert calibrate(nodes=nodes) != Exit.OK
    said = capsys.readouterr().err
    assert said.startswith("error: ") and told in said
    assert (tmp_path / "floor.json").read_text() == "before" and not (tmp_path / "floor.png").exists()


def test_a_camera_that_falls_silent_is_not_waited_for_for_ever(
    calibrate: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PATIENCE_S", 2.0)
    nodes = "  room: {type: fault.room, total: 30, colour: false}\n"
    assert calibrate("--frames", "300", nodes=nodes) == Exit.BAD_INPUT
    assert "No depth picture has come from room for 2 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--engine", "nobody-here"], "No engine named 'nobody-here' runs"),
        (["--recording", "nothing.db3"], "There is no recording nothing.db3"),
        (["--config", "nothing.yaml"], "nothing.yaml"),
        (["--out", "floor.png"], "ends in .json"),
        (["--out", "no/such/folder/floor.json"], "cannot be written"),
    ],
)
def test_wrong_words_are_answered(
    calibrate: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert calibrate(*arguments) in (Exit.BAD_INPUT, Exit.USAGE)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("frames", ["0", "-1", "301", "x", "1e3", "²"])
def test_a_number_of_pictures_that_makes_no_sense(frames: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["calibrate", "--frames", frames])
    assert "number from 1 to 300" in capsys.readouterr().err


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Path]:
    """A room, recorded with the SDK's own recorder."""
    kit = pytest.importorskip("realsense_kit", reason="there is no pyrealsense2 here")
    from metric_kit import FLOOR, PERSON, WALL, room

    depth = room([FLOOR, WALL, PERSON], 20, height=1.7, noise=0.003, holes=0.05, lens=kit.lens_of(metres=0.001))
    picture = np.full((480, 640, 3), 90, np.uint8)
    yield kit.make_recording(tmp_path / "room.db3", frames=12, scene=lambda k: (picture, depth))


def test_a_recording(calibrate: Callable[..., int], tmp_path: Path, recording: Path) -> None:
    assert calibrate("--recording", str(recording)) == Exit.OK
    assert written(tmp_path).size == (640, 480)

"""Performers come and go while the show runs: no frame is missed, and no file can end it."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from engine_kit import Engine, until
from people import keypoints, standing

from engine import bus
from engine.errors import BadInput, Exit
from engine.frame import Flags

pytest.importorskip("torch")
from performer_kit import Play, painted, play_fixture, write_performer  # noqa: F401
from safetensors.numpy import load, save

from nodes.generator import performer
from nodes.generator.backends import choose
from nodes.generator.playing import swap

HERE = standing()[None]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("performers")
    return [write_performer(folder / f"{seed}.safetensors", seed) for seed in range(3)]


@pytest.fixture(scope="module")
def looks(files: list[Path]) -> list[np.ndarray]:
    return [painted(file, standing()) for file in files]


def shows(picture: np.ndarray) -> Callable[[Any], bool]:
    return lambda frame: np.array_equal(frame.array, picture)


def put(path: Path, data: bytes) -> None:
    """As the trainer does: whoever looks sees the old file or the new one."""
    part = path.with_suffix(".part")
    part.write_bytes(data)
    os.replace(part, path)


# --- a swap ---


def test_a_live_setting_swaps_between_two_frames_and_every_step_gives_a_frame(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play]
) -> None:
    show = play(files[0])
    show.step(HERE)
    for number in (1, 2, 0):
        show.change(performer=str(files[number]))
        before = len(show.node.frames)
        frames = show.until(shows(looks[number]), HERE)
        assert len(show.node.frames) - before == len(frames)
        assert all(shows(looks[number - 1])(frame) for frame in frames[:-1]), "one or the other, nothing between"
        assert all(frame.flags == Flags(0) for frame in frames)
    assert show.node.complaints == []


def test_a_list_takes_the_place_of_one(files: list[Path], looks: list[np.ndarray], play: Callable[..., Play]) -> None:
    show = play(files[0])
    show.change(performer=[str(files[2]), str(files[1])])
    show.until(shows(looks[2]), HERE)
    assert len(show.node.cast.performers) == 2
    show.change(performer=str(files[1]))
    show.until(shows(looks[1]), HERE)
    assert len(show.node.cast.performers) == 1


def test_other_live_settings_and_bad_files_change_no_cast_and_whoever_is_there_keeps_the_slot(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play], tmp_path: Path
) -> None:
    show = play(*files[:2], crossfade=2, hold=0.0, fade=0.0)
    show.step(np.repeat(HERE, 2, 0), ids=(1, 2))
    show.node.step(keypoints=keypoints(HERE, ids=(2,), capture_ns=show.time_ns + 1))
    cast = show.node.cast
    show.change(mirror=True, watch=False)
    time.sleep(2 * swap.LOOK_S)
    show.change(mirror=False, performer=[str(files[0]), str(tmp_path / "none.safetensors")])
    until(lambda: show.node.loader.trouble, 30)
    show.step(HERE, ids=(2,))
    assert show.node.cast is cast
    show.change(performer=[str(files[0]), str(files[2])], crossfade=0)
    until(lambda: show.step(HERE, ids=(2,)) and show.node.cast is not cast, 30)
    assert shows(looks[2])(show.step(HERE, ids=(2,)))


def test_a_crossfade_mixes_both_and_lets_go_of_the_old_one_after_it(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play]
) -> None:
    show = play(files[0], crossfade=3)
    show.step(HERE)
    closed: list[int] = []
    leaving = show.node.cast.performers[0].backend
    leaving.close = lambda: closed.append(len(show.node.frames))
    show.change(performer=str(files[1]))
    frames = show.until(shows(looks[1]), HERE)
    mixed = [frame.array for frame in frames if not shows(looks[0])(frame)]
    assert len(mixed) == 4
    for number, picture in enumerate(mixed[:3], 1):
        expected = cv2.addWeighted(looks[0], 1 - number / 4, looks[1], number / 4, 0)
        assert np.array_equal(picture, expected)
    last_use = len(show.node.frames) - 1
    show.until(lambda frame: bool(closed), HERE)
    assert len(closed) == 1 and closed[0] >= last_use


def test_an_old_performer_is_closed_once_and_the_one_that_plays_never(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play]
) -> None:
    show = play(files[0], files[1])
    closed: list[str] = []
    for name, old in zip("ab", show.node.cast.performers, strict=True):
        old.backend.close = lambda name=name: closed.append(name)
    show.change(performer=[str(files[2]), str(files[1])])
    show.until(lambda frame: closed == ["a"] and shows(looks[2])(frame), HERE)
    time.sleep(2 * swap.LOOK_S)
    assert closed == ["a"]


# --- bad files ---


def unknown_version(data: bytes) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return save(load(data), {**header["__metadata__"], "format": "utsushi.performer/9"})


BAD: dict[str, tuple[Callable[[bytes], bytes | None], str]] = {
    "missing": (lambda data: None, "cannot be read"),
    "empty": (lambda data: b"", "is no"),
    "garbage": (lambda data: b"\x00garbage" * 1000, "is no"),
    "truncated": (lambda data: data[: len(data) // 2], "is no whole safetensors file"),
    "unknown version": (unknown_version, "utsushi.performer/9"),
    "wrong weights": (lambda data: data[:-40000] + b"\xff" * 40000, "no finite float16"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_a_sentence_the_one_that_runs_stays_and_a_good_file_heals(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play], tmp_path: Path, kind: str
) -> None:
    damage, sentence = BAD[kind]
    path = tmp_path / "next.safetensors"
    if (data := damage(files[1].read_bytes())) is not None:
        path.write_bytes(data)
    show = play(files[0], watch=False)
    show.change(performer=str(path))
    frames = show.until(lambda frame: bool(show.trouble), HERE)
    assert all(shows(looks[0])(frame) for frame in frames)
    assert sentence in show.node.complaints[-1] and str(path) in show.node.complaints[-1]
    put(path, files[1].read_bytes())
    show.until(shows(looks[1]), HERE)
    show.until(lambda frame: not show.trouble, HERE)
    assert show.node.complaints == []


def test_one_bad_file_of_two_leaves_the_other_its_part(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play], tmp_path: Path
) -> None:
    show = play(files[0], tmp_path / "none.safetensors")
    assert shows(looks[0])(show.step(HERE)) and "none.safetensors cannot be read" in show.trouble


# --- a file that changes ---


def test_a_watched_file_is_loaded_again_and_an_unwatched_one_is_not(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play], tmp_path: Path
) -> None:
    path = tmp_path / "training.safetensors"
    put(path, files[0].read_bytes())
    show = play(path)
    put(path, files[1].read_bytes())
    show.until(shows(looks[1]), HERE)
    show.change(watch=False)
    put(path, files[2].read_bytes())
    until_settled = time.monotonic() + swap.SETTLED_S + 4 * swap.LOOK_S
    show.until(lambda frame: time.monotonic() > until_settled, HERE)
    assert shows(looks[1])(show.step(HERE))
    show.change(watch=True)
    show.until(shows(looks[2]), HERE)
    assert show.node.complaints == []


def test_a_file_that_is_still_being_written_is_waited_for(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(swap, "SETTLED_S", 3.0)  # a busy machine may write slowly
    path, data = tmp_path / "copied.safetensors", files[1].read_bytes()
    put(path, files[0].read_bytes())
    show = play(path)
    frames = []
    with path.open("wb") as file:  # a slow copy, in place
        for begin in range(0, len(data), len(data) // 4):
            file.write(data[begin : begin + len(data) // 4])
            file.flush()
            deadline = time.monotonic() + 2 * swap.LOOK_S
            frames += show.until(lambda frame, deadline=deadline: time.monotonic() > deadline, HERE)
            assert show.trouble == "", "nobody has tried to load the half"
    assert all(shows(looks[0])(frame) for frame in frames)
    show.until(shows(looks[1]), HERE)


def test_a_file_that_is_taken_away_changes_nothing(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play], tmp_path: Path
) -> None:
    path = tmp_path / "gone.safetensors"
    put(path, files[0].read_bytes())
    show = play(path)
    path.unlink()
    frames = show.until(lambda frame: "cannot be read" in show.trouble, HERE)
    assert all(shows(looks[0])(frame) for frame in frames)
    put(path, files[1].read_bytes())
    show.until(shows(looks[1]), HERE)


def test_the_same_performer_trained_on_leaves_visitors_where_they_are(
    files: list[Path], play: Callable[..., Play], tmp_path: Path
) -> None:
    path = tmp_path / "training.safetensors"
    put(path, files[0].read_bytes())
    show = play(path, fit="stage")
    show.step(HERE)
    fitter = show.node.cast.performers[0].fitter
    before = show.node.cast
    put(path, files[1].read_bytes())
    show.until(lambda frame: show.node.cast is not before, HERE)
    assert show.node.cast.performers[0].fitter is fitter


# --- what is loaded, and how ---


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """`choose.prepare` as the test moves it: it answers when `answer` is set, and gives in when it is unwanted."""
    stand_in = SimpleNamespace(answer=threading.Event(), asked=[], given_up=[], refuse=None)

    def prepare(path: Path, *_: object, wanted: Callable[[], bool]) -> Path:
        stand_in.asked.append(path)
        while not stand_in.answer.wait(0.01):
            if not wanted():
                stand_in.given_up.append(path)
                raise choose.Unwanted
        if stand_in.refuse:
            raise BadInput(stand_in.refuse)
        return path

    def load(path: Path, people: int) -> Any:
        backend = choose.load_with_torch(path, "cpu", 1, 64, people)
        backend.name = "better"
        return backend

    monkeypatch.setattr(choose, "prepare", prepare)
    monkeypatch.setattr(choose, "remembered", lambda *_: False)
    monkeypatch.setattr(choose, "load", load)
    monkeypatch.setattr(performer, "FIRST_WAIT_S", 0.5)
    yield stand_in
    stand_in.answer.set()


def test_torch_plays_at_once_until_it_is_known_what_is_quicker(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play], prepared: SimpleNamespace
) -> None:
    show = play(files[0], backend="auto")
    show.until(shows(looks[0]), HERE)
    assert show.node.metrics["backend"] == "torch"
    prepared.answer.set()
    show.until(lambda frame: show.node.metrics["backend"] == "better", HERE)
    assert show.node.complaints == [] and prepared.asked == [files[0]]


def test_what_cannot_be_found_out_leaves_torch_playing_with_a_sentence(
    files: list[Path], play: Callable[..., Play], prepared: SimpleNamespace
) -> None:
    prepared.refuse = "It could not be prepared."
    prepared.answer.set()
    show = play(files[0], backend="auto")
    show.until(lambda frame: show.trouble == prepared.refuse, HERE)
    time.sleep(2 * swap.LOOK_S)
    assert show.step(HERE).flags == Flags(0) and prepared.asked == [files[0]]


def test_a_wish_replaces_the_one_before_even_while_that_is_being_loaded(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play], prepared: SimpleNamespace
) -> None:
    show = play(files[0], backend="onnx", tried=False)
    assert show.step(HERE).flags == Flags.DEGRADED and "is being loaded" in show.node.complaints[-1]
    for number in (1, 2):
        show.until(lambda frame, number=number: len(prepared.asked) >= number, HERE)
        show.change(performer=str(files[number]))
    show.until(lambda frame: len(prepared.asked) == 3, HERE)
    prepared.answer.set()
    show.until(shows(looks[2]), HERE)
    assert prepared.given_up == files[:2] and prepared.asked == files


def test_closing_gives_up_what_is_being_loaded(
    files: list[Path], play: Callable[..., Play], prepared: SimpleNamespace
) -> None:
    show = play(files[0], backend="onnx", tried=False)
    show.node.close()
    assert prepared.given_up == [files[0]] and not show.node.loader._thread.is_alive()


def test_a_mistake_while_loading_is_said_and_does_not_end_the_watch(
    files: list[Path], looks: list[np.ndarray], play: Callable[..., Play], monkeypatch: pytest.MonkeyPatch
) -> None:
    show = play(files[0])
    with monkeypatch.context() as patch:
        patch.setattr(swap.checkpoint, "look", lambda path: 1 / 0)
        show.change(performer=str(files[1]))
        show.until(lambda frame: "division by zero" in show.trouble, HERE)
    show.change(performer=str(files[2]))
    show.until(shows(looks[2]), HERE)
    assert show.trouble == ""


# --- a whole engine ---

NODES = """\
  people: {{type: fault.people, fps: 30}}
  dancer: {{type: generator.performer, input: people, performer: {file}, fit: exact, clamp: 0, {how}}}
  output: {{type: output.touchdesigner, input: dancer, size: [64, 64]}}
"""


def test_killed_while_it_loads_the_show_goes_on_and_plays_what_was_asked_for(
    launch: Callable[..., Engine], files: list[Path]
) -> None:
    engine = launch(NODES.format(file=files[0], how="threads: 1"))
    dancer = engine.node(1)
    until(lambda: _children(dancer["pid"]), 60, engine)  # torch plays, and a child looks for something better
    client = bus.Client(engine.directory()["control_port"])
    client.send(bus.Set(node="dancer", values={"performer": str(files[1])}))
    answer = client.receive(10)
    assert isinstance(answer, bus.Ack) and answer.ok
    before, children = engine.pids(), _children(dancer["pid"])
    os.kill(before[1], signal.SIGKILL)
    until(lambda: dancer["restarts"] == 1 and engine.running(), 60, engine)
    after = engine.pids()
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
    if sys.platform == "linux":
        until(lambda: not any(child.is_running() for child in children), 10)
    frames, reader = [], engine.reader(1)

    def plays() -> bool:
        if (frame := reader.read()) is not None:
            frames.append(frame)
        return bool(frames) and not frames[-1].flags & Flags.DEGRADED

    until(plays, 30, engine)
    assert np.abs(frames[-1].array.astype(int) - painted(files[1], standing())).max() <= 2
    until(lambda: _figures(client)["metrics"].get("backend"), 10, engine)
    assert _figures(client)["state"] == "RUNNING"
    client.close()
    children = _children(dancer["pid"])
    assert engine.stop() == Exit.OK
    until(lambda: not any(child.is_running() for child in children), 10)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _figures(client: bus.Client) -> dict[str, Any]:
    client.send(bus.Stats())
    answer = client.receive(10)
    assert isinstance(answer, bus.Stats)
    return answer.figures["nodes"]["dancer"]

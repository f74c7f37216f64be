"""`performer record`: an empty stage that is empty, a clip of constant rate, and cameras that fail."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_kit import Camera, grab_threads
from camera_kit import nothing_hangs_fixture as nothing_hangs_fixture
from camera_kit import server_fixture as server_fixture

from engine.errors import BadInput, EngineError, Exit
from nodes.camera.painter.stage import empty_stage
from nodes.generator.footage import plates, record, sources
from nodes.generator.footage.clip import Clip
from nodes.generator.footage.record import Wanted
from nodes.generator.footage.sources import Lost
from nodes.generator.footage.writer import open_writer
from nodes.generator.training import commands

pytestmark = pytest.mark.usefixtures("nothing_hangs")

GREY = np.full((64, 80, 3), 100, np.uint8)


class Scripted:
    """A camera that gives a list of (picture, seconds), then is lost."""

    name = "a scripted camera"

    def __init__(self, pictures: Iterator[tuple[np.ndarray, float]]):
        self._pictures, self.closed = pictures, False

    def next(self) -> tuple[np.ndarray, float]:
        for picture, at in self._pictures:
            return picture, at
        raise Lost("The scripted camera is over.")

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    def use(pictures: Iterator[tuple[np.ndarray, float]]) -> Scripted:
        source = Scripted(pictures)
        monkeypatch.setattr(record, "open_source", lambda *_: source)
        return source

    return use


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("grab "):
            thread.join(5)
    assert grab_threads() == []


def nobody(_: np.ndarray) -> bool:
    return False


def numbered(count: int, fps: float, start: int = 0) -> Iterator[tuple[np.ndarray, float]]:
    """Grey pictures for two seconds, then each a little brighter."""
    for number in range(start, count):
        bright = max(0, number - round(2 * fps)) % 40 * 3
        yield np.clip(GREY + np.uint8(bright), 0, 255).astype(np.uint8), number / fps


def run(out: Path, say: Callable | None = None, somebody: Callable = nobody, **settings) -> list[str]:
    said: list[str] = []

    def both(text: str) -> None:
        said.append(text)
        if say:
            say(text)

    settings = {"countdown": 0, "plate_seconds": 2, "seconds": 2, "fps": 10, **settings}
    record.record(Wanted(out, **settings), both, somebody)
    return said


def test_a_recording_without_any_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(record, "_detector", lambda: nobody)
    out, preview = tmp_path / "dance", tmp_path / "now.jpg"
    words = ["--seconds", "2", "--plate-seconds", "0.5", "--countdown", "0.4", "--size", "129x96", "--fps", "20"]
    words = ["performer", "record", "--out", str(out), "--source", "synthetic", "--preview", str(preview), *words]
    assert commands.main(words) == Exit.OK
    clip = Clip(out / "clip.mp4")
    pictures = np.stack(list(clip.read_all()))
    assert (len(pictures), clip.fps, clip.size, clip.remarks) == (40, 20, (128, 96), [])
    plate = plates.from_file(out / "plate.png", clip.size).picture
    assert np.abs(plate.astype(int) - empty_stage(129, 96)[:, :128]).mean() < 6
    assert (np.abs(pictures.astype(int) - plate).max(3) > 60).any((1, 2)).all()  # somebody is in every picture
    assert (out / "consent.txt").read_text(encoding="utf-8") == "synthetic; nobody\n"
    assert cv2.imread(str(preview)).shape == (96, 128, 3)
    said = capsys.readouterr().out
    assert "Step out of the picture: 1 …" in said and "Step in: 1 …" in said
    if sys.platform != "win32":
        command = shlex.split(said[said.index("Next: ") :])
        assert command[3:5] == ["performer", "extract"] and Path(command[5]) == out / "clip.mp4"
        assert command[command.index("--consent") + 1] == "synthetic; nobody"
        commands.command_parser().parse_args(command[4:])


def test_the_stage_and_the_clip_have_the_same_colours(tmp_path: Path, scripted) -> None:
    colourful = np.random.default_rng(1).integers(0, 255, (8, 10, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    scripted((colourful, n / 10) for n in range(60))
    run(tmp_path / "out")
    plate = cv2.imread(str(tmp_path / "out" / "plate.png")).astype(int)
    (last,) = (picture for number, picture in Clip(tmp_path / "out" / "clip.mp4").read([19]))
    assert np.abs(plate - last).mean() < 1


# --- the empty stage ---


def test_somebody_on_the_empty_stage_is_asked_to_leave(tmp_path: Path, scripted) -> None:
    scripted(numbered(200, 10))
    answers = iter([True])
    said = run(tmp_path / "out", somebody=lambda _: next(answers, False), seconds=1, plate_seconds=0.5)
    assert said.count("Somebody is in the picture. Again:") == 1
    assert len([text for text in said if text.startswith("Stay out")]) == 2


def test_somebody_who_never_leaves_ends_it(tmp_path: Path, scripted) -> None:
    source = scripted(numbered(200, 10))
    with pytest.raises(BadInput, match="Somebody is in the picture"):
        run(tmp_path / "out", somebody=lambda _: True)
    assert source.closed and not list(tmp_path.iterdir())


def test_a_stage_that_moves_is_no_plate(tmp_path: Path, scripted) -> None:
    scripted((np.roll(GREY + np.uint8(120) * (np.arange(80) < 20)[:, None], n, 1), n / 10) for n in range(200))
    with pytest.raises(BadInput, match="Something moves"):
        run(tmp_path / "out")


# --- the clip ---


def test_late_pictures_are_repeated_and_told(tmp_path: Path, scripted) -> None:
    scripted(numbered(200, 10))
    said = run(tmp_path / "out", fps=30)
    assert any(text.startswith("Warning: 6") and "repeat" in text for text in said)  # two of three
    clip = Clip(tmp_path / "out" / "clip.mp4")
    assert clip.fps == 30 and len(list(clip.read_all())) == pytest.approx(60, abs=3)


def test_pictures_that_come_too_fast_are_left_out(tmp_path: Path, scripted) -> None:
    scripted(numbered(400, 40))
    said = run(tmp_path / "out", fps=10)
    assert not [text for text in said if "Warning" in text]
    assert len(list(Clip(tmp_path / "out" / "clip.mp4").read_all())) == pytest.approx(20, abs=1)


def test_the_rate_is_measured(tmp_path: Path, scripted) -> None:
    scripted(numbered(200, 24.97))
    run(tmp_path / "out", fps=0)
    assert Clip(tmp_path / "out" / "clip.mp4").fps == 25


def test_a_recording_is_never_overwritten(tmp_path: Path, scripted) -> None:
    scripted(numbered(200, 10))
    run(tmp_path / "out")
    before = (tmp_path / "out" / "clip.mp4").read_bytes()
    with pytest.raises(BadInput, match="holds a recording already"):
        run(tmp_path / "out")
    assert (tmp_path / "out" / "clip.mp4").read_bytes() == before


def test_what_a_killed_recording_left_is_not_overwritten_either(tmp_path: Path, scripted) -> None:
    scripted(numbered(200, 10))
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "clip.mp4").write_bytes(b"two minutes of dance")
    with pytest.raises(BadInput, match="out.part holds a recording already"):
        run(tmp_path / "out")
    assert (tmp_path / "out.part" / "clip.mp4").exists()


def test_ctrl_c_ends_the_performance_and_keeps_it(tmp_path: Path, scripted) -> None:
    def pictures() -> Iterator[tuple[np.ndarray, float]]:
        for number, each in enumerate(numbered(1000, 10)):
            if number == 35:
                signal.raise_signal(signal.SIGINT)
            yield each

    scripted(pictures())
    said = run(tmp_path / "out", seconds=60)
    assert any(text.startswith("Recorded 1.") for text in said)
    assert 10 <= len(list(Clip(tmp_path / "out" / "clip.mp4").read_all())) < 20


def test_a_file_is_recorded_to_its_end(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "film.mp4", (80, 64), 10)
    for picture, _ in numbered(45, 10):
        writer.write(picture)
    writer.close()
    said = run(tmp_path / "out", source=str(tmp_path / "film.mp4"), seconds=60)
    assert any(text.startswith("Recorded 2.") for text in said) and any("film.mp4 is over" in text for text in said)


def test_without_av_opencv_writes(tmp_path: Path, scripted, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    scripted(numbered(200, 10))
    run(tmp_path / "out")
    assert len(list(Clip(tmp_path / "out" / "clip.mp4").read_all())) == 20


# --- what fails ---


def test_pictures_of_another_size_end_it(tmp_path: Path, scripted) -> None:
    scripted((picture if at < 4 else picture[:32], at) for picture, at in numbered(200, 10))
    with pytest.raises(BadInput, match="has changed. What was recorded until then is kept"):
        run(tmp_path / "out", seconds=60)
    assert len(list(Clip(tmp_path / "out" / "clip.mp4").read_all())) == pytest.approx(20, abs=1)


def test_a_camera_that_is_lost_leaves_what_it_gave(tmp_path: Path, scripted) -> None:
    source = scripted(numbered(40, 10))
    with pytest.raises(BadInput, match="is over. What was recorded until then is kept in") as caught:
        run(tmp_path / "out", seconds=60)
    assert caught.value.exit_code == Exit.BAD_INPUT and source.closed
    assert len(list(Clip(tmp_path / "out" / "clip.mp4").read_all())) == pytest.approx(20, abs=1)


def test_a_camera_that_is_lost_at_once_leaves_nothing(tmp_path: Path, scripted) -> None:
    for count in (0, 10, 25):
        scripted(numbered(count, 10))
        with pytest.raises(BadInput, match="Nothing was recorded yet"):
            run(tmp_path / "out")
        assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_leaves_what_was_written(tmp_path: Path, scripted, monkeypatch) -> None:
    real = record.open_writer

    def filling(path: Path, size: tuple[int, int], fps: float):
        writer, written = real(path, size, fps), iter(range(15))
        write = writer.write

        def some(picture: np.ndarray) -> None:
            if next(written, None) is None:
                raise EngineError("No space is left.")
            write(picture)

        writer.write = some
        return writer

    monkeypatch.setattr(record, "open_writer", filling)
    scripted(numbered(200, 10))
    with pytest.raises(BadInput, match="No space is left. What was recorded"):
        run(tmp_path / "out")
    assert len(list(Clip(tmp_path / "out" / "clip.mp4").read_all())) == 15


@pytest.mark.parametrize("source", ["97", "nowhere.mp4", "http://127.0.0.1:9/video"])
def test_a_source_that_is_not_there(tmp_path: Path, source: str, monkeypatch, capsys) -> None:
    monkeypatch.setattr(record, "_detector", lambda: nobody)
    assert commands.main(["performer", "record", "--out", str(tmp_path / "out"), "--source", source]) == Exit.BAD_INPUT
    assert "error: " in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["silent", "frozen"])
def test_a_stream_that_stops_is_told_and_its_recording_kept(
    tmp_path: Path, server: Camera, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FROZEN_S", 1.0)
    server.mode = "frozen"  # an empty stage
    timer = threading.Timer(1.6, setattr, (server, "mode", mode))

    def say(text: str) -> None:
        if text.startswith("Go"):
            server.mode = "moving"
            timer.start()

    settings = {"source": server.address, "plate_seconds": 0.2, "seconds": 30, "fps": 20, "lost_after": 0.7}
    with pytest.raises(BadInput, match="What was recorded until then is kept"):
        run(tmp_path / "out", say, **settings)
    timer.join(5)
    assert 20 <= len(list(Clip(tmp_path / "out" / "clip.mp4").read_all())) < 200


def test_a_clip_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    pytest.importorskip("av")
    writer = open_writer(tmp_path / "killed.mp4", (160, 120), 10)
    random = np.random.default_rng(0)
    for _ in range(120):
        writer.write(random.integers(0, 255, (120, 160, 3), np.uint8))
    (tmp_path / "copy.mp4").write_bytes((tmp_path / "killed.mp4").read_bytes())  # as after a power cut
    writer.close()
    assert len(list(Clip(tmp_path / "copy.mp4").read_all())) >= 40
    assert len(list(Clip(tmp_path / "killed.mp4").read_all())) == 120

"""A whole training: its folder, its looks, and what must not end it or damage what is there."""

from __future__ import annotations

import csv
import errno
import io
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from performer_kit import write_performer
from training_kit import SMALL, one_thread_fixture, plan, write_footage  # noqa: F401

from engine.errors import BadInput, EngineError
from nodes.generator.footage import folder as footages
from nodes.generator.footage.folder import Footage
from nodes.generator.network import checkpoint, tensors
from nodes.generator.training import look, start, train
from nodes.generator.training.plan import GRID, LOCK, LOG, PERFORMER, STATE
from nodes.generator.training.samples import Samples
from nodes.generator.training.schedule import Schedule

FILES = {STATE, PERFORMER, GRID, LOG}


@pytest.fixture(scope="module", name="footage")
def footage_fixture(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    return footages.load(write_footage(tmp_path_factory.mktemp("footage") / "dance", 12), SMALL.size)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {LOCK}


def test_what_a_training_leaves(footage: Footage, tmp_path: Path) -> None:
    said: list[str] = []
    score = train.run(plan(tmp_path / "new" / "out", preset="small", every=0.001), footage, said.append)
    out = tmp_path / "new" / "out"
    assert files(out) == FILES
    about = checkpoint.read(out / PERFORMER).about
    assert (about.training.steps, about.training.preset, about.training.held_out) == (4, "small", 0.15)
    assert about.metrics["psnr"] == pytest.approx(score.psnr, abs=1e-3)
    with open(out / LOG, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 4]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    assert said[-1].startswith("Done after 4 steps")
    assert str(out / PERFORMER) in said[-1]


@pytest.mark.parametrize(
    ("frames", "found", "batch"), [(1, True, 1), (1, True, 4), (3, True, 1), (12, [0] * 5 + [1] + [0] * 6, 2)]
)
def test_few_frames_are_enough(tmp_path: Path, frames: int, found: Any, batch: int) -> None:
    few = footages.load(write_footage(tmp_path / "few", frames, found), SMALL.size)
    assert len(few.held) == 0
    train.run(plan(tmp_path / "out", 2, batch=batch), few, lambda _: None)
    assert files(tmp_path / "out") == FILES


def test_a_folder_that_holds_a_training_is_left_alone(footage: Footage, tmp_path: Path) -> None:
    train.run(plan(tmp_path), footage, lambda _: None)
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    with pytest.raises(BadInput, match="holds a training already. Go on with --resume"):
        train.run(plan(tmp_path), footage)
    with pytest.raises(BadInput, match="of another kind or size"):
        train.run(replace(plan(tmp_path, resume=True), shape=replace(SMALL, width=8)), footage)
    with FileLock(tmp_path / LOCK), pytest.raises(BadInput, match="Another training writes to"):
        train.run(plan(tmp_path, resume=True), footage)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == before


def test_a_folder_that_cannot_be_is_a_sentence(footage: Footage, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput, match="cannot be used"):
            train.run(plan(out), footage)
    with pytest.raises(BadInput, match="There is no training to go on with"):
        train.run(plan(tmp_path / "out", resume=True), footage)


def test_the_clock_goes_on_where_it_stopped(footage: Footage, tmp_path: Path) -> None:
    said: list[str] = []
    train.run(plan(tmp_path, schedule=Schedule(minutes=0.03)), footage, lambda _: None)
    train.run(plan(tmp_path, schedule=Schedule(minutes=0.03), resume=True), footage, said.append)
    assert re.match(r"Going on from step \d+, after 0\.0 minutes", said[0])
    with open(tmp_path / LOG, newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert float(first["seconds"]) > 1
    assert (first["step"], first["seconds"]) == (second["step"], second["seconds"])  # there was nothing left to do


def test_a_beginning_from_another_performer(footage: Footage, tmp_path: Path) -> None:
    said: list[str] = []
    train.run(plan(tmp_path / "first"), footage, lambda _: None)
    same, other = tmp_path / "first" / PERFORMER, write_performer(tmp_path / "other.safetensors")
    train.run(plan(tmp_path / "same", begin_from=same), footage, said.append)
    assert re.match(r"(\d+) of \1 weights come from", said[0])
    said.clear()
    train.run(plan(tmp_path / "wider", begin_from=other), footage, said.append)
    taken, of = map(int, re.match(r"(\d+) of (\d+) weights .* those of another size begin anew", said[0]).groups())  # type: ignore[union-attr]
    assert 0 < taken < of
    with pytest.raises(BadInput, match="its format is 'utsushi.training/1'"):
        train.run(plan(tmp_path / "wrong", begin_from=tmp_path / "first" / STATE), footage)


# --- what must not end it ---


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_does_not_end_a_training(footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    tries = 0
    write = tensors.replace_file

    def sometimes_full(path: Path, data: bytes, durable: bool = False) -> None:
        nonlocal tries
        tries += 1
        write(path, data, durable) if tries > 4 else full()

    monkeypatch.setattr(tensors, "replace_file", sometimes_full)
    train.run(plan(tmp_path, 5, every=0.001), footage, said.append)
    complaints = [line for line in said if "No space left on device" in line]
    assert len(complaints) == 2
    assert "The training goes on, and tries again in" in complaints[0]
    assert said[-1].startswith("Done after 5 steps")
    assert files(tmp_path) == FILES
    checkpoint.read(tmp_path / PERFORMER)


def test_a_full_disk_in_the_end_is_said_and_the_old_files_stay(
    footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train.run(plan(tmp_path, 2), footage, lambda _: None)
    before = {name: (tmp_path / name).read_bytes() for name in (STATE, PERFORMER)}
    with monkeypatch.context() as patch, pytest.raises(BadInput, match="No space left on device. Make room"):
        patch.setattr(os, "fsync", full)
        train.run(plan(tmp_path, 4, resume=True), footage, lambda _: None)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert files(tmp_path) == FILES
    train.run(plan(tmp_path, 4, resume=True), footage, lambda _: None)
    assert checkpoint.read(tmp_path / PERFORMER).about.training.steps == 4


def broken(monkeypatch: pytest.MonkeyPatch, numbers: set[int]) -> None:
    """Batches of these numbers are not of this world."""
    make = Samples._make

    def other(self: Samples, number: int) -> Any:
        batch = make(self, number)
        if number in numbers:
            batch.points[:] = math.nan
        return batch

    monkeypatch.setattr(Samples, "_make", other)


def test_nan_is_rolled_back_and_never_written(
    footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    broken(monkeypatch, {2, 5})
    saved: list[dict] = []
    write = checkpoint.write
    monkeypatch.setattr(
        checkpoint, "write", lambda path, *rest: (write(path, *rest), saved.append(checkpoint.read(path).weights))
    )
    train.run(plan(tmp_path, 8, every=0.0001), footage, said.append)
    assert [line for line in said if "not a number" in line] == [
        f"The loss is not a number at step {step}: back to the last good state, at half the rate." for step in (3, 6)
    ]
    assert len(saved) == 9
    assert all(np.isfinite(value).all() for weights in saved for value in weights.values())
    assert said[-1].startswith("Done after 8 steps")


def test_nothing_but_nan_ends_it(footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, set(range(1000)))
    with pytest.raises(EngineError, match="breaks again and again"):
        train.run(plan(tmp_path, 1000), footage, lambda _: None)
    assert files(tmp_path) == set()


def when_measuring(monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
    measure = look.evaluate
    monkeypatch.setattr(look, "evaluate", lambda *rest: (then(), measure(*rest))[1])


@pytest.mark.skipif(sys.platform == "win32", reason="raise_signal would end the process there")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_saves_and_another_does_no_harm(
    footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The first comes at the first look, others while the last one saves."""
    number, said = getattr(signal, name), []
    before = signal.signal(number, signal.SIG_DFL)  # under nohup SIGHUP is ignored, and stays so
    when_measuring(monkeypatch, lambda: signal.raise_signal(number))
    try:
        train.run(plan(tmp_path, 1000, every=0.001), footage, said.append)
        assert said[-1].startswith("Stopped after 1 steps")
        assert files(tmp_path) == FILES
        assert signal.getsignal(number) == signal.SIG_DFL
        train.run(plan(tmp_path, 2, resume=True), footage, said.append)
        assert said[-1].startswith("Stopped after 2 steps")
    finally:
        signal.signal(number, before)


def test_stopped_before_the_first_step_it_writes_nothing(
    footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def asked() -> Iterator[list[int]]:
        yield [signal.SIGINT]

    said: list[str] = []
    monkeypatch.setattr(train, "asked_to_stop", asked)
    assert train.run(plan(tmp_path, 4), footage, said.append) is None
    assert said == ["Stopped before the first step: nothing was written."] and files(tmp_path) == set()


def test_what_was_trained_on_is_not_called_held_out(footage: Footage, tmp_path: Path) -> None:
    said: list[str] = []
    train.run(plan(tmp_path, 1), replace(footage, held=footage.held[:0]), said.append)
    assert "Frames that it was trained on: PSNR" in said[-1]


# --- what is said ---


class Terminal(io.StringIO):
    """Keeps what a person would see."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        seen = []
        for line in self.getvalue().split("\n"):
            row: list[str] = []
            for written in line.split("\r"):
                row[: len(written)] = written
            seen.append("".join(row).rstrip())
        return seen


def test_a_terminal_shows_whole_lines(footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr("engine.progress.AT_TERMINAL_S", 0)
    broken(monkeypatch, {3})
    train.run(plan(tmp_path, 6), footage)
    lines = terminal.lines()
    assert lines[0].startswith("The loss is not a number at step 4")
    assert re.fullmatch(r"step 6: PSNR [\d.]+ dB, SSIM -?[\d.]+, body [\d.]+ dB", lines[1])
    assert lines[2].startswith("Done after 6 steps")
    assert lines[3:] == [""]
    drawn = [text.strip() for text in re.split("[\r\n]", terminal.getvalue()) if "steps/s" in text]
    assert len(drawn) == 6
    assert all(re.fullmatch(r"step \d +\d+%  loss \d\.\d+  [\d.]+ steps/s  \d+ s left", text) for text in drawn)


def test_elsewhere_lines_are_rare(
    footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    train.run(plan(tmp_path / "one", 6), footage)
    assert "steps/s" not in capsys.readouterr().out  # it took no ten seconds
    monkeypatch.setattr("engine.progress.ELSEWHERE_S", 0)
    train.run(plan(tmp_path / "two", 6), footage)
    said = capsys.readouterr().out
    assert said.count("steps/s") == 6
    assert "\r" not in said


@pytest.mark.parametrize(
    ("schedule", "first", "now", "expected"),
    [
        (Schedule(minutes=10), (0, 0), (5, 2), "2.5 steps/s  10.0 min left"),
        (Schedule(minutes=10), (900, 300), (905, 305), "1.0 steps/s  4.9 min left"),
        (Schedule(steps=100), (0, 0), (50, 60), "0.8 steps/s  60 s left"),
        (Schedule(steps=100), (50, 1e6), (75, 1e6 + 10), "2.5 steps/s  10 s left"),
        (Schedule(steps=10**9), (0, 0), (0, 1), "steps/s"),
    ],
)  # fmt: skip
def test_the_time_that_is_left(
    footage: Footage, tmp_path: Path, schedule: Schedule, first: tuple, now: tuple, expected: str
) -> None:
    """first: step and seconds where this process began, which may have been a resumption. now: where it is."""
    trainer = train.Trainer(SMALL, schedule)
    trainer.step, trainer.seconds = first
    watching = look.Look(plan(tmp_path, schedule=schedule), trainer, footage, print)
    trainer.step, trainer.seconds = now
    assert expected in watching._progress()
    assert "inf" not in watching._progress()


def test_a_closed_terminal_does_not_end_it(footage: Footage, tmp_path: Path) -> None:
    train.run(plan(tmp_path, 2, every=0.001), footage, full)
    assert files(tmp_path) == FILES


# --- before it begins ---


def test_poses_of_nobody_are_a_sentence_at_once(footage: Footage, tmp_path: Path) -> None:
    points = footage.points.copy()
    points[..., :2] += 10
    with pytest.raises(BadInput, match="those of nobody who stands on the stage"):
        train.run(plan(tmp_path, 10**6), replace(footage, points=points))
    with pytest.raises(BadInput, match="cannot be written into a performer: licence"):
        train.run(plan(tmp_path, 10**6, about={"licence": "x" * 2000}), footage)


def test_devices() -> None:
    assert start.device_named("cpu") == "cpu"
    assert start.device_named("auto") in ("cpu", "cuda", "mps")
    with pytest.raises(BadInput, match="--device tpu is not to be had here"):
        start.device_named("tpu")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_a_sentence(device: str) -> None:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[device]
    if there:
        pytest.skip(f"there is {device} here")
    with pytest.raises(BadInput, match=rf"--device {device} is not to be had here; this torch .* knows cpu"):
        start.device_named(device)


def test_without_tensorboard_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(BadInput, match="TensorBoard is not installed"):
        start.tensorboard(tmp_path)


def test_tensorboard_is_told_what_the_log_is_told(footage: Footage, tmp_path: Path) -> None:
    class Writer:
        told: list[tuple] = []

        def add_scalar(self, *said: Any) -> None:
            self.told.append(said)

    train.run(plan(tmp_path, 2, writer=Writer()), footage, lambda _: None)
    assert [name for name, _, step in Writer.told if step == 2] == list(look.COLUMNS[2:])

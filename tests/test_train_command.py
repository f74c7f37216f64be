"""`run_engine.py train` as a user starts it: it learns, it stops and goes on, and it says what it cannot do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from training_kit import write_footage

from engine.errors import BadInput, Exit
from engine.process import ROOT
from nodes.generator.footage import folder as footages
from nodes.generator.network import checkpoint
from nodes.generator.training import train
from nodes.generator.training.commands import main
from nodes.generator.training.evaluate import score
from nodes.generator.training.examine import examine
from nodes.generator.training.plan import PERFORMER, STATE

PATIENCE_S = 600
GAIN_DB = 2.0  # over the empty stage, which is what who paints nobody would score
# Less than a minute's steps on one quiet core. They are counted, so that a busy machine learns as much as a quiet one.
# The rate suits so small a picture and so short a training.
MINUTE = ("--preset", "tiny", "--size", "64", "--steps", "200", "--rate", "3e-3", "--every", "4")
SHORT = ("--preset", "tiny", "--size", "32", "--steps", "20", "--batch", "2", "--seed", "7", "--every", "0.2")


@pytest.fixture(scope="module", name="folder")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_footage(tmp_path_factory.mktemp("footage") / "dance", 120, side=192)


def command(folder: Path, out: Path, *options: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run_engine.py"), "train", str(folder), "--out", str(out), "--device", "cpu",
         "--threads", "1", *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0), env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def finished(process: subprocess.Popen) -> str:
    try:
        said, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == Exit.OK, said
    return said


class Watcher:
    """Loads a performer over and over while somebody else writes it, as a show does that watches a training."""

    def __init__(self, path: Path):
        self.path, self.failures, self.steps = path, [], set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            if not self.path.exists():
                continue
            try:
                self.steps.add(checkpoint.read(self.path).about.training.steps)
            except BadInput as error:
                self.failures.append(error)


def test_a_minute_beats_the_empty_stage(folder: Path, tmp_path: Path) -> None:
    with Watcher(tmp_path / "out" / PERFORMER) as watcher:
        said = finished(command(folder, tmp_path / "out", *MINUTE))
    assert re.search(r"^Done after \d+ steps and \d\.\d minutes\. Held-out frames: PSNR", said, re.MULTILINE)
    known = footages.load(folder, 64)
    stage = score(((known.plate, known.frames[number]) for number in known.held), known.plate, np.diff(known.held) == 1)
    found = examine(tmp_path / "out" / PERFORMER, folder)
    assert found.frames == 18
    assert found.psnr > stage.psnr + GAIN_DB
    assert found.ssim > stage.ssim
    assert found.body_psnr > stage.body_psnr + GAIN_DB
    assert not watcher.failures
    assert len(watcher.steps) > 1


def test_ctrl_c_saves_and_resume_goes_on_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    """By counted steps, so that both trainings are the same one."""
    stopped = command(folder, tmp_path / "stopped", *SHORT)
    for line in stopped.stdout:  # type: ignore[union-attr]
        if line.startswith("step "):
            break
    stopped.send_signal(signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGINT)
    said = finished(stopped)
    assert "Stopped after " in said or "Done after " in said  # on a quick machine it was over by then
    assert {path.name for path in (tmp_path / "stopped").iterdir() if path.suffix == ".part"} == set()
    resumed = finished(command(folder, tmp_path / "stopped", *SHORT, "--resume"))
    assert "Going on from step " in resumed
    finished(command(folder, tmp_path / "whole", *SHORT))
    one, other = (load_file(tmp_path / name / STATE) for name in ("stopped", "whole"))
    assert one.keys() == other.keys()
    assert [name for name in one if not np.array_equal(one[name], other[name])] == []
    one, other = (load_file(tmp_path / name / PERFORMER) for name in ("stopped", "whole"))
    assert [name for name in one if not np.array_equal(one[name], other[name])] == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "Say how long to train"),
        (["--steps", "1", "--size", "100"], "--size 100: a picture of 100 pixels cannot stand on a grid of 25 cells"),
        (["--steps", "1", "--size", "20"], "--size 20: a picture of 20 pixels cannot stand"),
        (["--steps", "1", "--device", "abacus"], "--device abacus is not to be had here"),
        (["--steps", "1", "--init", "nothing.safetensors"], "The performer nothing.safetensors cannot be read"),
        (["--steps", "1", "--resume"], "There is no training to go on with"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, options: list[str], sentence: str
) -> None:
    code = main(["train", str(folder), "--out", str(tmp_path / "out"), "--threads", "1", "--preset", "tiny", *options])
    assert code == Exit.BAD_INPUT
    assert capsys.readouterr().err.startswith(f"error: {sentence}")


def test_a_training_goes_on_with_its_own_footage_only(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["--out", str(tmp_path / "out"), "--threads", "1", *SHORT[:4], "--steps", "1", "--batch", "1"]
    assert main(["train", str(folder), *words]) == Exit.OK
    other = write_footage(tmp_path / "other", 12, sha256="another clip")
    for footage, option in ((other, []), (folder, ["--held-out", "0.5"])):
        assert main(["train", str(footage), *words, "--resume", *option]) == Exit.BAD_INPUT
        assert "belongs to a training on other footage, or with another --held-out" in capsys.readouterr().err
    assert main(["train", str(folder), "--out", str(folder), "--steps", "1"]) == Exit.BAD_INPUT
    assert "is the footage" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        MemoryError(),
    ],
)
def test_too_little_memory_is_a_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, error: Exception
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(train, "run", full)
    words = ["--out", str(tmp_path / "out"), "--threads", "1", *SHORT[:4], "--steps", "1"]
    assert main(["train", str(folder), *words]) == Exit.OUT_OF_MEMORY
    assert "There is not enough memory" in capsys.readouterr().err


def test_bench_takes_its_own_options(capfd: pytest.CaptureFixture) -> None:
    assert main(["performer", "bench", "--help"]) == Exit.OK
    assert "--threads" in capfd.readouterr().out
    assert main(["performer", "bench", "--threads", "-3"]) == Exit.USAGE


def test_a_folder_that_is_no_footage_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["performer", "train", str(tmp_path), "--out", str(tmp_path / "out"), "--steps", "1"]) == Exit.BAD_INPUT
    assert "footage.json cannot be read (No such file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--minutes", "nan"], ["--minutes", "inf"], ["--minutes", "-1"], ["--steps", "1.5"], ["--batch", "0"],
        ["--rate", "0"], ["--rate", "nan"], ["--seed", "-1"], ["--held-out", "1"], ["--every", "0"],
        ["--threads", "-1"], ["--critic", "2"], ["--size", "1e3"], ["--size", "8192"], ["--preset", "giant"],
        ["--steps", "1", "--resume", "--init", "x"],
    ],
)  # fmt: skip
def test_impossible_options_are_refused(options: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "footage", "--out", "out", *options])
    assert end.value.code == Exit.USAGE
    assert "error: argument --" in capsys.readouterr().err

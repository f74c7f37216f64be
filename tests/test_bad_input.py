"""Bad input, as a user meets it: one sentence, an exit code that is not 0, nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import Exit
from engine.process import ROOT

NAME = f"x{os.getpid() % 100000}"
DEMO = """\
engine: {{name: {name}}}
nodes:
  camera: {camera}
  output: {output}
"""
CAMERA = "{type: camera.pattern, size: [64, 64], fps: 30}"
OUTPUT = "{type: output.touchdesigner, input: camera, size: [64, 64]}"


def run(
    folder: Path, config: str | bytes, *arguments: str, program: Path = ROOT / "run_engine.py"
) -> subprocess.CompletedProcess[str]:
    path = folder / "show.yaml"
    path.write_bytes(config if isinstance(config, bytes) else config.encode())
    done = subprocess.run(
        [sys.executable, str(program), "--config", str(path), "--seconds", "20", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "UTSUSHI_HOME": str(folder / "home")},
    )  # fmt: skip
    shared = Path("/dev/shm")
    assert not shared.is_dir() or not list(shared.glob(f"utsu_{NAME}_*"))
    assert "Traceback" not in done.stderr and "Traceback" not in done.stdout
    return done


def config(camera: str = CAMERA, output: str = OUTPUT) -> str:
    return DEMO.format(name=NAME, camera=camera, output=output)


def opencv(source: object) -> str:
    return config(camera=f"{{type: camera.opencv, source: {source}}}")


@pytest.fixture
def garbage(tmp_path: Path) -> Path:
    path = tmp_path / "garbage.mp4"
    path.write_bytes(b"this is not a video" * 1000)
    return path


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        (opencv("missing.mp4"), Exit.BAD_INPUT, "missing.mp4"),
        (opencv("{garbage}"), Exit.BAD_INPUT, "garbage.mp4"),
        (opencv(987), Exit.BAD_INPUT, "987"),
        (opencv("http://127.0.0.1:9/nothing"), Exit.BAD_INPUT, "127.0.0.1:9"),
        ("engine: {name: x\nnodes: [", Exit.USAGE, "show.yaml:"),
        (b"\xff\xfe\x00nonsense", Exit.USAGE, "show.yaml"),
        (config(camera="{type: camera.pattern, fps: fast}"), Exit.USAGE, "fps"),
        (config(camera="{type: camera.patern}"), Exit.USAGE, "did you mean 'camera.pattern'?"),
        (config(camera="{type: camera.pattern, fsp: 3}"), Exit.USAGE, "did you mean 'fps'?"),
        (config(output="{type: output.touchdesigner, input: camra}"), Exit.USAGE, "did you mean 'camera'?"),
        (config(output=OUTPUT.replace("camera,", "{stream: camera, policy: lossless},")), Exit.USAGE, "lossless"),
        (config() + "".join(f"  c{n}: {{type: camera.pattern, size: [16384, 16384]}}\n" for n in range(24)),
         Exit.NO_SPACE, "is free"),
        (config(output="{type: output.video, input: camera, path: /nowhere/at/all.mp4}"), Exit.BAD_INPUT, "/nowhere"),
    ],
)  # fmt: skip
def test_a_sentence_and_an_exit_code(
    tmp_path: Path, garbage: Path, text: str | bytes, code: Exit, sentence: str
) -> None:
    if code is Exit.NO_SPACE and sys.platform != "linux":
        pytest.skip("only Linux tells how much shared memory is free")
    if isinstance(text, str):
        text = text.replace("{garbage}", str(garbage))
    done = run(tmp_path, text)
    assert done.returncode == code, done.stdout + done.stderr
    assert sentence in done.stderr
    assert "restarts 1" not in done.stdout, "what ends the start must not be started again"


def test_a_config_that_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_engine.py"), "--config", str(tmp_path / "none.yaml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == Exit.USAGE and "none.yaml" in done.stderr


@pytest.mark.parametrize("option", ["--stats", "--snapshot"])
def test_a_target_that_cannot_be_written_is_told_before_the_show(tmp_path: Path, option: str) -> None:
    done = run(tmp_path, config(), option, str(tmp_path / "no" / "folder" / "file"))
    assert done.returncode == Exit.BAD_INPUT and "Choose another file" in done.stderr
    assert "starts" not in done.stdout


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="Windows has no device files")
def test_a_device_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    done = run(tmp_path, config(), "--stats", "/dev/null")
    assert done.returncode == Exit.BAD_INPUT and "is a folder or a device" in done.stderr
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(("content", "sentence"), [(None, "is missing"), (b"half", "is damaged")])
def test_a_model_that_is_missing_or_damaged(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    copy = tmp_path / "copy"  # so that the real models stay as they are
    for name in ("engine", "nodes"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "assets").mkdir()
    for name in ("run_engine.py", "pyproject.toml", "constraints.txt", "assets/models.json"):
        shutil.copy(ROOT / name, copy / name)
    if content is not None:
        (copy / "models").mkdir()
        for name in ("pose_detection.tflite", "pose_landmark_full.tflite"):
            (copy / "models" / name).write_bytes(content)
    pose = f"engine: {{name: {NAME}}}\nnodes:\n  camera: {CAMERA}\n  pose: {{type: pose.blazepose, input: camera}}\n"
    done = run(tmp_path, pose, program=copy / "run_engine.py")
    assert done.returncode == Exit.BAD_INPUT, done.stdout + done.stderr
    assert sentence in done.stderr and "run_engine.py --setup" in done.stderr

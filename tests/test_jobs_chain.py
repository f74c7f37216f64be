"""The whole chain on the real clip, driven as TouchDesigner drives it: prepare, poses, generate, notify."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import fake_engine  # noqa: F401  (puts the bridge on the path)
import jobs
import pytest
from engine_kit import until

from engine.errors import EngineError
from engine.models import model_path
from engine.process import ROOT
from nodes.poses_file import PosesFile

pytest.importorskip("av", reason="writing videos needs the optional package av")
try:
    MISSING = ""
    model_path("pose_detection.tflite"), model_path("pose_landmark_lite.tflite")
except EngineError as error:
    MISSING = str(error)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

FRAMES = 6
NAME = f"j{os.getpid() % 100000}"
STAGES = [
    ["stage", "command", "options", "next", "on_fail", "timeout", "retries"],
    ["prepare", "engine", "prepare_options", "poses", "", "120", ""],
    ["poses", "engine", "poses_options", "generate", "", "120", "1"],
    ["generate", "engine", "generate_options", "tell", "mend", "120", ""],
    ["mend", "mend", "", "generate_again", "", "", ""],
    ["generate_again", "engine", "generate_options", "tell_too", "", "120", ""],
    ["#tell", "notify", "", "", "", "", ""],
    ["tell", "notify", "tell_options", "", "", "", ""],
    ["tell_too", "notify", "tell_options", "", "", "", ""],
]


def options(folder: Path, port: int) -> dict[str, list[list[str]]]:
    return {
        "prepare_options": [
            ["config", "configs/prepare.yaml"], ["engine.name", f"{NAME}-a"], ["# half a second in", ""],
            ["camera.start", "0.5"], ["camera.seconds", str(FRAMES / 30)], ["camera.size", "[216, 256]"],
            ["video.path", str(folder / "prepared.mp4")], ["", ""],
        ],
        "poses_options": [
            ["config", "configs/poses.yaml"], ["engine.name", f"{NAME}-b"], ["pose.quality", "lite"],
            ["camera.source", "{prev.out}"], ["poses.path", str(folder / "poses.jsonl")],
        ],
        "generate_options": [
            ["config", "configs/generate.yaml"], ["engine.name", f"{NAME}-c"], ["pose.path", "{poses.out}"],
            ["performer.performer", str(folder / "performer.safetensors")], ["performer.size", "128"],
            ["video.path", str(folder / "performance.mp4")],
        ],
        "tell_options": [
            ["to", f"127.0.0.1:{port}"], ["text", "{prev.stage}: ready"], ["value", "video={prev.out}"],
            ["value", "poses={poses.out}"],
        ],
        "mend_options": [],
    }  # fmt: skip


def commands(folder: Path) -> list[list[str]]:
    """The performer's file is not there at first; `mend` brings it."""
    code = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
    source, target = ROOT / "assets" / "performer.safetensors", folder / "performer.safetensors"
    return [["command", "argv"], ["mend", "python", "-c", code, str(source), str(target)]]


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.setblocking(False)
    yield receiver
    receiver.close()


def test_from_a_video_to_a_performance(
    tmp_path: Path, receiver: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    port = receiver.getsockname()[1]
    heard: list[tuple[str, dict[str, Any]]] = []

    class Callbacks:
        def __getattr__(self, name: str) -> Any:
            return lambda info: heard.append((name, info))

    client = jobs.JobClient(ROOT, sys.executable, Callbacks())
    notices: list[dict[str, Any]] = []
    received = [0]

    def frame() -> bool:
        """What happens in one frame of TouchDesigner; each third message is lost on the way."""
        try:
            datagram = receiver.recv(65536)
            received[0] += 1
            if b"utsushi.notice/1" in datagram:
                notices.append(json.loads(datagram))
            elif received[0] % 3:
                client.receive(datagram)
        except BlockingIOError:
            time.sleep(0.005)
        client.poll()
        return not client.busy

    client.start(STAGES, options(tmp_path, port), commands(tmp_path), notify=f"127.0.0.1:{port}")
    until(frame, 240)
    until(lambda: frame() and notices, 5)
    told = [(name, info["stage"]) for name, info in heard if name not in ("onProgress", "onLog")]
    assert told == [
        ("onStart", ""), ("onStart", "prepare"), ("onDone", "prepare"), ("onStart", "poses"), ("onDone", "poses"),
        ("onStart", "generate"), ("onFail", "generate"), ("onStart", "mend"), ("onDone", "mend"),
        ("onStart", "generate_again"), ("onDone", "generate_again"), ("onStart", "tell_too"), ("onDone", "tell_too"),
        ("onDone", ""),
    ], client.message  # fmt: skip
    failure = next(info["text"] for name, info in heard if name == "onFail")
    assert "performer.safetensors" in failure, failure
    assert [info["seq"] for _, info in heard] == sorted({info["seq"] for _, info in heard})
    assert notices[0]["text"] == "generate_again: ready"
    assert notices[0]["values"] == {"video": str(tmp_path / "performance.mp4"), "poses": str(tmp_path / "poses.jsonl")}
    poses = list(PosesFile(tmp_path / "poses.jsonl").read())
    assert len(poses) == FRAMES and all(one.canvas == (216, 256) and len(one.people) == 1 for one in poses)
    assert [round(one.time, 3) for one in poses] == [round(number / 30, 3) for number in range(FRAMES)]
    video = cv2.VideoCapture(str(tmp_path / "performance.mp4"))
    count = 0
    while (found := video.read())[0]:
        picture, count = found[1], count + 1
    assert count == FRAMES and picture.shape == (128, 128, 3) and picture.std() > 10

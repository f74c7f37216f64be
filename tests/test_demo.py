"""The demo as a user starts it: real footage, real models, four processes, and TouchDesigner's side watching."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from engine.directory import Directory
from engine.errors import EngineError, Exit, SegmentError
from engine.models import model_path
from engine.process import ROOT
from engine.session import Session

sys.path.insert(0, str(ROOT / "td_bridge"))
from ring_reader import RingReader

try:
    MISSING = ""
    model_path("pose_detection.tflite"), model_path("pose_landmark_full.tflite")
except EngineError as error:
    MISSING = str(error)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

NAME = f"d{os.getpid() % 100000}"
NODES = ["camera", "pose", "performer", "output"]


class Demo:
    """configs/demo.yaml under a name of its own, in the process that a user would start."""

    def __init__(self, folder: Path, *arguments: str):
        text = (ROOT / "configs" / "demo.yaml").read_text(encoding="utf-8")
        config = folder / "demo.yaml"
        config.write_text(text.replace("name: utsushi", f"name: {NAME}"), encoding="utf-8")
        self.log = folder / "output.txt"
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "run_engine.py"), "--config", str(config), *arguments],
                cwd=folder, stdout=log, stderr=log, env={**os.environ, "UTSUSHI_HOME": str(folder / "home")},
                start_new_session=True,
            )  # fmt: skip
        self.directory: Directory | None = None

    def phases(self) -> list[str]:
        if self.directory is None:
            try:
                self.directory = Directory.attach(NAME)
            except SegmentError:
                return []
        return [node.phase for node in self.directory.health()]

    def pids(self) -> list[int]:
        assert self.directory is not None
        return [self.directory.node(index)["pid"] for index in range(4)]

    def wait_until_running(self, watch: Callable[[], None] = lambda: None) -> None:
        deadline = time.monotonic() + 60
        while self.phases() != ["RUNNING"] * 4:
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
            watch()
            time.sleep(0.01)


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def start(*arguments: str) -> Demo:
        started.append(Demo(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
            monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
            Session(NAME).close()  # sweeps what the killed one has left


class Viewer:
    """Looks at the output as the Script TOP does, and notes what must never be seen."""

    def __init__(self) -> None:
        self.reader = RingReader(NAME, "output")
        self.seqs: list[int] = []
        self.states: list[str] = []

    def look(self) -> None:
        picture = self.reader.poll()
        if picture is not None:
            assert picture.shape == (512, 512, 4)
            self.seqs.append(self.reader.seq)
            self.states.append(self.reader.state)

    def look_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(0.005)


def test_the_performer_moves_and_everything_is_counted(demo: Callable[..., Demo], tmp_path: Path) -> None:
    stats, snapshot = tmp_path / "stats.json", tmp_path / "picture.png"
    running = demo("--seconds", "20", "--stats", str(stats), "--snapshot", str(snapshot))
    running.wait_until_running()
    viewer = Viewer()
    viewer.look_for(1.0)
    assert running.process.wait(30) == Exit.OK, running.log.read_text()
    assert len(viewer.seqs) > 5 and viewer.seqs == sorted(set(viewer.seqs))
    figures = json.loads(stats.read_text())
    assert list(figures["nodes"]) == NODES
    assert all(node["state"] == "RUNNING" and node["restarts"] == 0 for node in figures["nodes"].values())
    for stream in figures["streams"].values():
        for reader in stream["readers"].values():
            assert reader["overrun"] == 0 and reader["lost"] == 0
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p99"] <= figures["latency_ms"]["max"]
    picture = cv2.imread(str(snapshot))
    assert picture.shape == (512, 512, 3)
    blue, _, red = (picture[:, :, channel].astype(int) for channel in range(3))
    assert 0.01 < (red - blue > 60).mean() < 0.2, "the performer's orange shirt is there"


def test_a_killed_performer_returns_and_the_picture_never_stops(demo: Callable[..., Demo]) -> None:
    """The slowest to come back; test_fault_points.py kills all kinds."""
    victim = "performer"
    running = demo()
    running.wait_until_running()
    viewer = Viewer()
    viewer.look_for(0.5)
    before, index = running.pids(), NODES.index(victim)
    os.kill(before[index], signal.SIGKILL)
    killed = time.monotonic()
    while running.pids()[index] in (0, before[index]):
        viewer.look()
        assert time.monotonic() < killed + 30
    running.wait_until_running(viewer.look)
    print(f"{victim} was back after {time.monotonic() - killed:.2f} s")
    while viewer.reader.state != "LIVE":
        viewer.look()
        assert time.monotonic() < killed + 60, viewer.reader.message
    after = running.pids()
    assert [a == b for a, b in zip(before, after, strict=True)] == [name != victim for name in NODES]
    assert viewer.seqs == sorted(set(viewer.seqs))
    assert np.asarray(viewer.reader.array).any()
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == Exit.OK, running.log.read_text()


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_needs_no_cleaning(demo: Callable[..., Demo]) -> None:
    running = demo()
    running.wait_until_running()
    pids = running.pids()
    viewer = Viewer()
    viewer.look_for(0.3)
    running.process.kill()
    deadline = time.monotonic() + 5
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.process.wait()
    again = demo()
    again.wait_until_running(viewer.look)
    deadline = time.monotonic() + 20
    while viewer.reader.state != "LIVE" or viewer.reader.restarts == 0:
        viewer.look()
        assert time.monotonic() < deadline, (viewer.reader.state, viewer.reader.message)
        time.sleep(0.01)
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(30) == Exit.OK
    assert not list(Path("/dev/shm").glob(f"utsu_{NAME}_*"))


def test_a_hundred_visits_of_a_foreign_reader_leave_the_engine_alone(demo: Callable[..., Demo]) -> None:
    running = demo()
    running.wait_until_running()
    code = (
        "import sys, time\n"
        f"sys.path.insert(0, {str(ROOT / 'td_bridge')!r})\n"
        "from ring_reader import RingReader\n"
        "seen = 0\n"
        "for _ in range(100):\n"
        f"    reader = RingReader({NAME!r}, 'output')\n"
        "    seen += reader.poll() is not None\n"
        "    reader.close()\n"
        "print(seen)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.stderr) == ("100", "")
    assert running.phases() == ["RUNNING"] * 4
    viewer = Viewer()
    viewer.look_for(0.5)
    assert len(viewer.seqs) > 5
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == Exit.OK


def test_offline_makes_one_picture_per_picture(tmp_path: Path) -> None:
    text = (ROOT / "configs" / "offline.yaml").read_text(encoding="utf-8")
    target = tmp_path / "figure.mp4"
    config = tmp_path / "offline.yaml"
    lines = [f"    path: {target}" if line.strip().startswith("path:") else line for line in text.splitlines()]
    config.write_text("\n".join(lines).replace("name: ", f"name: o{os.getpid() % 10000}-"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_engine.py"), "--config", str(config)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "UTSUSHI_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    assert "left" in done.stdout
    frames = [count(ROOT / "assets" / "visitor.mp4"), count(target)]
    assert frames[0] == frames[1] > 0


def count(path: Path) -> int:
    video, number = cv2.VideoCapture(str(path)), 0
    while video.grab():
        number += 1
    return number

"""How long the demo takes to recover from kills, and how long to stop.

python bench/recovery.py

Kills each node of configs/demo.yaml in turn, then stops the engine by Ctrl+C, then kills its supervisor. Prints
seconds, the longest time without a new picture at the output, and whether each bar is met.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "td_bridge"))
from ring_reader import RingReader  # noqa: E402

from engine.directory import Directory  # noqa: E402
from engine.errors import SegmentError  # noqa: E402

NAME = f"r{os.getpid() % 100000}"
NODES = ("camera", "pose", "performer", "output")
ROUNDS = 3


class Viewer:
    """Looks at the output like the Script TOP does."""

    def __init__(self) -> None:
        self.reader = RingReader(NAME, "output")
        self.longest_gap_s, self.went_back = 0.0, False
        self._seq, self._at = 0, time.perf_counter()

    def look(self) -> None:
        if self.reader.poll() is not None:
            now = time.perf_counter()
            self.longest_gap_s = max(self.longest_gap_s, now - self._at)
            self.went_back |= self.reader.seq <= self._seq
            self._seq, self._at = self.reader.seq, now

    def look_until(self, condition: Callable[[], bool]) -> float:
        began = time.perf_counter()
        while not condition():
            self.look()
            time.sleep(0.002)
            if time.perf_counter() - began > 60:
                raise SystemExit("This took more than a minute; the engine's logs say why.")
        return time.perf_counter() - began


def start(config: Path) -> tuple[subprocess.Popen, Directory]:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_engine.py"), "--config", str(config)],
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while process.poll() is None:
        try:
            directory = Directory.attach(NAME)
        except SegmentError:
            time.sleep(0.01)
            continue
        if directory["supervisor_pid"] == process.pid:
            while not running(directory):
                time.sleep(0.01)
            return process, directory
        directory.close()
    raise SystemExit("The demo did not start; run it by itself to see why.")


def running(directory: Directory) -> bool:
    return all(node.phase == "RUNNING" for node in directory.health())


def pids(directory: Directory) -> list[int]:
    return [directory.node(index)["pid"] for index in range(len(NODES))]


def report(what: str, seconds: float, bar_s: float, also: str = "", good: bool = True) -> None:
    verdict = "met" if good and seconds <= bar_s else "MISSED"
    print(f"| {what:<36} | {seconds:7.2f} | {bar_s:5.1f} | {verdict:<6} | {also}", flush=True)


def kill_each_node(directory: Directory) -> None:
    for index, name in enumerate(NODES):
        viewer, good, slowest = Viewer(), True, 0.0
        viewer.look_until(lambda: running(directory))
        viewer.look_until(lambda viewer=viewer: viewer.reader.state == "LIVE")  # type: ignore[misc]
        viewer.longest_gap_s = 0.0
        for _ in range(ROUNDS):
            seconds, others_kept = kill_once(directory, index, viewer)
            slowest, good = max(slowest, seconds), good and others_kept
        also = f"longest without a new picture {viewer.longest_gap_s:.2f} s"
        report(f"{name} killed, back (worst of {ROUNDS})", slowest, 3, also, good and not viewer.went_back)


def kill_once(directory: Directory, victim: int, viewer: Viewer) -> tuple[float, bool]:
    """Seconds until it was back; whether the others are the same processes as before."""
    before = pids(directory)
    os.kill(before[victim], signal.SIGKILL)
    seconds = viewer.look_until(lambda: pids(directory)[victim] not in (0, before[victim]) and running(directory))
    after = pids(directory)
    until = time.perf_counter() + 1
    viewer.look_until(lambda: time.perf_counter() > until)
    return seconds, [a == b for a, b in zip(before, after, strict=True)] == [i != victim for i in range(len(NODES))]


def main() -> None:
    text = (ROOT / "configs" / "demo.yaml").read_text(encoding="utf-8").replace("name: utsushi", f"name: {NAME}")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "demo.yaml"
        config.write_text(text, encoding="utf-8")
        print(f"| {'what':<36} | seconds |   bar | {'':<6} |")
        process, directory = start(config)
        kill_each_node(directory)
        began = time.perf_counter()
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
        report("Ctrl+C, all ended", time.perf_counter() - began, 3, f"exit code {code}", code == 0)
        process, directory = start(config)
        alive = pids(directory)
        process.kill()
        began = time.perf_counter()
        while any(psutil.pid_exists(pid) for pid in alive) and time.perf_counter() - began < 60:
            time.sleep(0.002)
        report("supervisor killed, nodes gone", time.perf_counter() - began, 5)
        process.wait()
        began = time.perf_counter()
        process, _ = start(config)
        report("next start, all running", time.perf_counter() - began, 60, "needs no cleaning")
        process.send_signal(signal.SIGINT)
        process.wait(60)


if __name__ == "__main__":
    main()

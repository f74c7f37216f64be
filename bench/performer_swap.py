"""Swap performers fifty times while they play: frames missed, and latency with and without. See docs/PERFORMER.md.

python bench/performer_swap.py [--swaps 50] [--preset tiny] [--size 256] [--fps 30] [--backend auto] [--json FILE]

A whole engine: a dancer's keypoints, the performer, the output. In each round ten swaps and then as much time without
any, so that what else the machine does meets both. Every frame of the performer is looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.performer import random_performer
from engine import bus
from engine.directory import Directory
from engine.errors import SegmentError
from engine.frame import Frame
from engine.process import ROOT
from engine.ring_reader import Policy
from engine.stream import StreamReader

NAME = f"swap{os.getpid() % 100000}"
PLATES = ((255, 0, 0), (0, 0, 255))  # who plays shows in the colour of a corner
ROUND = 10  # swaps
PAUSE_S = 0.3  # between two swaps
PATIENCE_S = 300.0
CONFIG = """\
engine: {{name: {name}}}
nodes:
  dancer: {{type: camera.performer, size: [128, 128], fps: {fps}}}
  performer:
    type: generator.performer
    input: dancer.keypoints
    performer: {file}
    size: {size}
    background: plate
    backend: {backend}
    threads: {threads}
    watch: false
  output: {{type: output.touchdesigner, input: performer, size: [256, 256]}}
"""


@dataclass
class Phase:
    """What was seen. missed: frames of keypoints without a picture. lost: pictures begun and not published."""

    latencies_ms: list[float] = field(default_factory=list)
    missed: int = 0
    lost: int = 0
    swaps_ms: list[float] = field(default_factory=list)

    def result(self) -> dict[str, Any]:
        p50, p99 = np.percentile(self.latencies_ms, (50, 99))
        found = {"frames": len(self.latencies_ms), "missed": self.missed, "lost": self.lost, "p50": p50, "p99": p99,
                 "max": max(self.latencies_ms)}  # fmt: skip
        if self.swaps_ms:
            found |= {"swap_p50": float(np.median(self.swaps_ms)), "swap_max": max(self.swaps_ms)}
        return found


class Show:
    """An engine in a process of its own, and whoever looks at every frame of its performer."""

    def __init__(self, folder: Path, options: argparse.Namespace, files: list[Path]):
        config = folder / "swap.yaml"
        config.write_text(
            CONFIG.format(name=NAME, fps=options.fps, file=json.dumps(str(files[0])), size=options.size,
                          backend=options.backend, threads=options.threads), "utf-8",
        )  # fmt: skip
        self._log = folder / "log.txt"
        home = {"UTSUSHI_HOME": str(folder / "home")}
        with self._log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "run_engine.py"), "--config", str(config)],
                stdout=log, stderr=log, start_new_session=True, env={**os.environ, **home},
            )  # fmt: skip
        self.directory = self._attach()
        self.client = bus.Client(self.directory["control_port"])
        self.phase = Phase()
        self.reader: StreamReader | None = None
        self._seen: tuple[int, int] | None = None  # numbers of the last frame and of its keypoints

    def _attach(self) -> Directory:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                directory = Directory.attach(NAME)
            except SegmentError:
                time.sleep(0.05)
                continue
            if all(node.phase == "RUNNING" for node in directory.health()):
                return directory
            time.sleep(0.1)
        raise SystemExit("The engine did not start:\n" + self._log.read_text(encoding="utf-8")[-2000:])

    def figures(self) -> dict[str, Any]:
        self.client.send(bus.Stats())
        answer = self.client.receive(10)
        return answer.figures["nodes"]["performer"] if isinstance(answer, bus.Stats) else {}

    def play(self, file: Path) -> None:
        self.client.send(bus.Set(node="performer", values={"performer": str(file)}))
        answer = self.client.receive(10)
        if not isinstance(answer, bus.Ack) or not answer.ok:
            raise SystemExit(f"The performer was not changed: {answer}")

    def look(self, done: Callable[[Frame], bool]) -> None:
        """Take every frame until one is `done`."""
        if self.reader is None:
            names = [self.directory.stream(row).name for row in range(self.directory["stream_count"])]
            self.reader = StreamReader(self.directory, names.index("performer"), Policy.EVERY)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            frame = self.reader.read()
            if frame is None:
                time.sleep(0.002)
                continue
            self._count(frame)
            if done(frame):
                return
        raise SystemExit("It never came to that:\n" + self._log.read_text(encoding="utf-8")[-2000:])

    def _count(self, frame: Frame) -> None:
        numbers = frame.seq, frame.sources[0].seq
        if self._seen is not None:
            self.phase.lost += numbers[0] - self._seen[0] - 1
            self.phase.missed += numbers[1] - self._seen[1] - 1
        self._seen = numbers
        self.phase.latencies_ms.append((frame.publish_ns - frame.capture_ns) / 1e6)

    def close(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


def player(frame: Frame) -> int:
    """Which of the two performers a frame shows."""
    red, _, blue, _ = frame.array[0, 0].tolist()
    return int(blue > red)


def for_seconds(seconds: float) -> Callable[[Frame], bool]:
    until = time.monotonic() + seconds
    return lambda frame: time.monotonic() >= until


def prepare(show: Show, files: list[Path]) -> None:
    """Let the engine find out once how each performer runs best: whoever is swapped in plays when that is known."""
    for number in (1, 0):
        print(f"  preparing performer {number} …", file=sys.stderr)
        show.play(files[number])
        show.look(lambda frame, number=number: player(frame) == number)  # type: ignore[misc]


def run(show: Show, files: list[Path], swaps: int) -> tuple[Phase, Phase]:
    """(with swaps, without)."""
    swapping, still = Phase(), Phase()
    now = 0  # who plays
    for _ in range(max(swaps // ROUND, 1)):
        show.phase, begun = swapping, time.monotonic()
        for _ in range(min(ROUND, swaps)):
            now, asked = 1 - now, time.monotonic()
            show.play(files[now])
            show.look(lambda frame: player(frame) == now)  # noqa: B023
            swapping.swaps_ms.append((time.monotonic() - asked) * 1e3)
            show.look(for_seconds(PAUSE_S))
        show.phase = still
        show.look(for_seconds(time.monotonic() - begun))
        print(f"  {len(swapping.swaps_ms)} of {swaps} swaps", file=sys.stderr)
    return swapping, still


def text(found: dict[str, Any]) -> str:
    lines = [f"{'':16}{'frames':>8}{'missed':>8}{'lost':>6}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}"]
    for name in ("with swaps", "without"):
        row = found[name]
        lines.append(f"{name:16}{row['frames']:8}{row['missed']:8}{row['lost']:6}{row['p50']:9.1f}{row['p99']:9.1f}"
                     f"{row['max']:9.1f}")  # fmt: skip
    row = found["with swaps"]
    lines.append(f"asked to shown: p50 {row['swap_p50']:.0f} ms, longest {row['swap_max']:.0f} ms; {found['backend']}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--preset", choices=["tiny", "base", "large"], default="tiny")
    parser.add_argument("--size", type=int, choices=[64, 256, 512], default=256)
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        files = [
            random_performer(folder / f"{number}.safetensors", options.preset, options.size, options.size == 64, plate)
            for number, plate in enumerate(PLATES)
        ]
        show = Show(folder, options, files)
        try:
            prepare(show, files)
            swapping, still = run(show, files, options.swaps)
            backend = show.figures()["metrics"].get("backend", "")
        finally:
            show.close()
    found = {"with swaps": swapping.result(), "without": still.result(), "backend": backend}
    print(text(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a step of `generator.performer` costs beyond the network: pose, fit, joints, picture. See docs/PERFORMER.md.

python bench/performer_step.py [FILE.safetensors] [--size 512] [--steps 200] [--json FILE]

One process, one thread, no engine: the node's own step writes into warm memory. Each step's time is compared with that
of the network's runs inside it, so that what else the machine does meets both. `cpu` is the rest's processor time: what
a busy machine does not stretch. Without a file: random weights, whose
pictures cover the whole stage, which is the most that can be put over it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# As the engine starts its nodes; libraries read it when they are loaded.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OPENCV_FOR_THREADS_NUM"] = "1"
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.performer import random_performer
from bench.steps import frame, make
from nodes.generator.network import checkpoint

CASES = {
    "one person, transparent": (1, "transparent"),
    "one person, over the plate": (1, "plate"),
    "two people, transparent": (2, "transparent"),
    "two people, over the plate": (2, "plate"),
}
BAR_MS, BARS = 1.5, 2  # for so many of the cases
CANVAS = (1280, 720)


class Timed:
    """A backend, and how long its runs took since one last asked."""

    def __init__(self, backend: Any):
        self._backend, self.name, self.batches = backend, backend.name, backend.batches
        self.spent_ns = self.cpu_ns = 0

    def run(self, points: np.ndarray, out: np.ndarray) -> None:
        begun, cpu = time.perf_counter_ns(), time.thread_time_ns()
        self._backend.run(points, out)
        self.cpu_ns += time.thread_time_ns() - cpu
        self.spent_ns += time.perf_counter_ns() - begun

    def close(self) -> None:
        self._backend.close()


def measure(path: Path, people: int, background: str, size: int, steps: int) -> dict[str, float]:
    """Milliseconds: the network's, p50 and p95 of the rest of a step, and the median of the rest's processor time."""
    node = make(
        "generator.performer", performer=str(path), size=size, people=people, background=background,
        backend="torch", device="cpu", threads=1,
    )  # fmt: skip
    performer = node.cast.performers[0]
    timed = performer.backend = Timed(performer.backend)
    poses = checkpoint.read(path).poses
    poses = poses * np.array([CANVAS[1], CANVAS[1], CANVAS[1], 1], np.float32)
    rest, cpu, network = [], [], []
    for step in range(-10, steps):  # the first ones warm up
        # Neighbours in time are neighbours in pose: nobody jumps, which would begin a new visitor.
        points = np.repeat(poses[:1], people, 0) + np.float32(20 * np.sin(step / 10))
        points[..., 0] += np.arange(people, dtype=np.float32)[:, None] * 300
        points[..., 3] = 0.9
        given = frame(points, step + 11, canvas=CANVAS, ids=tuple(range(people)))
        timed.spent_ns = timed.cpu_ns = 0
        begun, cpu_begun = time.perf_counter_ns(), time.thread_time_ns()
        node.step(given)
        whole, cpu_whole = time.perf_counter_ns() - begun, time.thread_time_ns() - cpu_begun
        if step >= 0:
            network.append(timed.spent_ns / 1e6)
            rest.append((whole - timed.spent_ns) / 1e6)
            cpu.append((cpu_whole - timed.cpu_ns) / 1e6)
    node.close()
    p50, p95 = np.percentile(rest, (50, 95))
    return {"network": float(np.median(network)), "p50": float(p50), "p95": float(p95), "cpu": float(np.median(cpu))}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE.safetensors", help="a performer to measure with")
    parser.add_argument("--size", type=int, default=512, help="side of the picture")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or random_performer(Path(folder) / "random.safetensors", "tiny", options.size, False)
        print(f"| {options.size} × {options.size:<20} | network ms | rest p50 ms | p95 ms | cpu ms |")
        print(f"|{'-' * 28}|-----------:|------------:|-------:|-------:|")
        found = {}
        for name, (people, background) in CASES.items():
            row = found[name] = measure(path, people, background, options.size, options.steps)
            times = f"{row['network']:10.2f} | {row['p50']:11.2f} | {row['p95']:6.2f} | {row['cpu']:6.2f}"
            print(f"| {name:<26} | {times} |", flush=True)
    for name in list(CASES)[:BARS]:
        spent = found[name]["p50"]
        print(f"{name:<28}{spent:5.2f} <= {BAR_MS} ms  {'met' if spent <= BAR_MS else 'MISSED'}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the engine's processes cost, over time, and whether it grows."""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import psutil

from engine.clock import now_ns
from engine.stress.show import Show

WARM_UP = 1 / 3  # of a run: caches fill, rings are touched for the first time
BLOCKS = 20  # neighbouring samples resemble each other, so not they but blocks of them count as observations
FEWEST = 8  # blocks, for a slope to be judged
CONFIDENCE = 0.99
COUNT_DESCRIPTORS = "num_handles" if sys.platform == "win32" else "num_fds"


@dataclass
class Sample:
    """at_s: since the load began. steps: of each node so far. whole: do all nodes run now?"""

    at_s: float
    steps: dict[str, int]
    published: dict[str, int]
    restarts: dict[str, int]
    memory_mb: float
    descriptors: int
    shared_mb: float
    whole: bool


class Sampler:
    """samples: as plain dictionaries, `every_s` apart; further apart the longer it lasts, 2000 at most."""

    def __init__(self, show: Show, began_ns: int, every_s: float):
        self.show, self.began_ns, self.every_s = show, began_ns, every_s
        self.samples: list[dict] = []
        self._next_ns = began_ns

    def turn(self) -> None:
        """Take a sample when one is due."""
        if now_ns() < self._next_ns:
            return
        self._next_ns = now_ns() + round(self.every_s * 1e9)
        self.samples.append(asdict(self._look()))
        if len(self.samples) >= 2000:
            self.samples = self.samples[::2]
            self.every_s *= 2

    def _look(self) -> Sample:
        show = self.show
        nodes = {name: show.node(name) for name in show.names}
        processes = [psutil.Process(show.process.pid), *show.processes().values()]
        memory = descriptors = 0
        for process in processes:
            with suppress(psutil.Error), process.oneshot():
                memory += process.memory_info().rss
                descriptors += getattr(process, COUNT_DESCRIPTORS)()
        return Sample(
            (now_ns() - self.began_ns) / 1e9,
            {name: row["steps"] for name, row in nodes.items()},
            show.heads(),
            {name: row["restarts"] for name, row in nodes.items()},
            memory / 1e6,
            descriptors,
            shared_bytes(show) / 1e6,
            show.lively() and len(processes) == len(nodes) + 1,
        )


def shared_bytes(show: Show) -> int:
    """Shared memory under the engine's name; where the system does not list it, what the directory knows of."""
    folder = Path("/dev/shm")
    if folder.is_dir():
        total = 0
        for path in folder.glob(f"utsu_{show.config.engine.name}_*"):
            with suppress(OSError):
                total += path.stat().st_size
        return total
    return show.directory.segment.size + sum(show.ring(row)[0].size for row in range(len(show.config.streams)))


def growth(samples: list[dict], of: str) -> dict | None:
    """How much a quantity has grown from the warm-up to the end, as a share of its mean.

    The slope of a straight line through the medians of blocks, by least squares; `least` and `most` bound it with
    99 % confidence on either side. None where there are too few samples to say.
    """
    kept = [s for s in samples if s["whole"] and s["at_s"] >= samples[-1]["at_s"] * WARM_UP]
    count = min(BLOCKS, len(kept) // 3)
    if count < FEWEST:
        return None
    blocks = np.array_split(np.array([[s["at_s"], s[of]] for s in kept]), count)
    x, y = np.array([np.median(block, axis=0) for block in blocks]).T
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    noise = y - y.mean() - slope * x
    error = math.sqrt(float(noise @ noise) / (count - 2) / float(x @ x))
    span, mean = float(x[-1] - x[0]), float(y.mean()) or 1.0
    half = student_quantile(CONFIDENCE, count - 2) * error
    return {"growth": slope * span / mean, "least": (slope - half) * span / mean, "most": (slope + half) * span / mean,
            "per_hour": slope * 3600}  # fmt: skip


def student_quantile(p: float, freedom: int) -> float:
    """Quantile of Student's t: the expansion in Abramowitz & Stegun, 26.7.5. Right to 1 % from 6 degrees on."""
    z = NormalDist().inv_cdf(p)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def idle_cpu(show: Show, seconds: float) -> dict[str, float]:
    """Seconds of processor per second, of the supervisor and of each node, while all of them are paused."""
    processes = {"supervisor": psutil.Process(show.process.pid), **show.processes()}

    def used() -> dict[str, float]:
        return {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}

    before, began_ns = used(), now_ns()
    show.until(lambda: False, seconds)
    spent = (now_ns() - began_ns) / 1e9
    return {name: (now - before[name]) / spent for name, now in used().items()}

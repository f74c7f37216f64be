"""How the nodes do at the moment, for those who show it once a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.histogram import percentile_ms

if TYPE_CHECKING:
    from engine.life import Life
    from engine.supervisor import Supervisor


@dataclass
class Line:
    """One node since the last look; skipped and restarts since the start; metrics as it last told them."""

    name: str
    state: str
    text: str
    fps: float
    p50_ms: float
    p95_ms: float
    skipped: int
    restarts: int
    metrics: dict[str, float | str]


@dataclass
class Progress:
    """Offline: how far the last node has come. total: 0 where nobody knows; left_s: None before that can be said."""

    done: int
    total: int
    left_s: float | None


class Rates:
    """Tells of now and not of all the weeks before: each look counts from the one before it."""

    def __init__(self) -> None:
        self._before: dict[str, np.ndarray] = {}  # what every histogram held then

    def lines(self, supervisor: Supervisor, seconds: float) -> list[Line]:
        """One line per node; `seconds` are those since the last look."""
        return [self._line(supervisor, life, seconds) for life in supervisor.lives]

    def latency_ms(self, last: Sequence[Life]) -> tuple[float, float]:
        """Median and 99th percentile of the time from light on the sensor to the end of the last nodes' steps."""
        ages = np.sum([self._fresh(f"age of {life.name}", life.row.latency_ns.counts()) for life in last], axis=0)
        return percentile_ms(ages, 50), percentile_ms(ages, 99)

    def _line(self, supervisor: Supervisor, life: Life, seconds: float) -> Line:
        steps = self._fresh(life.name, life.row.step_ns.counts())
        return Line(
            life.name, life.state, life.text, int(steps.sum()) / seconds, percentile_ms(steps, 50),
            percentile_ms(steps, 95), supervisor.rings.missed(life.name), life.row["restarts"], life.metrics,
        )  # fmt: skip

    def _fresh(self, key: str, counts: np.ndarray) -> np.ndarray:
        fresh = counts - self._before.get(key, np.zeros_like(counts))
        self._before[key] = counts
        return fresh


def progress(lives: Sequence[Life]) -> Progress:
    """How much of what the source expects has reached the last node, and how long the rest will take."""
    total = max((life.row["total"] for life in lives), default=0)
    last = lives[-1].row
    done = last["steps"]  # of a node that gathers streams one for each of their frames, maybe: more than the total
    spent_s = (last["last_step_ns"] - last["first_step_ns"]) / 1e9
    return Progress(done, total, spent_s * max(0, total - done) / (done - 1) if done > 1 else None)

"""The status while an engine runs: a table where a terminal allows it, a plain line a second elsewhere."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from engine.clock import now_ns
from engine.histogram import percentile_ms
from engine.life import Life
from engine.supervisor import Supervisor

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # what would steer a terminal instead of standing on it
PERIOD_NS = 1_000_000_000
STYLES = {"RUNNING": "green", "FINISHED": "green", "DEGRADED": "yellow", "PAUSED": "cyan"}


@dataclass
class Line:
    """One node during the last second; skipped and restarts since the start; metrics as it last told them."""

    name: str
    state: str
    text: str
    fps: float
    p50_ms: float
    p95_ms: float
    skipped: int
    restarts: int
    metrics: str


class Status:
    """`say` prints a line above the table; `update` renews it once a second. Use as a context manager."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self._live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None
        self._started_ns = self._updated_ns = now_ns()
        self._before: dict[str, np.ndarray] = {}  # what every histogram held a second ago

    def __enter__(self) -> Status:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        """One line for a person. Whoever reads our output may go, or its disk be full; the show goes on."""
        with suppress(OSError):
            self.console.print(CONTROL.sub("?", line), markup=False, soft_wrap=True)

    def update(self, supervisor: Supervisor) -> None:
        seconds = (now_ns() - self._updated_ns) / 1e9
        if seconds < PERIOD_NS / 1e9:
            return
        self._updated_ns = now_ns()
        if supervisor.offline:
            self._show_progress(supervisor)
            return
        lines = [self._line(supervisor, life, seconds) for life in supervisor.lives]
        last = supervisor.last_lives()
        ages = np.sum([self._fresh(f"age of {life.name}", life.row.latency_ns.counts()) for life in last], axis=0)
        p50, p99 = percentile_ms(ages, 50), percentile_ms(ages, 99)
        if self._live:
            with suppress(OSError):
                self._live.update(_table(lines, p50, p99), refresh=True)
        else:
            elapsed = (now_ns() - self._started_ns) / 1e9
            self.say(f"{elapsed:5.0f} s | {' | '.join(map(_plain, lines))} | latency {p50:.0f}/{p99:.0f} ms")

    def _line(self, supervisor: Supervisor, life: Life, seconds: float) -> Line:
        steps = self._fresh(life.name, life.row.step_ns.counts())
        return Line(
            life.name, life.state, life.text, int(steps.sum()) / seconds, percentile_ms(steps, 50),
            percentile_ms(steps, 95), supervisor.rings.missed(life.name), life.row["restarts"],
            ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in life.metrics.items()),
        )  # fmt: skip

    def _fresh(self, key: str, counts: np.ndarray) -> np.ndarray:
        """What was counted since the last call, so that the status tells of now and not of all the weeks before."""
        fresh = counts - self._before.get(key, np.zeros_like(counts))
        self._before[key] = counts
        return fresh

    def _show_progress(self, supervisor: Supervisor) -> None:
        """Offline: how much of what the source expects has reached the last node, and how long the rest will take."""
        total = max((life.row["total"] for life in supervisor.lives), default=0)
        last = supervisor.lives[-1].row
        done = last["steps"]
        spent_s = (last["last_step_ns"] - last["first_step_ns"]) / 1e9
        left = f"{spent_s * (total - done) / (done - 1):.0f} s left" if done > 1 else "starting"
        if not total:
            self.say(f"{done} frames")
        elif self._live:
            bar = Progress(BarColumn(), MofNCompleteColumn(), TextColumn(f"frames, {left}"))
            bar.add_task("", total=total, completed=done)
            with suppress(OSError):
                self._live.update(bar, refresh=True)
        else:
            filled = min(30, round(30 * done / total))
            self.say(f"[{'#' * filled}{'.' * (30 - filled)}] {done}/{total} frames, {left}")


def _plain(line: Line) -> str:
    return (
        f"{line.name} {line.state.lower()} {line.fps:.0f} fps {line.p50_ms:.1f}/{line.p95_ms:.1f} ms, "
        f"skipped {line.skipped}, restarts {line.restarts}"
    ) + (f", {line.metrics}" if line.metrics else "")


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def _table(lines: list[Line], p50_ms: float, p99_ms: float) -> Table:
    table = Table(caption=f"capture to output: p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms")
    for column in ("node", "state"):
        table.add_column(column)
    for column in ("fps", "step p50 ms", "p95 ms", "skipped", "restarts"):
        table.add_column(column, justify="right")
    for line in lines:
        state = f"[{STYLES.get(line.state, 'red')}]{line.state.lower()}[/]"
        said = "".join("\n" + escape(CONTROL.sub("?", text)) for text in (line.text, line.metrics) if text)
        table.add_row(
            line.name, state + said, f"{line.fps:.1f}",
            f"{line.p50_ms:.1f}", f"{line.p95_ms:.1f}", str(line.skipped), str(line.restarts),
        )  # fmt: skip
    return table

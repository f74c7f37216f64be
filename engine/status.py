"""The status while an engine runs: a table where a terminal allows it, a plain line a second elsewhere."""

from __future__ import annotations

import re
from contextlib import suppress

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from engine.clock import now_ns
from engine.rates import Line, Rates, progress
from engine.supervisor import Supervisor

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # what would steer a terminal instead of standing on it
PERIOD_NS = 1_000_000_000
STYLES = {"RUNNING": "green", "FINISHED": "green", "DEGRADED": "yellow", "PAUSED": "cyan"}


class Status:
    """`say` prints a line above the table; `update` renews it once a second. Use as a context manager."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self._live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None
        self._started_ns = self._updated_ns = now_ns()
        self._rates = Rates()

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
        lines = self._rates.lines(supervisor, seconds)
        p50, p99 = self._rates.latency_ms(supervisor.last_lives())
        if self._live:
            with suppress(OSError):
                self._live.update(_table(lines, p50, p99), refresh=True)
        else:
            elapsed = (now_ns() - self._started_ns) / 1e9
            self.say(f"{elapsed:5.0f} s | {' | '.join(map(_plain, lines))} | latency {p50:.0f}/{p99:.0f} ms")

    def _show_progress(self, supervisor: Supervisor) -> None:
        found = progress(supervisor.lives)
        done, total = found.done, found.total
        left = "starting" if found.left_s is None else f"{found.left_s:.0f} s left"
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
    ) + (f", {_told(line)}" if line.metrics else "")


def _told(line: Line) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in line.metrics.items())


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
        said = "".join("\n" + escape(CONTROL.sub("?", text)) for text in (line.text, _told(line)) if text)
        table.add_row(
            line.name, state + said, f"{line.fps:.1f}",
            f"{line.p50_ms:.1f}", f"{line.p95_ms:.1f}", str(line.skipped), str(line.restarts),
        )  # fmt: skip
    return table

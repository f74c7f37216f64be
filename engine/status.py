"""The status while an engine runs: a table where a terminal allows it, a plain line a second elsewhere."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from engine.clock import now_ns
from engine.supervisor import Supervisor

PERIOD_NS = 1_000_000_000
STYLES = {"RUNNING": "green", "FINISHED": "green", "DEGRADED": "yellow", "PAUSED": "cyan"}


class Status:
    """`say` prints a line above the table; `update` renews it once a second. Use as a context manager."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.pretty = self.console.is_terminal
        self._live = Live(console=self.console, auto_refresh=False) if self.pretty else None
        self._started_ns = self._updated_ns = now_ns()
        self._steps: dict[str, int] = {}

    def __enter__(self) -> Status:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, soft_wrap=True)

    def update(self, supervisor: Supervisor) -> None:
        now = now_ns()
        if now - self._updated_ns < PERIOD_NS:
            return
        rows = self._rows(supervisor, (now - self._updated_ns) / 1e9)
        self._updated_ns = now
        if supervisor.offline:
            self._show_progress(supervisor)
        elif self._live:
            self._live.update(self._table(supervisor, rows), refresh=True)
        else:
            self.say(self._line(rows, supervisor.figures()["latency_ms"]))

    def _rows(self, supervisor: Supervisor, seconds: float) -> list[dict[str, Any]]:
        figures = supervisor.figures()
        rows = []
        for name, node in figures["nodes"].items():
            readers = [stream["readers"].get(name, {}) for stream in figures["streams"].values()]
            fps = (node["steps"] - self._steps.get(name, 0)) / seconds
            self._steps[name] = node["steps"]
            skipped = sum(reader.get("skipped", 0) + reader.get("overrun", 0) for reader in readers)
            rows.append({**node, "name": name, "fps": fps, "skipped": skipped})
        return rows

    def _line(self, rows: list[dict[str, Any]], latency: dict[str, float]) -> str:
        parts = [
            f"{row['name']} {row['state'].lower()} {row['fps']:.0f} fps "
            f"{row['step_ms']['p50']:.1f}/{row['step_ms']['p95']:.1f} ms, "
            f"skipped {row['skipped']}, restarts {row['restarts']}"
            for row in rows
        ]
        elapsed = (now_ns() - self._started_ns) / 1e9
        return f"{elapsed:5.0f} s | {' | '.join(parts)} | latency {latency['p50']:.0f}/{latency['p99']:.0f} ms"

    def _table(self, supervisor: Supervisor, rows: list[dict[str, Any]]) -> Table:
        latency = supervisor.figures()["latency_ms"]
        table = Table(caption=f"capture to output: p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms")
        for column in ("node", "state", "fps", "step p50", "p95 ms", "skipped", "restarts"):
            table.add_column(column, justify="left" if column in ("node", "state") else "right")
        for row in rows:
            style = STYLES.get(row["state"], "red")
            table.add_row(
                row["name"], f"[{style}]{row['state'].lower()}[/]", f"{row['fps']:.1f}", f"{row['step_ms']['p50']:.1f}",
                f"{row['step_ms']['p95']:.1f}", str(row["skipped"]), str(row["restarts"]),
            )  # fmt: skip
        return table

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
            self._live.update(bar, refresh=True)
        else:
            filled = round(30 * done / total)
            self.say(f"[{'#' * filled}{'.' * (30 - filled)}] {done}/{total} frames, {left}")

"""A line that says how far something long has come: over and over at a terminal, now and then elsewhere."""

from __future__ import annotations

import sys

from engine.clock import now_ns

AT_TERMINAL_S, ELSEWHERE_S = 0.5, 10.0
WIDTH = 78


class Progress:
    """what: the line's first words. total: how many pictures there are to be; 0 where nobody knows."""

    def __init__(self, what: str, total: int):
        self._what, self._total = what, total
        self._live = sys.stdout.isatty()
        self._began = self._said = now_ns()

    def seen(self, number: int) -> None:
        """Picture `number` is done; 0 is the first."""
        now = now_ns()
        if (now - self._said) / 1e9 < (AT_TERMINAL_S if self._live else ELSEWHERE_S):
            return
        self._said = now
        done, seconds = number + 1, (now - self._began) / 1e9
        pace = done / seconds
        share = f"{min(done / self._total, 1):4.0%}  " if self._total else f"{done} pictures  "
        left = f"  {duration(max(self._total - done, 0) / pace)} left" if self._total else ""
        self._show(f"{self._what}  {share}{pace:.1f} pictures/s{left}")

    def _show(self, text: str) -> None:
        print(f"\r{text:<{WIDTH}}" if self._live else text, end="" if self._live else "\n", flush=True)

    def done(self) -> None:
        """Take the line away, so that sentences begin on a line of their own."""
        if self._live:
            print(f"\r{'':<{WIDTH}}\r", end="", flush=True)


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"

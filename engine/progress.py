"""A line that says how far something long has come: over and over at a terminal, now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress

from engine.clock import now_ns

AT_TERMINAL_S, ELSEWHERE_S = 0.5, 10.0
WIDTH = 78


class Line:
    """A line to write over at a terminal; elsewhere, a new one from time to time."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._said = now_ns()
        self._drawn = False

    def due(self) -> bool:
        """Whether the last one is long enough ago."""
        return (now_ns() - self._said) / 1e9 >= (AT_TERMINAL_S if self._live else ELSEWHERE_S)

    def show(self, text: str) -> None:
        self._said = now_ns()
        with suppress(OSError):  # the terminal was closed: no reason to stop what takes hours
            if self._live:
                width = min(WIDTH, shutil.get_terminal_size().columns - 1)
                print(f"\r{text[:width]:<{width}}", end="", flush=True)
                self._drawn = True
            else:
                print(text, flush=True)

    def done(self) -> None:
        """Take the line away, so that sentences begin on a line of their own."""
        if self._drawn:
            self.show("")
            self._drawn = False
            with suppress(OSError):
                print("\r", end="", flush=True)


class Progress:
    """what: the line's first words. total: how many pictures there are to be; 0 where nobody knows."""

    def __init__(self, what: str, total: int):
        self._what, self._total = what, total
        self._line = Line()
        self._began = now_ns()
        self.done = self._line.done

    def seen(self, number: int) -> None:
        """Picture `number` is done; 0 is the first."""
        if not self._line.due():
            return
        done = number + 1
        pace = done / ((now_ns() - self._began) / 1e9)
        share = f"{min(done / self._total, 1):4.0%}  " if self._total else f"{done} pictures  "
        left = f"  {duration(max(self._total - done, 0) / pace)} left" if self._total else ""
        self._line.show(f"{self._what}  {share}{pace:.1f} pictures/s{left}")


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"

"""Time. Ages and deadlines use `now_ns`; wall time is for people only."""

from __future__ import annotations

import time

now_ns = time.perf_counter_ns
"""Monotonic nanoseconds, the same clock in every process of this machine.

`perf_counter` is system-wide on Linux, macOS and Windows; `monotonic` ticks every 15.6 ms on Windows.
"""

wall_ns = time.time_ns
"""Nanoseconds since 1970, for people and file names. It may jump: never compute an age with it."""


class Pacer:
    """Deadlines at a steady rate. A late tick is skipped, not made up for, so that a stall leaves no burst."""

    def __init__(self, rate_hz: float):
        self.period_ns = round(1e9 / rate_hz)
        self.next_ns = now_ns()

    def remaining_s(self) -> float:
        """Seconds until the next tick; 0 when it is due."""
        return max(0, self.next_ns - now_ns()) / 1e9

    def wait(self, longest_s: float) -> bool:
        """Sleep until the next tick, `longest_s` at most; says whether it is due."""
        left = self.remaining_s()
        time.sleep(min(left, longest_s))
        return left <= longest_s

    def advance(self) -> None:
        """Move to the next tick that lies in the future."""
        self.next_ns += self.period_ns
        late = now_ns() - self.next_ns
        if late > 0:
            self.next_ns += -(-late // self.period_ns) * self.period_ns

"""How long to wait before trying again."""

from __future__ import annotations

FIRST_NS, LONGEST_NS = 250_000_000, 5_000_000_000


class Backoff:
    """0.25 s, doubled with each failure in a row, 5 s at most."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._next_ns = FIRST_NS

    def next_ns(self) -> int:
        wait_ns, self._next_ns = self._next_ns, min(2 * self._next_ns, LONGEST_NS)
        return wait_ns

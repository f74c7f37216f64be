"""How long to wait before trying again."""

from __future__ import annotations

FIRST_NS, LONGEST_NS = 250_000_000, 5_000_000_000
OF_SOURCES_NS = 1_000_000_000  # whoever comes back is to be seen within 3 s, and opening takes some of that


class Backoff:
    """0.25 s, doubled with each failure in a row, `longest_ns` at most."""

    def __init__(self, longest_ns: int = LONGEST_NS) -> None:
        self._longest_ns = longest_ns
        self.reset()

    def reset(self) -> None:
        self._next_ns = FIRST_NS

    def next_ns(self) -> int:
        wait_ns, self._next_ns = self._next_ns, min(2 * self._next_ns, self._longest_ns)
        return wait_ns

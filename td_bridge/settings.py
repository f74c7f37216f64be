"""Which values have to go which way between TouchDesigner's parameters and an engine. Standard library only."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

from panel import Row, rows

RESEND_S = 1.0  # a change that nobody has answered is sent again


class UnderWay(NamedTuple):
    """A change that was sent: its values, when, and how many answers are still to come."""

    values: tuple[Any, ...]
    at: float
    answers: int


class Settings:
    """What the engine holds and what TouchDesigner's parameters should show, by OSC address.

    mine: addresses that the artist has set here; a new engine is given those values again.
    version: of the last change of ours that the engine has taken.
    """

    def __init__(self, mine: list[str]):
        self.mine = set(mine)
        self.rows: list[Row] = []
        self.version = 0
        self.show: set[str] = set()  # whose value in TouchDesigner has to become the engine's
        self._held: dict[str, tuple[Any, ...]] = {}
        self._seen: dict[str, tuple[Any, ...]] = {}  # what the parameters have, as far as known
        self._sent: dict[str, UnderWay] = {}
        self._versions: dict[str, int] = {}
        self._session = 0

    def load(self, panel: dict[str, Any] | None) -> bool:
        """Take over what a panel says; says whether it is another engine than before."""
        if panel is None:
            self.rows, self._sent, self._session = [], {}, 0
            return False
        new, self._session = panel["session"] != self._session, panel["session"]
        self.rows = rows(panel)
        if new:  # what was known of another engine says nothing about this one
            self._held, self._seen, self._sent, self._versions = {}, {}, {}, {}
        versions = {one["address"]: one["version"] for node in panel["nodes"] for one in node["parameters"]}
        for row in self.rows:
            self.learn(row.address, row.value, versions[row.address])
        return new

    def row_of(self, par: str) -> Row | None:
        """The line of a parameter, or the one of an OSC address."""
        return next((row for row in self.rows if par in row.names or par == row.address), None)

    def learn(self, address: str, values: tuple[Any, ...], version: int) -> None:
        """The engine holds these values. The panel's file comes later than OSC, so what is older is left out."""
        if version < self._versions.get(address, 0):
            return
        self._versions[address] = version
        if address not in self._held or not same(self._held[address], values):
            self.show.add(address)
        self._held[address] = values

    def to_show(self) -> list[Row]:
        """Lines whose parameters have to be set to what `shown` says, once each."""
        due = [row for row in self.rows if row.address in self.show and row.address not in self._sent]
        self.show -= {row.address for row in due}
        return due

    def shown(self, address: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """What to set the parameters to that have these values now; None where the artist has just changed them, which
        TouchDesigner will only tell at the end of the frame."""
        if not same(self._seen.get(address, values), values):
            return None
        self._seen[address] = self._held[address]
        return self._held[address]

    def edit(self, address: str, values: tuple[Any, ...], by_hand: bool = True) -> bool:
        """A parameter in TouchDesigner has these values now; says whether they have to be sent."""
        self._seen[address] = values
        under_way = self._sent.get(address)
        if same(under_way.values if under_way else self._held.get(address), values):
            return False
        self._sent[address] = UnderWay(values, time.monotonic(), under_way.answers + 1 if under_way else 1)
        if by_hand:
            self.mine.add(address)
        return True

    def answer(self, ok: bool, address: str, version: int) -> bool:
        """The engine has answered; says whether it has refused a change of ours, which is then taken back.

        While a slider is dragged several changes are under way; the answer to the last one decides.
        """
        under_way = self._sent.get(address)
        if under_way is None:
            return False
        self.version = version if ok else self.version
        if under_way.answers > 1:
            self._sent[address] = under_way._replace(answers=under_way.answers - 1)
            return False
        del self._sent[address]
        self.show.add(address)
        if ok:
            self._held[address], self._versions[address] = under_way.values, version
        else:
            self.mine.discard(address)
        return not ok

    def overdue(self) -> list[tuple[Row, tuple[Any, ...]]]:
        """Changes to send again: a datagram may be lost."""
        now, late = time.monotonic(), []
        for row in self.rows:
            under_way = self._sent.get(row.address)
            if under_way is not None and now - under_way.at > RESEND_S:
                self._sent[row.address] = UnderWay(under_way.values, now, 1)
                late.append((row, under_way.values))
        return late


def same(first: tuple[Any, ...] | None, second: tuple[Any, ...] | None) -> bool:
    """Equal, for floats as OSC carries them: 32 bits. What is no number at all is equal to itself, too."""
    if first is None or second is None or len(first) != len(second):
        return False
    return all(
        math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) or (a != a and b != b)
        if isinstance(a, float) or isinstance(b, float)
        else a == b
        for a, b in zip(first, second, strict=True)
    )

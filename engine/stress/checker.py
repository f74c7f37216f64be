"""Looks at every frame that a reader gets, and counts what must not be. Owes nothing to the engine's own counts."""

from __future__ import annotations

import numpy as np

from engine.clock import now_ns
from engine.stress import pattern
from engine.stress.tally import Tally


class Checker:
    """tally: where it counts; a successor of the same reader goes on from there."""

    def __init__(self, tally: Tally):
        self.tally = tally

    def see(self, array: np.ndarray, seq: int, ordinal: int, publish_ns: int, original: bool) -> None:
        """One frame. original: nobody has passed it on, so its picture's number is its ordinal."""
        self.tally.ages.add(max(0, now_ns() - publish_ns))
        number = pattern.number_of(array)
        counts = self.tally.counts
        counts["seen"] += 1
        if number is None or (original and number != ordinal):
            counts["torn"] += 1
            number = None
        self._follow(seq, ordinal, number)
        self.tally.store()

    def _follow(self, seq: int, ordinal: int, number: int | None) -> None:
        counts = self.tally.counts
        by_seq, by_ordinal = seq - counts["seq"], ordinal - counts["ordinal"]
        if by_seq == 0:
            counts["repeated"] += 1
        elif by_seq < 0 or not 0 < by_ordinal <= by_seq:
            counts["back"] += 1
        else:
            counts["missed"] += by_ordinal - 1
            counts["lost"] += by_seq - by_ordinal
            counts["seq"], counts["ordinal"] = seq, ordinal
            counts["first_seq"] = counts["first_seq"] or seq
            counts["first_ordinal"] = counts["first_ordinal"] or ordinal
            if number is not None:
                counts["repeated"] += number == counts["number"]
                counts["back"] += number < counts["number"]
                counts["number"] = max(number, counts["number"])

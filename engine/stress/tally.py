"""Counts that outlive whoever counts: a small mapped file, whole at every instant.

Like engine/books.py, the counts stand twice and a word says which half is valid; a kill leaves the old ones or the new
ones. They stand in a file of their own, so that they owe nothing to the memory that they are held against.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from engine import layout
from engine.histogram import BINS, Histogram

FIELDS = (
    "seen",  # frames handed over
    "torn",  # not a whole picture, or not the one that its metadata names
    "repeated",  # a frame or a picture that was the last one already
    "back",  # a number lower than one that was seen before
    "missed",  # gaps in the ordinals
    "lost",  # gaps in the numbers that the ordinals do not have
    "first_seq", "first_ordinal", "seq", "ordinal", "number",  # of the first frame and of the last
    "begun", "done",  # frames written: begun, and published
    "skipped", "empty", "polls", "latest",  # of a reader of TouchDesigner's kind: see engine/stress/viewer.py
)  # fmt: skip
HALF = len(FIELDS)
AGES = 1 + 2 * HALF  # word at which the histogram begins
BYTES = 8 * (AGES + BINS + layout.HISTOGRAM_BINS)


class Tally:
    """One writer; whoever opens the file sees its counts. The file is made where there is none.

    A source's `number` is how many frames it has published; unlike `done`, it makes up for those that it died with.

    ages: how old each frame was when it was handed over, since its publication.
    """

    def __init__(self, path: Path):
        with open(path, "ab") as file:
            if file.tell() < BYTES:
                os.truncate(path, BYTES)
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), BYTES)
        self._words = memoryview(self._map).cast("Q")
        self.ages = Histogram(self._words, AGES)
        self.counts = self.read()

    def read(self) -> dict[str, int]:
        """The counts as they were last stored."""
        at = 1 + (self._words[0] & 1) * HALF
        return dict(zip(FIELDS, self._words[at : at + HALF], strict=True))

    def store(self) -> None:
        """Make `counts` the valid ones."""
        turn = self._words[0] + 1
        at = 1 + (turn & 1) * HALF
        for index, name in enumerate(FIELDS):
            self._words[at + index] = self.counts[name]
        self._words[0] = turn

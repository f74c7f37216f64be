"""A reader's counts, whole at every instant.

They stand twice in the reader's line of the ring; `turn` says which half is valid. The reader fills in the
other half and then moves `turn` on, so that a kill at any moment leaves either the old counts or the new ones.
From four words everything follows:

    received + missed = last_ordinal       missed: skipped by a Latest reader, overrun at an Every reader
    last_ordinal + lost = last_seq         lost: numbers that died with a writer before they were published
"""

from __future__ import annotations

from engine import atomics, layout

HALF = layout.READER["half"] >> 3
TURN = layout.READER["turn"] >> 3
WORDS = len(layout.BOOKS)
ATTEMPTS = 8  # at a line whose reader is at work; each frame that it reads moves `turn` on


class Books:
    """The counts of one reader line, which begins at word `base` of `words`. One writer: the reader itself."""

    def __init__(self, words: memoryview, base: int = 0):
        self._words, self._base = words, base
        for _ in range(ATTEMPTS):
            self._turn = words[base + TURN]
            atomics.fence()
            at = base + HALF + (self._turn & 1) * WORDS
            counts = tuple(words[at : at + WORDS])
            atomics.fence()
            if words[base + TURN] == self._turn:  # else the reader may have begun to fill in this very half
                break
        self.last_seq, self.last_ordinal, self.received, self.torn_retries = counts
        if not self.received <= self.last_ordinal <= self.last_seq < layout.MOST or self.torn_retries >= layout.MOST:
            self.begin()  # these are no counts: somebody else has written here

    def begin(self) -> None:
        """As if nothing had been read yet."""
        self.last_seq = self.last_ordinal = self.received = self.torn_retries = 0

    @classmethod
    def private(cls) -> Books:
        """Counts of a reader that has no line."""
        return cls(memoryview(bytearray(layout.READER_LINE_BYTES)).cast("Q"))

    def carry(self, other: Books) -> None:
        """Go on from the counts of the same reader in the ring's former generation."""
        self.last_seq, self.last_ordinal = other.last_seq, other.last_ordinal
        self.received, self.torn_retries = other.received, other.torn_retries
        self._store()

    def accept(self, seq: int, ordinal: int) -> None:
        """One frame was received."""
        self.last_seq, self.last_ordinal = seq, ordinal
        self.received += 1
        self._store()

    @property
    def missed(self) -> int:
        return self.last_ordinal - self.received

    @property
    def lost(self) -> int:
        return self.last_seq - self.last_ordinal

    def _store(self) -> None:
        words, turn = self._words, (self._turn + 1) % layout.MOST
        at = self._base + HALF + (turn & 1) * WORDS
        words[at] = self.last_seq
        words[at + 1] = self.last_ordinal
        words[at + 2] = self.received
        words[at + 3] = self.torn_retries
        atomics.fence()
        words[self._base + TURN] = turn
        self._turn = turn

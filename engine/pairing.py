"""Frames of one stream that were captured at the same moment as those of another: two cameras, a picture and its depth.

The ring itself is the memory: it holds the last half second, and only the frame that is wanted is copied out of it.
"""

from __future__ import annotations

from itertools import pairwise

from engine.frame import Frame
from engine.stream import StreamReader

UNKNOWN_PERIOD_NS = 33_333_333  # of a stream that has shown one frame only
SHORTEST_NS, LONGEST_NS = 1_000_000, 1_000_000_000  # of a period that can be


class Partner:
    """The frames of `reader`, each asked for by a moment.

    A frame belongs to a moment if it was captured within half a period of it; the period is that of this stream.
    """

    def __init__(self, reader: StreamReader, offline: bool):
        self._reader, self._offline = reader, offline
        self._held: Frame | None = None  # the last one that was copied out
        self._period_ns = UNKNOWN_PERIOD_NS

    def ready(self, capture_ns: int, waited_ns: int) -> bool:
        """Is there nothing to be gained by waiting longer? Live, one period is the longest wait."""
        found = self._look(capture_ns)
        newest_ns = found[0][0] if found else None
        if newest_ns is not None and newest_ns >= capture_ns - self._period_ns // 2:
            return True
        if self._offline:
            if found:  # none of these is it: the writer, which waits for its readers, is to go on
                self._fetch(found[0][1])
            return self._reader.ended
        stalled = newest_ns is None or newest_ns < capture_ns - 3 * self._period_ns
        return stalled or waited_ns > self._period_ns

    def frame(self, capture_ns: int) -> Frame | None:
        """The frame that belongs to this moment, or None. Its array is valid until the next call."""
        found = self._look(capture_ns)
        if self._held is not None:
            found.append((self._held.capture_ns, self._held.seq))
        if not found:
            return None
        captured_ns, seq = min(found, key=lambda one: abs(one[0] - capture_ns))
        if abs(captured_ns - capture_ns) > self._period_ns // 2:
            return None
        if self._held is None or seq != self._held.seq:
            self._fetch(seq)
        return self._held

    def drain(self) -> None:
        """Nothing will be asked for any more: let the writer go on to its end."""
        while self._reader.read() is not None:
            pass

    def _look(self, capture_ns: int) -> list[tuple[int, int]]:
        found = self._reader.around(capture_ns)
        gaps = [newer - older for (newer, _), (older, _) in pairwise(found) if newer - older >= SHORTEST_NS]
        if gaps:  # the shortest, because a frame may have been left out
            self._period_ns = min(*gaps, LONGEST_NS)
        return found

    def _fetch(self, seq: int) -> None:
        self._held = self._reader.fetch(seq)

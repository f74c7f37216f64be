"""Frames of one stream that were captured at the same moment as those of another: two cameras, a picture and its depth.

A frame belongs to a moment if it was captured within half a period of it; the period is that of its own stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from engine.frame import Frame
from engine.stream import StreamReader

UNKNOWN_PERIOD_NS = 33_333_333  # of a stream that has shown one frame only
SHORTEST_NS, LONGEST_NS = 1_000_000, 1_000_000_000  # of a period that can be
GAPS = 8  # that tell the period, where a stream is read frame by frame


def period_of(gaps: Iterable[int]) -> int | None:
    """The shortest, because a frame may have been left out; None where nothing is known."""
    shortest = min((gap for gap in gaps if gap >= SHORTEST_NS), default=None)
    return shortest and min(shortest, LONGEST_NS)


class Partner:
    """The frames of `reader`, each asked for by a moment, in a show.

    The ring itself is the memory: it holds the last half second, and only the frame that is wanted is copied out of it.
    """

    def __init__(self, reader: StreamReader):
        self._reader = reader
        self._held: Frame | None = None  # the last one that was copied out
        self._period_ns = UNKNOWN_PERIOD_NS

    def ready(self, capture_ns: int, waited_ns: int) -> bool:
        """Is there nothing to be gained by waiting longer? One period is the longest wait."""
        found = self._look(capture_ns)
        newest_ns = found[0][0] if found else None
        if newest_ns is not None and newest_ns >= capture_ns - self._period_ns // 2:
            return True
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
            self._held = self._reader.fetch(seq)
        return self._held

    def _look(self, capture_ns: int) -> list[tuple[int, int]]:
        found = self._reader.around(capture_ns)
        self._period_ns = period_of(newer - older for (newer, _), (older, _) in pairwise(found)) or self._period_ns
        return found


class OfflinePartner:
    """The same in an offline run: every frame is read in order, and who belongs to whom hangs on the streams alone."""

    def __init__(self, reader: StreamReader):
        self._reader = reader
        self._around: deque[Frame] = deque(maxlen=2)  # the last frame before the moment, and the first one after it
        self._gaps: deque[int] = deque(maxlen=GAPS)

    def ready(self, capture_ns: int, waited_ns: int) -> bool:
        """Is everything read up to the first frame after this moment?"""
        while not self._around or self._around[-1].capture_ns < capture_ns:
            frame = self._reader.read()
            if frame is None:
                return self._reader.ended
            if self._around:
                self._gaps.append(frame.capture_ns - self._around[-1].capture_ns)
            self._around.append(replace(frame, array=frame.array.copy()))
        return True

    def frame(self, capture_ns: int) -> Frame | None:
        """The frame that belongs to this moment, or None."""
        nearest = min(self._around, key=lambda one: abs(one.capture_ns - capture_ns), default=None)
        period_ns = period_of(self._gaps) or UNKNOWN_PERIOD_NS
        return nearest if nearest and abs(nearest.capture_ns - capture_ns) <= period_ns // 2 else None

    def drain(self) -> None:
        """Nothing will be asked for any more: let the writer go on to its end."""
        while self._reader.read() is not None:
            pass

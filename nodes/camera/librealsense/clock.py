"""When light met the sensor: a camera's time stamps on the engine's clock."""

from __future__ import annotations

from engine.clock import now_ns, wall_ns

OLDEST_NS = 500_000_000  # a picture that would be older than that on arrival was stamped by another clock
JUMP_NS = 500_000_000  # the clock was set, the camera restarted, or a recording began anew
DRIFT = 10_000  # two quartzes part by less than one in that


class DeviceClock:
    """Two ways, by what the stamps are.

    On the computer's wall clock ("global" and "system" time, which the SDK gives where it can): a stamp's age at
    arrival is the wall clock's, so exposure and USB are counted in. If the wall clock is set meanwhile, the other way
    takes over until the SDK has followed.

    On the camera's own clock, whose start is unknown: the quickest arrival stands for no delay at all. Later ones are
    dated by their stamps, so that USB and scheduling do not jitter; the time that even the quickest took is not seen.
    The offset may creep by 1/10000, because the two clocks drift.
    """

    def __init__(self, wall: bool):
        """wall: stamps may be on the wall clock of this computer, now; not so those of a recording."""
        self._wall = wall
        self._least_ns: int | None = None  # the smallest difference of arrival and stamp
        self._arrived_ns = self._latest_ns = 0

    def capture_ns(self, stamp_ms: float, on_wall: bool, arrived_ns: int) -> int:
        """`clock.now_ns` when the frame with this stamp was captured: later than the one before, never after its
        arrival. on_wall: says the frame's time domain."""
        stamp_ns = round(stamp_ms * 1e6)
        captured_ns = self._by_quickest(stamp_ns, arrived_ns)
        if self._wall and on_wall:
            by_wall = stamp_ns - (wall_ns() - now_ns())
            if 0 <= arrived_ns - by_wall <= OLDEST_NS:
                captured_ns = by_wall
        self._latest_ns = min(max(captured_ns, self._latest_ns + 1), arrived_ns)
        return self._latest_ns

    def _by_quickest(self, stamp_ns: int, arrived_ns: int) -> int:
        delay_ns, crept_ns = arrived_ns - stamp_ns, (arrived_ns - self._arrived_ns) // DRIFT
        self._arrived_ns = arrived_ns
        if self._least_ns is None or delay_ns > self._least_ns + JUMP_NS:
            self._least_ns = delay_ns
        self._least_ns = min(self._least_ns + crept_ns, delay_ns)
        return stamp_ns + self._least_ns

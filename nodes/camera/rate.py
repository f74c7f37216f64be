"""Notices a camera that gives more pictures than it was asked for, and leaves some out."""

from __future__ import annotations

import math

WINDOW_NS = 1_000_000_000
SLACK = 0.2  # a source may be quicker than asked by this share


class Rate:
    """fps: the rate asked for; None: whatever comes is taken.

    Of a source that is quicker, every 2nd, every 3rd, … picture is taken: the fewest that bring it down to `fps` and a
    fifth. By counting, not by the clock, so that pictures which come unevenly are not thinned unevenly. Two seconds in
    a row must agree, because opening a stream, or a network that hiccups, lets many pictures come at once.

    given: pictures that came per second, of late. trouble: a sentence while some are left out.
    """

    def __init__(self, name: str, fps: float | None):
        self.given = 0.0
        self._name, self._fps = name, fps
        self.begin(0)

    def begin(self, now_ns: int) -> None:
        """The source was opened anew."""
        self._since_ns, self._count = now_ns, 0
        self._needed = self._every = 1
        self._since_taken = 0  # pictures
        self.trouble: str | None = None

    def take(self, now_ns: int) -> bool:
        """A picture has come: is it to be taken?"""
        self._count += 1
        if (passed_ns := now_ns - self._since_ns) >= WINDOW_NS:
            self.given = self._count * 1e9 / passed_ns
            self._since_ns, self._count = now_ns, 0
            if self._fps:
                self._judge(self._fps)
        self._since_taken += 1
        if self._since_taken < self._every:
            return False
        self._since_taken = 0
        return True

    def _judge(self, fps: float) -> None:
        former, self._needed = self._needed, max(1, math.ceil(self.given / fps - SLACK))
        every = min(former, self._needed)
        if every == self._every:
            return
        self._every, self.trouble = every, None
        if every > 1:
            self.trouble = (
                f"{self._name} gives {self.given:.0f} pictures per second, not {fps:g} as asked; one in {every} is "
                "taken. Set the camera to that rate, or leave out `fps` to take all."
            )

"""A reel played at its rate, or given picture by picture to whoever can take them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from engine.clock import now_ns
from engine.errors import BadInput, EngineError
from nodes.camera.backoff import OF_SOURCES_NS, Backoff
from nodes.camera.reels import Reel

STALL_NS = 500_000_000  # later than that, playback goes on from where it is; earlier, pictures are left out
LONGEST_SKIP_NS = 50_000_000  # in one step


class Playback:
    """paced: at `fps`, or the reel's own rate; a late reader misses pictures, so that playback keeps time. Not paced:
    each picture once, in order, and never looped; its capture time goes by the rate too, so that whatever measures
    movement sees what was filmed and not how quickly it was read.

    trouble: a sentence while the reel breaks off early. ended: there is no further picture.
    """

    def __init__(self, reel: Reel, fps: float | None, loop: bool, paced: bool):
        self.reel, self.loop, self.paced = reel, loop and paced, paced
        self._fps = fps
        self.trouble: str | None = None
        self.ended = False
        self._at_hand = True  # is there a picture that was not given out?
        self._began_ns = now_ns()
        self._due_ns = 0  # when the picture at hand is to be shown; 0: there was none yet
        self._broke_at = self._retry_ns = 0
        self._backoff = Backoff(OF_SOURCES_NS)

    @property
    def period_ns(self) -> int:
        """From picture to picture; another one when the reel was replaced."""
        return round(1e9 / (self._fps or self.reel.fps))

    @property
    def total(self) -> int:
        """How many pictures there will be, as far as the reel knows; 0 if it does not."""
        return self.reel.count

    @contextmanager
    def picture(self, wait_s: float) -> Iterator[PlayedPicture | None]:
        """The next picture when it is due; None if that is not within `wait_s`. Raises BadInput, if not paced, where
        the reel breaks off."""
        if self._ensure() and (not self.paced or self._wait(wait_s)):
            self._at_hand = False
            filmed_ns = self._began_ns + (self.reel.position - 1) * self.period_ns
            yield PlayedPicture(self.reel, self._due_ns if self.paced else filmed_ns)
        else:
            if self._retry_ns:
                time.sleep(wait_s)
            yield None

    def _ensure(self) -> bool:
        """Have a picture at hand that was not given out."""
        if not self._at_hand and not self.ended and now_ns() >= self._retry_ns:
            if self._retry_ns:
                self._retry_ns = self._due_ns = 0
                self._at_hand = self._restart()
            else:
                self._due_ns += self.period_ns
                self._at_hand = self.reel.advance() or self._turn_over()
            if self.trouble and self._at_hand and self.reel.position > self._broke_at:
                self.trouble = None
                self._backoff.reset()
        return self._at_hand

    def _turn_over(self) -> bool:
        """The reel gives no further picture: begin again, end, or say what is wrong."""
        if why := self.reel.broken():
            if not self.paced:
                raise BadInput(why)
            return self._break_off(why, self.reel.position)
        self.ended = not self.loop
        return self.loop and self._restart()

    def _restart(self) -> bool:
        return self.reel.restart() or self._break_off(f"{self.reel.name} cannot be read any more.", 0)

    def _break_off(self, why: str, position: int) -> bool:
        """Begin again after a while. The trouble is over when playback gets further than `position`."""
        self.trouble, self._broke_at = why, position
        self._retry_ns = now_ns() + self._backoff.next_ns()
        return False

    def _wait(self, wait_s: float) -> bool:
        """Is the picture at hand due within `wait_s`? Waits for it, and leaves out what is overdue."""
        now = now_ns()
        if not self._due_ns or now - self._due_ns > STALL_NS:
            self._due_ns = now
        if (left_s := (self._due_ns - now) / 1e9) > 0:
            time.sleep(min(left_s, wait_s))
            return left_s <= wait_s
        while now_ns() - self._due_ns >= self.period_ns and now_ns() - now < LONGEST_SKIP_NS:
            self._at_hand = False
            if not self._ensure():
                return False
        return True

    def close(self) -> None:
        self.reel.close()


class PlayedPicture:
    """The picture at hand. capture_ns: when it was due, or would have been."""

    def __init__(self, reel: Reel, capture_ns: int):
        self._reel, self.size, self.capture_ns = reel, reel.size, capture_ns

    def read_into(self, array: np.ndarray) -> None:
        """Fill `array`, (H, W, 3) uint8 BGR, scaled and cut where its size is another."""
        if not self._reel.read_into(array):
            raise EngineError(f"Picture {self._reel.position} of {self._reel.name} cannot be decoded; it is left out.")

"""Which picture and which depths were taken at the same moment.

The SDK pairs loosely: often a picture comes with the depths of the one before, or alone, and its own come later.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

from nodes.camera.librealsense.picture import picture_of

HELD = 4  # of each kind: few, because the SDK has few buffers

Kind = Literal["picture", "depth"]


class Pairing:
    """dropped: pictures that were given up, because no depths were taken within half a period of them.
    since: how many of these after the newest pair.
    """

    def __init__(self, rs: Any, period_ms: float, depth: bool, infrared: bool):
        self.dropped = self.since = 0
        self._half_ms, self._depth, self._infrared = period_ms / 2, depth, infrared
        self._pictures: deque[Any] = deque()
        self._depths: deque[Any] = deque(maxlen=HELD)
        self._first: dict[Kind, int] = {}  # frame numbers
        self._newest: dict[Kind, int] = {}
        self._before: dict[Kind, int] = {}
        # The SDK's way to make one frameset of frames that came in two.
        self._parts = parts = []  # type: list[Any]
        self._joined = rs.frame_queue(1)
        # It must not hold `self`: what the garbage collector frees, in any thread, the SDK may crash of.
        self._join = rs.processing_block(lambda _, out: out.frame_ready(out.allocate_composite_frame(parts)))
        self._join.start(self._joined)

    def add(self, frames: Any) -> Any | None:
        """Take a frameset, whatever it holds; the next one that belongs together, or None."""
        picture = picture_of(frames, self._infrared)
        if self._is_new("picture", picture):
            if not self._depth:
                return frames
            self._pictures.append(picture)
        if self._depth and self._is_new("depth", depth := frames.get_depth_frame()):
            self._depths.append(depth)
        for picture in self._pictures:
            if (depth := self._nearest(picture)) is not None:
                return self._pair(picture, depth)
        if len(self._pictures) > HELD:
            self._drop()
        return None

    @property
    def moves(self) -> bool:
        """Two frames of each kind have come."""
        kinds: tuple[Kind, ...] = ("picture", "depth") if self._depth else ("picture",)
        return all(self._newest.get(kind) != self._first.get(kind) for kind in kinds)

    def restart(self) -> None:
        """A recording that moves begins anew: frames are of before until their numbers fall."""
        self._before = dict(self._newest)
        self._pictures.clear()
        self._depths.clear()
        self.dropped = self.since = 0

    def _is_new(self, kind: Kind, frame: Any) -> bool:
        if not frame or frame.get_frame_number() == self._newest.get(kind):
            return False
        number = frame.get_frame_number()
        if number >= self._before.get(kind, number + 1):
            return False
        self._before.pop(kind, None)
        self._first.setdefault(kind, number)
        self._newest[kind] = number
        return True

    def _nearest(self, picture: Any) -> Any | None:
        stamp_ms, domain = picture.get_timestamp(), picture.get_frame_timestamp_domain()
        comparable = [depth for depth in self._depths if depth.get_frame_timestamp_domain() == domain]
        nearest = min(comparable, key=lambda depth: abs(depth.get_timestamp() - stamp_ms), default=None)
        return nearest if nearest and abs(nearest.get_timestamp() - stamp_ms) <= self._half_ms else None

    def _pair(self, picture: Any, depth: Any) -> Any:
        while self._pictures[0] is not picture:
            self._drop()
        self._pictures.popleft()
        while self._depths.popleft() is not depth:
            pass
        self.since = 0
        self._parts[:] = [depth, picture]
        self._join.invoke(picture)
        self._parts.clear()
        return self._joined.wait_for_frame().as_frameset()

    def close(self) -> None:
        """Let go of all frames."""
        self._pictures.clear()
        self._depths.clear()

    def _drop(self) -> None:
        self._pictures.popleft()
        self.dropped += 1
        self.since += 1

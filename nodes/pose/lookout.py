"""When and where a detector looks for people whom nobody follows yet.

A detector sees its picture shrunk to a small square, and in a wide picture people become too small for it. So it looks
at the whole and at square parts of it in turn, and at the places where someone who was lost is expected.
"""

from __future__ import annotations

import math

from nodes.pose.picture import Part, Picture

# With someone in view but room for more, the detector looks once in so many pictures: it costs as much as another
# person. With nobody in view it looks at every picture.
SEARCH_EVERY = 10
SEARCH_LOST_EVERY = 3  # while someone who was lost may come back
_WIDE = 1.25  # a picture whose long side is so much longer than the short one is looked at in parts, too
_MOST = 8  # parts
_AROUND = 1.2  # sizes of the body


class Lookout:
    def __init__(self) -> None:
        self._since_look = SEARCH_EVERY  # pictures
        self._looks = 0
        self._followed = 0

    def look(self, picture: Picture, followed: int, most: int) -> Picture | None:
        """What of this picture a detector is to look at, where `followed` people of `most` are known; None: nothing.

        Asked once for each picture.
        """
        self._since_look += 1
        every = SEARCH_LOST_EVERY if picture.expected else SEARCH_EVERY
        if followed > self._followed:  # people come together, and of two who are close the detector may see one
            every = 1
        self._followed = followed
        if followed and (followed >= most or self._since_look < every):
            return None
        self._since_look = 0
        self._looks += 1
        turn = self._looks - 1
        if picture.expected:
            turn, lost = divmod(turn, 2)
            if lost:
                return picture.narrowed(around(*picture.expected[turn % len(picture.expected)]))
        parts = views(picture.part)
        return picture.narrowed(parts[turn % len(parts)])


def around(x: float, y: float, size: float) -> Part:
    """The part in which a detector sees a body of this size, with its middle at x, y, best."""
    side = _AROUND * size
    return x - side / 2, y - side / 2, side, side


def views(part: Part) -> list[Part]:
    """The whole of a part, and if it is wide or tall the squares in it, each half over the next."""
    left, top, width, height = part
    side = min(width, height)
    beyond = max(width, height) - side
    if beyond < (_WIDE - 1) * side:
        return [part]
    gaps = min(math.ceil(2 * beyond / side), _MOST - 1)
    steps = [beyond * step / gaps for step in range(gaps + 1)]
    if width > height:
        return [part] + [(left + step, top, side, side) for step in steps]
    return [part] + [(left, top + step, side, side) for step in steps]

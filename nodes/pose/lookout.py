"""When a detector looks for people whom nobody follows yet."""

from __future__ import annotations

# With someone in view but room for more, the detector looks for others once in so many pictures: it costs as much
# as another person. With nobody in view it looks at every picture.
SEARCH_EVERY = 15
# Someone was lost: perhaps another walks in front of them. The detector looks at once, and more often for a while.
# That is not for those whom only the detector took for people.
SEARCH_AGAIN_EVERY, SEARCH_AGAIN_NS = 3, 2_000_000_000
PERSON_AFTER = 5  # pictures


class Lookout:
    def __init__(self) -> None:
        self._since_search = 0  # pictures
        self._lost_ns: int | None = None  # when someone was lost

    def is_due(self, followed: int, most: int, time_ns: int) -> bool:
        """Whether to look in this picture, taken at `time_ns`, where `followed` people of `most` are known. Asked once
        for each picture."""
        self._since_search += 1
        lately = self._lost_ns is not None and 0 <= time_ns - self._lost_ns <= SEARCH_AGAIN_NS
        every = SEARCH_AGAIN_EVERY if lately else SEARCH_EVERY
        due = not followed or (followed < most and self._since_search >= every)
        if due:
            self._since_search = 0
        return due

    def lost(self, pictures: int, time_ns: int) -> None:
        """Someone is gone who had been looked for in so many pictures."""
        if pictures > PERSON_AFTER:
            self._lost_ns, self._since_search = time_ns, SEARCH_AGAIN_EVERY

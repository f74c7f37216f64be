"""Who of several people leads: the one whom a generator of one figure follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nodes.pose.identity import Body
from nodes.pose.region import WHOLE, Region

Rule = Literal["nearest", "centre", "longest", "area"]

_LARGER = 1.15  # so much larger in the picture is clearly nearer
_INWARD = 0.1  # so much of the picture's width further in is clearly more central


class Leader:
    """Whoever leads goes on until someone else has been clearly better for `after_s` seconds, or until they are gone.

    rule: nearest: the largest body; centre: nearest to the picture's vertical middle line; longest: known longest;
    area: who has stood longest in `area`, by the middle of the hips; while nobody stands in it, all are equal. Of
    those who are equal the one known longest leads.
    """

    def __init__(self, rule: Rule = "nearest", area: Region = WHOLE, after_s: float = 1.0):
        self.rule: Rule = rule
        self.area, self.after_s = area, after_s
        self.id = 0  # of the leader; 0: nobody
        self._rival: tuple[int, int] | None = None  # id of who is clearly better, and since when
        self._stands: dict[int, int] = {}  # id of who stands in the area to since when

    def step(self, bodies: Sequence[Body], canvas: tuple[int, int], time_ns: int) -> int:
        """The id of who leads among these; 0 if there are none. canvas: width and height of the picture."""
        self._stands = {
            body.id: self._stands.get(body.id, time_ns)
            for body in bodies
            if self.area.holds(body.measured[0] / canvas[0], body.measured[1] / canvas[1])
        }
        best = max(
            bodies, key=lambda body: (self._worth(body, canvas, time_ns), -body.since_ns, -body.id), default=None
        )
        leader = next((body for body in bodies if body.id == self.id), None)
        if best is None or leader is None:
            self.id, self._rival = (best.id if best else 0), None
        elif self._worth(best, canvas, time_ns) <= self._worth(leader, canvas, time_ns) + self._clear(leader):
            self._rival = None
        else:
            if self._rival is None or self._rival[0] != best.id:
                self._rival = (best.id, time_ns)
            if time_ns - self._rival[1] >= self.after_s * 1e9:
                self.id, self._rival = best.id, None
        return self.id

    def _worth(self, body: Body, canvas: tuple[int, int], time_ns: int) -> float:
        """The more, the better."""
        if self.rule == "nearest":
            return body.size
        if self.rule == "centre":
            return -abs(float(body.measured[0]) / canvas[0] - 0.5)
        if self.rule == "longest":
            return float(time_ns - body.since_ns)
        return float(time_ns - self._stands[body.id] + 1) if body.id in self._stands else 0.0

    def _clear(self, leader: Body) -> float:
        """How much better another must be."""
        return {"nearest": (_LARGER - 1) * leader.size, "centre": _INWARD}.get(self.rule, 0.0)

"""What each guard of the protocol is there for: the scene in which something breaks without it."""

from __future__ import annotations

from typing import Any, NamedTuple

from .generations import Growing, Row
from .memory import IN_ORDER, WEAK, Rules
from .scenes import READERS, Scene


class Guard(NamedTuple):
    """name: as the programs call it. rules, kind, scene: where it is missed. breaks: what is then said, in part."""

    name: str
    rules: Rules
    scene: dict[str, Any]
    breaks: str
    kind: type[Scene] = Scene


LATEST, EVERY, BRIDGE, PEEK = (dict(readers=(policy,), frames=4) for policy in READERS)
DYING = dict(readers=("every",), deaths=1)
LINE = dict(slots=2, frames=3, reader_deaths=1)
OBSERVED = dict(readers=("every", "observe"), slots=2, frames=2)
ENDING = dict(readers=("until_the_end",), plan=("small", "end"))
GROWING = dict(readers=("every",), plan=("small", "large"))

GUARDS = [
    Guard("W0 goes on after what was touched", IN_ORDER, DYING, "was used again"),
    Guard("W0 makes dead frames odd", IN_ORDER, DYING, "never published"),
    Guard("W0 leaves the newest alone", IN_ORDER, dict(frames=2, deaths=2), "left alone"),
    Guard("W1", IN_ORDER, dict(slots=2, stopped="between frames"), ""),
    Guard("W1 before W2", IN_ORDER, dict(slots=2, stopped="between frames"), "torn"),
    Guard("W1 before W4", IN_ORDER, dict(slots=2, stopped="after the payload"), ""),
    Guard("W2", IN_ORDER, LATEST, "torn"),
    Guard("fence W2-W3", WEAK, LATEST, "torn"),
    Guard("W4 after W3", IN_ORDER, dict(deaths=1, damaged=True), "do not balance"),
    Guard("W5 after W4", IN_ORDER, LATEST, "left alone"),
    Guard("fence W4-W5", WEAK, BRIDGE, ""),
    Guard("fence R1-R2", WEAK, LATEST, ""),
    Guard("fence R1-R2", WEAK, EVERY, "passed over"),
    Guard("fence R1-R2", WEAK, BRIDGE, "torn"),
    Guard("fence R3-R4", WEAK, LATEST, "torn"),
    Guard("fence R3-R4", WEAK, EVERY, "torn"),
    Guard("fence R3-R4", WEAK, BRIDGE, "torn"),
    Guard("fence use-intact", WEAK, PEEK, "torn"),
    Guard("R4", IN_ORDER, LATEST, "torn"),
    Guard("R4", IN_ORDER, EVERY, "torn"),
    Guard("R4", IN_ORDER, BRIDGE, "torn"),
    Guard("two halves", IN_ORDER, LINE, ""),
    Guard("turn after the half", IN_ORDER, LINE, ""),
    Guard("fence half-turn", WEAK, OBSERVED, "mixed"),
    Guard("fence turn-half", WEAK, OBSERVED, "mixed"),
    Guard("fence half-turn again", WEAK, OBSERVED, "mixed"),
    Guard("turn again", IN_ORDER, OBSERVED | {"frames": 3}, "mixed"),
    Guard("fence before the end", WEAK, ENDING, "before the last one"),
    Guard("fence ended-head", WEAK, ENDING, "before the last one"),
    Guard("lossless wait", IN_ORDER, dict(readers=("every",), slots=2, frames=4, lossless=True), ""),
    Guard("writers follow", IN_ORDER, dict(readers=("bridge",), patience=False), "nobody reads any more", Growing),
    Guard("second look", IN_ORDER, GROWING, "before the last one there", Growing),
    Guard("counts are carried over", IN_ORDER, GROWING | {"reader_deaths": 1}, "went on from", Growing),
    *(
        Guard(f"fence {name}", WEAK, {}, "a row was read", Row)
        for name in ("mark-row", "row-mark", "odd-row", "row-even")
    ),
]

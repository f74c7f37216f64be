"""What the output shows: a pure function of what it showed before, the time, and the last new picture."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["LIVE", "HOLD", "PLACEHOLDER"]


class Timing(NamedTuple):
    """Ages of the last new picture at which the state changes, and how long a full cross-fade takes."""

    hold_after_ns: int
    placeholder_after_ns: int
    fade_ns: int


class Screen(NamedTuple):
    """card: weight of the placeholder card, 0 (the picture alone) to 1 (the card alone)."""

    state: State
    card: float
    at_ns: int


def advance(before: Screen | None, now_ns: int, picture_ns: int | None, timing: Timing) -> Screen:
    """The screen at `now_ns`, when the last new picture came at `picture_ns` (None: there was never one).

    The weight of the card moves towards its goal at a steady rate, so that a fade that is turned round goes back
    from where it was. Without a screen `before` there is nothing to fade from.
    """
    state = state_of(now_ns, picture_ns, timing)
    goal = 1.0 if state == "PLACEHOLDER" else 0.0
    if before is None or picture_ns is None or timing.fade_ns == 0:
        return Screen(state, goal, now_ns)
    step = max(0, now_ns - before.at_ns) / timing.fade_ns
    card = min(goal, before.card + step) if goal > before.card else max(goal, before.card - step)
    return Screen(state, card, now_ns)


def state_of(now_ns: int, picture_ns: int | None, timing: Timing) -> State:
    if picture_ns is None or now_ns - picture_ns >= timing.placeholder_after_ns:
        return "PLACEHOLDER"
    return "HOLD" if now_ns - picture_ns >= timing.hold_after_ns else "LIVE"

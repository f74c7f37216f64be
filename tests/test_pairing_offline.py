"""Offline, who belongs to whom hangs on the two streams alone: not on which process happened to be quicker."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ring_kit import put
from test_pairing import MS, Pair

RATES = st.sampled_from([5, 8, 16, 33, 40, 100])  # ms from frame to frame


@st.composite
def captures(draw: st.DrawFn) -> list[int]:
    """Of one camera, in ms: uneven by up to a third of its period, and with frames missing."""
    period, start = draw(RATES), draw(st.integers(0, 120))
    places = draw(st.lists(st.sampled_from([1, 1, 1, 1, 1, 2, 9]), min_size=0, max_size=25))
    times, place = [], 0
    for step in places:
        place += step
        times.append(start + place * period + draw(st.integers(-(period // 6), period // 6)))
    return times


def expected(images: list[int], depths: list[int]) -> list[tuple[int, int | None]]:
    """By what the documentation says: the nearest one, no farther than half the shortest of the last gaps."""
    found: list[tuple[int, int | None]] = []
    for image in images:
        known = depths[: next((place + 1 for place, depth in enumerate(depths) if depth >= image), len(depths))]
        gaps = [later - earlier for earlier, later in pairwise(known) if later > earlier][-8:]
        half = (min(gaps) * MS if gaps else 33_333_333) // 2
        nearest = min(known, key=lambda depth: abs(depth - image), default=None)
        found.append((image, nearest if nearest is not None and abs(nearest - image) * MS <= half else None))
    return found


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(captures(), captures(), st.randoms(use_true_random=False))
def test_the_pairs_are_the_same_whoever_is_quicker(images: list[int], depths: list[int], dice: Random) -> None:
    pair = Pair(offline=True, slots=4)
    try:
        lines = {pair.image: list(images), pair.depth: list(depths)}
        writers = list(lines)
        got: list[tuple[int, int | None]] = []
        bias = dice.choice([0.1, 0.5, 0.9])
        for _ in range(3000):
            who = dice.choices([*writers, None], [bias, 1 - bias, dice.choice([0.1, 1])])[0]
            if who is None:
                if (step := pair.next()) is not None:
                    got.append(step)
                elif pair.intake.ended:
                    break
            elif not lines[who]:
                who.end()
            elif who.wait_for_readers(0):
                put(who, 1, capture_ns=lines[who].pop(0) * MS)
        else:
            pytest.fail("it does not come to an end")
        assert got == expected(images, depths)
    finally:
        pair.close()


def test_the_last_frame_is_not_lost_when_its_partner_ends_while_it_is_waited_for() -> None:
    pair = Pair(offline=True, slots=4)
    try:
        put(pair.image, 1, capture_ns=5 * MS)
        pair.image.end()
        assert pair.next() is None
        pair.depth.end()
        assert not pair.intake.ended and pair.next() == (5, None) and pair.intake.ended
    finally:
        pair.close()

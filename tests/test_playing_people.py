"""Who is on the stage: held, faded, begun anew, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
from people import standing

from nodes.generator.playing.people import People, Seen

HEIGHT = 530  # of standing(), as the performer's height is measured
FRAME_S = 1 / 30


class Stage:
    """A stage and its clock."""

    def __init__(self, **settings: float):
        self.people, self.time_ns = People(**settings), 10**9

    def see(self, *here: tuple[int, np.ndarray], after: float = FRAME_S, slots: int = 4) -> list[Seen]:
        self.time_ns += round(after * 1e9)
        return self.people.see([track for track, _ in here], [points for _, points in here], self.time_ns, slots)

    def last(self, *here: tuple[int, np.ndarray], seconds: float) -> list[Seen]:
        """What is seen after so long of the same."""
        for _ in range(round(seconds / FRAME_S)):
            seen = self.see(*here)
        return seen


def at(x: float = 0, scale: float = 1.0) -> np.ndarray:
    points = standing()
    points[:, :3] *= scale
    points[:, 0] += x
    return points


ANNA, BEN = (1, at()), (2, at(800))


def test_one_who_comes_is_new_once_and_whole_at_once() -> None:
    stage = Stage()
    (first,) = stage.see(ANNA)
    assert first.track == 1 and first.fresh and not first.away and first.opacity == 1
    np.testing.assert_array_equal(first.points, ANNA[1])
    (second,) = stage.see((1, at(10)))
    assert not second.fresh and second.opacity == 1
    np.testing.assert_array_equal(second.points, at(10))


def test_one_who_is_lost_is_held_then_fades_then_is_gone() -> None:
    stage = Stage(hold_s=0.3, fade_s=0.5)
    stage.see(ANNA)
    for _ in range(3):
        (held,) = stage.see(after=0.1)
        assert held.opacity == 1 and held.away and not held.fresh
        np.testing.assert_array_equal(held.points, ANNA[1])
    faded = [stage.see(after=0.1) for _ in range(5)]
    assert [each[0].opacity for each in faded[:-1]] == pytest.approx([0.8, 0.6, 0.4, 0.2])
    assert not faded[-1] or faded[-1][0].opacity < 1e-6
    assert stage.see(after=0.01) == []


@pytest.mark.parametrize("frame_s", [1 / 120, 1 / 30, 1 / 7, 0.29])
def test_fading_goes_by_the_clock_and_not_by_frames(frame_s: float) -> None:
    stage, away = Stage(hold_s=0.3, fade_s=0.8), 0.0
    stage.see(ANNA)
    while seen := stage.see(after=frame_s):
        away += frame_s
        assert seen[0].opacity == pytest.approx(min(1.0, 1 - (away - 0.3) / 0.8), abs=1e-6)
    assert away + frame_s >= 1.1 - 1e-6


def test_one_who_returns_rises_again_without_a_leap() -> None:
    stage = Stage()
    stage.see(ANNA)
    before = stage.last(seconds=0.6)[0].opacity
    assert 0.2 < before < 0.6
    opacities = [before]
    for _ in range(20):
        (back,) = stage.see(ANNA)
        assert not back.fresh and not back.away
        opacities.append(back.opacity)
    steps = np.diff(opacities)
    assert opacities[-1] == 1 and (steps >= 0).all() and steps.max() < FRAME_S / 0.5 + 1e-6


def test_one_who_is_lost_while_rising_is_held_as_they_were() -> None:
    stage = Stage()
    stage.see(ANNA)
    stage.last(seconds=0.6)
    rising = stage.see(ANNA)[0].opacity
    assert rising < 1 and stage.see()[0].opacity == rising == stage.see()[0].opacity


def test_without_fading_one_is_gone_after_the_hold() -> None:
    stage = Stage(hold_s=0, fade_s=0)
    stage.see(ANNA)
    assert stage.see() == []
    (again,) = stage.see(ANNA)
    assert again.fresh and again.opacity == 1
    assert not stage.see(ANNA)[0].fresh  # the next frame is no gap, however short the hold


def test_what_is_remembered_belongs_to_the_stage() -> None:
    stage, points = Stage(), at()
    stage.see((1, points))
    points[:] = np.nan
    np.testing.assert_array_equal(stage.see()[0].points, at())


@pytest.mark.parametrize(("step", "fresh"), [(0.2, False), (0.3, True), (-0.3, True)])
def test_one_who_leaps_begins_anew(step: float, fresh: bool) -> None:
    stage = Stage()
    stage.see(ANNA, BEN)
    seen = {each.track: each for each in stage.see((1, at(step * HEIGHT)), BEN)}
    assert seen[1].fresh == fresh and not seen[2].fresh and seen[1].opacity == 1


@pytest.mark.parametrize("after", [-0.5, -1e-9, 0.31, 60])
def test_a_cut_begins_everything_anew(after: float) -> None:
    stage = Stage()
    stage.see(ANNA, BEN)
    stage.see(ANNA)
    seen = stage.see(ANNA, after=after)
    assert [(each.track, each.fresh) for each in seen] == [(1, True)]


def test_reset_begins_everything_anew() -> None:
    stage = Stage()
    stage.see(ANNA, BEN)
    stage.people.reset()
    assert [each.fresh for each in stage.see(ANNA)] == [True]


def test_the_same_moment_twice_is_no_cut() -> None:
    stage = Stage()
    stage.see(ANNA)
    assert not stage.see(ANNA, after=0)[0].fresh


def test_a_new_number_for_the_same_body_is_not_seen_twice() -> None:
    stage = Stage()
    stage.see(ANNA, BEN)
    seen = {each.track: each for each in stage.see((7, at(20)), BEN)}
    assert set(seen) == {7, 2} and seen[7].fresh and seen[7].opacity == 1
    stage.last(BEN, seconds=0.6)
    fading = {each.track: each.opacity for each in stage.see(BEN)}[7]
    opacities = {each.track: each.opacity for each in stage.see((8, at(20)), BEN)}
    assert set(opacities) == {8, 2} and fading < opacities[8] < fading + 0.1


def test_one_who_comes_elsewhere_is_somebody_else() -> None:
    stage = Stage()
    stage.see(ANNA)
    assert {(each.track, each.away) for each in stage.see(BEN)} == {(1, True), (2, False)}


def test_the_nearest_comes_last() -> None:
    near, far = (1, at(0, 1.2)), (2, at(300, 0.8))
    for here in ((near, far), (far, near)):
        assert [each.track for each in Stage().see(*here)] == [2, 1]


def test_lower_feet_are_nearer() -> None:
    lower = at(300)
    lower[:, 1] += 30
    assert [each.track for each in Stage().see((1, lower), (2, at()))] == [2, 1]


def test_who_squats_stays_where_they_are() -> None:
    low = at(0, 1.1)
    low[:25, 1] += 110
    assert [each.track for each in Stage().see((1, low), (2, at(300)))] == [2, 1]


def test_of_too_many_those_who_are_there_stay() -> None:
    stage = Stage()
    crowd = [(track, at(track * 500, 1 + track / 10)) for track in range(1, 6)]
    assert {each.track for each in stage.see(*crowd[:2], slots=2)} == {1, 2}
    assert {each.track for each in stage.see(*crowd, slots=2)} == {1, 2}
    assert {each.track for each in stage.see(*crowd, slots=3)} == {1, 2, 5}  # the nearest of those who wait
    assert {each.track for each in stage.see(*crowd, slots=1)} == {2}
    waited, _ = sorted(stage.see(*crowd, slots=2), key=lambda each: not each.fresh)
    assert waited.track == 5 and waited.fresh


def test_one_who_waits_comes_when_one_is_gone() -> None:
    stage = Stage()
    stage.see(ANNA, slots=1)
    assert [each.track for each in stage.see(BEN, slots=1)] == [1]
    for _ in range(30):
        seen = stage.see(BEN, slots=1)
    assert [each.track for each in seen] == [2] and seen[0].opacity == 1


def test_bodies_that_are_no_bodies_are_borne() -> None:
    stage = Stage()
    for points in (np.zeros((33, 4), np.float32), np.full((33, 4), -1.0), np.full((33, 4), 1e30, np.float32)):
        for _ in range(3):
            assert len(stage.see((1, points), BEN, (2, at()))) >= 1
    assert stage.see() and stage.people.see([], [], stage.time_ns) is not None

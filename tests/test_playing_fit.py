"""A visitor on the performer's stage: height, floor, place, and what must not disturb them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from people import CANVAS, standing

from nodes.generator.playing import repertoire
from nodes.generator.playing.body import size
from nodes.generator.playing.fit import Fit, Fitter
from nodes.generator.playing.repertoire import HIPS, SHOULDERS, Arc, Repertoire, middle

STAGE = Repertoire(
    height=0.57, floor=0.89, centre=0.5, left=0.42, right=0.56, lean=Arc(start=-40, extent=80), joints={}
)
MODES: tuple[Fit, ...] = ("stage", "follow", "exact")
ABOVE_KNEES, LEGS = slice(0, 25), slice(25, 33)
FRAME_NS = 10**9 // 30
BAD = ((np.nan, 0, 0, 1), (0, np.inf, 0, 1), (3e38, 0, 0, 1), (9, 9, 0, -1), (9, 9, 0, np.nan))


class Visit:
    """One visitor before one fitter, at 30 frames a second."""

    def __init__(self, canvas: tuple[int, int] = CANVAS):
        self.fitter, self.canvas, self.number = Fitter(STAGE), canvas, 0

    def play(self, person: np.ndarray, frames: int = 1, mode: Fit = "stage", track: int = 1) -> np.ndarray:
        """The last of so many frames of the same pose."""
        for _ in range(frames):
            self.number += 1
            fitted = self.fitter.fit(person, track, self.canvas, mode, self.number * FRAME_NS)
        return fitted


def moved(scale: float = 1.0, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    person = standing()
    person[:, :3] *= scale
    person[:, :2] += (CANVAS[0] / 2 * (1 - scale) + x, y)
    return person


def squatting(person: np.ndarray) -> np.ndarray:
    """The knees point at the camera, so the thighs look short."""
    low = person.copy()
    low[ABOVE_KNEES, 1] += 110
    return low


def without_legs() -> np.ndarray:
    """As where a table hides them: the estimator guesses, badly, and says so."""
    person = standing()
    person[LEGS, 1] = person[23, 1] + 20
    person[LEGS, 3] = 0.05
    return person


def scale_of(fitted: np.ndarray, person: np.ndarray) -> float:
    """Picture sizes per pixel."""
    return float(np.ptp(fitted[:, 0]) / np.ptp(person[:, 0]))


@pytest.mark.parametrize("mode", ["stage", "follow"])
def test_a_visitor_gets_the_performers_height_floor_and_place(mode: Fit) -> None:
    fitted = Visit().play(standing(), mode=mode)
    assert fitted.shape == (33, 4) and fitted.dtype == np.float32
    assert repertoire.height(fitted) == pytest.approx(STAGE.height, rel=1e-5)
    assert repertoire.lowest(fitted) == pytest.approx(STAGE.floor, abs=1e-5)
    assert middle(fitted, HIPS)[0] == pytest.approx(STAGE.centre, abs=1e-5)
    np.testing.assert_array_equal(fitted[:, 3], standing()[:, 3])


@given(scale=st.floats(0.3, 1.8), x=st.floats(-400, 400), y=st.floats(-300, 300), mode=st.sampled_from(MODES[:2]))
def test_wherever_and_however_large_the_pose_on_stage_is_the_same(scale: float, x: float, y: float, mode: Fit) -> None:
    plain, fitted = (Visit().play(person, mode=mode) for person in (standing(), moved(scale, x, y)))
    for each in (plain, fitted):
        each[:, 0] -= middle(each, HIPS)[0]
    np.testing.assert_allclose(fitted, plain, atol=1e-4)


@pytest.mark.parametrize("canvas", [(540, 960), (1920, 1080), (512, 512)])
def test_exact_shows_the_cameras_picture_in_the_middle_of_the_square(canvas: tuple[int, int]) -> None:
    person = standing()
    person[0, :2], person[1, :2], person[2, :2] = (0, 0), canvas, np.divide(canvas, 2)
    corner, far_corner, centre = Visit(canvas).play(person, mode="exact")[:3, :2]
    margin = (1 - np.divide(canvas, max(canvas))) / 2
    np.testing.assert_allclose([corner, far_corner, centre], [margin, 1 - margin, (0.5, 0.5)], atol=1e-6)


@pytest.mark.parametrize("canvas", [(540, 960), (960, 540)])
def test_follow_keeps_the_place_across_the_picture(canvas: tuple[int, int]) -> None:
    for part in (0.0, 0.1, 0.5, 0.9):
        person = moved(x=part * canvas[0] - CANVAS[0] / 2)
        assert middle(Visit(canvas).play(person, mode="follow"), HIPS)[0] == pytest.approx(part, abs=1e-5)


def test_on_stage_nobody_leaves_the_places_that_were_trained() -> None:
    steps = np.linspace(-600, 600, 121)
    hips = np.array([middle(Visit().play(moved(x=x)), HIPS)[0] for x in steps])
    assert (np.diff(hips) >= 0).all() and hips.min() >= STAGE.left and hips.max() <= STAGE.right
    assert hips[0] == pytest.approx(STAGE.left, abs=1e-3) and hips[-1] == pytest.approx(STAGE.right, abs=1e-3)
    scale = scale_of(Visit().play(standing()), standing())
    assert (np.diff(hips) <= 10 * scale * 1.001).all()  # never faster than the body makes a step
    assert hips[61] - hips[60] == pytest.approx(10 * scale, rel=0.1)  # and in the middle just as fast


def test_one_who_never_moved_can_be_played() -> None:
    still = STAGE.model_copy(update={"left": 0.5, "right": 0.5})
    fitted = Fitter(still).fit(moved(x=200), 1, CANVAS, "stage", 0)
    assert middle(fitted, HIPS)[0] == pytest.approx(0.5, abs=2e-3)


def test_a_squat_stays_a_squat_however_long() -> None:
    visit, low = Visit(), squatting(standing())
    upright = visit.play(standing(), 60)
    scale = scale_of(upright, standing())
    for frames in (1, 30, 300):
        fitted = visit.play(low, frames)
        assert scale_of(fitted, low) == pytest.approx(scale, rel=0.05)
        assert repertoire.lowest(fitted) == pytest.approx(STAGE.floor, abs=0.01)
        sunk = middle(fitted, SHOULDERS)[1] - middle(upright, SHOULDERS)[1]
        assert sunk == pytest.approx(110 * scale, rel=0.1)


def test_a_bow_stays_a_bow() -> None:
    visit, bowed = Visit(), standing()
    bowed[:23, 1] += 170  # the trunk points at the camera
    scale = scale_of(visit.play(standing(), 60), standing())
    assert scale_of(visit.play(bowed, 120), bowed) == pytest.approx(scale, rel=0.09)


def test_a_jump_is_seen_as_a_jump() -> None:
    visit = Visit()
    scale = scale_of(visit.play(standing(), 60), standing())
    fitted = visit.play(moved(y=-150), 20)
    assert STAGE.floor - repertoire.lowest(fitted) == pytest.approx(150 * scale, rel=0.05)
    assert repertoire.lowest(visit.play(standing())) == pytest.approx(STAGE.floor, abs=0.01)


def test_who_walks_to_the_camera_keeps_height_and_floor() -> None:
    visit, fitted = Visit(), standing()
    for step in range(150):
        fitted = visit.play(moved(scale=0.7 + step / 500, y=step / 2))
    assert repertoire.height(fitted) == pytest.approx(STAGE.height, rel=0.12)
    fitted = visit.play(moved(scale=1.0, y=75), 90)
    assert repertoire.height(fitted) == pytest.approx(STAGE.height, rel=0.01)
    assert repertoire.lowest(fitted) == pytest.approx(STAGE.floor, abs=0.01)


def test_unseen_legs_make_no_giant() -> None:
    whole, fitted = Visit().play(standing()), Visit().play(without_legs())
    assert scale_of(fitted, standing()) == pytest.approx(scale_of(whole, standing()), rel=0.1)
    assert middle(fitted, SHOULDERS)[1] == pytest.approx(middle(whole, SHOULDERS)[1], abs=0.05)


def test_a_head_and_shoulders_make_no_giant_either() -> None:
    person = standing()
    person[13:, 3] = 0.1
    assert repertoire.height(Visit().play(person)) < 1.2 * STAGE.height
    person[12, :2] = person[11, :2]  # seen from the side
    assert repertoire.height(Visit().play(person)) < 1.2 * STAGE.height


def test_one_side_is_enough() -> None:
    person = standing()
    person[[12, 24, 26, 28, 30], 3] = 0.1
    assert size(person)[1] and size(person)[0] == pytest.approx(repertoire.height(standing()), rel=0.05)


def test_legs_that_come_and_go_do_not_shake_the_figure() -> None:
    visit = Visit()
    fitted = [visit.play((standing(), without_legs())[number // 3 % 2]) for number in range(60)]
    scales = np.array([np.linalg.norm(each[11, :2] - each[12, :2]) for each in fitted])
    heads = np.array([each[0, 1] for each in fitted])
    assert np.abs(np.diff(np.log(scales))).max() < 0.01 and np.abs(np.diff(heads)).max() < 0.01


@given(st.floats(0.2, 5), st.integers(0, 10**10))
def test_no_leap_in_size_between_two_frames(factor: float, gap_ns: int) -> None:
    fitter, larger = Fitter(STAGE), moved(factor)
    before = scale_of(fitter.fit(standing(), 1, CANVAS, "stage", 0), standing())
    after = scale_of(fitter.fit(larger, 1, CANVAS, "stage", min(gap_ns, FRAME_NS)), larger)
    assert abs(np.log(after / before)) < 0.07 * max(factor, 1 / factor)
    fitter.fit(larger, 1, CANVAS, "stage", gap_ns)  # the time between two frames may be anything


@given(seed=st.integers(0, 1000), mode=st.sampled_from(MODES))
def test_left_stays_left_and_up_stays_up(seed: int, mode: Fit) -> None:
    random = np.random.default_rng(seed)
    person = standing()
    person[:, :2] = random.uniform(-200, 1200, (33, 2))
    person[:, 3] = random.uniform(0, 1, 33)
    visit = Visit()
    visit.play(moved(x=random.uniform(-200, 200)), 5, mode)
    fitted = visit.play(person, 1, mode)
    for axis in (0, 1):
        assert (np.diff(fitted[np.argsort(person[:, axis]), axis]) >= 0).all()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("mode", MODES)
def test_unusable_points_count_as_unseen(bad: tuple[float, ...], mode: Fit) -> None:
    person = standing()
    person[[0, 15, 31]] = bad
    fitted = Visit().play(person, mode=mode)
    assert np.isfinite(fitted).all() and not fitted[[0, 15, 31], 3].any()
    rest = np.setdiff1d(np.arange(33), [0, 15, 31])
    np.testing.assert_allclose(fitted[rest], Visit().play(standing(), mode=mode)[rest], atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_usable_at_all_is_nobody_seen(mode: Fit) -> None:
    for person in (np.full((33, 4), np.nan, np.float32), np.zeros((33, 4)), np.full((33, 4), -1.0)):
        fitted = Visit().play(person, 3, mode)
        assert np.isfinite(fitted).all() and not fitted[:, 3].any()


def test_a_depth_that_is_not_finite_counts_as_none() -> None:
    person = standing()
    person[5, 2] = np.nan
    fitted = Visit().play(person)
    assert fitted[5, 2] == 0 and fitted[5, 3] > 0.9


def test_each_track_has_a_height_of_its_own_until_it_is_forgotten() -> None:
    visit, child = Visit(), moved(0.5)
    grown = visit.play(standing(), 30, track=1)
    assert repertoire.height(visit.play(child, track=2)) == pytest.approx(repertoire.height(grown), rel=1e-4)
    assert repertoire.height(visit.play(child, track=1)) < 0.6 * STAGE.height
    visit.fitter.forget(1)
    visit.fitter.forget(99)
    assert repertoire.height(visit.play(child, track=1)) == pytest.approx(STAGE.height, rel=1e-4)


def test_a_track_that_was_long_away_is_measured_anew() -> None:
    visit = Visit()
    visit.play(standing(), 30, track=1)
    visit.number += 20 * 30
    visit.play(standing(), track=2)
    assert repertoire.height(visit.play(moved(0.5), track=1)) == pytest.approx(STAGE.height, rel=1e-4)


def test_time_that_runs_backwards_changes_nothing_at_once() -> None:
    visit = Visit()
    before = visit.play(standing(), 90)
    visit.number = 0
    np.testing.assert_allclose(visit.play(standing()), before, atol=1e-5)


def test_after_a_clip_began_again_a_visitor_is_measured_as_before() -> None:
    visit = Visit()
    visit.number = 3000
    visit.play(standing(), 60)
    visit.number = 0
    assert repertoire.height(visit.play(moved(0.5), 150)) == pytest.approx(STAGE.height, rel=0.01)


def test_guesses_count_for_nothing_while_there_is_something_sure() -> None:
    visit, guessed = Visit(), moved(3.0)
    guessed[:, 3] = 0.1
    before = visit.play(standing(), 60)
    visit.play(guessed, 40)
    np.testing.assert_allclose(visit.play(standing()), before, atol=1e-3)

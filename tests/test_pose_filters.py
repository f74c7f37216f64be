"""The filters of a pose node: what they do to rest, jitter, steps and steady movement."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.pose.filters import Filter, Kalman, Kind, OneEuro, points_filter, slowness, world_filter

TICK = 33_333_333
BOTH: list[Kind] = ["one_euro", "kalman"]
SIZE = 100.0


def run(
    kind: Kind, values: list[float], *, calm: float = 0.5, size: float = SIZE, times: list[int] | None = None
) -> list[float]:
    """What becomes of the x of a point that is measured at these places."""
    follow = points_filter(kind)
    times = times or [i * TICK for i in range(len(values))]
    points = (np.full((1, 3), value, float) for value in values)
    return [float(follow(point, now, size, calm)[0, 0]) for point, now in zip(points, times, strict=True)]


def noise(sigma: float, count: int = 300) -> list[float]:
    return list(np.random.default_rng(0).normal(0, sigma, count))


@pytest.mark.parametrize("kind", BOTH)
def test_a_point_at_rest_stays(kind: Kind) -> None:
    assert run(kind, [42.0] * 50) == [42.0] * 50


def test_a_step_is_followed_without_overshoot_by_the_one_euro_filter() -> None:
    followed = run("one_euro", [0.0] * 10 + [200.0] * 30)
    assert max(followed) <= 200
    assert followed == sorted(followed)
    assert followed[12] > 180


def test_a_step_is_followed_by_the_kalman_filter_and_ends_where_the_point_is() -> None:
    followed = run("kalman", [0.0] * 10 + [200.0] * 60)
    assert followed[12] > 180 and max(followed) < 240
    assert followed[-1] == pytest.approx(200, abs=0.5)


def test_a_steady_movement_is_followed_without_lag_by_the_kalman_filter_only() -> None:
    steady = [3.0 * i for i in range(90)]
    assert run("kalman", steady)[-1] == pytest.approx(steady[-1], abs=0.01)
    assert run("one_euro", steady)[-1] < steady[-1] - 0.1


@pytest.mark.parametrize("kind", BOTH)
def test_jitter_shrinks_and_the_calmer_the_more(kind: Kind) -> None:
    stds = [np.std(run(kind, noise(0.3), calm=calm)[50:]) for calm in (0, 0.25, 0.5, 0.75, 1)]
    assert stds == sorted(stds, reverse=True)
    assert stds[0] < np.std(noise(0.3)[50:]) and stds[-1] < 0.75 * stds[2] < 0.75 * 0.9 * stds[0]


@pytest.mark.parametrize("kind", BOTH)
def test_the_calmer_the_later(kind: Kind) -> None:
    wave = list(30 * np.sin(np.arange(120) / 5))
    errors = [np.abs(np.subtract(run(kind, wave, calm=calm), wave)).mean() for calm in (0, 0.5, 1)]
    assert errors == sorted(errors)


def test_the_middle_of_the_knob_is_mediapipe_and_its_steps_are_ratios() -> None:
    assert [slowness(calm) for calm in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx([0.1, 10**-0.5, 1, 10**0.5, 10])
    # Written out for two values: the cutoff is 0.05 Hz + 80 Hz × a speed that is itself filtered at 1 Hz.
    seconds = TICK / 1e9
    speed = 2 * np.pi * seconds / (2 * np.pi * seconds + 1) * (1 / SIZE / seconds)
    ratio = 2 * np.pi * (0.05 + 80 * speed) * seconds
    assert run("one_euro", [0.0, 1.0])[1] == pytest.approx(ratio / (ratio + 1))


@pytest.mark.parametrize("kind", BOTH)
def test_near_and_far_people_are_filtered_alike(kind: Kind) -> None:
    values = noise(2)
    far = run(kind, [value / 4 for value in values], size=SIZE / 4)
    assert np.multiply(far, 4) == pytest.approx(run(kind, values))


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("later", [600_000_000, 0, -TICK], ids=["gap", "same time", "back in time"])
def test_a_filter_starts_afresh_when_time_jumps(kind: Kind, later: int) -> None:
    assert run(kind, [0.0, 0.0, 1.0], times=[0, TICK, TICK + later])[-1] == 1.0
    assert run(kind, [0.0, 0.0, 1.0], times=[0, TICK, 2 * TICK])[-1] < 1.0


def test_real_times_count_and_not_pictures() -> None:
    """A steady walk of which pictures are missing is followed as well as one that is complete."""
    kept = [i for i in range(90) if i % 7 not in (2, 3, 5)]
    followed = run("kalman", [2.0 * i for i in kept], times=[i * TICK for i in kept])
    assert followed[-1] == pytest.approx(2.0 * kept[-1], abs=0.05)


def test_depth_is_taken_to_be_noisier_than_the_picture_by_the_kalman_filter() -> None:
    follow, measured = points_filter("kalman"), np.random.default_rng(0).normal(0, 1, (200, 33, 3))
    x, _, z = np.array([follow(one, i * TICK, SIZE) for i, one in enumerate(measured)])[50:].std((0, 1))
    assert z < 0.7 * x


@pytest.mark.parametrize("kind", ["one_euro", "kalman", "none"])
@pytest.mark.parametrize("make", [points_filter, world_filter])
def test_a_filter_keeps_its_own_copy(kind: Kind, make: object) -> None:
    follow: Filter = make(kind)  # type: ignore[operator]
    for i in range(3):
        follow(np.zeros((1, 3)), i * TICK, SIZE)[:] = 999
    assert (follow(np.zeros((1, 3)), 3 * TICK, SIZE) == 0).all()


def test_no_filter_is_no_filter() -> None:
    values = noise(3, 20)
    assert run("none", values) == values


def test_the_filters_take_any_shape() -> None:
    for follow in (OneEuro(0.05, 80), Kalman(1, 0.01)):
        for i in range(3):
            assert follow(np.ones((2, 5)), i * TICK, SIZE) == pytest.approx(np.ones((2, 5)))

"""Who is who: ids over crossings, absences, jitter and lost pictures, with an estimator that mixes bodies up."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from crowd_kit import SIZE, Estimator, Path, Walker, line, together

from nodes.pose.assignment import assign
from nodes.pose.found import Found
from nodes.pose.identity import ENTERED_AFTER, Identity

FPS = 30


def follow(
    walkers: Sequence[Walker], seconds: float, estimator: Estimator, times: np.ndarray | None = None
) -> list[dict[int, int]]:
    """Picture by picture: the id of each walker who was seen apart from all others."""
    identity, seen = Identity(), []
    for time in np.arange(0, seconds, 1 / FPS) if times is None else times:
        found, who = estimator.look(walkers, float(time))
        bodies = identity.step(found, round((time + 5) * 1e9))
        assert len({body.id for body in bodies}) == len(bodies)
        apart = [(n, body) for n, body in zip(who, bodies, strict=True) if not together(walkers, n, float(time))]
        seen.append({n: body.id for n, body in apart})
    return seen


def swaps(seen: list[dict[int, int]]) -> int:
    """How often the id of someone changed."""
    count, ids = 0, dict[int, int]()
    for n, id_ in (item for picture in seen for item in picture.items()):
        count += ids.setdefault(n, id_) != id_
        ids[n] = id_
    return count


def crossing(degrees: float, speed: float, random: np.random.Generator) -> list[Walker]:
    """Two who walk straight, sizes per second, and are in the same place after two seconds, one in front."""
    angle, other = np.radians(degrees), speed * random.uniform(0.75, 1.3)
    ways = np.array([[speed, 0], [other * np.cos(angle), other * np.sin(angle)]])
    starts = (2, 1.2) - 2 * ways + random.uniform(-0.05, 0.05, (2, 2))
    return [
        Walker(line((x, y), (vx, vy)), float(random.uniform(0.9, 1.1)))
        for (x, y), (vx, vy) in zip(starts, ways, strict=True)
    ]


@pytest.mark.parametrize("handles", [True, False], ids=["follows", "does not follow"])
@pytest.mark.parametrize("degrees", [180, 135, 90, 60])
@pytest.mark.parametrize("speed", [0.25, 0.5, 1.0])
def test_two_who_cross_stay_who_they_are(handles: bool, degrees: float, speed: float) -> None:
    for seed in range(4):
        random = np.random.default_rng(seed)
        estimator = Estimator(seed, delay=int(random.integers(1, 15)), handles=handles)
        seen = follow(crossing(degrees, speed, random), 4.5, estimator)
        assert swaps(seen) == 0 and set(seen[-1]) == {0, 1}


@pytest.mark.parametrize("seed", range(4))
def test_pictures_that_are_lost_and_late_change_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    times = np.arange(0, 4.5, 1 / FPS)
    times = times[random.random(len(times)) > 0.35] + random.uniform(-0.012, 0.012)
    seen = follow(crossing(180, 0.6, random), 0, Estimator(seed, jitter=0.008), times)
    assert swaps(seen) == 0 and set(seen[-1]) == {0, 1}


def stops(velocity: float, pause: float = 0.6) -> Path:
    """Walks, stands at x = 2 from the second second on, and walks on."""
    return lambda time: (2 + velocity * (min(time - 2, 0) + max(time - 2 - pause, 0)), 1.2)


def turns(side: int, nearest: float, speed: float = 0.6) -> Path:
    return lambda time: (2 + side * (nearest / 2 + speed * abs(time - 2)), 1.2)


def orbits(side: int) -> Path:
    return lambda time: (2 + side * 0.22 * np.cos(2 * time), 1.2 + side * 0.03 * np.sin(2 * time))


def sways(x: float) -> Path:
    return lambda time: (x + 0.5 * np.sin(time), 1.2)


CASES = {
    "one passes behind one who stands": ([Walker(line((2, 1.2), (0, 0)), 1.1), Walker(line((1, 1.22), (0.5, 0)))], 4.5),
    "one passes before one who stands": ([Walker(line((2, 1.2), (0, 0))), Walker(line((1, 1.22), (0.5, 0)), 1.1)], 4.5),
    "both stop while they are one": ([Walker(stops(0.6), 1.1), Walker(stops(-0.6))], 5.0),
    "they meet at arm's length and turn back": ([Walker(turns(1, 0.36)), Walker(turns(-1, 0.36), 0.95)], 4.0),
    "they dance around each other": ([Walker(orbits(1), 1.05), Walker(orbits(-1))], 6.0),
    "they walk side by side to and fro": ([Walker(sways(1)), Walker(sways(1.32))], 8.0),
    "three meet": (
        [
            Walker(line((0.8, 1.2), (0.6, 0)), 1.1),
            Walker(line((3.4, 1.2), (-0.6, 0))),
            Walker(line((2.05, 0.45), (0, 0.42)), 0.9),
        ],
        4.5,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_people_do_together(case: str) -> None:
    walkers, seconds = CASES[case]
    for seed in range(4):
        seen = follow(walkers, seconds, Estimator(seed, jitter=0.006, delay=2 + 3 * seed))
        assert swaps(seen) == 0, f"seed {seed}"
        assert len({id_ for picture in seen for id_ in picture.values()}) == len(walkers)


def behind(start: float, until: float, path: Path) -> Path:
    return lambda time: None if start < time < until else path(time)


@pytest.mark.parametrize("handles", [True, False])
def test_who_passes_behind_a_pillar_comes_back_as_the_same(handles: bool) -> None:
    walkers = [Walker(behind(1.5, 3.0, line((0.5, 1.2), (0.5, 0)))), Walker(line((3.6, 1.2), (0, 0)))]
    seen = follow(walkers, 4.5, Estimator(handles=handles))
    assert swaps(seen) == 0 and seen[-1].keys() == {0, 1}


def test_who_is_away_for_longer_than_is_remembered_is_someone_else() -> None:
    walkers = [Walker(behind(1, 3.2, line((2, 1.2), (0, 0)))), Walker(line((3.6, 1.2), (0, 0)))]
    seen = follow(walkers, 4.5, Estimator())
    assert (seen[0], seen[-1]) == ({0: 1, 1: 2}, {0: 3, 1: 2})


def test_someone_else_who_comes_at_another_place_is_someone_else() -> None:
    """One goes out to the right; a moment later another comes in at the left."""
    walkers = [Walker(line((3, 1.2), (0.6, 0), until=2)), Walker(line((-1.3, 1.2), (0.6, 0), since=2.4))]
    seen = follow(walkers, 4, Estimator())
    assert [picture for picture in seen if picture][-1] == {1: 2}
    walkers = [Walker(line((2, 1.2), (0, 0), until=2)), Walker(line((3.4, 1.2), (0, 0), since=3))]
    assert follow(walkers, 4, Estimator())[-1] == {1: 2}


def test_a_child_is_not_the_grown_up_who_stood_there() -> None:
    walkers = [
        Walker(line((2, 1.2), (0, 0), until=1.5), 1.0),
        Walker(line((2, 1.2), (0, 0), since=2), 0.55),
    ]
    assert follow(walkers, 3, Estimator())[-1] == {1: 2}


def test_who_was_seen_for_a_moment_only_is_soon_forgotten() -> None:
    short = (ENTERED_AFTER - 2) / FPS
    walkers = [Walker(behind(short, short + 0.5, line((2, 1.2), (0, 0))))]
    assert follow(walkers, 2, Estimator())[-1] == {0: 2}


def found(handle: int, x: float, size: float = SIZE) -> Found:
    return Found(handle, np.zeros((33, 3)), np.ones(33), np.array([x, 300.0]), size)


def test_whom_the_estimator_has_followed_over_a_pause_is_the_same() -> None:
    identity = Identity()
    for i in range(10):
        identity.step([found(7, 100)], i * 33_000_000)
    (body,) = identity.step([found(7, 900)], 60 * 10**9)
    assert body.id == 1
    (body,) = identity.step([found(8, 900)], 90 * 10**9)
    assert body.id == 2, "nobody is remembered over such a pause"


def test_time_that_stands_still_or_runs_back_does_no_harm() -> None:
    identity = Identity()
    for i, now in enumerate([5, 6, 6, 3, 4, 2]):
        (body,) = identity.step([found(1, 100 + i)], now * 33_000_000)
        assert body.id == 1 and np.isfinite(body.place).all() and abs(body.place[0] - 100) < 50


def test_nobody_and_everybody_at_once() -> None:
    identity = Identity()
    assert identity.step([], 0) == []
    eight = [found(n, 150 * n) for n in range(8)]
    for i in range(ENTERED_AFTER):
        bodies = identity.step(eight, i * 33_000_000)
    assert [body.id for body in bodies] == list(range(1, 9))
    assert identity.step([], 200_000_000) == []
    again = identity.step([found(20 + n, 150 * n) for n in (5, 2, 7)], 233_000_000)
    assert [body.id for body in again] == [6, 3, 8]
    identity.forget()
    assert [body.id for body in identity.step(eight[:1], 266_000_000)] == [9]


def test_points_without_extent_do_no_harm() -> None:
    identity = Identity()
    for i in range(4):
        bodies = identity.step([found(1, 5, size=0), found(2, 5, size=0)], i)
        assert {body.id for body in bodies} == {1, 2}


def test_an_estimator_that_takes_one_for_the_other_as_they_pass_is_not_believed() -> None:
    """They pass each other, both seen all the time, and the handles change sides."""
    identity, speed = Identity(), 0.6 * SIZE
    for i in range(120):
        time, jump = i / FPS, i > 60
        right, left = found(1 + jump, 600 + speed * (time - 2)), found(2 - jump, 600 - speed * (time - 2))
        bodies = identity.step([right, left], round(time * 1e9))
    assert [body.id for body in bodies] == [1, 2]


# --- who gets what ---


def cheapest(costs: np.ndarray, alone: float) -> float:
    """By trying everything."""
    rows, columns = costs.shape
    own = np.full((rows, rows), np.inf)
    np.fill_diagonal(own, alone)
    every = np.concatenate([costs, own], axis=1)
    return min(
        (every[range(rows), list(choice)].sum() for choice in itertools.permutations(range(rows + columns), rows)),
        default=0.0,
    )


def test_the_assignment_costs_least() -> None:
    random = np.random.default_rng(0)
    for _ in range(150):
        costs = random.normal(0.5, 1, random.integers(0, 4, 2))
        costs[random.random(costs.shape) < 0.3] = np.inf
        pairs = assign(costs, alone=0.7)
        rows, columns = [row for row, _ in pairs], [column for _, column in pairs]
        assert len(set(rows)) == len(rows) and len(set(columns)) == len(columns)
        total = sum(costs[pair] for pair in pairs) + 0.7 * (len(costs) - len(pairs))
        assert total == pytest.approx(cheapest(costs, 0.7))

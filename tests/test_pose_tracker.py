"""Following people, with stand-ins for the pose networks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nodes.pose.blazepose import BlazePose
from nodes.pose.landmarker import Landmarks
from nodes.pose.lookout import SEARCH_EVERY, SEARCH_LOST_EVERY, views
from nodes.pose.picture import Part
from nodes.pose.roi import Roi
from nodes.pose.tracker import SURE, Tracker

TICK = 33_333_333
SIZE = 100.0


class Stage:
    """People at given x, each 100 px wide. Stands in for the picture and for both networks."""

    width, height = 1000, 500

    def __init__(self) -> None:
        self.people: list[float] = []
        self.hidden: list[float] = []  # from the detector
        self.border = math.inf  # of the region in which people count
        self.presence = 0.96
        self.searches = 0
        self.looked: list[Part] = []  # the parts that the detector looked at
        self.part: Part = (0, 0, self.width, self.height)
        self.expected: list[tuple[float, float, float]] = []
        self.time_ns = 0

    def detect(self, picture: Stage, most: int, min_score: float) -> list[Roi]:
        self.searches += 1
        return [Roi(x, 250, SIZE, 0) for x in self.people if min_score <= 0.7 and x not in self.hidden][:most]

    def narrowed(self, part: Part) -> Stage:
        self.looked.append(part)
        return self

    def holds(self, x: float, y: float) -> bool:
        return x < self.border

    def landmarks(self, picture: Stage, roi: Roi, light: object) -> Landmarks:
        x = min(self.people, key=lambda person: abs(person - roi.x), default=math.inf)
        there = abs(x - roi.x) < SIZE / 2
        alignment = np.array([[x, 250], [x, 250 - SIZE / 2.5]]) if there else np.zeros((2, 2))
        return Landmarks(np.full((33, 3), x), np.full(33, 0.8), alignment, self.presence if there else 0.1)

    def step(self, tracker: Tracker, *people: float) -> dict[int, float]:
        """One frame with people at these x: where each id is."""
        self.people, self.time_ns = list(people), self.time_ns + TICK
        found = tracker.step(self, self.time_ns)  # type: ignore[arg-type]
        return {person.handle: round(float(person.xyz[0, 0])) for person in found}


@pytest.fixture
def stage() -> Stage:
    return Stage()


def tracker_on(stage: Stage, people: int, **settings: float) -> Tracker:
    tracker = Tracker(stage.detect, stage.landmarks, people)  # type: ignore[arg-type]
    tracker.tune(BlazePose.Config(**settings))  # type: ignore[arg-type]
    return tracker


def test_people_keep_their_ids_while_they_move(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for i in range(40):
        assert stage.step(tracker, 100 + 5 * i, 800 - 5 * i) == {1: 100 + 5 * i, 2: 800 - 5 * i}


def test_no_more_people_than_asked_for(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for _ in range(SEARCH_EVERY + 1):
        stage.step(tracker, 100)
    stage.hidden = [100]
    assert stage.step(tracker, 100, 300, 500) == {1: 100, 2: 300}


def test_people_who_stand_close_are_two(stage: Stage) -> None:
    assert stage.step(tracker_on(stage, 2), 100, 125) == {1: 100, 2: 125}


def test_ids_are_never_used_again(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    stage.step(tracker, 100, 500)
    assert stage.step(tracker, 500) == {2: 500}
    assert stage.step(tracker) == {}
    assert stage.step(tracker, 100, 500) == {3: 100, 4: 500}


@pytest.mark.parametrize(("at", "stays"), [(110, 1), (121, 2)])
def test_of_two_squares_that_end_up_on_one_body_the_one_that_jumped_there_goes(
    stage: Stage, at: float, stays: int
) -> None:
    tracker = tracker_on(stage, 2)
    stage.step(tracker, 100, 130)
    assert stage.step(tracker, at) == {stays: at}


def test_who_comes_close_to_another_stays_two(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    stage.step(tracker, 100, 130)
    assert stage.step(tracker, 108, 120) == {1: 108, 2: 120}


def test_the_detector_rests_while_everyone_is_followed(stage: Stage) -> None:
    tracker = tracker_on(stage, 1)
    for _ in range(2 * SEARCH_EVERY):
        stage.step(tracker, 100)
    assert stage.searches == 1


def test_the_detector_looks_now_and_then_while_there_is_room(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for _ in range(SEARCH_EVERY + 1):
        assert len(stage.step(tracker, 100)) == 1
    assert stage.searches == 2, "once more after someone came"
    assert stage.step(tracker, 100, 500) == {1: 100, 2: 500}
    assert stage.searches == 3


def test_the_detector_looks_at_once_and_often_while_someone_is_expected_back(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for _ in range(SEARCH_LOST_EVERY):
        stage.step(tracker, 100, 500)
    stage.step(tracker, 100)
    assert stage.searches == 1
    stage.expected = [(520.0, 250.0, SIZE)]
    assert stage.step(tracker, 100, 520) == {1: 100, 3: 520}
    for _ in range(10 * SEARCH_LOST_EVERY):
        stage.step(tracker, 100)
    assert stage.searches == 2 + 10


def test_half_of_the_looks_go_to_those_who_are_expected_back(stage: Stage) -> None:
    tracker, stage.expected = tracker_on(stage, 2), [(300.0, 200.0, 100.0), (700.0, 200.0, 50.0)]
    for _ in range(8):
        stage.step(tracker)
    around, other = (240, 140, 120, 120), (670, 170, 60, 60)
    whole, squares = stage.looked[0], stage.looked[2:7:2]
    assert stage.looked[1::2] == [around, other, around, other]
    assert whole == (0, 0, 1000, 500) and squares == [(0, 0, 500, 500), (250, 0, 500, 500), (500, 0, 500, 500)]


@pytest.mark.parametrize(
    ("part", "squares"),
    [
        ((0, 0, 1280, 720), [(0, 0, 720, 720), (280, 0, 720, 720), (560, 0, 720, 720)]),
        ((10, 20, 480, 640), [(10, 20, 480, 480), (10, 180, 480, 480)]),
        ((0, 0, 540, 640), []),
        ((0, 0, 300, 300), []),
    ],
)
def test_a_wide_picture_is_looked_at_in_squares_too(part: Part, squares: list[Part]) -> None:
    assert views(part) == [part, *squares]


def test_a_very_wide_picture_is_looked_at_in_no_more_than_a_few_squares() -> None:
    assert len(views((0, 0, 3000, 2))) == 9 and len(views((0, 0, 2, 3000))) == 9


def test_the_detector_looks_at_every_frame_of_an_empty_room(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for _ in range(5):
        assert stage.step(tracker) == {}
    assert stage.searches == 5


def test_the_thresholds_are_heeded(stage: Stage) -> None:
    assert stage.step(tracker_on(stage, 1, min_detection=0.75), 100) == {}
    assert stage.step(tracker_on(stage, 1, min_tracking=0.97), 100) == {}
    assert stage.step(tracker_on(stage, 1, min_detection=0.55, min_tracking=0.94), 100) == {1: 100}


def test_another_picture_size_forgets_where_people_were_but_not_which_ids_were_used(stage: Stage) -> None:
    tracker = tracker_on(stage, 1)
    stage.step(tracker, 100)
    stage.width = 640
    assert stage.step(tracker, 100) == {2: 100}
    assert stage.searches == 2


def test_a_fast_person_is_not_lost_however_calm_the_points_are_to_be(stage: Stage) -> None:
    tracker = tracker_on(stage, 1, calm=1)
    assert all(stage.step(tracker, 100 + 30 * i).keys() == {1} for i in range(20))


def test_who_leaves_the_region_is_nobody_and_leaves_room(stage: Stage) -> None:
    tracker = tracker_on(stage, 1)
    stage.border = 500
    assert stage.step(tracker, 480) == {1: 480}
    stage.hidden = [520]  # the detector itself heeds the region
    assert stage.step(tracker, 520, 100) == {}
    assert stage.step(tracker, 520, 100) == {2: 100}


def test_someone_new_must_be_surer_than_someone_known(stage: Stage) -> None:
    tracker = tracker_on(stage, 1)
    stage.presence = SURE - 0.01
    assert stage.step(tracker, 100) == {}
    stage.presence = SURE
    (handle,) = stage.step(tracker, 100)
    stage.presence = 0.51
    assert stage.step(tracker, 100) == {handle: 100}
    stage.presence = 0.49
    assert stage.step(tracker, 100) == {}


def test_someone_new_must_be_there_at_a_second_look_too(stage: Stage) -> None:
    looks = iter([0.96, 0.5, 0.96, 0.96])
    first = stage.landmarks

    def landmarks(picture: Stage, roi: Roi, light: object) -> Landmarks:
        return replace(first(picture, roi, light), presence=next(looks))

    stage.landmarks = landmarks  # type: ignore[method-assign]
    tracker = tracker_on(stage, 1)
    assert stage.step(tracker, 100) == {}
    assert len(stage.step(tracker, 100)) == 1


def test_someone_new_stands_inside_the_picture_and_someone_known_may_leave_it(stage: Stage) -> None:
    tracker = tracker_on(stage, 1)
    assert stage.step(tracker, 3) == {} and stage.step(tracker, stage.width - 3) == {}
    (handle,) = stage.step(tracker, 8)
    assert stage.step(tracker, -4) == {handle: -4}

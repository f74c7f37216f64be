"""Following people, with stand-ins for the pose networks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nodes.pose.blazepose import BlazePose
from nodes.pose.landmarker import Landmarks
from nodes.pose.lookout import PERSON_AFTER, SEARCH_AGAIN_EVERY, SEARCH_AGAIN_NS, SEARCH_EVERY
from nodes.pose.roi import Roi
from nodes.pose.tracker import Tracker

TICK = 33_333_333
SIZE = 100.0


class Stage:
    """People at given x, each 100 px wide. Stands in for the picture and for both networks."""

    width, height = 1000, 500

    def __init__(self) -> None:
        self.people: list[float] = []
        self.hidden: list[float] = []  # from the detector
        self.statues: list[float] = []  # the detector takes them for people
        self.border = math.inf  # of the region in which people count
        self.searches = 0
        self.time_ns = 0

    def detect(self, picture: Stage, most: int, min_score: float) -> list[Roi]:
        self.searches += 1
        return [Roi(x, 250, SIZE, 0) for x in self.people + self.statues if min_score <= 0.6 and x not in self.hidden][
            :most
        ]

    def holds(self, x: float, y: float) -> bool:
        return x < self.border

    def landmarks(self, picture: Stage, roi: Roi, light: object) -> Landmarks:
        x = min(self.people, key=lambda person: abs(person - roi.x), default=math.inf)
        there = abs(x - roi.x) < SIZE / 2
        alignment = np.array([[x, 250], [x, 250 - SIZE / 2.5]]) if there else np.zeros((2, 2))
        return Landmarks(np.full((33, 3), x), np.full(33, 0.8), alignment, 0.7 if there else 0.1)

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
    for _ in range(SEARCH_EVERY):
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


def test_two_tracks_that_end_up_on_one_person_become_the_older_one(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    stage.step(tracker, 100, 130)
    assert stage.step(tracker, 118) == {1: 118}


def test_the_detector_rests_while_everyone_is_followed(stage: Stage) -> None:
    tracker = tracker_on(stage, 1)
    for _ in range(2 * SEARCH_EVERY):
        stage.step(tracker, 100)
    assert stage.searches == 1


def test_the_detector_looks_now_and_then_while_there_is_room(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for _ in range(SEARCH_EVERY):
        assert len(stage.step(tracker, 100)) == 1
    assert stage.searches == 1
    assert stage.step(tracker, 100, 500) == {1: 100, 2: 500}
    assert stage.searches == 2


def test_the_detector_looks_at_once_and_often_after_someone_was_lost(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for _ in range(PERSON_AFTER):
        stage.step(tracker, 100, 500)
    assert stage.step(tracker, 100) == {1: 100}
    assert stage.searches == 1
    assert stage.step(tracker, 100, 500) == {1: 100, 3: 500}
    stage.step(tracker, 100)
    before = stage.searches
    for _ in range(SEARCH_AGAIN_NS // TICK):
        stage.step(tracker, 100)
    assert stage.searches - before == pytest.approx(SEARCH_AGAIN_NS / TICK / SEARCH_AGAIN_EVERY, abs=2)
    before = stage.searches
    for _ in range(2 * SEARCH_EVERY):
        stage.step(tracker, 100)
    assert stage.searches - before == 2


def test_what_only_the_detector_takes_for_a_person_is_not_looked_for_often(stage: Stage) -> None:
    tracker, stage.statues = tracker_on(stage, 2), [500]
    for _ in range(4 * SEARCH_EVERY):
        assert stage.step(tracker, 100) == {1: 100}
    assert stage.searches == 4


def test_the_detector_looks_at_every_frame_of_an_empty_room(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for _ in range(5):
        assert stage.step(tracker) == {}
    assert stage.searches == 5


def test_the_thresholds_are_heeded(stage: Stage) -> None:
    assert stage.step(tracker_on(stage, 1, min_detection=0.65), 100) == {}
    assert stage.step(tracker_on(stage, 1, min_tracking=0.75), 100) == {}
    assert stage.step(tracker_on(stage, 1, min_detection=0.55, min_tracking=0.65), 100) == {1: 100}


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

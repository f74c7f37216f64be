"""What a pose node makes of what was found: filtered people under ids, who leads, who came and who left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness import frame, make

from engine.node import Keypoints, Node
from nodes.pose.found import Found
from nodes.pose.identity import ENTERED_AFTER, Body
from nodes.pose.leader import Leader
from nodes.pose.people import People, Person
from nodes.pose.pose_node import PoseConfig, PoseNode
from nodes.pose.region import Region

TICK_S = 1 / 30
SIZE = 100.0
CANVAS = (1000, 500)


class Room:
    """People at given x, in a node's People. Handles are the x at which someone was seen first."""

    def __init__(self, **settings: Any):
        self.people = People(PoseConfig(**{"people": 4, "filter": "none", **settings}))
        self.time_s = 1.0
        self.events: list[tuple[str, int]] = []

    def tune(self, **settings: Any) -> None:
        self.people.tune(PoseConfig(**{"people": 4, "filter": "none", **settings}))

    def step(self, *at: float, pictures: int = 1, sizes: dict[float, float] | None = None) -> list[Person]:
        for _ in range(pictures):
            found = [body(x, (sizes or {}).get(x, SIZE)) for x in at]
            people = self.people.step(found, CANVAS, round(self.time_s * 1e9))
            self.events += self.people.events
            self.time_s += TICK_S
        return people

    def ids(self, *at: float, **how: Any) -> list[int]:
        return [person.id for person in self.step(*at, **how)]


def body(x: float, size: float = SIZE, handle: int | None = None) -> Found:
    xyz, world = np.full((33, 3), x), np.full((33, 3), x / 100)
    return Found(round(x) if handle is None else handle, xyz, np.full(33, 0.8), np.array([x, 250.0]), size, world)


# --- filters ---


def test_points_and_metres_are_filtered_each_for_themselves_and_a_new_person_afresh() -> None:
    room = Room(filter="one_euro", calm=1, hold=0, fade=0, remember=0)
    room.step(100)
    moved = room.people.step([body(110, handle=100)], CANVAS, round(room.time_s * 1e9))[0]
    assert 100 < moved.points[0, 0] < 108 and 1 < moved.world[0, 0] < 1.08  # type: ignore[index]
    room.time_s += TICK_S
    room.step(pictures=2)
    (other,) = room.step(130)
    assert other.id == 2 and (other.points[0, 0], other.world[0, 0]) == (130, np.float32(1.3))  # type: ignore[index]


def test_another_filter_takes_over_at_once() -> None:
    room = Room(filter="one_euro", calm=1)
    room.step(100, pictures=5)
    room.tune(filter="none")
    (person,) = room.people.step([body(140, handle=100)], CANVAS, round(room.time_s * 1e9))
    assert person.id == 1 and person.points[0, 0] == 140


def test_who_comes_back_keeps_the_id_but_not_the_filters_past() -> None:
    room = Room(filter="one_euro", calm=1)
    room.step(100, pictures=10)
    room.step(pictures=20)  # longer than a filter bridges
    (person,) = room.people.step([body(120, handle=7)], CANVAS, round(room.time_s * 1e9))
    assert person.id == 1 and person.points[0, 0] == 120


# --- hold and fade ---


def test_who_is_lost_keeps_the_pose_and_then_fades() -> None:
    room = Room(hold=0.21, fade=0.4)
    room.step(100, pictures=ENTERED_AFTER)
    scores = [room.step() for _ in range(20)]
    held = [people[0].points[0, 3] for people in scores if people]
    assert len(held) == 18 and all(people[0].points[0, 0] == 100 for people in scores[:18])
    assert held[:6] == [np.float32(0.8)] * 6
    assert held[6:] == pytest.approx([0.8 * (1 - (i * TICK_S - 0.21) / 0.4) for i in range(7, 19)], abs=1e-3)
    assert scores[8][0].world[0, 3] == scores[8][0].points[0, 3]  # type: ignore[index]
    assert room.events == [("entered", 1), ("leader", 1), ("leader", 0)], "remembered for longer than shown"


def test_hold_and_fade_are_live_and_may_be_none() -> None:
    room = Room(hold=10, fade=10, remember=60)
    room.step(100, pictures=ENTERED_AFTER)
    assert room.ids() == [1]
    room.tune(hold=0, fade=0, remember=60)
    assert room.ids() == []
    assert room.ids(100) == [1]


def test_nobody_is_shown_for_longer_than_they_are_remembered() -> None:
    room = Room(hold=5, fade=5, remember=0.5)
    room.step(100, pictures=ENTERED_AFTER)
    assert room.ids(pictures=15) == [1]
    assert room.ids() == []


def test_nobody_stays_because_the_cameras_clock_was_set_back() -> None:
    room = Room(remember=1.01, lead_after=0.5)
    room.step(100, 400, pictures=ENTERED_AFTER)
    room.step(400)
    room.time_s -= 0.9
    assert room.people.expected(round(room.time_s * 1e9))[0][2] == SIZE
    assert room.ids(400, pictures=20, sizes={400: 130.0})[0] == 2, "the lead passes on, and 1 is shown no more"
    room.step(400, pictures=12)
    assert room.events[-1] == ("left", 1)


def test_a_false_alarm_is_not_held() -> None:
    room = Room(hold=5)
    assert room.ids(100) == [1]
    assert room.ids() == []
    assert room.events == []


def test_never_more_people_than_asked_for_and_those_who_are_here_go_first() -> None:
    room = Room(people=2, hold=5)
    room.step(100, 300, pictures=ENTERED_AFTER)
    assert room.ids(300, 600) == [2, 3]
    assert room.ids(300) == [2, 1], "held again, as there is room: 3 was a moment only"


# --- events ---


def test_who_comes_and_goes_is_told_once_and_not_for_a_moment() -> None:
    room = Room(remember=1.02)
    room.step(100, pictures=ENTERED_AFTER - 1)
    assert room.events == []
    room.step(100)
    assert room.events == [("entered", 1), ("leader", 1)]
    room.step(pictures=10)
    room.step(100, 500, pictures=10)
    assert room.events[2:] == [("entered", 2)], "nobody left meanwhile"
    room.events.clear()
    room.step(500, pictures=30)
    assert ("left", 1) not in room.events
    room.step(500)
    assert room.events[-1] == ("left", 1) and room.events.count(("left", 1)) == 1


def test_another_picture_size_is_another_room() -> None:
    room = Room()
    room.step(100, pictures=ENTERED_AFTER)
    room.events.clear()
    people = room.people.step([body(100)], (640, 480), round(room.time_s * 1e9))
    assert [person.id for person in people] == [2]
    assert room.people.events == [("leader", 0), ("left", 1)]


# --- who leads ---


def test_the_leader_stands_first_then_those_known_longest() -> None:
    room = Room(leader="nearest")
    room.step(100, 400, pictures=2)
    assert room.ids(100, 400, 800, sizes={800: 200}, pictures=ENTERED_AFTER) == [1, 2, 3]
    assert room.ids(100, 400, 800, sizes={800: 200}, pictures=40) == [3, 1, 2]
    assert room.ids(100, 400, pictures=20) == [1, 2], "the lead passes on"
    assert [value for name, value in room.events if name == "leader"] == [1, 3, 1]


def test_nobody_leads_before_having_entered() -> None:
    room = Room()
    room.step(100, pictures=ENTERED_AFTER - 1)
    assert room.people.events == [] and room.people._leader.id == 0


def someone(id_: int, x: float, size: float = SIZE, since_s: float = 0, y: float = 250) -> Body:
    at = np.array([x, y])
    return Body(id_, id_, at, at, size, round(since_s * 1e9), 0)


Step = Callable[..., int]


def leading(leader: Leader) -> Step:
    clock = [0.0]

    def step(*bodies: Body, seconds: float = TICK_S) -> int:
        """The leader when these have been there for so long."""
        for _ in range(max(1, round(seconds / TICK_S))):
            clock[0] += TICK_S
            id_ = leader.step(bodies, CANVAS, round(clock[0] * 1e9))
        return id_

    return step


def test_the_nearest_leads_but_not_for_a_moment_or_a_little() -> None:
    step = leading(Leader("nearest", after_s=1))
    assert step(someone(1, 100), someone(2, 500, 120)) == 2
    assert step(someone(1, 100, 130), someone(2, 500, 120), seconds=9) == 2, "a little larger"
    assert step(someone(1, 100, 150), someone(2, 500, 120), seconds=0.9) == 2, "not yet"
    step(someone(1, 100, 120), someone(2, 500, 120))
    assert step(someone(1, 100, 150), someone(2, 500, 120), seconds=0.9) == 2, "the time begins anew"
    assert step(someone(1, 100, 150), someone(2, 500, 120), seconds=0.2) == 1


def test_the_most_central_leads() -> None:
    step = leading(Leader("centre", after_s=0.5))
    assert step(someone(1, 100), someone(2, 600)) == 2
    assert step(someone(1, 480), someone(2, 600), seconds=5) == 2, "0.08 of the width nearer to the middle"
    assert step(someone(1, 490), someone(2, 620), seconds=1) == 1


def test_who_has_been_here_longest_leads_until_they_leave() -> None:
    step = leading(Leader("longest", after_s=0))
    assert step(someone(1, 100, since_s=0), someone(2, 500, 400, since_s=1)) == 1
    assert step(someone(2, 500, since_s=1), someone(3, 100, since_s=2)) == 2
    assert step() == 0


def test_who_has_stood_longest_in_the_area_leads() -> None:
    leader = Leader("area", Region(0.4, 0, 0.2, 1), after_s=0.5)
    step = leading(leader)
    assert step(someone(1, 100), someone(2, 200), seconds=2) == 1, "nobody stands in it: known longest"
    assert step(someone(1, 100), someone(2, 500), seconds=2) == 2
    assert step(someone(1, 500), someone(2, 500), seconds=2) == 2
    assert step(someone(1, 500), someone(2, 300), seconds=0.4) == 2
    assert step(someone(1, 500), someone(2, 300), seconds=0.4) == 1
    assert step(someone(1, 300), someone(2, 300), seconds=2) == 1, "nobody stands in it: it stays as it is"
    leader.area = Region(0, 0, 0.35, 1)
    assert step(someone(1, 500), someone(2, 300), seconds=2) == 2, "the area moves while the show runs"


def test_the_rule_may_change_while_the_show_runs() -> None:
    leader = Leader("nearest", after_s=0)
    step = leading(leader)
    people = someone(1, 500, 100), someone(2, 900, 300)
    assert step(*people) == 2
    leader.rule = "centre"
    assert step(*people) == 1


def test_of_equals_the_one_known_longest_leads() -> None:
    assert leading(Leader("nearest"))(someone(1, 100, since_s=3), someone(2, 500, since_s=1)) == 2
    assert leading(Leader("nearest"))(someone(2, 100), someone(1, 500)) == 1


# --- the node ---


class Standing:
    points = 33

    def __init__(self) -> None:
        self.config: Any = None

    def step(self, picture: Any, time_ns: int) -> list[Found]:
        return [body(x) for x in (100, 300)]

    def tune(self, config: Any) -> None:
        self.config = config


class Stand(PoseNode, Node):
    Config = PoseConfig
    outputs = {"keypoints": Keypoints(points=33)}

    def estimator(self) -> Standing:
        return Standing()


def test_the_node_publishes_the_leader_first_and_tells_events() -> None:
    node = make(Stand, people=2, leader="centre")
    for i in range(ENTERED_AFTER):
        picture = np.zeros((40, 600, 3), np.uint8)
        node.step(image=frame(picture, i + 1, capture_ns=(i + 1) * 33_000_000, pixel_format="BGR"))
    assert [published.ids for published in node.frames[-2:]] == [(1, 2), (2, 1)]
    assert node.frames[-1].array[:, 0, 0].tolist() == [300, 100]
    assert node.events == [("entered", 1), ("entered", 2), ("leader", 2)]


def test_settings_reach_the_node_while_it_runs() -> None:
    node = make(Stand, people=2)
    node.config = node.config.model_copy(update={"leader": "longest", "area": (0, 0, 0.1, 1), "remember": 9.0})
    node.configured()
    people = node._people
    assert (people._leader.rule, people._leader.area, people._identity.remember_s) == ("longest", Region(0, 0, 0.1), 9)
    assert node._estimator.config is node.config


@pytest.mark.parametrize("bad", [{"area": (1, 0, 0.6, 1)}, {"area": (0, 0, 0, 1)}, {"leader": "tallest"}, {"hold": -1}])
def test_bad_settings_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        PoseConfig(**bad)

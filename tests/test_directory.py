"""The directory: rows that are whole or not there yet, whoever reads them when."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from engine import atomics, directory, layout
from engine.directory import Directory, segment_name
from engine.errors import LayoutMismatch, NotReady
from engine.shm import Segment, unlink

NAME = f"d{os.getpid() % 100000}"


@pytest.fixture
def rows() -> Iterator[Directory]:
    made = Directory.create(NAME, 7, ["camera", "output"], [("camera", 0), ("output", 1)])
    made.segment.publish()
    yield made
    made.close()
    unlink(segment_name(NAME))


def ring(generation: int) -> Segment:
    """What `set_stream` wants to know of a ring."""

    class Ring:
        name, size = f"utsu_ring_{generation}", 4096 * generation

    return Ring()  # type: ignore[return-value]


def test_what_the_supervisor_writes_others_find(rows: Directory) -> None:
    rows.set_stream(1, ring(3), 3)
    found = Directory.attach(NAME)
    assert found.stream(1) == ("output", 1, 3, "utsu_ring_3")
    assert [node.name for node in found.health()] == ["camera", "output"]
    assert (found["node_count"], found["stream_count"]) == (2, 2)


def test_a_row_being_changed_is_not_ready_and_the_next_change_mends_it(rows: Directory) -> None:
    mark = (layout.STREAM_ROWS + layout.STREAM["mark"]) >> 3
    rows.set_stream(0, ring(1), 1)
    rows.segment.words[mark] |= 1  # whoever was changing it has died
    with pytest.raises(NotReady, match="Try again"):
        rows.stream(0)
    rows.set_stream(0, ring(2), 2)
    assert rows.stream(0).generation == 2


@pytest.mark.parametrize("point", [0, 1])
def test_a_row_changed_while_it_is_read_is_read_again(
    rows: Directory, monkeypatch: pytest.MonkeyPatch, point: int
) -> None:
    rows.set_stream(0, ring(1), 1)
    fences = iter(range(point + 1))

    def change() -> None:
        if next(fences, None) == point:
            rows.set_stream(0, ring(2), 2)

    monkeypatch.setattr(atomics, "fence", change)
    assert rows.stream(0) == ("camera", 0, 2, "utsu_ring_2")


def test_a_row_says_that_it_changes_before_it_changes_and_until_it_has(
    rows: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.set_stream(0, ring(1), 1)
    words, at = rows.segment.words, layout.STREAM_ROWS
    seen: list[tuple[int, int]] = []

    def look() -> None:
        seen.append((words[(at + layout.STREAM["mark"]) >> 3] % 2, words[(at + layout.STREAM["generation"]) >> 3]))

    monkeypatch.setattr(atomics, "fence", look)
    rows.set_stream(0, ring(2), 2)
    look()
    assert seen == [(1, 1), (1, 2), (0, 2)]


def test_a_directory_that_is_too_small_is_refused() -> None:
    segment = Segment.create(segment_name(NAME), layout.PAGE, 7)
    segment.publish()
    try:
        with pytest.raises(LayoutMismatch, match="too small"):
            Directory.attach(NAME)
    finally:
        segment.close()
        segment.unlink()


def test_an_impossible_count_or_phase_is_no_reason_to_fail(rows: Directory) -> None:
    rows["node_count"] = 10**6
    rows.node(0)["phase"] = 99
    health = rows.health()
    assert len(health) == layout.MAX_NODES and health[0].phase == "NONE"


@pytest.mark.parametrize(
    ("state", "age_ns", "moves", "beats"),
    [
        ("READY", 0, True, True),
        ("READY", 0, False, False),
        ("READY", 3 * 10**9, True, False),
        ("RETIRED", 0, True, False),
    ],
)
def test_a_directory_beats_when_a_young_beat_is_followed_by_another(
    rows: Directory, monkeypatch: pytest.MonkeyPatch, state: str, age_ns: int, moves: bool, beats: bool
) -> None:
    rows["state"], rows["beat_ns"] = layout.STATES[state], directory.now_ns() - age_ns
    monkeypatch.setattr(directory.time, "sleep", lambda _: rows.__setitem__("beat_ns", rows["beat_ns"] + moves))
    assert directory.directory_beats(NAME) == beats
    assert not directory.directory_beats(NAME + "x")


# --- a node's sentence ---


@pytest.mark.parametrize("sentence", ["", "The camera is gone.", "カメラがありません。"])
def test_a_sentence_arrives_as_it_was_said(rows: Directory, sentence: str) -> None:
    node = rows.node(1)
    node.text = "something longer that was there before"
    node.text = sentence
    assert Directory.attach(NAME).node(1).text == sentence


def test_a_sentence_that_is_too_long_is_cut_and_harms_nothing(rows: Directory) -> None:
    before = rows.node(1).step_ns.count
    rows.node(1).text = "x" * 5000
    assert rows.node(1).text == "x" * layout.TEXT_BYTES
    assert rows.node(1).step_ns.count == before


def test_a_length_that_lies_reads_nothing_else(rows: Directory) -> None:
    node = rows.node(1)
    for _ in range(ord("y")):  # stands right behind the sentence
        node.step_ns.add(1)
    node.text = "x" * layout.TEXT_BYTES
    node["text_bytes"] = 1 << 40
    assert node.text == "x" * layout.TEXT_BYTES


def test_a_sentence_half_said_is_not_shown_and_the_next_one_is(
    rows: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = rows.node(0)
    node.text = "The first."

    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    monkeypatch.setattr(atomics, "fence", die)
    with pytest.raises(Killed):
        node.text = "The second."
    monkeypatch.undo()
    assert rows.node(0).text == ""
    rows.node(0).text = "The third."
    assert rows.node(0).text == "The third."


@pytest.mark.parametrize("point", [0, 1])
def test_a_sentence_changed_while_it_is_read_is_read_again(
    rows: Directory, monkeypatch: pytest.MonkeyPatch, point: int
) -> None:
    rows.node(0).text = "The first."
    fences = iter(range(point + 1))

    def change() -> None:
        if next(fences, None) == point:
            rows.node(0).text = "A longer second one."

    monkeypatch.setattr(atomics, "fence", change)
    assert rows.node(0).text == "A longer second one."


def test_a_sentence_says_that_it_changes_before_it_changes_and_until_it_has(
    rows: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = rows.node(0)
    node.text = "One."
    seen: list[tuple[int, int]] = []

    def look() -> None:
        seen.append((node["text_mark"] % 2, node["text_bytes"]))

    monkeypatch.setattr(atomics, "fence", look)
    node.text = "Three."
    look()
    assert seen == [(1, 4), (1, 6), (0, 6)]


def test_health_tells_how_long_ago_a_node_last_moved(rows: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "now_ns", lambda: 5_000_000_000)
    node = rows.node(1)
    assert node.health().beat_age_s == 0  # never
    for beat, age in ((3_000_000_000, 2.0), (5_000_000_001, 0.0)):
        node["beat_ns"] = beat
        assert node.health().beat_age_s == age
    node.phase, node.text, node["restarts"] = "DEGRADED", "Slow.", 3
    assert node.health() == ("output", "DEGRADED", "Slow.", 3, 0.0)


def test_a_name_that_is_too_long_is_cut_and_harms_nothing(rows: Directory) -> None:
    long = Directory.create(NAME + "x", 7, ["n" * 100, "second"], [("s" * 100, 1)])
    try:
        assert [long.node(row).name for row in range(2)] == ["n" * (layout.NAME_BYTES - 1), "second"]
        assert long.stream(0) == ("s" * (layout.NAME_BYTES - 1), 1, 0, "")
    finally:
        long.close()
        unlink(segment_name(NAME + "x"))

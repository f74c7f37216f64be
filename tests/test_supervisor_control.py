"""What the supervisor does with messages, logs and pictures; its nodes are moved by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from supervisor_kit import Show, make_fixture, show_fixture  # noqa: F401

from engine import bus, control, life, shm
from engine.ring_writer import RingWriter

# --- messages ---


def test_a_node_speaks_only_of_what_is_its_own(show: Show) -> None:
    camera = show.life("camera").identity
    before = show.engine.server.rejected
    for identity, message in (
        (camera, bus.Grow(stream=1, bytes=10_000_000)),
        (camera, bus.Grow(stream=99, bytes=10)),
        (b"somebody", bus.Grow(stream=0, bytes=10_000_000)),
        (b"somebody", bus.Log(level="ERROR", text="a lie")),
        (b"camera", bus.Error(text="a lie")),
        (b"somebody", bus.Metrics(values={"lies": 1.0})),
        (b"somebody", bus.Ack(ok=True)),
    ):
        show.ask(message, identity)
    assert show.engine.server.rejected == before + 7
    assert not any("lie" in line for line in show.said)
    assert [stream.generation for stream in show.engine.rings.streams] == [1, 1, 1]
    show.ask(bus.Log(level="ERROR", text="the truth"), camera)
    show.ask(bus.Grow(stream=0, bytes=100_000), camera)
    assert "camera: the truth" in show.said and show.engine.rings.streams[0].generation == 2


def test_a_nodes_own_figures_are_shown_as_last_told(show: Show) -> None:
    camera = show.life("camera")
    show.ask(bus.Metrics(values={"people": 2.0, "lens": "wide"}), camera.identity)
    show.ask(bus.Metrics(values={"people": 3.0}), camera.identity)
    assert show.engine.figures()["nodes"]["camera"]["metrics"] == {"people": 3.0}
    assert show.engine.figures()["nodes"]["output"]["metrics"] == {}


def test_no_room_for_a_larger_ring_is_said_and_the_show_goes_on(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shm, "free_bytes", lambda: 0)
    show.ask(bus.Grow(stream=0, bytes=100_000), show.life("camera").identity)
    assert show.said[-1].startswith("camera: There is not enough shared memory")
    assert show.engine.rings.streams[0].generation == 1 and show.tick()


def test_settings_are_numbered_checked_and_passed_on(show: Show) -> None:
    mirror = show.life("mirror")
    for version, axis in enumerate(("y", "x"), 1):
        assert show.ask(bus.Set(node="mirror", values={"axis": axis}, version=0)) == bus.Ack(ok=True, version=version)
        assert (mirror.identity, bus.Set(node="mirror", values={"axis": axis}, version=version)) in show.sent
    refused = show.ask(bus.Set(node="mirror", values={"axis": "z"}, version=0))
    assert not refused.ok and refused.version == 2 and "axis" in refused.text
    assert len(show.sent) == 1  # only the answer
    show.newest("mirror").code = -9
    show.tick()
    show.tick(0.2)
    spec = show.newest("mirror").spec
    assert (spec["config"]["axis"], spec["param_version"]) == ("x", 2)


def test_a_pause_reaches_those_it_names(show: Show) -> None:
    identities = [one.identity for one in show.engine.lives]
    assert show.ask(bus.Pause(node="camera")).ok
    assert [to for to, message in show.sent if message == bus.Pause()] == identities[:1]
    assert show.ask(bus.Pause()).ok
    assert [to for to, message in show.sent if message == bus.Pause()] == identities[1:]
    assert show.ask(bus.Start(node="mirror")).ok
    assert [to for to, message in show.sent if message == bus.Start()] == identities[1:2]
    assert not show.ask(bus.Start(node="nobody")).ok


def test_a_node_is_told_what_it_missed_before_it_was_connected(make: Callable[..., Show]) -> None:
    show = make()
    show.tick()
    mirror = show.life("mirror").identity
    assert show.ask(bus.Pause(node="mirror")).ok
    assert show.ask(bus.Set(node="mirror", values={"axis": "y"}, version=0)).ok
    assert mirror not in [to for to, _ in show.sent]
    show.sent = []
    show.connect("mirror")
    assert show.sent == [
        (mirror, bus.Set(node="mirror", values={"axis": "y"}, version=1)),
        (mirror, bus.Pause()),
    ]  # fmt: skip
    show.sent = []
    show.connect()
    assert show.sent == []
    show.newest("mirror").code = -9
    show.tick()
    show.tick(0.2)
    assert show.newest("mirror").spec["paused"] and not show.newest("camera").spec["paused"]
    assert show.ask(bus.Start(node="mirror")).ok
    assert len(show.sent) == 1  # only the answer: the new life is not connected either


def test_new_settings_are_tried_at_once_by_a_node_that_waits_after_failures(show: Show) -> None:
    for _ in range(8):
        show.newest("mirror").code = 1
        show.tick()
        show.tick(60)
    show.newest("mirror").code = 1
    show.tick()
    lives = len(show.processes)
    show.ask(bus.Set(node="mirror", values={"axis": "y"}, version=0))
    show.tick()
    assert len(show.processes) == lives + 1


# --- logs, pictures ---


def test_last_words_are_those_of_the_last_life_and_not_too_many(show: Show) -> None:
    mirror = show.life("mirror")
    mirror.log.write_bytes(b"of an earlier life\n")
    show.newest("mirror").code = 1
    show.tick()
    show.tick(0.2)
    with open(mirror.log, "ab") as log:
        log.write(b"its last word\n")
    assert mirror.last_lines() == ["its last word"]
    show.newest("mirror").code = 1
    show.tick()
    assert show.said[-1] == "    mirror | its last word"
    with open(mirror.log, "ab") as log:
        log.write(b"".join(b"line %d \xff\n" % number for number in range(150)))
    words = mirror.last_lines()
    assert len(words) == 100 and words[-1] == "line 149 \ufffd"
    mirror.log.write_bytes(b"")  # somebody has emptied it
    assert mirror.last_lines() == []
    mirror.log.unlink()
    assert mirror.last_lines() == []


def test_what_was_said_since_a_log_was_begun_anew_is_still_shown(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = show.life("mirror")
    mirror.log.write_bytes(b"an earlier life\n")
    show.newest("mirror").code = 1
    show.tick()
    show.tick(0.2)
    monkeypatch.setattr(life, "LOG_BYTES", 10)
    show.tick()
    with open(mirror.log, "ab") as log:
        log.write(b"new\n")
    assert mirror.last_lines() == ["new"]


def test_a_long_log_is_moved_aside_and_no_log_is_no_reason_not_to_start(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = show.life("mirror")
    monkeypatch.setattr(life, "LOG_BYTES", 10)
    mirror.log.write_bytes(b"more than ten bytes")
    show.newest("mirror").code = 1
    show.tick()
    show.tick(0.2)
    assert mirror.log.with_suffix(".old.log").read_bytes() == b"more than ten bytes" and not mirror.log.stat().st_size
    mirror.log.unlink()
    mirror.log.mkdir()
    show.newest("mirror").code = 1
    show.tick()
    show.tick(0.5)
    assert show.newest("mirror").spec["epoch"] == 3


def test_the_picture_is_the_newest_of_the_last_stream_that_carries_any(show: Show) -> None:
    assert show.engine.picture() is None
    for row, pixel_format in ((0, "RGB"), (1, "KEYPOINTS")):
        writer = RingWriter(show.engine.rings.streams[row].ring, 1)
        with writer.begin((8, 8), pixel_format=pixel_format) as slot:
            slot.array[:] = row + 1
        writer._ringer.close()
    picture = show.engine.picture()
    assert picture is not None and (picture.array == 1).all()
    assert [one.name for one in show.engine.last_lives()] == ["output"]


def test_an_event_goes_to_who_subscribed_until_that_runs_out(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = show.life("camera").identity
    event = bus.Event(name="entered", values=[3, 0.5, "left"])
    show.ask(event, camera)
    assert show.ask(bus.Subscribe(), b"panel") == bus.Ack(ok=True)
    show.ask(event, camera)
    told = event.model_copy(update={"node": "camera"})
    assert show.sent == [(b"panel", told)], "and not what came before"
    before = show.engine.server.rejected
    show.ask(bus.Event(node="camera", name="entered"), b"somebody")
    assert (
        show.engine.server.rejected == before + 1
        and (b"panel", bus.Event(node="camera", name="entered")) not in show.sent
    )
    monkeypatch.setattr(control, "SUBSCRIBED_NS", -1)
    assert show.ask(bus.Subscribe(), b"panel") == bus.Ack(ok=True)
    show.ask(event, camera)
    assert show.sent == []


def test_no_more_than_so_many_programs_listen(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MOST_SUBSCRIBERS", 2)
    answers = [show.ask(bus.Subscribe(), name) for name in (b"a", b"b", b"c", b"a")]
    assert [answer.ok for answer in answers] == [True, True, False, True] and "2 programs listen" in answers[2].text

"""The supervisor's loop with processes and a clock that the test moves: what it does when, and what it refuses."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from supervisor_kit import NAME, Show, make_fixture, show_fixture  # noqa: F401

from engine import bus, layout, ring, session, shm
from engine.directory import Directory
from engine.errors import AlreadyRunning, BadInput, Exit, SegmentMissing, ShmFull

OFFLINE = """\
  camera: {type: camera.pattern, size: [16, 16], frames: 3}
  mirror: {type: filter.mirror, input: camera}
"""


# --- starting, and starting again ---


def test_all_start_at_the_first_tick_each_with_its_own_ports(show: Show) -> None:
    assert show.started() == ["camera", "mirror", "output"]
    spec = show.newest("mirror").spec
    assert (spec["inputs"], spec["outputs"]) == ({"image": {"stream": 0, "policy": "latest", "line": 0}}, {"image": 1})
    assert (spec["epoch"], spec["param_version"], spec["row"], spec["offline"]) == (1, 0, 1, False)
    assert [one.row["pid"] for one in show.engine.lives] == [one.pid for one in show.processes]


def test_a_dead_node_is_nobody_until_its_successor_comes(show: Show) -> None:
    first = show.newest("mirror")
    show.engine.rings.streams[0].ring.words[0x200 >> 3] = 7777  # the port at which it was woken
    first.code = -11
    show.tick(0.01)
    row = show.life("mirror").row
    assert (row.phase, row["pid"]) == ("NONE", 0)
    assert show.engine.rings.streams[0].ring.words[0x200 >> 3] == 0
    assert show.life("mirror").state == "RESTARTING"
    assert "mirror was killed by signal 11. Starting it again in 0.1 s." in show.said
    show.tick(0.2)
    second = show.newest("mirror")
    assert second is not first and second.spec["epoch"] == 2 and row["restarts"] == 1
    assert second.spec["identity"] != first.spec["identity"]
    granted = [stream.ring.words[ring.WORD["granted_epoch"]] for stream in show.engine.rings.streams]
    assert granted == [1, 2, 1]
    assert [show.life(name).row["restarts"] for name in ("camera", "output")] == [0, 0]


def test_a_successor_is_judged_by_its_own_start(show: Show) -> None:
    show.newest("mirror").code = 1
    show.tick()
    show.life("mirror").row.phase = "RUNNING"  # a last word of the dead one, come late
    show.tick(0.2)
    assert show.life("mirror").row.phase == "NONE"
    for _ in range(250):  # longer than a step may take, shorter than a start may
        show.run("camera", "output")
        show.tick()
    assert show.newest("mirror").spec["epoch"] == 2 and show.newest("mirror").code is None


def test_a_machine_that_can_start_nothing_is_tried_again(show: Show) -> None:
    show.newest("output").code = 1
    show.refuse = OSError("no memory")
    show.tick()
    show.tick(0.2)
    assert "output cannot be started: no memory. Trying again." in show.said
    assert show.life("output").failures == 2
    show.refuse = None
    show.tick(0.9)
    assert show.newest("output").code is None


def test_nobody_is_killed_for_the_supervisors_own_pause(show: Show) -> None:
    show.tick(100)
    assert all(one.code is None for one in show.processes)
    for _ in range(11):
        show.tick(1)
    assert all(one.code == -9 for one in show.processes)
    assert "camera hung: gave no sign of life for 10 s: killed." in show.said


def test_the_directory_tells_that_the_supervisor_lives(show: Show) -> None:
    show.tick()
    assert Directory.attach(NAME)["beat_ns"] == show.ns
    assert Directory.attach(NAME)["supervisor_pid"] == os.getpid()


@pytest.mark.parametrize("has_run", [False, True])
def test_bad_input_ends_the_start_but_not_a_show_that_runs(make: Callable[..., Show], has_run: bool) -> None:
    show = make()
    show.tick()
    if has_run:
        show.run()
        show.tick()
        show.newest("camera").code = 1
        show.tick()
        show.tick(0.2)  # a second life, which has not run yet
    show.life("camera").row.text = "There is no camera 7."
    show.newest("camera").code = Exit.BAD_INPUT
    show.tick()
    failure = show.engine.failure
    if has_run:
        assert failure is None and not show.engine.stopping
    else:
        assert failure is not None and show.engine.stopping
        assert (str(failure), failure.exit_code) == ("There is no camera 7.", Exit.BAD_INPUT)


def test_a_node_goes_when_those_who_read_from_it_are_there(make: Callable[..., Show]) -> None:
    show = make()
    show.tick()
    show.run("camera", "output", phase="READY")
    show.tick()
    show.tick()
    assert [one.row["go"] for one in show.engine.lives] == [0, 0, 1]  # mirror is not ready; output has no readers
    show.run("mirror", phase="READY")
    show.tick()
    show.tick()
    assert [one.row["go"] for one in show.engine.lives] == [1, 1, 1]


def test_a_dead_readers_last_word_does_not_count_as_there(make: Callable[..., Show]) -> None:
    show = make()
    show.tick()
    show.run("mirror", phase="READY")
    show.newest("mirror").code = -9
    show.refuse = OSError("no memory")
    show.tick()
    show.run("camera", phase="READY")
    for _ in range(2):
        show.life("mirror").row.phase = "READY"
        show.tick()
    assert show.life("camera").row["go"] == 0


# --- ending ---


def test_readers_end_before_those_who_write_for_them(show: Show) -> None:
    show.engine.stop()
    asked = []
    for name in ("output", "mirror", "camera"):
        assert show.tick(0.05)
        asked += [to.decode().split(".")[0] for to, message in show.sent if message == bus.Stop()]
        show.sent.clear()
        assert asked[-1] == name and not any(one.terminated for one in show.processes)
        show.newest(name).code = 0
        more = show.tick(0.05)
        asked += [to.decode().split(".")[0] for to, message in show.sent if message == bus.Stop()]
        show.sent.clear()
    assert asked == ["output", "mirror", "camera"] and not more
    assert not [line for line in show.said if "killed" in line or "again" in line]


def test_whoever_does_not_stop_is_killed_and_the_end_comes(show: Show) -> None:
    show.engine.stop()
    more = True
    for _ in range(30):
        more = show.tick()
    assert not more and show.newest("output").terminated
    assert all(one.code == -9 for one in show.processes)


def test_nobody_is_started_while_it_ends(show: Show) -> None:
    show.newest("camera").code = 1
    show.tick()
    show.engine.stop()
    for _ in range(3):
        show.tick(0.3)
    assert show.started() == ["camera", "mirror", "output"]


def test_closing_kills_what_runs_and_says_so_to_whoever_looks(make: Callable[..., Show]) -> None:
    show = make()
    show.tick()
    found = Directory.attach(NAME)
    show.engine.__exit__()
    assert all(one.code == -9 for one in show.processes)
    assert found["state"] == 2  # RETIRED
    with pytest.raises(SegmentMissing):
        Directory.attach(NAME)
    show.engine.__exit__ = lambda *_: None


@pytest.mark.parametrize("code", [0, 1])
def test_offline_a_node_has_finished_only_when_it_says_so_and_ends_well(make: Callable[..., Show], code: int) -> None:
    show = make(mode="offline", nodes=OFFLINE)
    show.tick()
    show.run("mirror")
    show.run("camera", phase="FINISHED")
    show.newest("camera").code = code
    for _ in range(3):
        show.tick(0.2)
    failure = show.engine.failure
    assert show.life("camera").finished == (code == 0) and show.started() == ["camera", "mirror"]
    if code:
        assert failure is not None and failure.exit_code == Exit.FAILED and "exited with code 1" in str(failure)
    else:
        assert failure is None and not show.engine.stopping
        show.run("mirror", phase="FINISHED")
        show.newest("mirror").code = 0
        assert not show.tick() and show.engine.failure is None


# --- what cannot be made ---


def test_a_config_that_does_not_fit_is_refused_before_anything_is_made(
    make: Callable[..., Show], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shm, "free_bytes", lambda: 2_000_000)
        with pytest.raises(ShmFull, match="this config, with 3 streams"):
            make()
    make()  # and the name is free again


def test_a_port_in_use_leaves_the_name_free(make: Callable[..., Show]) -> None:
    server = bus.Server()
    with pytest.raises(BadInput):
        make(port=server.port)
    server.close()
    make()


def test_an_engine_of_the_name_with_another_home_is_left_alone(
    make: Callable[..., Show], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make()
    monkeypatch.setenv("UTSUSHI_HOME", str(other.engine.session.logs / "another"))
    monkeypatch.setattr("engine.supervisor.directory_beats", lambda name: name == NAME)
    with pytest.raises(AlreadyRunning, match="from another home folder"):
        make()
    assert Directory.attach(NAME).segment.words[layout.COMMON["session"] >> 3] == other.engine.session.id


def test_memory_that_runs_out_half_way_leaves_nothing(
    make: Callable[..., Show], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise ShmFull("There is not enough shared memory.")

    monkeypatch.setattr(ring, "create", full)
    with pytest.raises(ShmFull) as caught:
        make()
    with pytest.raises(SegmentMissing):
        Directory.attach(NAME)
    assert caught.value and not list(session.home().glob("*.json"))

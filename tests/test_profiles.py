"""What the machine cannot carry ends with a code of its own and comes back in the next smaller profile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_kit import Engine, seen, until
from supervisor_kit import Show, make_fixture  # noqa: F401

from engine import bus, config
from engine.config import registry
from engine.errors import ConfigError, Exit

CHAIN = """\
  a: {{type: fault.count, fps: 60}}
  b: {{type: fault.hungry, input: a, {how}}}
  c: {{type: fault.check, input: b, path: {folder}/seen.txt}}
"""


def chain(folder: Path, how: str) -> str:
    return CHAIN.format(folder=folder, how=how)


def values(folder: Path) -> list[int]:
    """The batch with which every picture was made, as fault.check saw it."""
    return [row[2] for row in seen(folder)]


# --- the whole engine ---


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("out_of_memory", "b exited with code 42: The graphics card is full. Choose a smaller batch."),
        ("device_failed", "b exited with code 41: The graphics card fell off. Look at its cables."),
        ("memory_error", "b exited with code 42: This machine's memory is full. Close other programs, or"),
    ],
)
def test_a_node_that_asks_too_much_comes_back_smaller_and_nobody_else_notices(
    launch: Callable[..., Engine], tmp_path: Path, ends: str, said: str
) -> None:
    engine = launch(chain(tmp_path, f"fits: 2, ends: {ends}"))
    until(lambda: engine.running(), 20, engine)
    before = engine.pids()
    until(lambda: values(tmp_path)[-5:] == [2] * 5, 30, engine)
    after = engine.pids()
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
    assert engine.node(1)["restarts"] == 1 and engine.node(1)["errors"] == 0  # not one of 20 failed steps
    assert set(values(tmp_path)) == {4, 2}
    assert said in engine.output
    assert "Starting it again in 0.1 s, in a smaller profile: batch 2." in engine.output
    assert engine.stop() == Exit.OK


def test_a_start_that_asks_too_much_comes_back_smaller(launch: Callable[..., Engine], tmp_path: Path) -> None:
    engine = launch(chain(tmp_path, "fits: 1, after: 0"))
    until(lambda: values(tmp_path)[-5:] == [1] * 5, 30, engine)
    assert engine.node(1)["restarts"] == 2 and set(values(tmp_path)) == {1}
    assert engine.stop() == Exit.OK


def test_what_does_not_even_run_smallest_is_tried_for_ever(launch: Callable[..., Engine], tmp_path: Path) -> None:
    engine = launch(chain(tmp_path, "fits: 0, after: 0"))
    until(lambda: engine.node(1)["restarts"] >= 4, 30, engine)
    assert engine.running("c") and engine.node(0)["restarts"] == engine.node(2)["restarts"] == 0
    for delay, batch in (("0.1", 2), ("0.2", 1), ("0.4", 1), ("0.8", 1)):
        assert f"Starting it again in {delay} s, in a smaller profile: batch {batch}." in engine.output
    assert engine.stop() == Exit.OK


def test_a_profile_outlives_other_deaths_and_ends_when_its_setting_is_changed(
    launch: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = launch(chain(tmp_path, "fits: 2"))
    client = bus.Client(engine.directory()["control_port"])

    def ask(message: bus.Message) -> Any:
        client.send(message)
        return client.receive(10)

    def told() -> tuple[str, int]:
        node = ask(bus.Stats()).figures["nodes"]["b"]
        return node["state"], node["profile"]

    until(lambda: told() == ("DEGRADED", 1), 30, engine)
    os.kill(engine.pids()[1], signal.SIGKILL)
    until(lambda: engine.node(1)["restarts"] == 2 and told() == ("DEGRADED", 1), 30, engine)
    assert ask(bus.Set(node="b", values={"fits": 3})).ok
    until(lambda: engine.node(1)["param_version"] == 1, 10, engine)
    assert told() == ("DEGRADED", 1) and engine.node(1)["restarts"] == 2
    assert ask(bus.Set(node="b", values={"batch": 3})).ok
    until(lambda: values(tmp_path)[-5:] == [3] * 5 and told() == ("RUNNING", 0), 30, engine)
    assert engine.node(1)["restarts"] == 3
    client.close()
    assert engine.stop() == Exit.OK


# --- the supervisor, by hand ---


@pytest.fixture(name="show")
def show_fixture(make: Callable[..., Show], monkeypatch: pytest.MonkeyPatch) -> Show:
    profiles = ({"hold_after": 0.1}, {"hold_after": 0.1, "stop_timeout": 0.5})
    monkeypatch.setattr(registry.find("output.touchdesigner"), "profiles", profiles)
    show = make()
    show.tick()
    show.connect()
    show.run()
    show.tick()
    return show


def die(show: Show, code: int) -> None:
    show.newest("output").code = code
    show.tick()
    show.tick(60)
    show.connect()
    show.run()
    show.tick()


def test_each_end_of_that_kind_goes_one_down_and_no_other_does(show: Show) -> None:
    steps = []
    for code in (1, 42, -9, 20, 10, 41, 42):
        die(show, code)
        settings = show.newest("output").spec["config"]
        steps.append((show.life("output").profile, settings["hold_after"], settings["stop_timeout"]))
    configured, first, second = (0, 0.5, 1), (1, 0.1, 1), (2, 0.1, 0.5)
    assert steps == [configured, first, first, first, first, second, second]


def test_a_smaller_profile_shows_as_degraded_unless_the_node_says_more(show: Show) -> None:
    output = show.life("output")
    assert (output.state, output.text) == ("RUNNING", "")
    die(show, Exit.OUT_OF_MEMORY)
    assert (output.state, output.text) == ("DEGRADED", "in a smaller profile: hold_after 0.1")
    assert show.engine.figures()["nodes"]["output"]["profile"] == 1
    output.row.phase, output.row.text = "PAUSED", "Its own trouble."
    assert (output.state, output.text) == ("PAUSED", "Its own trouble.")


def test_a_setting_beside_the_profile_changes_and_the_profile_stays(show: Show) -> None:
    die(show, Exit.OUT_OF_MEMORY)
    show.sent = []
    assert show.ask(bus.Set(node="output", values={"fit": "cover"}, version=0)).ok
    (told,) = [message for _, message in show.sent if isinstance(message, bus.Set)]
    assert told.values["fit"] == "cover" and told.values["hold_after"] == 0.1
    assert show.life("output").profile == 1 and not show.newest("output").terminated


def test_naming_a_setting_of_the_profile_brings_everything_configured_back(show: Show) -> None:
    for _ in range(2):
        die(show, Exit.OUT_OF_MEMORY)
    small = show.newest("output")
    assert show.ask(bus.Set(node="output", values={"hold_after": 0.9}, version=0)).ok
    assert small.terminated
    die(show, 0)
    settings = show.newest("output").spec["config"]
    assert (settings["hold_after"], settings["stop_timeout"], show.life("output").profile) == (0.9, 1, 0)
    die(show, Exit.OUT_OF_MEMORY)  # too much still: down again
    assert show.newest("output").spec["config"]["hold_after"] == 0.1


def test_offline_a_full_memory_ends_the_run(make: Callable[..., Show]) -> None:
    show = make(mode="offline", nodes="  camera: {type: camera.pattern, size: [16, 16], frames: 3}\n")
    show.tick()
    show.newest("camera").code = Exit.OUT_OF_MEMORY
    show.tick()
    failure = show.engine.failure
    assert failure is not None and "exited with code 42" in str(failure) and failure.exit_code == Exit.FAILED


# --- the config ---


@pytest.fixture(name="read")
def read_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., config.NodeSpec]:
    def read(settings: str, *profiles: dict[str, Any]) -> config.NodeSpec:
        monkeypatch.setattr(registry.find("camera.pattern"), "profiles", profiles)
        path = tmp_path / "x.yaml"
        path.write_text(f"nodes:\n  camera: {{type: camera.pattern, {settings}}}\n")
        return config.load(path).nodes[0]

    return read


def test_a_profile_replaces_settings_and_its_numbers_are_limits(read: Callable[..., config.NodeSpec]) -> None:
    spec = read("fps: 20", {"fps": 30}, {"fps": 10, "size": [32, 32]})
    assert [(one.fps, one.size) for one in spec.smaller] == [(20, spec.config.size), (10, (32, 32))]
    assert not read("fps: 20").smaller


@pytest.mark.parametrize(
    ("profile", "sentence"), [({"fsp": 10}, "unknown setting 'fsp'; did you mean 'fps'"), ({"fps": -1}, "'fps' must")]
)
def test_a_profile_that_does_not_fit_is_told_before_anything_starts(
    read: Callable[..., config.NodeSpec], profile: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=f"2:3: its smaller profile 2 does not fit these settings: {sentence}"):
        read("fps: 20", {"fps": 10}, profile)

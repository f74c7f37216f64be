"""The component's plain modules by themselves: the panel as lines of a page, values on their way, health, channels."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import channels
import health
import numpy as np
import panel
import pytest
import settings
from fake_engine import BRIDGE

from engine import config, session
from engine.panel import describe
from engine.process import ROOT
from nodes.layouts import BLAZEPOSE_33

assert Path(panel.__file__).parent == BRIDGE


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("chosen", ["", "/somewhere"])
def test_panels_are_looked_for_where_engines_leave_them(
    monkeypatch: pytest.MonkeyPatch, system: str, chosen: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setenv("UTSUSHI_HOME", chosen)
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert panel.home() == session.home()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "utsushi.panel/2"}', "\x00"])
def test_a_panel_that_is_none_is_no_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    file = panel.PanelFile("e")
    assert not file.changed() and file.panel is None
    (tmp_path / "e.panel.json").write_text(text)
    assert not file.changed() and file.panel is None
    whole = '{"format": "utsushi.panel/1", "session": 1, "osc": null, "streams": [], "nodes": []}'
    (tmp_path / "e.panel.json").write_text(whole)
    assert file.changed() and not file.changed() and file.panel is not None
    (tmp_path / "e.panel.json").unlink()
    assert file.changed() and file.panel is None


@pytest.mark.parametrize("name", ["demo", "offline", "synthetic", "webcam"])
def test_every_setting_of_the_shipped_configs_has_a_line(name: str) -> None:
    told = describe(config.load(ROOT / "configs" / f"{name}.yaml"))
    rows = panel.rows(told)
    assert len(rows) == sum(len(node["parameters"]) for node in told["nodes"])
    names = [name for row in rows for name in row.names]
    assert len(names) == len(set(names)) and all(name[0] == "N" and name[1:].islower() for name in names)
    for row in rows:
        assert row.from_osc(tuple(row.to_osc(row.value))) == row.value, row


def test_names_that_would_be_the_same_are_not() -> None:
    about = {"type": "int", "size": 1, "most": 1, "default": 0, "value": 0, "min": None, "max": None, "menu": None,
             "unit": "", "help": ""}  # fmt: skip
    nodes = [
        {"name": "a-b", "parameters": [{**about, "name": "c", "address": "/1"}]},
        {
            "name": "ab",
            "parameters": [{**about, "name": "c", "address": "/2"}, {**about, "name": "c_", "address": "/3"}],
        },
    ]
    assert [row.par for row in panel.rows({"nodes": nodes})] == ["Nabc", "Nabcx", "Nabcxx"]


# --- values ---

ROW = panel.Row("Na", "a", "A", "Float", (0.5,), (0.5,), address="/a")


@pytest.fixture
def one() -> settings.Settings:
    one = settings.Settings([])
    one.rows = [ROW]
    one.learn("/a", (0.5,), 0)
    assert one.to_show() == [ROW] and one.to_show() == []
    return one


def test_a_value_that_the_engine_holds_is_not_sent(one: settings.Settings) -> None:
    assert not one.edit("/a", (0.5,)) and not one.edit("/a", (float(np.float32(0.5)),))
    assert one.edit("/a", (0.1,)) and not one.edit("/a", (0.1,))
    assert not one.answer(True, "/a", 1) and one.version == 1
    one.learn("/a", (float(np.float32(0.1)),), 1)  # as OSC brings it back
    assert not one.edit("/a", (0.1,))


def test_a_number_is_shown_as_it_was_meant() -> None:
    assert ROW.from_osc((float(np.float32(0.9)),)) == (0.9,) and ROW.from_osc((1e-30,)) == (1e-30,)


def test_the_last_answer_decides(one: settings.Settings) -> None:
    one.edit("/a", (7.0,))
    one.edit("/a", (0.2,))
    assert not one.answer(False, "/a", 0), "0.2 is still under way"
    assert not one.answer(True, "/a", 1) and one.mine == {"/a"}
    one.edit("/a", (0.3,))
    one.edit("/a", (9.0,))
    assert not one.answer(True, "/a", 2)
    assert one.answer(False, "/a", 2) and one.mine == set() and one.to_show() == [ROW]
    assert not one.answer(False, "/a", 2) and not one.answer(True, "/b", 1), "nothing was asked"


def test_what_is_older_than_what_is_known_is_left_out(one: settings.Settings) -> None:
    one.learn("/a", (0.8,), 3)
    one.learn("/a", (0.7,), 2)
    assert one.shown("/a", (0.5,)) == (0.8,)


def test_a_change_that_touchdesigner_has_not_told_of_yet_is_not_overwritten(one: settings.Settings) -> None:
    assert one.shown("/a", (0.5,)) == (0.5,)
    one.learn("/a", (0.8,), 1)
    assert one.shown("/a", (0.6,)) is None and one.shown("/a", (0.5,)) == (0.8,)


# --- health ---


def test_who_is_missing_is_forgotten_when_the_engine_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    one = health.Health()
    one.hear("/utsushi/status/pose/state", ("FAILED", "no model"))
    one.hear("/utsushi/status/camera/state", ("PAUSED", ""))
    one.hear("/utsushi/status/camera/fps", (29.97,))
    assert one.missing() == "Missing: pose: no model." and one.table()[2][:3] == ["camera", "PAUSED", "30.0"]
    now = time.monotonic()
    monkeypatch.setattr(health.time, "monotonic", lambda: now + 6)
    assert one.missing() == "" and len(one.table()) == 1


def test_the_status_line_says_the_most_important_thing() -> None:
    launcher = SimpleNamespace(state="STOPPED", message="Nothing was started.")
    reader = SimpleNamespace(state="LIVE", message="", fps=30.0, latency_ms=41.6)
    assert health.sentence(reader, launcher, "e", "") == "LIVE: 30 pictures per second, 42 ms from capture to here."
    assert health.sentence(reader, launcher, "e", "Missing: pose.") == "Missing: pose."
    assert health.sentence(None, launcher, "e", "") == "Looking for the engine."
    reader = SimpleNamespace(state="WAITING", message="No engine runs: python3 run_engine.py")
    assert "press 'Start'" in health.sentence(reader, launcher, "e", "")
    launcher = SimpleNamespace(state="RUNNING", message="Engine 'e' runs.")
    assert health.sentence(reader, launcher, "e", "") == "Engine 'e' runs."
    assert health.sentence(None, launcher, "", "").startswith("Off")
    launcher.state, launcher.message = "FAILED", "The engine ended."
    assert health.sentence(reader, launcher, "e", "") == "The engine ended."


# --- channels ---


def test_the_points_names_are_those_of_the_pose() -> None:
    assert channels.BLAZEPOSE == BLAZEPOSE_33


def people(count: int, points: int = 33, canvas: tuple[int, int] = (200, 100)) -> Any:
    array = np.zeros((count, points, 4), np.float32)
    array[:, :, 0], array[:, :, 1], array[:, :, 3] = 50, 25, 1
    about = {"canvas": canvas, "param_version": 2, "pixel_format": "KEYPOINTS"}
    return SimpleNamespace(state="LIVE", array=array, ids=tuple(range(5, 5 + count)), **about)


def test_people_come_and_go_and_the_channels_stay() -> None:
    none, two = channels.of_pose(people(0), 2), channels.of_pose(people(2), 2)
    assert none.keys() == two.keys() and len(two) == 2 + 2 * (2 + 33 * 4)
    assert (two["p2_present"], two["p2_id"], two["people"]) == (1, 6, 2)
    assert (two["p1_nose_x"], two["p1_nose_y"], two["p1_nose_score"]) == (0.25, 0.75, 1)
    assert (none["p1_present"], none["p1_id"], none["p1_nose_y"]) == (0, -1, 0)
    assert channels.of_pose(people(3), 1)["people"] == 3
    gone = people(2)
    gone.state = "STALE"
    assert channels.of_pose(gone, 2) == none


def test_points_in_space_stay_in_metres() -> None:
    someone = people(1)
    someone.pixel_format, someone.array[0, 0] = "WORLD", (-0.5, 1.75, 2.25, 0.5)
    found = channels.of_pose(someone, 1)
    assert [found[f"p1_nose_{axis}"] for axis in ("x", "y", "z", "score")] == [-0.5, 1.75, 2.25, 0.5]


def test_other_layouts_are_numbered_and_pictures_are_no_pose() -> None:
    assert "p1_point16_x" in channels.of_pose(people(1, points=17), 1)
    picture = SimpleNamespace(array=np.zeros((2, 2, 3), np.uint8))
    assert channels.of_pose(picture, 1) == channels.of_pose(None, 1)
    assert channels.of_pose(None, 2).keys() == channels.of_pose(people(2), 2).keys()
    assert channels.of_pose(people(1, canvas=(0, 0)), 1)["p1_nose_x"] == 50


def test_info_has_the_same_channels_with_and_without_a_reader() -> None:
    reader = SimpleNamespace(state="STALE", fps=30.0)
    assert channels.of_info(reader, 1, 0.5).keys() == channels.of_info(None, 0, -1).keys()
    assert channels.of_info(reader, 1, 0.5)["state"] == 4 and channels.of_info(None, 0, -1)["state"] == -1

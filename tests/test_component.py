"""The component in the stand-in for TouchDesigner, beside a real engine: pages, values both ways, words, channels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_kit import NAME, Engine
from fake_td import Par
from td_kit import Desk

NODES = """\
  camera: {type: camera.performer, size: [64, 48], fps: 60}
  figure: {type: generator.figure, input: camera.keypoints, size: [64, 64]}
  output: {type: output.touchdesigner, input: figure, size: [32, 16], fade: 0.25, row_order: bottom_up}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("component")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UTSUSHI_HOME", str(folder / "home"))
        yield folder


@pytest.fixture(scope="module")
def engine(home: Path) -> Iterator[Engine]:
    engine = Engine(home, NODES)
    yield engine
    assert engine.stop() == 0, engine.output


@pytest.fixture
def desk(home: Path) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def desk(**how: Any) -> Desk:
        desks.append(Desk(NAME, **how))
        return desks[-1]

    yield desk
    for one in desks:
        one.close()


@pytest.fixture
def pair(engine: Engine, desk: Callable[..., Desk]) -> tuple[Engine, Desk]:
    """An engine that runs, and a TouchDesigner that has heard of it."""
    one = desk()
    one.until(lambda: one.par["Noutputfade"] is not None and one.par.State.eval() == "LIVE")
    one.until(lambda: len(one.table("nodes")) == 4)
    return engine, one


# --- pages ---


def line(par: Par) -> tuple:
    return par.style, par.label, par.min, par.max, par.default, par.eval()


def test_pages_come_from_the_engines_own_settings(pair: tuple[Engine, Desk]) -> None:
    _, desk = pair
    assert [page.name for page in desk.comp.customPages] == [
        "Utsushi", "Engine", "Jobs", "Switches", "figure", "output",
    ]  # fmt: skip
    fade = desk.par.Noutputfade
    assert line(fade)[0] == "Float" and (fade.default, fade.eval(), fade.min) == (0.4, 0.25, 0)
    assert "cross-fade" in fade.help and "0 to 60" in fade.help and fade.label.endswith("(s)")
    assert "OSC: /utsushi/node/output/fade" in fade.help
    trail = desk.par.Nfiguretrail
    assert (trail.style, trail.min, trail.max, trail.default) == ("Float", 0, 1, 0.5) and trail.max == 1
    fit = desk.par.Noutputfit
    assert (fit.style, fit.menuNames, fit.default) == ("Menu", ["contain", "cover", "stretch"], "contain")
    assert desk.par.Nfiguremirror.style == "Toggle" and desk.par.Nfigurestickwidth.style == "Int"
    assert [desk.par[f"Nfigurebackground{index}"].style for index in (1, 2, 3, 4)] == ["Int"] * 4
    assert desk.par.Stream.menuNames == ["camera", "camera.keypoints", "figure", "output"]
    assert desk.par.Posestream.menuNames == ["camera.keypoints"]


def test_a_change_arrives_at_the_node_and_a_frame_carries_its_version(pair: tuple[Engine, Desk]) -> None:
    engine, desk = pair
    before = engine.node(2)["param_version"]
    desk.set("output", "fade", 0.75)
    desk.frame()
    assert ("/utsushi/node/output/fade", [0.75]) in desk.comp.op("osc_out").sent, "in the same frame"
    desk.until(lambda: desk.chop("info")["set_version"] > before)
    version = desk.chop("info")["set_version"]
    desk.until(lambda: desk.chop("info")["param_version"] == version)
    assert engine.node(2)["param_version"] == version and desk.value("output", "fade") == 0.75


def held_by(desk: Desk) -> dict[tuple[str, str], Any]:
    """The engine's settings, by its own panel."""
    panel = desk.alive.exchange.file.panel
    return {(node["name"], one["name"]): one["value"] for node in panel["nodes"] for one in node["parameters"]}


def test_each_kind_of_value_goes_there_and_back(pair: tuple[Engine, Desk]) -> None:
    _, desk = pair
    for name, value in (("fit", "cover"), ("hold_after", 0.125)):
        desk.set("output", name, value)
    for name, value in (("mirror", True), ("stick_width", 7), ("threshold", 0.875)):
        desk.set("figure", name, value)
    desk.par.Nfigurebackground1, desk.par.Nfigurebackground4 = 10, 20
    desk.until(lambda: held_by(desk)["output", "fit"] == "cover" and held_by(desk)["figure", "background"][3] == 20)
    held = held_by(desk)
    assert held["output", "hold_after"] == 0.125 and held["figure", "stick_width"] == 7
    assert held["figure", "mirror"] is True and held["figure", "background"][0] == 10
    desk.until(lambda: desk.chop("info")["set_version"] > 0)
    assert desk.value("figure", "mirror") is True and desk.value("output", "fit") == "cover"


def test_a_refused_value_goes_back_with_a_sentence(pair: tuple[Engine, Desk]) -> None:
    _, desk = pair
    before = desk.value("figure", "trail")
    desk.set("figure", "trail", 3.0)
    desk.frame()
    desk.until(lambda: desk.value("figure", "trail") == before)
    desk.until(lambda: "trail" in desk.par.Status.eval())
    assert any("Refused" in row[3] and row[2] == "figure/trail" for row in desk.table("log")[1:])
    assert desk.comp.fetch("mine") == [], "it is not given to the next engine either"


def test_a_dragged_slider_never_jumps_back(pair: tuple[Engine, Desk]) -> None:
    _, desk = pair
    seen = []
    for step in range(40):
        desk.set("figure", "trail", step / 40)
        desk.frame()
        seen.append(desk.value("figure", "trail"))
    assert seen == [step / 40 for step in range(40)]
    desk.until(lambda: not desk.alive.exchange.settings._sent)
    for _ in range(20):
        desk.frame()
        assert desk.value("figure", "trail") == 39 / 40


def test_an_expression_stays_the_artists(pair: tuple[Engine, Desk]) -> None:
    _, desk = pair
    desk.par.Nfiguretrail.expr = "absTime.frame % 2 / 4"
    desk.par.Noutputfade.expr = "100.0"
    for _ in range(30):
        desk.frame()
    assert desk.par.Nfiguretrail.mode == desk.par.Noutputfade.mode == "EXPRESSION"


def test_two_touchdesigners_at_one_engine_see_each_others_changes(
    pair: tuple[Engine, Desk], desk: Callable[..., Desk]
) -> None:
    _, first = pair
    second = desk(build=2023)
    second.until(lambda: second.par["Noutputholdafter"] is not None and second.par.State.eval() == "LIVE")
    assert first.comp.op("osc_in").par.port.eval() != second.comp.op("osc_in").par.port.eval()
    first.set("output", "hold_after", 2.5)
    first.until(lambda: second.frame() or second.value("output", "hold_after") == 2.5)
    second.set("output", "hold_after", 1.5)
    second.until(lambda: first.frame() or first.value("output", "hold_after") == 1.5)
    assert first.picture.copies and second.picture.copies


def test_what_the_artist_has_set_is_given_to_the_next_engine_and_nothing_else(
    pair: tuple[Engine, Desk], desk: Callable[..., Desk], tmp_path: Path
) -> None:
    _, first = pair
    first.set("output", "placeholder_after", 7.0)
    first.until(lambda: not first.alive.exchange.settings._sent and first.comp.fetch("mine"))
    assert first.comp.fetch("mine") == ["/utsushi/node/output/placeholder_after"]
    panel = {**first.alive.exchange.file.panel, "session": 1}
    for one in panel["nodes"][2]["parameters"]:
        one["value"], one["version"] = one["default"], 0
    sent = first.comp.op("osc_out").sent
    sent.clear()
    first.alive.exchange.file._stamp = None
    first.alive.exchange.file.path = tmp_path / "panel.json"
    first.alive.exchange.file.path.write_text(json.dumps(panel))
    first.until(lambda: any("placeholder_after" in address for address, _ in sent))
    assert [message for message in sent if "/node/" in message[0]] == [
        ("/utsushi/node/output/placeholder_after", [7.0])
    ]
    assert first.value("output", "hold_after") == 0.5, "not set here: it follows the engine"
    first.par.Useengine.pulse()
    assert first.comp.fetch("mine") == []


# --- channels ---


def test_info_and_pose_are_channels(pair: tuple[Engine, Desk]) -> None:
    _, desk = pair
    desk.par.Posestream, desk.par.People = "camera.keypoints", 2
    desk.until(lambda: desk.chop("pose").get("p1_present") == 1)
    info, pose = desk.chop("info"), desk.chop("pose")
    assert info["state"] == 1 and info["width"] == 32 and info["height"] == 16 and info["seq"] > 0
    assert info["latency_ms"] > 0 and info["age_ms"] >= 0 and info["restarts"] == 0 and info["torn_retries"] == 0
    assert pose["people"] == 1 and pose["p1_id"] == 1 and pose["p2_present"] == 0 and pose["p2_id"] == -1
    assert pose["p1_nose_y"] > pose["p1_left_ankle_y"], "y runs upwards"
    assert 0 < pose["p1_nose_x"] < 1 and 0 < pose["p1_nose_score"] <= 1
    assert len(pose) == 2 + 2 * (2 + 33 * 4)


def test_more_streams_have_a_top_each(pair: tuple[Engine, Desk]) -> None:
    _, desk = pair
    desk.par.Morestreams = "camera figure"
    desk.until(lambda: desk.comp.op("picture_figure") is not None and desk.comp.op("picture_figure").copies > 1)
    camera, figure = desk.comp.op("picture_camera"), desk.comp.op("picture_figure")
    desk.until(lambda: camera.copies > 1)
    assert camera.image.shape == (48, 64, 4) and figure.image.shape == (64, 64, 4)
    assert (camera.image[..., 3] == 255).all() and desk.picture.image.shape == (16, 32, 4)
    assert desk.comp.op("out_picture_figure").inputs == [figure] and desk.comp.op("out_picture").inputs == [
        desk.picture
    ]
    desk.par.Morestreams = "figure"
    desk.until(lambda: desk.comp.op("picture_camera") is None)
    assert desk.comp.op("out_picture_camera_image") is None and desk.comp.op("picture_figure") is figure


def test_a_top_that_the_artist_has_made_is_left_alone(pair: tuple[Engine, Desk]) -> None:
    _, desk = pair
    with desk.running():
        pasted, another = desk.comp.copy(desk.picture), desk.comp.create("scriptTOP", "picture_of_mine")
    for names in ("figure", "figure,camera ../x é", ""):
        desk.par.Morestreams = names
        desk.until(lambda names=names: desk.alive.streams == names.split())
    assert pasted.valid and another.valid
    assert [top.name for top in desk.comp.findChildren("outTOP")] == ["out_picture"]


def test_the_log_has_a_limit(pair: tuple[Engine, Desk]) -> None:
    _, desk = pair
    desk.par.Loglines = 12
    desk.alive.exchange.health.log += [("WARNING", "camera", f"line {number}") for number in range(20)]
    desk.until(lambda: desk.table("log")[-1][3] == "line 19")
    assert len(desk.table("log")) == 13 and desk.table("log")[0] == ["time", "level", "node", "text"]

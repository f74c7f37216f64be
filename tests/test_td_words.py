"""When something is wrong the component says so in words, and stops saying so when it is right again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_engine import FakeEngine, new_name
from fake_td import net
from td_kit import Desk

from engine import layout
from engine.session import home

PARAMETER = {
    "name": "calm", "address": "/utsushi/node/pose/calm", "type": "float", "size": 1, "most": 1, "default": 0.5,
    "value": 0.5, "min": 0, "max": 1, "exclusive_min": False, "exclusive_max": False, "menu": None, "unit": "",
    "help": "how calm", "version": 0,
}  # fmt: skip


class Show:
    """A fake engine with a panel, and a TouchDesigner that looks at it. `hears` are datagrams that came from TD."""

    def __init__(self, **how: Any):
        self.name, self.engine = new_name(), None
        self.desk = Desk(self.name, **how)

    def start(self, capacity: int = 2000 * 4 * 4) -> FakeEngine:
        self.engine = FakeEngine(self.name, capacity=capacity)
        self.panel = {
            "format": "utsushi.panel/1", "engine": self.name, "session": 1, "pid": 1, "mode": "live",
            "osc": {"host": "127.0.0.1", "port": 9}, "streams": [],
            "nodes": [{"name": "pose", "type": "pose.blazepose", "parameters": [PARAMETER]}],
        }  # fmt: skip
        self.write_panel()
        return self.engine

    def write_panel(self) -> None:
        home().mkdir(parents=True, exist_ok=True)
        (home() / f"{self.name}.panel.json").write_text(json.dumps(self.panel), encoding="utf-8")

    def tell(self, address: str, *values: Any) -> None:
        """Say something as the engine's OSC does."""
        port = self.desk.comp.op("osc_in").par.port.eval()
        net.send("127.0.0.1", port, net.encode(address, list(values)))

    def look(self, ticks: int = 3) -> str:
        """Some frames; returns the status line."""
        for _ in range(ticks):
            self.desk.frame()
            if self.desk.alive:
                self.desk.alive.due = 0.0
        return self.desk.par.Status.eval()

    @property
    def complaint(self) -> str:
        return self.desk.picture.scriptErrors()

    def shows(self) -> int:
        """The first value of the picture that the node shows."""
        assert self.desk.picture.image is not None
        return int(self.desk.picture.image[-1, 0, 0])

    def skip_the_wait(self) -> None:
        """The reader looks for a lost engine now and then only: let it look now."""
        for bridge in self.desk.kept.by_node.values():
            if bridge.reader is not None:
                bridge.reader._next_look_ns = 0


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Show]]:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    shows: list[Show] = []

    def make(**how: Any) -> Show:
        shows.append(Show(**how))
        return shows[-1]

    yield make
    for show in shows:
        show.desk.close()
        if show.engine is not None:
            show.engine.close()


@pytest.fixture(params=[2023, 2025])
def show(make: Callable[..., Show], request: pytest.FixtureRequest) -> Show:
    return make(build=request.param)


def test_no_engine_and_how_to_start_one(show: Show) -> None:
    status = show.look()
    assert "No engine named" in show.complaint and "run_engine.py" in show.complaint
    assert "press 'Start' on the page 'Engine'" in status
    show.start().publish(7)
    show.skip_the_wait()
    assert show.look().startswith("LIVE") and show.complaint == "" and show.shows() == 7


def test_an_engine_that_stops_leaves_its_last_picture(show: Show) -> None:
    engine = show.start()
    engine.publish(7)
    show.look()
    engine.stop()
    show.skip_the_wait()
    status = show.look()
    assert "was stopped" in show.complaint and "press 'Start'" in status and show.shows() == 7
    engine.directory["state"] = layout.STATES["READY"]
    engine.publish(8)
    show.skip_the_wait()
    assert show.look().startswith("LIVE") and show.complaint == "" and show.shows() == 8


def test_another_version(show: Show) -> None:
    engine = show.start()
    engine.publish(7)
    engine.directory.segment.words[layout.COMMON["digest"] >> 3] ^= 1
    show.look()
    assert "another version" in show.complaint
    engine.directory.segment.words[layout.COMMON["digest"] >> 3] ^= 1
    show.skip_the_wait()
    assert show.look().startswith("LIVE") and show.complaint == ""


def test_pictures_that_are_too_old(show: Show) -> None:
    engine = show.start()
    engine.publish(7)
    show.look()
    time.sleep(2.1)  # what the reader allows
    assert "no sign of life" in show.look() and "no sign of life" in show.complaint and show.shows() == 7
    engine.beat()
    assert "is silent" in show.look()
    engine.publish(8)
    assert show.look().startswith("LIVE") and show.complaint == "" and show.shows() == 8


def test_a_picture_over_the_limit_of_non_commercial(make: Callable[..., Show]) -> None:
    show = make(non_commercial=True)
    engine = show.start()
    engine.publish(7, height=1, width=1281)
    show.look()
    assert "at most 1280 x 1280" in show.complaint and "1281 x 1" in show.complaint
    engine.publish(8, height=1, width=1280)
    show.look()
    assert show.complaint == ""


def test_a_stream_that_there_is_not(show: Show) -> None:
    show.start().publish(7)
    show.desk.par.Stream = "mask"
    assert "has no stream 'mask'" in show.look() and "camera, output" in show.complaint
    show.desk.par.Stream = "output"
    assert show.look().startswith("LIVE") and show.complaint == ""


def test_who_is_missing(show: Show) -> None:
    engine = show.start()
    engine.publish(7)
    show.look()
    engine.publish(7, flags=layout.FLAGS["HELD"])
    show.tell("/utsushi/status/camera/state", "WAITING", "no camera answers at 0")
    show.tell("/utsushi/status/pose/state", "RUNNING", "")
    status = show.look()
    assert "Missing: camera: no camera answers at 0." in status and "Missing: camera" in show.complaint
    assert show.desk.table("nodes")[1][:2] == ["camera", "WAITING"] and show.shows() == 7
    show.tell("/utsushi/status/camera/state", "RUNNING", "")
    engine.publish(8)
    assert show.look().startswith("LIVE") and show.complaint == ""


def test_what_the_engine_says_stands_in_the_log(show: Show) -> None:
    show.start().publish()
    show.look()
    show.tell("/utsushi/engine/log", "ERROR", "pose", "pose died. Starting it again in 1 s.")
    show.tell("/utsushi/engine/progress", 0.25, 60.0)
    show.look()
    assert show.desk.table("log")[-1][1:] == ["ERROR", "pose", "pose died. Starting it again in 1 s."]
    assert show.desk.chop("info")["progress"] == 0.25


def test_an_event_calls_the_artists_text_with_the_node_and_the_values(show: Show) -> None:
    show.start().publish()
    show.look()
    comp = show.desk.comp
    comp.create("tableDAT", "news")
    comp.op(
        "event_callbacks"
    ).text = "def onEvent(node, name, values):\n    parent().op('news').appendRow([node, name, *values])\n"
    show.tell("/utsushi/event/pose/entered", 3)
    show.tell("/utsushi/event/pose/leader", 3, "nearest")
    show.tell("/utsushi/event", 1)
    show.look()
    assert show.desk.table("news") == [["pose", "entered", "3"], ["pose", "leader", "3", "nearest"]]


@pytest.mark.parametrize(
    "message",
    [("/utsushi/engine/answer", "x", "", "y", 3), ("/utsushi/engine/answer", 1), ("/utsushi/engine/progress", "x"),
     ("/utsushi/node/pose/calm", "a", "b"), ("/utsushi/node/pose/calm",), ("/utsushi/status/x", 1), ("/", 1),
     ("/utsushi/node/nobody/x", 1.0, 1), ("/utsushi/engine/state", 7), ("/utsushi/engine/answer", 0, 7.0, 1, "no"),
     ("/utsushi/engine/answer", 1, "", float("inf"), ""), ("/utsushi/node/pose/calm", 0.25, float("inf")),
     ("/utsushi/status/camera/state", 7.0), ("/utsushi/node/pose/kind", "none of them", 1)],
)  # fmt: skip
def test_a_bad_message_does_not_stop_the_next(make: Callable[..., Show], message: tuple) -> None:
    show = make()
    show.start().publish()
    kind = {**PARAMETER, "name": "kind", "type": "menu", "menu": ["a", "b"], "default": "a", "value": "b", "min": None,
            "max": None, "address": "/utsushi/node/pose/kind"}  # fmt: skip
    show.panel["nodes"][0]["parameters"].append(kind)
    show.write_panel()
    show.look()
    show.tell(*message)
    show.tell("/utsushi/node/pose/calm", 0.75, 1)
    show.look()
    assert show.desk.par.Nposecalm.eval() == 0.75 and show.desk.par.Nposekind.eval() == "b"


@pytest.mark.parametrize("send_mine", [True, False])
def test_what_is_set_while_no_engine_runs_is_not_forgotten(make: Callable[..., Show], send_mine: bool) -> None:
    show = make()
    show.start().publish()
    show.look()
    (home() / f"{show.name}.panel.json").unlink()
    show.look()
    show.desk.par.Sendmine = send_mine
    show.desk.par.Nposecalm.typed(0.75)
    show.look()
    show.panel["session"] = 2
    show.write_panel()
    show.look()
    sent = [values for address, values in show.desk.comp.op("osc_out").sent if address == PARAMETER["address"]]
    assert sent == ([[0.75]] if send_mine else [])
    assert show.desk.par.Nposecalm.eval() == (0.75 if send_mine else 0.5), "and what is shown is what holds"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_what_is_no_number_goes_back_too(make: Callable[..., Show], value: float) -> None:
    show = make()
    show.start().publish()
    show.look()
    show.desk.par.Nposecalm.typed(value)
    show.look()
    show.tell("/utsushi/engine/answer", 0, PARAMETER["address"], 0, "That is no number.")
    assert "That is no number." in show.look() and show.desk.par.Nposecalm.eval() == 0.5


def test_a_component_that_is_renamed_stays_the_same(make: Callable[..., Show]) -> None:
    show = make()
    show.start().publish()
    show.look()
    alive = show.desk.alive
    show.desk.comp.name = "another"
    show.look()
    assert list(show.desk.kept.by_component) == ["/project1/another"] and show.desk.alive is alive
    assert list(show.desk.kept.by_node) == ["/project1/another/picture"] and show.desk.par.State.eval() == "LIVE"


def test_a_change_that_is_lost_is_sent_again(make: Callable[..., Show], monkeypatch: pytest.MonkeyPatch) -> None:
    show = make()
    show.start().publish()
    show.look()
    sent = show.desk.comp.op("osc_out").sent
    show.desk.par.Nposecalm.typed(0.25)
    show.look()
    del sent[:]
    for under_way in list(show.desk.alive.exchange.settings._sent):
        settings = show.desk.alive.exchange.settings
        settings._sent[under_way] = settings._sent[under_way]._replace(at=time.monotonic() - 2)
    show.look()
    assert ("/utsushi/node/pose/calm", [0.25]) in sent and show.desk.par.Nposecalm.eval() == 0.25
    show.tell("/utsushi/engine/answer", 1, "/utsushi/node/pose/calm", 1, "")
    show.look()
    assert show.desk.alive.exchange.settings._sent == {} and show.desk.chop("info")["set_version"] == 1


def test_pages_follow_the_engines_config(make: Callable[..., Show]) -> None:
    show = make()
    show.start().publish()
    show.look()
    mine = show.desk.comp.appendCustomPage("Mine").appendFloat("Nothing")[0]
    mine.val = 3.0
    four = {**PARAMETER, "name": "four", "address": "/utsushi/node/pose/four", "size": 4, "most": 4,
            "value": [1, 2, 3, 4], "default": [0, 0, 0, 0]}  # fmt: skip
    show.panel["nodes"][0]["parameters"].append(four)
    show.panel["nodes"].append({**show.panel["nodes"][0], "name": "second", "parameters": [
        {**four, "address": "/utsushi/node/second/four"}]})  # fmt: skip
    show.write_panel()
    show.look()
    pages = [page.name for page in show.desk.comp.customPages]
    assert pages[-3:] == ["pose", "Mine", "second"] and show.desk.par.Nposefour4.eval() == 4
    show.panel["nodes"] = [{"name": "figure", "type": "x", "parameters": [
        {**PARAMETER, "name": "fit", "type": "menu", "menu": ["a", "b"], "default": "a", "value": "b", "min": None,
         "max": None, "address": "/utsushi/node/figure/fit"}]}]  # fmt: skip
    show.panel["session"] = 2
    show.write_panel()
    show.look()
    assert [page.name for page in show.desk.comp.customPages][-2:] == ["Mine", "figure"]
    assert [par.name for par in show.desk.comp.customPars if par.name.startswith("N")] == ["Nothing", "Nfigurefit"]
    assert show.desk.par.Nothing.eval() == 3.0, "the artist's own"


def test_a_list_of_texts_is_one_text(make: Callable[..., Show]) -> None:
    show = make()
    show.start().publish()
    files = {**PARAMETER, "name": "files", "type": "str", "size": 1, "most": 16, "default": None, "value": ["a", "b"],
             "min": None, "max": None, "address": "/utsushi/node/pose/files"}  # fmt: skip
    show.panel["nodes"][0]["parameters"].append(files)
    show.write_panel()
    show.look()
    assert show.desk.par.Nposefiles.eval() == "a; b"
    show.desk.par.Nposefiles.typed("c;d e ; f")
    show.look()
    assert ("/utsushi/node/pose/files", ["c", "d e", "f"]) in show.desk.comp.op("osc_out").sent


def test_touchdesigner_2023_cooks_inside_the_component_though_nobody_looks(make: Callable[..., Show]) -> None:
    show = make(build=2023)
    engine = show.start()
    show.look()
    for value in range(1, 4):
        engine.publish(value)
        show.desk.frame()
        assert show.shows() == value


@pytest.mark.parametrize("mode", ["auto", "force", "direct"])
@pytest.mark.parametrize("build", [2023, 2025])
def test_each_way_of_cooking_shows_every_picture_once(make: Callable[..., Show], build: int, mode: str) -> None:
    show = make(build=build)
    show.desk.par.Cookmode = mode
    engine = show.start()
    show.look()
    copies, cooks = show.desk.picture.copies, show.desk.picture.cooks
    for value in range(1, 4):
        engine.publish(value)
        show.desk.frame()
        show.desk.frame()
        assert show.shows() == value
    assert show.desk.picture.copies == copies + 3
    assert (show.desk.picture.cooks == cooks) == (mode == "direct" and build == 2025)


def test_a_paused_timeline_does_not_stop_the_picture_in_2025(make: Callable[..., Show]) -> None:
    for frames_while_paused in (True, False):
        show = make(frames_while_paused=frames_while_paused)
        engine = show.start()
        engine.publish(1)
        show.look()
        show.desk.td.playing = False
        engine.publish(2)
        show.desk.frame()
        assert show.shows() == 2


def test_the_poses_channels_are_made_anew_only_when_something_is(make: Callable[..., Show]) -> None:
    show = make()
    show.start().publish()
    show.look()
    pose = show.desk.comp.op("pose")
    cooks, channels = pose.cooks, pose.numChans
    show.look()
    assert pose.cooks == cooks
    show.desk.par.People = 2
    show.look()
    assert pose.cooks == cooks + 1 and pose.numChans > channels


def test_off_keeps_the_last_picture_and_is_quiet(show: Show) -> None:
    engine = show.start()
    engine.publish(7)
    show.look()
    show.desk.par.Active = False
    engine.publish(8)
    status = show.look()
    assert status.startswith("Off") and show.complaint == "" and show.shows() == 7
    assert not show.desk.comp.op("osc_out").par.active.eval() and show.desk.chop("info")["state"] == -1
    show.desk.par.Active = True
    assert show.look().startswith("LIVE") and show.shows() == 8

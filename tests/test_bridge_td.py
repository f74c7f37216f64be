"""The Script TOP callbacks, inside a stand-in for TouchDesigner (fake_td.py)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from fake_engine import FakeEngine, new_name
from fake_td import CookLevel, ScriptTOP, TouchDesigner

READ_ONLY = ["Fps", "Latencyms", "Message", "Restarts", "Skipped", "State"]


@pytest.fixture
def callbacks() -> Iterator[ModuleType]:
    sys.modules.pop("script_top_callbacks", None)
    sys.modules.pop("_utsushi_bridge", None)
    module = importlib.import_module("script_top_callbacks")
    yield module
    for bridge in module._bridges.values():
        module._let_go(bridge)


@pytest.fixture
def td(callbacks: ModuleType) -> TouchDesigner:
    return TouchDesigner(callbacks)


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    engine = FakeEngine(new_name(), capacity=2000 * 4 * 4)
    yield engine
    engine.close()


def node_for(td: TouchDesigner, engine: FakeEngine, path: str = "/project1/script1") -> ScriptTOP:
    node = td.script_top(path)
    node.par.Engine = engine.name
    return node


def test_a_picture_is_shown_once_and_kept(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    engine.publish(1, height=2, width=5, row_order="TOP_DOWN")
    for _ in range(3):
        node.cook()
    assert node.image is not None and node.image.shape == (2, 5, 4) and node.copies == 1
    assert node.image[:, 0, 0].tolist() == [2, 1], "the bottom row comes first"
    assert node.errors == [] and node.par.State.eval() == "LIVE"


def test_the_node_takes_the_pictures_size(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    for height, width in ((2, 5), (3, 4)):
        engine.publish(height=height, width=width)
        node.cook()
        size = node.par.resolutionw.eval(), node.par.resolutionh.eval()
        assert (node.par.outputresolution.eval(), *size) == ("custom", width, height)
    changes = node.par.resolutionw.changes
    engine.publish(height=3, width=4)
    node.cook()
    assert node.par.resolutionw.changes == changes, "set only when it differs"


def test_setup_makes_the_page_and_keeps_what_the_artist_has_set(td: TouchDesigner) -> None:
    node = td.script_top()
    assert (node.par.Active.eval(), node.par.Engine.eval(), node.par.Stream.eval()) == (True, "utsushi", "output")
    node.par.Engine = "demo"
    node.par.Active = False
    td.callbacks.onSetupParameters(node)
    assert (node.par.Engine.eval(), node.par.Active.eval()) == ("demo", False)
    custom = {name: par for name, par in vars(node.par).items() if name[0].isupper()}
    assert sorted(name for name, par in custom.items() if par.readOnly) == READ_ONLY


def test_a_missing_page_is_a_sentence(td: TouchDesigner) -> None:
    node = td.script_top(setup=False)
    node.cook()
    assert len(node.errors) == 1 and "Setup Parameters" in node.errors[0]


def test_a_missing_text_dat_is_a_sentence_and_is_noticed_when_it_comes(
    td: TouchDesigner, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = node_for(td, engine)
    engine.publish()
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "ring_reader", None)
        node.cook()
        assert len(node.errors) == 1 and "ring_reader" in node.errors[0] and node.copies == 0
    node.cook()
    assert node.errors == [] and node.copies == 1


def test_an_error_is_shown_once_and_goes_away_by_itself(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    node.addScriptError("another script's error")
    for _ in range(3):
        node.cook()
    assert node.complaints == 2 and "no picture yet" in node.errors[1]
    engine.publish()
    node.cook()
    assert node.errors == ["another script's error"]


def test_a_held_picture_and_the_placeholder_are_no_errors(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    for flags, state in ((1, "HELD"), (2, "PLACEHOLDER")):
        engine.publish(flags=flags)
        node.cook()
        assert node.errors == [] and node.par.State.eval() == state and node.par.Message.eval()


def test_the_last_picture_stays_when_the_engine_stops(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    engine.publish(3)
    node.cook()
    engine.stop()
    node.cook()
    assert node.par.State.eval() == "STOPPED" and "run_engine.py" in node.errors[0]
    assert node.copies == 1 and node.image is not None and node.image[0, 0, 0] == 4


def test_inactive_lets_go_and_active_comes_back(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    engine.publish(1)
    node.cook()
    reader = td.callbacks._bridges[node.path].reader
    node.par.Active = False
    engine.publish(2)
    node.cook()
    assert reader._ring is None and reader._directory is None and node.copies == 1
    assert node.par.State.eval() == "" and node.errors == []
    node.par.Active = True
    node.cook()
    assert node.copies == 2 and node.image is not None and node.image[0, 0, 0] == 3


def test_other_settings_make_another_reader(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    node.par.Stream = "figure"
    node.cook()
    assert "camera, output" in node.errors[0]
    node.par.Stream = "output"
    engine.publish()
    node.cook()
    assert node.copies == 1 and node.errors == []


def test_two_nodes_have_a_reader_each(td: TouchDesigner, engine: FakeEngine) -> None:
    first, second = node_for(td, engine), node_for(td, engine, "/project1/script2")
    engine.publish()
    for node in (first, second, first, second):
        node.cook()
    assert (first.copies, second.copies) == (1, 1)


def test_a_deleted_nodes_reader_is_closed(td: TouchDesigner, engine: FakeEngine) -> None:
    gone = node_for(td, engine, "/project1/gone")
    engine.publish()
    gone.cook()
    reader = td.callbacks._bridges[gone.path].reader
    del td.ops[gone.path]
    node_for(td, engine).cook()
    assert gone.path not in td.callbacks._bridges and reader._directory is None


def test_an_edit_of_the_callbacks_keeps_the_reader(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    engine.publish()
    node.cook()
    del sys.modules["script_top_callbacks"]
    again = TouchDesigner(importlib.import_module("script_top_callbacks"))
    again.ops = td.ops
    node._td = again
    node.cook()
    assert again.callbacks is not td.callbacks and node.copies == 1


def test_what_touchdesigner_saves_holds_no_reader(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    engine.publish()
    node.cook()
    assert all(isinstance(par.eval(), str | int | float) for par in vars(node.par).values())


@pytest.mark.parametrize("non_commercial", [True, False])
def test_more_than_1280_is_named_where_the_licence_forbids_it(
    callbacks: ModuleType, engine: FakeEngine, non_commercial: bool
) -> None:
    node = node_for(TouchDesigner(callbacks, non_commercial=non_commercial), engine)
    engine.publish(height=1, width=1281)
    node.cook()
    assert node.copies == 1
    assert [error for error in node.errors if "1280" in error and "1281 x 1" in error] == node.errors
    assert bool(node.errors) == non_commercial


def test_both_kinds_of_cook_rules_are_served(callbacks: ModuleType, engine: FakeEngine) -> None:
    new = TouchDesigner(callbacks)
    assert callbacks.onGetCookLevel(new.script_top()) is CookLevel.ALWAYS
    del callbacks.CookLevel  # TouchDesigner 2023 has none and never calls onGetCookLevel
    old = TouchDesigner(callbacks, build=2023)
    node = node_for(old, engine)
    engine.publish()
    node.cook()
    assert node.copies == 1 and old.frame_reads == 1, "reading absTime.frame is what makes it cook again"
    assert callbacks.onGetCookLevel(node) is None


def test_the_page_is_not_written_at_every_cook(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    engine.publish()
    node.cook()
    changes = node.par.Fps.changes
    for _ in range(5):
        engine.publish()
        node.cook()
    assert node.par.Fps.changes == changes and node.copies == 6


def test_the_stand_in_is_as_strict_as_touchdesigner(td: TouchDesigner) -> None:
    node = td.script_top()
    good = np.zeros((2, 2, 4), np.uint8)
    with pytest.raises(AssertionError, match="outside"):
        node.copyNumpyArray(good)
    node._cooking = True
    node.copyNumpyArray(good)
    for bad in (good[::-1], good.astype(np.float64), good[..., 0], np.zeros((2, 2, 5), np.uint8)):
        with pytest.raises(AssertionError):
            node.copyNumpyArray(bad)

"""The Script TOP callbacks, inside a stand-in for TouchDesigner (fake_td.py)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from fake_engine import BRIDGE, FakeEngine, new_name
from fake_td import CookLevel, TouchDesigner
from fake_td.families import TOP

READ_ONLY = ["Fps", "Latencyms", "Message", "Restarts", "Skipped", "State"]
MODULES = ("ring_mapping", "ring_frames", "ring_reader", "script_top_callbacks")


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    sys.modules.pop("_utsushi_bridge", None)
    yield
    for bridge in bridges().values():
        if bridge.reader is not None:
            bridge.reader.close()
    sys.modules.pop("_utsushi_bridge", None)


def bridges() -> dict:
    kept = sys.modules.get("_utsushi_bridge")
    return kept.by_node if kept is not None else {}


@pytest.fixture
def td() -> TouchDesigner:
    return TouchDesigner()


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    engine = FakeEngine(new_name(), capacity=2000 * 4 * 4)
    yield engine
    engine.close()


def script_top(td: TouchDesigner, name: str = "script1", setup: bool = True) -> TOP:
    """A Script TOP as it is made by hand: with the Text DATs beside it."""
    network = td.root.op("project1")
    for module in MODULES:
        if network.op(module) is None:
            network.create("textDAT", module).text = (BRIDGE / f"{module}.py").read_text("utf-8")
    node = network.create("scriptTOP", name)
    node.par.callbacks = "script_top_callbacks"
    if setup:
        callbacks(td).onSetupParameters(node)
    return node


def callbacks(td: TouchDesigner) -> ModuleType:
    return td.root.op("project1/script_top_callbacks").module


def cook(*nodes: TOP) -> None:
    for node in nodes:
        node.cook(force=True)
        assert node.td.textport == []


def node_for(td: TouchDesigner, engine: FakeEngine, name: str = "script1") -> TOP:
    node = script_top(td, name)
    node.par.Engine = engine.name
    return node


def test_a_picture_is_shown_once_and_kept(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    engine.publish(1, height=2, width=5, row_order="TOP_DOWN")
    for _ in range(3):
        cook(node)
    assert node.image is not None and node.image.shape == (2, 5, 4) and node.copies == 1
    assert node.image[:, 0, 0].tolist() == [2, 1], "the bottom row comes first"
    assert node.errors_ == [] and node.par.State.eval() == "LIVE"


@pytest.mark.parametrize(
    ("channels", "dtype", "pixel_format"), [(1, "uint8", "GRAY"), (1, "uint16", "GRAY"), (3, "uint8", "BGR")]
)
def test_masks_depth_and_camera_pictures_are_shown(
    td: TouchDesigner, engine: FakeEngine, channels: int, dtype: str, pixel_format: str
) -> None:
    node = node_for(td, engine)
    engine.publish(7, channels=channels, dtype=dtype, pixel_format=pixel_format)
    cook(node)
    assert node.image is not None and node.image.dtype == dtype and node.image[-1, 0, 0] == 7 and node.errors_ == []


def test_nobody_is_a_row_of_nothing(td: TouchDesigner, engine: FakeEngine) -> None:
    node, people = node_for(td, engine), np.ones((2, 33, 4), np.float32)
    for there, shown in ((people, people), (people[:0], np.zeros((1, 33, 4))), (people[:1], people[:1])):
        with engine.writer.begin(there.shape, np.float32, pixel_format="KEYPOINTS", canvas=(640, 480)) as slot:
            slot.array[...] = there
        cook(node)
        assert node.image is not None and node.image.dtype == np.float32 and np.array_equal(node.image, shown)
        assert node.errors_ == [] and node.par.State.eval() == "LIVE"


def test_the_node_takes_the_pictures_size(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    for height, width in ((2, 5), (3, 4)):
        engine.publish(height=height, width=width)
        cook(node)
        size = node.par.resolutionw.eval(), node.par.resolutionh.eval()
        assert (node.par.outputresolution.eval(), *size) == ("custom", width, height)
    changes = node.par.resolutionw.changes
    engine.publish(height=3, width=4)
    cook(node)
    assert node.par.resolutionw.changes == changes, "set only when it differs"


def test_setup_makes_the_page_and_keeps_what_the_artist_has_set(td: TouchDesigner) -> None:
    node = script_top(td)
    assert (node.par.Active.eval(), node.par.Engine.eval(), node.par.Stream.eval()) == (True, "utsushi", "output")
    node.par.Engine = "demo"
    node.par.Active = False
    callbacks(td).onSetupParameters(node)
    assert (node.par.Engine.eval(), node.par.Active.eval()) == ("demo", False)
    assert sorted(par.name for par in node.customPars if par.readOnly) == READ_ONLY


def test_a_missing_page_is_a_sentence(td: TouchDesigner) -> None:
    node = script_top(td, setup=False)
    cook(node)
    assert len(node.errors_) == 1 and "Setup Parameters" in node.errors_[0]


def test_a_missing_text_dat_is_a_sentence_and_is_noticed_when_it_comes(
    td: TouchDesigner, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = node_for(td, engine)
    engine.publish()
    dat = td.root.op("project1/ring_reader")
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "ring_reader", None)  # no file of that name either
        dat.name = "ring_reader1"
        cook(node)
        assert len(node.errors_) == 1 and "ring_reader" in node.errors_[0] and node.copies == 0
    dat.name = "ring_reader"
    cook(node)
    assert node.errors_ == [] and node.copies == 1


def test_an_error_is_shown_once_and_goes_away_by_itself(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    node.addScriptError("another script's error")
    for _ in range(3):
        cook(node)
    assert node.complaints == 2 and "no picture yet" in node.errors_[1]
    engine.publish()
    cook(node)
    assert node.errors_ == ["another script's error"]


def test_a_held_picture_and_the_placeholder_are_no_errors(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    for flags, state in ((1, "HELD"), (2, "PLACEHOLDER")):
        engine.publish(flags=flags)
        cook(node)
        assert node.errors_ == [] and node.par.State.eval() == state and node.par.Message.eval()


def test_the_last_picture_stays_when_the_engine_stops(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    engine.publish(3)
    cook(node)
    engine.stop()
    cook(node)
    assert node.par.State.eval() == "STOPPED" and "run_engine.py" in node.errors_[0]
    assert node.copies == 1 and node.image is not None and node.image[0, 0, 0] == 4


def test_inactive_lets_go_and_active_comes_back(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    engine.publish(1)
    cook(node)
    reader = bridges()[node.path].reader
    node.par.Active = False
    engine.publish(2)
    cook(node)
    assert reader._ring is None and reader._directory is None and node.copies == 1
    assert node.par.State.eval() == "" and node.errors_ == []
    node.par.Active = True
    cook(node)
    assert node.copies == 2 and node.image is not None and node.image[0, 0, 0] == 3


def test_other_settings_make_another_reader(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    node.par.Stream = "figure"
    cook(node)
    assert "camera, output" in node.errors_[0]
    node.par.Stream = "output"
    engine.publish()
    cook(node)
    assert node.copies == 1 and node.errors_ == []


def test_two_nodes_have_a_reader_each(td: TouchDesigner, engine: FakeEngine) -> None:
    first, second = node_for(td, engine), node_for(td, engine, "script2")
    engine.publish()
    for node in (first, second, first, second):
        cook(node)
    assert (first.copies, second.copies) == (1, 1)


def test_a_deleted_nodes_reader_is_closed(td: TouchDesigner, engine: FakeEngine) -> None:
    gone = node_for(td, engine, "gone")
    engine.publish()
    cook(gone)
    reader = bridges()[gone.path].reader
    gone.destroy()
    cook(node_for(td, engine))
    assert gone.path not in bridges() and reader._directory is None


def test_an_edit_of_the_callbacks_keeps_the_reader(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    engine.publish()
    cook(node)
    before = callbacks(td)
    td.root.op("project1/script_top_callbacks").text += "# edited\n"
    cook(node)
    assert callbacks(td) is not before and node.copies == 1


def test_what_touchdesigner_saves_holds_no_reader(td: TouchDesigner, engine: FakeEngine, tmp_path: Path) -> None:
    node = node_for(td, engine)
    engine.publish()
    cook(node)
    td.root.save(tmp_path / "project.toe")
    assert node.storage == {}
    node.store("reader", bridges()[node.path].reader)
    with pytest.raises(AssertionError, match="live RingReader"):
        td.root.save(tmp_path / "project.toe")


@pytest.mark.parametrize("non_commercial", [True, False])
def test_more_than_1280_is_named_where_the_licence_forbids_it(engine: FakeEngine, non_commercial: bool) -> None:
    node = node_for(TouchDesigner(non_commercial=non_commercial), engine)
    engine.publish(height=1, width=1281)
    cook(node)
    assert node.copies == 1
    assert [error for error in node.errors_ if "1280" in error and "1281 x 1" in error] == node.errors_
    assert bool(node.errors_) == non_commercial


@pytest.mark.parametrize("build", [2023, 2025])
def test_a_node_that_is_looked_at_cooks_at_every_frame(build: int, engine: FakeEngine) -> None:
    td = TouchDesigner(build)
    node = node_for(td, engine)
    td.watched = {node}
    for value in range(3):
        engine.publish(value)
        td.frame()
    assert node.copies == 3 and td.textport == []


def test_touchdesigner_2025_cooks_while_the_timeline_is_paused_and_nobody_looks(engine: FakeEngine) -> None:
    td = TouchDesigner(2025)
    node = node_for(td, engine)
    td.playing = False
    for value in range(3):
        engine.publish(value)
        td.frame()
    assert node.copies == 3
    assert callbacks(td).onGetCookLevel(node) is CookLevel.ALWAYS


def test_touchdesigner_2023_does_not_cook_what_nobody_looks_at(engine: FakeEngine) -> None:
    td = TouchDesigner(2023)
    node = node_for(td, engine)
    engine.publish()
    td.frame()
    assert node.copies == 0 and callbacks(td).onGetCookLevel(node) is None


def test_the_switches_turn_the_picture(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    node.par.Flip = node.par.Swapredblue = node.par.Copyalways = True
    engine.publish(1, height=2, width=5)
    engine.ring.buffer[engine.slot() + 4096] = 200  # the red of the first pixel in memory, the bottom left one
    for _ in range(3):
        cook(node)
    assert node.image is not None and node.copies == 3
    assert node.image[1, 0].tolist() == [2, 2, 200, 2] and node.image[:, 1, 0].tolist() == [1, 2]


def test_the_page_is_not_written_at_every_cook(td: TouchDesigner, engine: FakeEngine) -> None:
    node = node_for(td, engine)
    engine.publish()
    cook(node)
    changes = node.par.Fps.changes
    for _ in range(5):
        engine.publish()
        cook(node)
    assert node.par.Fps.changes == changes and node.copies == 6

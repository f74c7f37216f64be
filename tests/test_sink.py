"""The node that feeds a sink: every picture arrives as the sink takes it, and no failure of a sink ends the node."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from harness import frame, make

from engine.config import registry
from engine.errors import BadInput, EngineError
from engine.node import Node
from nodes.output import sink as sink_module
from nodes.output.sink import Sink, SinkConfig, SinkNode, package

RGBA = np.random.default_rng(1).integers(0, 256, (48, 64, 4), np.uint8)
AS_FRAMES = {  # what a picture with opaque alpha looks like in each pixel format
    "RGBA": [0, 1, 2, 3], "BGRA": [2, 1, 0, 3], "RGB": [0, 1, 2], "BGR": [2, 1, 0],
}  # fmt: skip


class Keeper(Sink):
    """Remembers what was asked of it; fails as often as it is told to."""

    def __init__(self) -> None:
        self.calls: list = []
        self.pictures: list[np.ndarray] = []
        self.fail_to_open = self.fail_to_write = 0

    def open(self, width, height):
        self.calls.append(("open", width, height))
        if self.fail_to_open:
            self.fail_to_open -= 1
            raise EngineError("The wall is in the way. Move it.")

    def write(self, picture):
        assert picture.flags.c_contiguous and picture.dtype == np.uint8
        if self.fail_to_write:
            self.fail_to_write -= 1
            raise EngineError("The paint is dry. Stir it.")
        self.pictures.append(picture.copy())

    def close(self):
        self.calls.append("close")


class Wall(SinkNode, Node):
    Config = SinkConfig

    def sink(self):
        return Keeper()


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(ns=10**9)
    monkeypatch.setattr(sink_module, "now_ns", lambda: clock.ns)
    return clock


def wall(**settings):
    node = make(Wall, **settings)
    return node, node._sink


@pytest.mark.parametrize(
    ("sent", "rows", "taken", "taken_rows"),
    list(product(AS_FRAMES, ("TOP_DOWN", "BOTTOM_UP"), ("RGBA", "BGRA"), ("TOP_DOWN", "BOTTOM_UP"))),
)
def test_every_pixel_format_and_row_order_arrives_as_the_sink_takes_it(sent, rows, taken, taken_rows):
    node, keeper = wall()
    keeper.pixel_format, keeper.row_order = taken, taken_rows
    picture = RGBA.copy()
    if len(sent) == 3:
        picture[..., 3] = 255
    array = picture[..., AS_FRAMES[sent]]
    node.step(frame(array[::-1] if rows == "BOTTOM_UP" else array, pixel_format=sent, row_order=rows))
    expected = picture[..., AS_FRAMES[taken]]
    assert (keeper.pictures[0] == (expected[::-1] if taken_rows == "BOTTOM_UP" else expected)).all()


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 1)])
def test_grey(shape):
    node, keeper = wall()
    node.step(frame(np.full(shape, 90, np.uint8), pixel_format="GRAY"))
    assert (keeper.pictures[0] == (90, 90, 90, 255)).all()


def test_it_opens_once_and_follows_the_size():
    node, keeper = wall()
    for array in (RGBA, RGBA, RGBA[:24], RGBA[:24]):
        node.step(frame(array))
    node.close()
    assert keeper.calls == [("open", 64, 48), "close", ("open", 64, 24), "close"]
    assert [p.shape for p in keeper.pictures] == [(48, 64, 4)] * 2 + [(24, 64, 4)] * 2


def test_configured_size_and_fit():
    node, keeper = wall(size=(32, 32), fit="contain")
    node.step(frame(np.full((16, 64, 3), 200, np.uint8)))
    (picture,) = keeper.pictures
    assert keeper.calls == [("open", 32, 32)] and (picture[12:20] == (200, 200, 200, 255)).all()
    assert (picture[:12] == (0, 0, 0, 255)).all() and (picture[20:] == (0, 0, 0, 255)).all()


def test_a_sink_that_cannot_be_opened_is_tried_again_ever_later(clock):
    node, keeper = wall()
    keeper.fail_to_open = 4
    tries = []
    for ms in range(0, 5000, 50):
        clock.ns = 10**9 + ms * 10**6
        before = len(keeper.calls)
        node.step(frame(RGBA, seq=ms + 1))
        if len(keeper.calls) > before:
            tries.append(ms)
        if not keeper.pictures:
            assert node.complaints == ["The wall is in the way. Move it."]
    assert tries == [0, 250, 750, 1750, 3750]
    assert len(keeper.pictures) == (5000 - 3750) // 50 and node.complaints == []
    assert keeper.calls == [("open", 64, 48), "close"] * 4 + [("open", 64, 48)]


def test_a_sink_that_fails_on_the_way_is_opened_again(clock):
    node, keeper = wall()
    node.step(frame(RGBA))
    keeper.fail_to_write = 1
    node.step(frame(RGBA))
    assert node.complaints == ["The paint is dry. Stir it."]
    clock.ns += 10**9
    node.step(frame(RGBA))
    assert node.complaints == [] and len(keeper.pictures) == 2
    assert keeper.calls == [("open", 64, 48), "close", ("open", 64, 48)]


def test_a_failure_to_close_is_a_line_in_the_log(caplog):
    node, keeper = wall()

    def close():
        raise EngineError("The door is stuck.")

    keeper.close = close
    node.step(frame(RGBA))
    node.close()
    assert "The door is stuck." in caplog.text


def test_what_is_no_picture_is_left_out_with_a_sentence():
    node, keeper = wall()
    node.step(frame(np.zeros((2, 33, 4), np.float32)))
    assert "takes pictures" in node.complaints[0] and keeper.calls == []
    node.step(frame(RGBA))
    assert node.complaints == [] and len(keeper.pictures) == 1


def test_a_missing_package_is_named_with_how_to_install_it():
    with pytest.raises(BadInput, match="python -m pip install utsushi-none"):
        package("utsushi_none", "utsushi-none")


def test_the_sink_itself_is_no_node_type():
    assert "output.sink" not in registry.known_types()

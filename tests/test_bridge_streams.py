"""td_bridge's reader on every kind of stream: colours, one channel, keypoints."""

from __future__ import annotations

import itertools
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from fake_engine import FakeEngine, RingReader, ring_reader

from engine.frame import Frame, Source


def put(engine: FakeEngine, array: np.ndarray, **about: Any) -> None:
    """Publish `array`, whose first row is the picture's top."""
    with engine.writer.begin(array.shape, array.dtype, **about) as slot:
        slot.array[...] = array[::-1] if about.get("row_order") == "BOTTOM_UP" else array


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    bytes_ = np.random.default_rng(1).integers(0, 256, int(np.prod(shape)) * np.dtype(dtype).itemsize, np.uint8)
    return bytes_.view(dtype).reshape(shape)


CHANNELS = {"RGBA": [0, 1, 2, 3], "BGRA": [2, 1, 0, 3], "RGB": [0, 1, 2], "BGR": [2, 1, 0]}


@pytest.mark.parametrize("row_order", ["TOP_DOWN", "BOTTOM_UP"])
@pytest.mark.parametrize("pixel_format", CHANNELS)
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (97, 2048)])  # the last takes more than one chunk
def test_every_order_of_colours_becomes_rgba(
    engine: FakeEngine, reader: RingReader, size: tuple[int, int], pixel_format: str, row_order: str
) -> None:
    order = CHANNELS[pixel_format]
    source = noise(*size, len(order))
    engine.grow(1 << 20)
    put(engine, source, pixel_format=pixel_format, row_order=row_order)
    picture = reader.poll()
    assert picture is not None and picture.flags.c_contiguous and picture.dtype == np.uint8
    expected = np.full((*size, 4), 255, np.uint8)
    expected[..., : len(order)] = source[::-1, :, order]
    assert (picture == expected).all() and picture.ctypes.data % 4096 == 0
    assert (reader.pixel_format, reader.width, reader.height) == (pixel_format, size[1], size[0])


def test_the_last_pixel_of_the_last_slot_is_read_without_reaching_beyond_the_ring(
    engine: FakeEngine, reader: RingReader
) -> None:
    source = noise(64, 64, 3)  # 12288 bytes, so that the last slot ends where its memory does
    engine.grow(source.nbytes)
    for pixel_format in ("RGB", "BGR"):
        for _ in range(4):
            put(engine, source, pixel_format=pixel_format)
            picture = reader.poll()
            assert picture is not None and (picture[..., :3] == source[::-1, :, CHANNELS[pixel_format]]).all()


def test_a_picture_that_does_not_say_what_it_is_goes_by_its_channels(engine: FakeEngine, reader: RingReader) -> None:
    for channels, name in ((1, "GRAY"), (3, "RGB"), (4, "RGBA")):
        source = noise(3, 4, channels)
        put(engine, source)
        picture = reader.poll()
        assert picture is not None and (picture[..., :channels] == source[::-1]).all() and reader.pixel_format == name


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1)])
def test_one_channel_stays_as_it_is(
    engine: FakeEngine, reader: RingReader, shape: tuple[int, ...], dtype: type[Any]
) -> None:
    source = np.linspace(0, 200, 20).astype(dtype).reshape(shape)
    put(engine, source, pixel_format="GRAY")
    picture = reader.poll()
    assert picture is not None and picture.dtype == dtype and picture.shape == (4, 5, 1) and picture.flags.c_contiguous
    assert (picture[..., 0] == source.reshape(4, 5)[::-1]).all()


def test_keypoints_come_untouched_with_their_ids(engine: FakeEngine, reader: RingReader) -> None:
    people = np.random.default_rng(2).random((2, 33, 4), np.float32)
    put(engine, people, pixel_format="KEYPOINTS", canvas=(640, 480), ids=(7, 3))
    array = reader.poll()
    assert array is not None and array.dtype == np.float32 and (array == people).all()
    assert (reader.ids, reader.canvas, reader.width, reader.height) == ((7, 3), (640, 480), 640, 480)
    put(engine, people[:0], pixel_format="KEYPOINTS", canvas=(640, 480))
    array = reader.poll()
    assert array is not None and array.shape == (0, 33, 4) and reader.ids == () and reader.state == "LIVE"
    put(engine, people[1:], pixel_format="KEYPOINTS", canvas=(640, 480), ids=(3,))
    array = reader.poll()
    assert array is not None and (array == people[1:]).all() and reader.ids == (3,)


def test_a_frame_tells_its_version_and_what_it_was_made_from(engine: FakeEngine, reader: RingReader) -> None:
    made_from = [Frame(noise(1), seq, 2, seq, 5, 6, 7, stream=stream) for stream, seq in ((0, 11), (1, 12))]
    put(engine, noise(2, 2, 4), pixel_format="RGBA", param_version=41, source=made_from)
    assert reader.poll() is not None
    assert reader.param_version == 41 and reader.sources == (Source(0, 2, 11), Source(1, 2, 12))
    put(engine, noise(2, 2, 4), pixel_format="RGBA")
    assert reader.poll() is not None and reader.param_version == 0 and reader.sources == ()


def test_a_stream_may_change_what_it_carries(engine: FakeEngine, reader: RingReader) -> None:
    for array, about in itertools.product((noise(4, 4, 4), noise(4, 4, 1), noise(2, 4, 4)), ({}, {})):
        put(engine, array, **about)
        got = reader.poll()
        assert got is not None and got.shape == array.shape and (got == array[::-1]).all()


def test_the_streams_are_listed_with_what_they_have_carried(engine: FakeEngine, reader: RingReader) -> None:
    assert reader.streams() == {}
    reader.poll()
    assert reader.streams() == {"camera": "", "output": ""}
    put(engine, noise(2, 2, 3), pixel_format="BGR")
    assert reader.streams() == {"camera": "", "output": "BGR"}
    reader.close()
    assert reader.streams() == {}


def test_two_readers_do_not_disturb_one_another(engine: FakeEngine) -> None:
    with closing(RingReader(engine.name)) as first, closing(RingReader(engine.name)) as second:
        for value in range(10):
            engine.publish(value)
            assert first.poll() is not None
            if value % 2:
                assert second.poll() is not None
        assert (first.skipped, second.skipped, first.seq, second.seq) == (0, 4, 10, 10)


def test_a_frame_that_is_torn_while_it_is_turned_is_thrown_away(
    engine: FakeEngine, reader: RingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(engine, noise(2, 2, 3), pixel_format="BGR")
    kept = reader.poll()
    put(engine, noise(2, 2, 3), pixel_format="BGR")
    slot = engine.slot() >> 3
    calls = itertools.count(1)
    kept_fence = ring_reader.fence

    def fence() -> None:
        if next(calls) == 2:  # after the copy
            engine.ring.words[slot] -= 1
        kept_fence()

    monkeypatch.setattr(ring_reader, "fence", fence)
    assert reader.poll() is None and reader.array is kept and reader.torn_retries == 1

"""Files of frames: what is read is what was written, to the bit, also from a file that was cut off."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine import layout
from engine.errors import BadInput
from engine.frame import Flags, Frame, Lens, Source
from engine.node import Depth, Image, Keypoints, World

pytest.importorskip("mcap", reason="recording frames needs the optional package mcap")
pytest.importorskip("lz4", reason="recording frames needs the optional package lz4")

from mcap.reader import make_reader
from recording_kit import LENS, assert_same, at, depth, keypoints, picture, read, write

from nodes.recording.needed import needed
from nodes.recording.reader import Recording
from nodes.recording.series import Series

counts = st.integers(0, layout.MOST - 1)
reals = st.floats(-1e6, 1e6)
shapes = arrays.array_shapes(min_dims=0, max_dims=layout.MAX_DIMS, min_side=0, max_side=5)
payloads = st.sampled_from(sorted(layout.DTYPES.values())).flatmap(lambda dtype: arrays.arrays(dtype, shapes))
lenses = st.none() | st.builds(
    Lens, st.floats(1, 1e5), st.floats(1, 1e5), reals, reals,
    st.sampled_from(["NONE", "BROWN_CONRADY", "INVERSE_BROWN_CONRADY"]), st.tuples(*[reals] * 5), st.floats(0, 10),
)  # fmt: skip
frames = st.builds(
    Frame, payloads, counts, counts, counts, st.integers(0, 2**60), st.integers(0, 2**60), st.integers(0, 2**60),
    counts, st.integers(0, 15).map(Flags), st.sampled_from(sorted(layout.PIXEL_FORMATS)),
    st.sampled_from(sorted(layout.ROW_ORDERS)), st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.lists(st.integers(0, 2**32 - 1), max_size=layout.MAX_PEOPLE).map(tuple),
    st.lists(st.builds(Source, counts, counts, counts), max_size=layout.MAX_SOURCES).map(tuple), counts, lenses,
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c-2"]), frames), min_size=1, max_size=6))
def test_every_frame_comes_back_bit_for_bit(tmp_path: Path, written: list[tuple[str, Frame]]) -> None:
    path = write(tmp_path / "f.mcap", written)
    for name in {name for name, _ in written}:
        wanted = [one for stream, one in written if stream == name]
        found = read(path, name)
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)


def test_what_gets_very_small_comes_back(tmp_path: Path) -> None:
    black = at(1, np.zeros((1080, 1920, 3), np.uint8))
    path = write(tmp_path / "f.mcap", [("image", black)])
    assert path.stat().st_size < 50_000
    assert_same(*read(path, "image"), black)


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_in_a_file_is_known_before_a_frame_is_read(tmp_path: Path, whole: bool) -> None:
    world = [("world", at(seq, np.zeros((1, 17, 4), np.float32), pixel_format="WORLD")) for seq in range(3)]
    other = [("sound", at(1, np.zeros(480, np.int16)))]
    many = [pair for seq in range(1, 21) for pair in (("kp", keypoints(seq)), ("image", picture(seq)))]
    path = write(tmp_path / "f.mcap", [*many, ("depth", depth(9)), *world, *other], whole=whole,
                 order=["image", "depth", "kp", "world", "sound"])  # fmt: skip
    recording = Recording(path, chunks=False)
    recording.close()
    assert {name: (stream.port, stream.frames) for name, stream in recording.streams.items()} == {
        "image": (Image(3), 20), "depth": (Depth(), 1), "kp": (Keypoints(33), 20), "world": (World(17), 3),
        "sound": (Image(16), 1),
    }  # fmt: skip
    assert list(recording.streams) == ["image", "depth", "kp", "world", "sound"] and recording.whole is whole
    assert recording.end_ns - recording.start_ns == picture(20).capture_ns - world[0][1].capture_ns


def test_other_programs_read_the_pictures(tmp_path: Path) -> None:
    """By the MCAP package's own reader, and by the descriptions of the messages that the file itself holds."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    path = write(tmp_path / "f.mcap", [("image", picture(1)), ("depth", depth(1)), ("kp", keypoints(1))])
    seen = {}
    with path.open("rb") as file:
        for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages():
            pool = descriptor_pool.DescriptorPool()
            assert schema is not None and schema.encoding == channel.message_encoding == "protobuf"
            for described in descriptor_pb2.FileDescriptorSet.FromString(schema.data).file:
                pool.Add(described)
            kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(schema.name))
            seen[channel.topic] = schema.name, kind.FromString(message.data)
    name, image = seen["image"]
    assert name == "foxglove.RawImage" and (image.width, image.height, image.step) == (64, 48, 192)
    assert image.encoding == "bgr8" and image.data == picture(1).array.tobytes()
    assert image.timestamp.ToNanoseconds() == picture(1).capture_wall_ns and image.lens.fx == LENS.fx
    assert seen["depth"][1].encoding == "16UC1" and seen["kp"][0] == "utsushi.Frame"


def test_a_file_that_was_cut_off_gives_what_is_whole(tmp_path: Path) -> None:
    """Wherever it ends: the first frames, all of them right, or a sentence."""
    written = [picture(seq) for seq in range(1, 31)]  # 9 kB each, seven in a chunk
    whole = write(tmp_path / "f.mcap", [("image", one) for one in written]).read_bytes()
    path, lengths = tmp_path / "cut.mcap", set()
    for size in [*range(0, len(whole), 997), *range(len(whole) - 60, len(whole))]:
        path.write_bytes(whole[:size])
        try:
            found = read(path, "image")
        except BadInput as error:
            assert str(path) in str(error) and size < 90_000
            continue
        lengths.add(len(found))
        for one, other in zip(found, written, strict=False):
            assert_same(one, other)
    assert lengths == {7, 14, 21, 28, 30}


def test_a_power_cut_leaves_zeros_at_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "f.mcap", [("image", picture(seq)) for seq in range(1, 9)], whole=False)
    path.write_bytes(path.read_bytes() + bytes(100_000))
    assert len(read(path, "image")) == 8


def test_files_of_one_recording_are_played_as_one(tmp_path: Path) -> None:
    """At the times of the recording, also where a slow stream's frame of before stands in the next file."""
    for first in (21, 1, 11):
        pictures = [("image", picture(seq)) for seq in range(first, first + 10)]
        points = [("kp", keypoints(seq)) for seq in range(max(1, first - 3), first + 7)]
        write(tmp_path / f"{first % 7}.mcap", [*pictures, *points])
    (tmp_path / "else.txt").write_text("else")
    for path in (tmp_path, tmp_path / "*.mcap"):
        series = Series(path)
        assert series.frames == {"image": 30, "kp": 27} and list(series.ports) == ["image", "kp"]
        for name, make, count in (("image", picture, 30), ("kp", keypoints, 27)):
            found = list(series.read(name))
            assert len(found) == count
            for seq, one in enumerate(found, 1):
                assert_same(one, make(seq))


def test_a_long_pause_between_two_files_is_left_out(tmp_path: Path) -> None:
    hour = 3600 * 10**9
    write(tmp_path / "a.mcap", [("image", picture(seq)) for seq in (1, 2)])
    for restarted in (0, 4_000_000_000_000):  # the machine was started again, and its clock began anew
        captured, wall = picture(3).capture_ns + hour - restarted, picture(3).capture_wall_ns + hour
        late = picture(3, capture_ns=captured, capture_wall_ns=wall, publish_ns=captured + 7_000_000)
        write(tmp_path / "b.mcap", [("image", late)])
        one, two, three = Series(tmp_path).read("image")
        assert three.capture_ns - two.capture_ns == 33_333_333
        assert three.publish_ns - three.capture_ns == 7_000_000 and two.capture_ns == picture(2).capture_ns


def test_what_is_no_recording_is_refused_with_a_sentence(tmp_path: Path) -> None:
    from mcap.writer import Writer

    with (tmp_path / "foreign.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        writer.finish()
    (tmp_path / "text.mcap").write_text("no")
    write(tmp_path / "empty.mcap", [])
    (tmp_path / "folder").mkdir()
    for name, why in (
        ("none.mcap", "There is no recording"), ("no*.mcap", "There is no recording"), ("folder", "no recording"),
        ("foreign.mcap", "none of ours"), ("text.mcap", "it is no MCAP file"), ("empty.mcap", "no whole frame"),
        ("x" * 300, "Cannot use"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=why):
            Series(tmp_path / name)


def test_a_file_that_cannot_be_read_costs_the_others_nothing(tmp_path: Path) -> None:
    write(tmp_path / "begun.mcap", [])  # by a recorder that was killed at once
    for name, number in (("bad", 1), ("good", 2)):
        write(tmp_path / f"{name}.mcap", [("image", picture(number))])
    series, said = Series(tmp_path), []
    (error,) = series.unusable
    assert "begun.mcap" in str(error)
    (tmp_path / "bad.mcap").write_bytes(b"no")  # since then
    (frame,) = series.read("image", said.append)
    assert np.array_equal(frame.array, picture(2).array)
    assert len(said) == 1 and "bad.mcap" in said[0]
    with pytest.raises(BadInput, match="bad.mcap"):
        list(series.read("image"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    with pytest.raises(BadInput, match="python -m pip install mcap lz4 protobuf"):
        needed()

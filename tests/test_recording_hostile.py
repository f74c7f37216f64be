"""Recordings that anyone may have written or damaged: read right, or refused with a sentence; never a crash."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.errors import BadInput

pytest.importorskip("mcap", reason="recording frames needs the optional package mcap")
pytest.importorskip("lz4", reason="recording frames needs the optional package lz4")

import lz4.frame as lz4
from recording_kit import assert_same, depth, keypoints, picture, write

from engine import layout
from nodes.recording.mcap_file import Records
from nodes.recording.message import FIELDS, Message, pack, unpack
from nodes.recording.reader import Recording

quick = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
ORIGINALS = {"image": picture, "depth": depth, "kp": keypoints}
MOST = 40_000_000  # bytes of memory that reading a small file may take


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    frames = [(name, make(seq)) for seq in range(1, 25) for name, make in ORIGINALS.items()]
    return write(tmp_path_factory.mktemp("whole") / "f.mcap", frames).read_bytes()


def read_all(path: Path) -> tuple[int, list[str]]:
    """How many frames there are, each as it was written, and what was said. Or BadInput, raised at once."""
    recording, said, count = Recording(path), [], 0
    try:
        for name in recording.streams:
            for frame in recording.frames(name, said.append):
                assert_same(frame, ORIGINALS[name](frame.seq))
                count += 1
    finally:
        recording.close()
    return count, said


def refused_or_right(path: Path, content: bytes) -> tuple[int, list[str]]:
    path.write_bytes(content)
    tracemalloc.start()
    try:
        return read_all(path)
    except BadInput as error:
        assert str(path) in str(error) and len(str(error)) < 1000
        return 0, [str(error)]
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST


@quick
@given(st.floats(0, 1), st.integers(0, 60), st.binary(max_size=60))
def test_a_file_with_a_bad_spot_gives_right_frames_or_a_sentence(
    tmp_path: Path, whole: bytes, place: float, gone: int, put: bytes
) -> None:
    at = round(place * len(whole))
    refused_or_right(tmp_path / "f.mcap", whole[:at] + put + whole[at + gone :])


def test_damage_costs_its_chunk_and_no_more(tmp_path: Path, whole: bytes) -> None:
    assert refused_or_right(tmp_path / "f.mcap", whole) == (72, [])
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    count, said = refused_or_right(tmp_path / "f.mcap", bytes(damaged))
    assert 50 < count < 72 and said and all("is not as it was written" in one for one in said)
    with pytest.raises(BadInput, match="is damaged"):
        recording = Recording(tmp_path / "f.mcap")
        for name in recording.streams:
            list(recording.frames(name))


def test_a_damaged_summary_is_done_without(tmp_path: Path, whole: bytes) -> None:
    damaged = bytearray(whole)
    damaged[-200] ^= 1
    assert refused_or_right(tmp_path / "f.mcap", bytes(damaged)) == (72, [])


@quick
@given(st.binary(max_size=400), st.randoms(use_true_random=False))
@example(b"", random.Random(0))
def test_any_records_are_read_or_refused(tmp_path: Path, whole: bytes, noise: bytes, dice: random.Random) -> None:
    """Records of every kind and with every length, behind a header of ours."""
    header_end = 17 + struct.unpack_from("<Q", whole, 9)[0]
    records = b"".join(
        struct.pack("<BQ", dice.randrange(17), dice.choice([len(noise), 0, 1 << 20, 1 << 40, (1 << 64) - 1])) + noise
        for _ in range(dice.randrange(6))
    )
    refused_or_right(tmp_path / "f.mcap", whole[:header_end] + records)
    refused_or_right(tmp_path / "f.mcap", whole[:header_end] + records + whole[-37:])


def test_no_more_streams_are_looked_at_than_an_engine_has(tmp_path: Path) -> None:
    path = write(tmp_path / "f.mcap", [(f"s{number}", keypoints(1)) for number in range(200)])
    assert len(Recording(path).streams) == layout.MAX_STREAMS


def test_an_index_of_streams_that_are_not_there_ends_the_search(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    header_end = 17 + struct.unpack_from("<Q", whole, 9)[0]
    chunk_end = header_end + 9 + struct.unpack_from("<Q", whole, header_end + 1)[0]
    strangers = b"".join(struct.pack("<BQHIQQ", 7, 22, number, 16, 1, 0) for number in range(100, 60_000))
    unpacked = []
    chunk_of = Records.chunk
    monkeypatch.setattr(Records, "chunk", lambda *given: unpacked.append(1) or chunk_of(*given))
    refused_or_right(tmp_path / "f.mcap", whole[:chunk_end] + strangers)
    assert len(unpacked) < 5


def lies(size: int, claimed: int, packed: bytes, compression: bytes = b"lz4") -> bytes:
    """A chunk that claims to hold so many bytes, and an index that says it has the frames of channel 1."""
    head = struct.pack("<QQQII", 1, 2, claimed, zlib.crc32(b""), len(compression)) + compression
    content = head + struct.pack("<Q", size) + packed
    return struct.pack("<BQ", 6, len(content)) + content + struct.pack("<BQHIQQ", 7, 22, 1, 16, 1, 0)


@pytest.mark.parametrize(
    "chunk",
    [
        lies(100, 1 << 62, bytes(100)),
        lies(1 << 62, 100, bytes(100)),
        lies(100, 100, bytes(100), b"zstd"),
        lies(100, 100, bytes(100), b"\xff" * 100),
        lambda: lies(0, 1000, lz4.compress(bytes(200_000_000))),
        lambda: lies(0, 1 << 29, lz4.compress(bytes(200_000))),
    ],
    ids=["a size of 2^62", "a length of 2^62", "another packing", "a packing of noise", "a bomb", "too little"],
)
def test_sizes_that_lie_cost_no_memory(tmp_path: Path, whole: bytes, chunk: bytes | Callable[[], bytes]) -> None:
    header_end = 17 + struct.unpack_from("<Q", whole, 9)[0]
    count, said = refused_or_right(tmp_path / "f.mcap", whole[:header_end] + (chunk() if callable(chunk) else chunk))
    assert count == 0 and said


@quick
@given(st.binary(max_size=200))
def test_any_message_is_a_frame_or_refused(noise: bytes) -> None:
    for packed in (noise, pack("image", picture(1)) + noise, noise + pack("kp", keypoints(1))):
        try:
            frame = unpack(packed)
        except ValueError:
            continue
        assert frame.array.ndim <= layout.MAX_DIMS


def test_a_message_with_one_thing_wrong_is_refused() -> None:
    wrong = {
        "shape": [48, 64, 4], "dtype": "object", "pixel_format": "XYZ", "row_order": "", "ids": [1] * 17,
        "canvas": [1], "sources": [{"seq": 1}] * 5, "seq": 1 << 63, "flags": 1 << 40, "data": b"1234",
        "lens": {"fx": float("nan")},
    }  # fmt: skip
    assert set(wrong) < {name for name, _, _ in FIELDS}
    for field, value in wrong.items():
        message = Message.FromString(pack("image", picture(1)))
        message.ClearField(field)
        message.MergeFrom(Message(**{field: value}))
        with pytest.raises(ValueError):
            unpack(message.SerializeToString())
    with pytest.raises(ValueError, match="lengths"):
        unpack(Message(dtype="uint8", canvas=[1, 1], shape=[1] * 7, data=b"1").SerializeToString())
    with pytest.raises(ValueError, match="do not make an array"):
        unpack(Message(dtype="float64", canvas=[1, 1], shape=[1 << 31] * 6).SerializeToString())

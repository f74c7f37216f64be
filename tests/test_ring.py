"""The ring's protocol: what a reader may get, what it counts, and what a writer's death leaves."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable

import numpy as np
import pytest
from ring_kit import NAME, put, reader, successor

from engine import atomics, layout, meta, ring, shm
from engine.errors import FrameTooLarge, LayoutMismatch, NotReady, SegmentMissing, ShmFull, WriterFenced
from engine.frame import Lens
from engine.process import ROOT
from engine.ring_reader import Policy, RingReader
from engine.ring_writer import RingWriter
from engine.shm import Segment


def test_a_frame_arrives_with_all_that_was_said_about_it(writer: RingWriter) -> None:
    source = None
    reading = reader()
    put(writer, 1, capture_ns=1000, capture_wall_ns=2000)
    source = reading.read()
    assert source is not None and source.array.max() == 1
    with writer.begin(
        (2, 33, 4), np.float32, source=source, pixel_format="KEYPOINTS", row_order="BOTTOM_UP", canvas=(640, 480),
        ids=(4, 9), flags=layout.FLAGS["HELD"], param_version=5,
    ) as slot:  # fmt: skip
        slot.array[:] = 0.5
    frame = reading.read()
    assert frame is not None
    assert (frame.seq, frame.ordinal, frame.epoch, frame.shape, frame.dtype) == (2, 2, 1, (2, 33, 4), np.float32)
    assert (frame.capture_ns, frame.capture_wall_ns, frame.param_version) == (1000, 2000, 5)
    assert (frame.pixel_format, frame.row_order, frame.canvas, frame.ids) == (
        "KEYPOINTS",
        "BOTTOM_UP",
        (640, 480),
        (4, 9),
    )
    assert frame.sources == (source.source,) and frame.flags.name == "HELD"
    assert (frame.array == 0.5).all()
    assert reading.read() is None


LENS = Lens(610.5, 611.25, 319.5, 239.5, "BROWN_CONRADY", (0.1, -0.2, 0.001, 0.002, 0.05), 0.001)


def test_a_frame_says_through_which_lens_it_was_seen(writer: RingWriter) -> None:
    seen = []
    for lens in (LENS, LENS._replace(distortion="NONE", fx=500.0), None):
        with writer.begin((4, 5, 1), np.uint16, pixel_format="DEPTH", lens=lens) as slot:
            slot.array[:] = 7
        frame = reader(line=None).read()
        assert frame is not None and frame.pixel_format == "DEPTH"
        seen.append(frame.lens)
    assert seen == [LENS, LENS._replace(distortion="NONE", fx=500.0), None]


@pytest.mark.parametrize("lie", [{"fx": 0.0}, {"fy": float("nan")}, {"metres": -1.0}, {"cx": float("inf")}])
def test_a_lens_that_cannot_be_is_none(writer: RingWriter, lie: dict[str, float]) -> None:
    with writer.begin((4, 5, 1), np.uint16, lens=LENS._replace(**lie)) as slot:
        slot.array[:] = 7
    frame = reader(line=None).read()
    assert frame is not None and frame.lens is None and frame.array.max() == 7


@pytest.mark.parametrize("dtype", sorted(layout.DTYPES.values()))
@pytest.mark.parametrize("shape", [(), (0,), (0, 33, 4), (5,), (2, 3, 4, 2, 1, 2)])
def test_any_dtype_and_shape(writer: RingWriter, dtype: str, shape: tuple[int, ...]) -> None:
    expected = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    with writer.begin(shape, dtype) as slot:
        slot.array[...] = expected
    frame = reader().read()
    assert frame is not None and frame.dtype == expected.dtype and np.array_equal(frame.array, expected)


def test_latest_skips_and_every_does_not(writer: RingWriter) -> None:
    latest, every = reader(), reader(Policy.EVERY, 1)
    for value in range(1, 4):
        put(writer, value)
    newest = latest.read()
    assert newest is not None and newest.array.max() == 3
    assert [every.read().array.max() for _ in range(3)] == [1, 2, 3]  # type: ignore[union-attr]
    assert (latest.books.received, latest.books.missed, latest.books.lost) == (1, 2, 0)
    assert (every.books.received, every.books.missed, every.books.lost) == (3, 0, 0)


def test_overruns_are_counted_exactly(writer: RingWriter) -> None:
    every = reader(Policy.EVERY)
    for value in range(1, 12):
        put(writer, value)
    got = []
    while (frame := every.read()) is not None:
        got.append(int(frame.array.max()))
    assert got == [8, 9, 10, 11]  # four slots
    assert (every.books.received, every.books.missed, every.books.lost) == (4, 7, 0)


def test_a_reader_that_starts_again_goes_on_in_its_line(writer: RingWriter) -> None:
    first = reader(Policy.EVERY)
    put(writer, 1)
    assert first.read()
    first.close()
    put(writer, 2)
    again = reader(Policy.EVERY)
    frame = again.read()
    assert frame is not None and frame.seq == 2
    assert again.books.received == 2


def test_an_abandoned_frame_is_never_seen(writer: RingWriter) -> None:
    with pytest.raises(RuntimeError), writer.begin((8, 8)) as slot:
        slot.array[:] = 1
        raise RuntimeError
    reading = reader()
    assert reading.read() is None
    put(writer, 2)
    frame = reading.read()
    assert frame is not None and (frame.seq, frame.array.max()) == (1, 2)


@pytest.mark.parametrize("policy", [Policy.LATEST, Policy.EVERY])
def test_a_frame_overwritten_during_the_copy_is_not_returned(
    writer: RingWriter, monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    put(writer, 1)
    reading = reader(policy)
    fences = iter([False, True])

    def overwrite_after_the_copy() -> None:
        if next(fences, False):
            for value in range(2, 7):
                put(writer, value)

    monkeypatch.setattr(atomics, "fence", overwrite_after_the_copy)
    frame = reading.read()
    monkeypatch.undo()
    assert frame is not None
    assert frame.seq > 1 and (frame.array == frame.seq).all()
    assert reading.books.torn_retries == 1
    assert reading.books.received + reading.books.missed == frame.seq


def test_a_peeked_frame_tells_when_it_was_overwritten(writer: RingWriter) -> None:
    put(writer, 1)
    reading = reader()
    frame = reading.peek()
    assert frame is not None and reading.intact(frame) and not frame.array.flags.writeable
    for value in range(2, 6):
        put(writer, value)
    assert not reading.intact(frame)


# --- a writer's death; the fences are the points at which it may strike ---


class Killed(BaseException):
    pass


def kill_at(monkeypatch: pytest.MonkeyPatch, point: int) -> None:
    """Point 1: after the mark says "being written"; 2: after it says "whole", before the head moves."""
    passed = 0

    def fence() -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            raise Killed

    monkeypatch.setattr(atomics, "fence", fence)


@pytest.mark.parametrize("point", [1, 2])
def test_a_dead_writers_frame_is_lost_counted_and_its_number_never_used_again(
    owner: Segment, writer: RingWriter, monkeypatch: pytest.MonkeyPatch, point: int
) -> None:
    put(writer, 1)
    latest, every = reader(), reader(Policy.EVERY, 1)
    assert latest.read() and every.read()
    kill_at(monkeypatch, point)
    with pytest.raises(Killed):
        slot = writer.begin((8, 8))
        slot.array[:4] = 2
        slot.__exit__(None, None, None)
    monkeypatch.undo()
    assert latest.read() is None and every.read() is None

    heir = successor(owner)
    assert latest.read() is None
    put(heir, 3)
    for reading in (latest, every):
        frame = reading.read()
        assert frame is not None and frame.epoch == 2 and (frame.array == 3).all()
        assert frame.seq == 3 and frame.ordinal == 2
        assert frame.flags.name == "FIRST_AFTER_RESTART"
        assert (reading.books.received, reading.books.missed, reading.books.lost) == (2, 0, 1)
    heir.close()


def test_many_deaths_in_a_row_leave_the_newest_whole_frame_alone(
    owner: Segment, writer: RingWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(writer, 1)
    dying = writer
    for epoch in range(2, 12):
        with monkeypatch.context() as patch:
            kill_at(patch, 2)
            with pytest.raises(Killed):
                dying.begin((8, 8)).__exit__(None, None, None)
        frame = reader(line=None).read()
        assert frame is not None and frame.seq == 1 and (frame.array == 1).all()
        dying = successor(owner, epoch)
    put(dying, 9)
    frame = reader(line=None).read()
    assert frame is not None and frame.ordinal == 2 and frame.seq > 10
    dying.close()


def test_a_zombie_writer_is_fenced_off(owner: Segment, writer: RingWriter) -> None:
    put(writer, 1)
    slot = writer.begin((8, 8))
    owner.words[ring.WORD["granted_epoch"]] = 2
    with pytest.raises(WriterFenced):
        slot.__exit__(None, None, None)
    with pytest.raises(WriterFenced):
        writer.begin((8, 8))
    frame = reader().read()
    assert frame is not None and frame.seq == 1


# --- refusals ---


def test_a_frame_that_does_not_fit_is_refused_before_anything_is_touched(writer: RingWriter) -> None:
    put(writer, 1)
    before = bytes(writer.segment.buffer)
    with pytest.raises(FrameTooLarge) as caught:
        writer.begin((1000, 1000))
    assert caught.value.needed == 1_000_000
    assert bytes(writer.segment.buffer) == before


def _set(word: str, value: int) -> Callable[[Segment], None]:
    def change(segment: Segment) -> None:
        segment.words[layout.COMMON[word] >> 3] = value

    return change


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (_set("magic", 0), NotReady, "being filled in"),
        (_set("magic", 99), LayoutMismatch, "not Utsushi's"),
        (_set("digest", 99), LayoutMismatch, "another version"),
        (_set("abi", 99), LayoutMismatch, "another version"),
        (_set("byte_order", 99), LayoutMismatch, "not Utsushi's"),
        (_set("segment_bytes", 1 << 40), LayoutMismatch, "bytes but has"),
    ],
)
def test_a_foreign_segment_is_refused_with_a_sentence(
    owner: Segment, change: Callable[[Segment], None], error: type[Exception], sentence: str
) -> None:
    change(owner)
    with pytest.raises(error, match=sentence):
        Segment.attach(NAME)


@pytest.mark.parametrize(
    ("word", "value"),
    [(word, value) for word in ("slot_count", "slot_stride", "slot_capacity", "reader_count")
     for value in (0, 1 << 20, (1 << 64) - 1) if (word, value) != ("reader_count", 0)],
)  # fmt: skip
def test_an_impossible_ring_header_is_refused(owner: Segment, word: str, value: int) -> None:
    owner.words[ring.WORD[word]] = value
    with pytest.raises(LayoutMismatch):
        reader(line=None)


def test_metadata_that_lies_is_refused_and_the_next_frame_read(owner: Segment, writer: RingWriter) -> None:
    rng = np.random.default_rng(1)
    reading = reader(line=None)
    refused = 0
    for _ in range(300):
        put(writer, 1)
        at = reading.geometry.slot(writer.head) + layout.META_OFFSET
        place = at + int(rng.integers(0, 120))
        owner.data[place : place + 8] = rng.integers(0, 256, 8, np.uint8)
        try:
            reading.read()
        except LayoutMismatch:
            refused += 1
    put(writer, 5)
    frame = RingReader(Segment.attach(NAME), Policy.LATEST).read()
    assert frame is not None and (frame.array == 5).all()
    assert refused > 0


def test_what_is_missing_or_half_made_says_so() -> None:
    with pytest.raises(SegmentMissing, match="not running"):
        Segment.attach(NAME + "x")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much shared memory is free")
def test_no_space_is_a_sentence_and_leaves_nothing() -> None:
    free = shm.free_bytes()
    assert free is not None
    with pytest.raises(ShmFull, match="MB is free"):
        Segment.create(NAME + "y", layout.round_up(free + 2**30, layout.PAGE), 1)
    with pytest.raises(SegmentMissing):
        Segment.attach(NAME + "y")


def test_a_foreign_process_that_attaches_and_exits_leaves_the_segment(owner: Segment) -> None:
    code = f"""
        from engine.shm import Segment
        segment = Segment.attach({NAME!r})
        view = segment.data[:10]
        segment.close()
        print(int(view[0]) >= 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("True", "")
    assert Segment.attach(NAME).size == owner.size


def test_live_words_are_never_packed_in_place() -> None:
    banned = "pack" + "_into("
    found = [path for folder in ("engine", "nodes", "td_bridge", "tests") for path in (ROOT / folder).rglob("*.py")
             if banned in path.read_text(encoding="utf-8")]  # fmt: skip
    assert found == []


def test_one_frame_at_a_time(writer: RingWriter) -> None:
    with writer.begin((8, 8)) as slot:
        slot.array[:] = 1
        with pytest.raises(RuntimeError, match="still being written"):
            writer.begin((8, 8))
    put(writer, 2)
    frame = reader().read()
    assert frame is not None and (frame.seq, frame.ordinal) == (2, 2) and (frame.array == 2).all()


@pytest.mark.parametrize("shape", [(-4, 4, 3), (1,) * 7])
def test_an_impossible_shape_is_refused(writer: RingWriter, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not possible"):
        writer.begin(shape)
    put(writer, 1)
    assert reader().read() is not None


def test_no_elements_but_impossible_lengths_are_refused(writer: RingWriter) -> None:
    put(writer, 1)
    reading = reader(line=None)
    at = reading.geometry.slot(writer.head) + layout.META_OFFSET + meta.HEAD.size
    lie = meta.FORM.pack(0, layout.DTYPE_CODES[np.dtype("uint8")], 3, 0, 2**32 - 1, 2**32 - 1, *[0] * 7, *meta.NO_LENS)
    writer.segment.buffer[at : at + len(lie)] = lie
    with pytest.raises(LayoutMismatch):
        reading.read()

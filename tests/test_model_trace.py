"""The real ring takes the model's steps, one for one: loads, stores and fences, whatever the others do meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import ring_frames
import ring_mapping
from fake_engine import ring_reader as bridge
from model.machine import Machine
from model.programs import Programs
from model.recorder import Memory, Recorder, difference

from engine import atomics, layout, ring_reader
from engine.ring import WORD
from engine.ring_reader import Policy, RingReader
from engine.ring_writer import RingWriter

SLOTS, SHAPE = 3, (2, 2, 4)
STRIDE = layout.slot_stride(16)


class Kill(BaseException):
    pass


def ring(readers: int = 1, lossless: bool = False) -> Memory:
    memory = Memory(layout.ring_bytes(SLOTS, 16))
    sizes = dict(slot_count=SLOTS, slot_stride=STRIDE, slot_capacity=STRIDE - layout.SLOT_META_BYTES)
    for word, value in dict(**sizes, reader_count=readers, lossless=int(lossless), state=1, granted_epoch=1).items():
        memory.words[WORD[word]] = value
    return memory


def put(writer: RingWriter) -> None:
    with writer.begin(SHAPE, pixel_format="RGBA", row_order="BOTTOM_UP") as slot:
        slot.array[:] = (writer.epoch, writer._next(), 0, 255)


def programs(lines: int = 1, lossless: bool = False) -> Machine:
    return Machine(Programs(SLOTS, lines, lossless, attempts=ring_reader.ATTEMPTS))


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recorder]:
    def record(memory: Memory, *ignored: str) -> Recorder:
        recorder = Recorder(memory, STRIDE, ignored)
        monkeypatch.setattr(atomics, "fence", recorder.fence)
        monkeypatch.setattr(bridge, "fence", recorder.fence)
        return recorder

    return record


def kill(at: int) -> Callable[[int], None]:
    def before(number: int) -> None:
        if number == at:
            raise Kill

    return before


# --- the writer ---


def life(recorder: Recorder, epoch: int, frames: int) -> None:
    recorder.memory.words[WORD["granted_epoch"]] = epoch
    writer = RingWriter(recorder, epoch)  # type: ignore[arg-type]
    for _ in range(frames):
        put(writer)


@pytest.mark.parametrize("frames", range(6))
def test_a_writer_killed_at_any_step_and_its_successors(record: Callable[..., Recorder], frames: int) -> None:
    machine, points = programs(), 200
    for first in range(200):
        memory = ring()
        for epoch, point in ((1, first), (2, first // 2), (3, points)):
            recorder = record(memory, "port")
            recorder.before = kill(point)
            killed = False
            try:
                life(recorder, epoch, frames)
            except Kill:
                killed = True
            start = ("resume", 0, epoch, ("small",) * frames)
            assert not (found := difference(machine, start, recorder.events, not killed)), found
            if epoch == 1 and not killed:
                return
    raise AssertionError("never came to an end")


def test_a_writer_that_gives_frames_up_is_fenced_off_and_ends(record: Callable[..., Recorder]) -> None:
    memory = ring()
    recorder = record(memory, "port")
    writer = RingWriter(recorder, 1)  # type: ignore[arg-type]
    put(writer)
    with pytest.raises(ZeroDivisionError), writer.begin(SHAPE) as slot:
        slot.array[:] = (1, 2, 0, 255)
        raise ZeroDivisionError
    put(writer)
    writer.end()
    plan = ("small", "abandoned", "small", "end")
    assert not (found := difference(programs(), ("resume", 0, 1, plan), recorder.events)), found


@pytest.mark.parametrize("point", range(6, 20))
def test_a_writer_whose_ring_is_granted_to_another(record: Callable[..., Recorder], point: int) -> None:
    memory = ring()
    recorder = record(memory, "port")

    def grant(number: int) -> None:
        if number == point:
            memory.words[WORD["granted_epoch"]] = 2

    recorder.before = grant
    try:
        life(recorder, 1, 3)
    except ring_reader.LayoutMismatch:
        raise
    except Exception as error:
        assert type(error).__name__ == "WriterFenced"
    # `_fence_off` looks at the word a second time before it raises.
    events = recorder.events[:-1] if recorder.events[-2:-1] == recorder.events[-1:] else recorder.events
    assert not (found := difference(programs(), ("resume", 0, 1, ("small",) * 3), events, False)), found


def test_a_lossless_writer_looks_at_every_reader(record: Callable[..., Recorder]) -> None:
    memory = ring(readers=2, lossless=True)
    readers = [RingReader(memory, Policy.LOSSLESS, line) for line in (0, 1)]  # type: ignore[arg-type]
    recorder = record(memory, "port")
    writer = RingWriter(recorder, 1)  # type: ignore[arg-type]
    for frame in range(1, 7):
        if frame == 6:  # the second reader is late
            assert not writer.wait_for_readers(0.0)
            with recorder.aside():
                assert readers[1].read()
        assert writer.wait_for_readers(0.0)
        put(writer)
        with recorder.aside():
            assert readers[0].read() and (frame > 2 or readers[1].read())
    start = ("resume", 0, 1, ("small",) * 6)
    assert not (found := difference(programs(2, True), start, recorder.events)), found


# --- the readers ---


def look(reader: RingReader, use: str) -> None:
    """Read once; what is peeked is used, and asked for afterwards."""
    if use != "peek":
        reader.read()
    elif (frame := reader.peek()) is not None:
        np.copyto(np.empty(SHAPE, np.uint8), frame.array)
        reader.intact(frame)


@pytest.mark.parametrize("use", ["latest", "every", "peek"])
@pytest.mark.parametrize("before", range(6))
def test_a_reader_that_is_overtaken_at_any_step(record: Callable[..., Recorder], use: str, before: int) -> None:
    policy = Policy.EVERY if use == "every" else Policy.LATEST
    for burst in range(1, SLOTS + 2):
        for point in range(200):
            memory = ring()
            writer = RingWriter(memory, 1)  # type: ignore[arg-type]
            for _ in range(before):
                put(writer)
            recorder = record(memory, "base_seq", "base_ordinal", "state")

            def overtake(number: int, point: int = point, burst: int = burst, writer: RingWriter = writer) -> None:
                if number == point:
                    for _ in range(burst):
                        put(writer)

            recorder.before = overtake
            reader = RingReader(recorder, policy, 0, port=1)  # type: ignore[arg-type]
            for _ in range(3):
                look(reader, use)
            start = ("start", use, 0, 0)
            assert not (found := difference(programs(), start, recorder.events)), found
            if point >= len(recorder.events):
                break


@pytest.mark.parametrize("policy", [Policy.LATEST, Policy.EVERY])
def test_a_reader_killed_at_any_step_goes_on_from_its_line(record: Callable[..., Recorder], policy: Policy) -> None:
    for point in range(200):
        memory = ring()
        writer = RingWriter(memory, 1)  # type: ignore[arg-type]
        ended = []
        for at in (point, 200):
            recorder = record(memory, "base_seq", "base_ordinal", "state")
            recorder.before = kill(at)
            try:
                reader = RingReader(recorder, policy, 0, port=1)  # type: ignore[arg-type]
                for _ in range(3):
                    with recorder.aside():
                        put(writer)
                    reader.read()
                ended.append(True)
            except Kill:
                ended.append(False)
            start = ("start", policy.value, 0, 0)
            assert not (found := difference(programs(), start, recorder.events, ended[-1])), found
        if ended[0]:
            return
    raise AssertionError("never came to an end")


def test_a_reader_looks_for_the_end_and_then_for_the_last_frame(record: Callable[..., Recorder]) -> None:
    memory = ring()
    reader = RingReader(record(memory, "base_seq", "base_ordinal"), Policy.EVERY)  # type: ignore[arg-type]
    recorder = reader.segment
    recorder.events.clear()  # type: ignore[attr-defined]  # of the private counts
    assert not reader.ended
    with recorder.aside():  # type: ignore[attr-defined]
        writer = RingWriter(memory, 1)  # type: ignore[arg-type]
        put(writer)
        writer.end()
    assert not reader.ended
    found = difference(programs(), ("until_the_end", 0), recorder.events)  # type: ignore[attr-defined]
    assert not found, found


def bridge_reader(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bridge's reader, as it is once it has found its ring."""
    mapping = object.__new__(ring_mapping.Mapping)
    mapping._header = {**ring_mapping.COMMON, **ring_mapping.RING}
    mapping.bytes, mapping._words = recorder.buffer, recorder.words  # type: ignore[assignment]
    reader = bridge.RingReader()
    reader._ring, reader._slots, reader._stride, reader._capacity = mapping, SLOTS, STRIDE, 16
    view_of, copy = ring_frames.view_of, ring_frames.copy
    monkeypatch.setattr(ring_frames, "view_of", lambda form, memory, start: view_of(form, memory.raw, start))

    def copied(form: Any, pixels: np.ndarray, out: np.ndarray) -> None:
        start = np.frombuffer(recorder.memory.buffer, np.uint8).__array_interface__["data"][0]
        slot = recorder.slot(pixels.__array_interface__["data"][0] - start)
        recorder.access("load", f"0.payload{slot}", lambda: (int(pixels.flat[0]), int(pixels.flat[1])))
        copy(form, pixels, out)

    monkeypatch.setattr(ring_frames, "copy", copied)
    return reader


@pytest.mark.parametrize("before", range(5))
def test_the_bridges_reader_that_is_overtaken_at_any_step(
    record: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    for burst in range(1, SLOTS + 2):
        for point in range(200):
            memory = ring()
            writer = RingWriter(memory, 1)  # type: ignore[arg-type]
            for _ in range(before):
                put(writer)
            recorder = record(memory)

            def overtake(number: int, point: int = point, burst: int = burst, writer: RingWriter = writer) -> None:
                if number == point:
                    for _ in range(burst):
                        put(writer)

            recorder.before = overtake
            with monkeypatch.context() as patch:
                reader = bridge_reader(recorder, patch)
                for _ in range(3):
                    reader._read_newest(0)
            assert not (found := difference(programs(), ("look", 0), recorder.events)), found
            if point >= len(recorder.events):
                break

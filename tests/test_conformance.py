"""What docs/PROTOCOL.md promises a reader, once for all: the engine's, and the bridge's in every Python at hand."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from conformance_kit import KINDS, InPlainPython, Reader, Readers, Seen
from fake_engine import FakeEngine, new_name

from engine import layout, ring
from engine.frame import Frame
from engine.process import ROOT
from engine.shm import unlink

SLOTS = 4  # of FakeEngine's ring
CHANNELS = {"RGBA": [0, 1, 2, 3], "BGRA": [2, 1, 0, 3], "RGB": [0, 1, 2], "BGR": [2, 1, 0]}


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    readers = Readers()
    yield readers
    readers.close()


@pytest.fixture(params=KINDS)
def reading(request: pytest.FixtureRequest, readers: Readers, name: str, engine: FakeEngine) -> Iterator[Reader]:
    reader = readers.of(request.param, name)
    yield reader
    reader.close()


def all_of(reading: Reader) -> list[Seen]:
    """What there is to read; a Latest reader has one frame at most."""
    return list(iter(reading.read, None))


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    many = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.random.default_rng(1).integers(0, 100, many, np.uint8).view(dtype).reshape(shape)


def put(engine: FakeEngine, array: np.ndarray, **about: object) -> None:
    with engine.writer.begin(array.shape, array.dtype, **about) as slot:  # type: ignore[arg-type]
        slot.array[...] = array


# --- frames ---


def test_a_frame_comes_once_and_whole(engine: FakeEngine, reading: Reader) -> None:
    for number in range(1, 12):
        engine.publish(number * 10)
        seen = reading.read()
        assert seen is not None and seen.seq == number and not reading.refusal
        assert (seen.array[0] == number * 10).all() and (seen.array[1] == number * 10 + 1).all()
        assert reading.read() is None and not reading.refusal
    assert reading.missed == 0


@pytest.mark.parametrize("row_order", ["TOP_DOWN", "BOTTOM_UP"])
@pytest.mark.parametrize("pixel_format", CHANNELS)
def test_every_order_of_colours_and_rows_is_the_same_picture(
    engine: FakeEngine, reading: Reader, pixel_format: str, row_order: str
) -> None:
    picture = noise(5, 7, 4)
    order = CHANNELS[pixel_format]
    if len(order) == 3:
        picture[..., 3] = 255
    stored = picture[..., order]
    put(engine, stored if row_order == "TOP_DOWN" else stored[::-1], pixel_format=pixel_format, row_order=row_order)
    seen = reading.read()
    assert seen is not None and (seen.array == picture).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_one_channel_stays_as_it_is(engine: FakeEngine, reading: Reader, dtype: type) -> None:
    mask = noise(4, 6, 1, dtype=dtype)
    put(engine, mask, pixel_format="GRAY")
    seen = reading.read()
    assert seen is not None and seen.array.dtype == dtype and np.array_equal(seen.array, mask, equal_nan=dtype == "f4")


def test_keypoints_come_untouched_with_all_that_is_known_of_them(engine: FakeEngine, reading: Reader) -> None:
    made_from = [Frame(noise(1), seq, 2, seq, 5, 6, 7, stream=stream) for stream, seq in ((0, 11), (1, 12))]
    for people in (2, 0, 16):
        array = np.random.default_rng(people).random((people, 9, 4), np.float32)
        about = {"pixel_format": "KEYPOINTS", "canvas": (640, 480), "ids": tuple(range(people)), "param_version": 41}
        put(engine, array, source=made_from, **about)
        seen = reading.read()
        assert seen is not None and seen.array.shape == array.shape and (seen.array == array).all()
        assert (seen.canvas, seen.ids, seen.version) == ((640, 480), tuple(range(people)), 41)
        assert seen.sources == ((0, 2, 11), (1, 2, 12))


# --- counts ---


def test_what_was_published_was_received_or_missed(engine: FakeEngine, reading: Reader) -> None:
    numbers: list[int] = []
    for burst in (1, 1, 3, SLOTS, SLOTS + 5, 1):
        for _ in range(burst):
            engine.publish()
        numbers += [seen.seq for seen in all_of(reading)]
    published = engine.writer.ordinal
    assert len(numbers) + reading.missed == published and numbers == sorted(set(numbers)) and numbers[-1] == published
    assert reading.missed == (5 if reading.every else 2 + SLOTS - 1 + SLOTS + 4)


def test_numbers_that_died_with_a_writer_are_neither_shown_nor_missed(engine: FakeEngine, reading: Reader) -> None:
    engine.publish(1)
    received = len(all_of(reading))
    for whole in (False, True, False):  # killed after W2, and after W4
        slot = engine.writer.begin((2, 3, 4))
        slot.array[...] = 99
        if whole:
            number = engine.writer._last + 1
            engine.ring.words[engine.writer.geometry.slot(number) >> 3] = 2 * number
        assert all_of(reading) == [] and not reading.refusal
        engine.restart_writer()
        assert all_of(reading) == [] and not reading.refusal
        engine.publish(7)
        seen = all_of(reading)
        assert [(one.array[0] == 7).all() for one in seen] == [True]
        received += len(seen)
    assert received + reading.missed == engine.writer.ordinal == 4 < engine.writer.head


def test_a_frame_that_is_being_written_is_left_alone(engine: FakeEngine, reading: Reader) -> None:
    engine.publish(1)
    word = engine.slot() >> 3
    engine.ring.words[word] -= 1
    assert reading.read() is None and "wrong" not in reading.refusal
    engine.publish(2)
    assert [(seen.array[0] == 2).all() for seen in all_of(reading)] == [True]


def test_the_numbers_go_on_in_a_larger_ring(engine: FakeEngine, reading: Reader) -> None:
    engine.publish()
    received = all_of(reading)  # the bridge counts from its first picture on
    for size in (3, 3, 90, 90, 200):
        if size * 3 * 4 > engine.writer.geometry.capacity // 2:
            engine.publish(50)  # in the old ring, perhaps unread
            engine.grow(size * size * 4)
        engine.publish(size, height=2, width=size)
        engine.publish(size, height=2, width=size)
        received += all_of(reading)
    numbers = [seen.seq for seen in received]
    assert numbers == sorted(set(numbers)) and len(numbers) + reading.missed == engine.writer.ordinal
    assert received[-1].array.shape == (2, 200, 4) and (reading.missed == 0) == reading.every


# --- what cannot be read ---


@pytest.mark.parametrize(
    "field, values",
    [
        ("dtype", [99]), ("ndim", [7]), ("shape", [2, 3, 5, 0, 0, 0]), ("payload_bytes", [23]), ("seq", [9]),
        ("shape", [1 << 31] * 6), ("payload_bytes", [(1 << 64) - 1]),
    ],
)  # fmt: skip
def test_a_frame_that_lies_is_refused_and_the_next_ones_are_read(
    engine: FakeEngine, reading: Reader, field: str, values: list[int]
) -> None:
    engine.publish(1)
    assert reading.read() is not None
    engine.publish(2)
    engine.lie(field, *values)
    assert reading.read() is None and "wrongly" in reading.refusal
    for number in range(SLOTS):  # an Every reader insists until the frame is overwritten
        engine.publish(10 + number)
    assert [(seen.array[0] == 13).all() for seen in all_of(reading)][-1:] == [True] and not reading.refusal


def test_a_frame_that_reaches_into_the_next_slot_is_refused(engine: FakeEngine, reading: Reader) -> None:
    engine.publish(1)
    engine.lie("shape", 2048, 1, 4, 0, 0, 0)
    engine.lie("payload_bytes", 8192)
    assert reading.read() is None and "wrongly" in reading.refusal


@pytest.mark.parametrize("word", ["magic", "abi", "digest", "byte_order"])
@pytest.mark.parametrize("where", ["directory", "ring"])
def test_another_version_is_refused(engine: FakeEngine, reading: Reader, where: str, word: str) -> None:
    engine.publish()
    segment = engine.directory.segment if where == "directory" else engine.ring
    segment.words[layout.COMMON[word] >> 3] ^= 1 << 40
    assert reading.read() is None and reading.refusal.endswith(".")


@pytest.mark.parametrize(
    "header",
    [{"slot_count": 0}, {"slot_count": 1 << 60}, {"slot_stride": 0}, {"slot_stride": 1 << 63},
     {"slot_capacity": 1 << 40}],
)  # fmt: skip
def test_an_impossible_header_is_refused(engine: FakeEngine, reading: Reader, header: dict[str, int]) -> None:
    engine.publish()
    for word, value in header.items():
        engine.ring.words[ring.WORD[word]] = value
    assert reading.read() is None and "Restart the engine" in reading.refusal


def test_memory_that_is_not_ready_is_waited_for(engine: FakeEngine, reading: Reader) -> None:
    engine.publish(1)
    word = layout.COMMON["magic"] >> 3
    kept, engine.ring.words[word] = engine.ring.words[word], 0
    assert reading.read() is None and reading.refusal.endswith(".")
    engine.ring.words[word] = kept
    assert reading.read() is not None


@pytest.mark.parametrize("kind", KINDS)
def test_no_engine_is_a_sentence(readers: Readers, kind: str) -> None:
    reader = readers.of(kind, new_name())
    assert reader.read() is None and reader.refusal.endswith((".", ".py"))
    reader.close()


# --- at full speed ---

WRITER = """
import itertools, sys
sys.path[:0] = [{root!r}, {tests!r}]
from fake_engine import FakeEngine
engine = FakeEngine({name!r}, capacity=200 * 200 * 4)
print("ready", flush=True)
for number in itertools.count():
    engine.beat()
    if number % 40 == 39:  # dies now and then, half way through
        with_half = engine.writer.begin((200, 200, 4), "uint8", pixel_format="RGBA")
        with_half.array[:100] = 99
        engine.restart_writer()
    with engine.writer.begin((200, 200, 4), "uint8", pixel_format="RGBA") as slot:
        slot.array[...] = number % 251
"""


@pytest.fixture
def at_full_speed(name: str) -> Iterator[Callable[[], None]]:
    """A process that publishes as fast as it can, until it is killed."""
    code = WRITER.format(root=str(ROOT), tests=str(ROOT / "tests"), name=name)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline().strip() == b"ready"

    def kill() -> None:
        process.kill()
        process.wait()

    yield kill
    kill()
    process.stdout.close()
    for end in itertools.chain(["dir"], range(1, 3)):
        unlink(f"utsu_{name}_{end}")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_mixed_or_goes_back_while_a_process_writes_at_full_speed_and_is_killed(
    name: str, readers: Readers, at_full_speed: Callable[[], None], kind: str
) -> None:
    reading = readers.of(kind, name)
    try:
        assert reading.watch(150) == {"seen": 150, "mixed": 0, "back": 0}
        at_full_speed()
        for seen in all_of(reading):
            assert seen.array.min() == seen.array.max()
    finally:
        reading.close()


# --- the Python that the bridge runs in ---


@pytest.mark.parametrize("kind", KINDS[3:])
def test_the_plain_python_has_nothing_but_numpy(readers: Readers, kind: str) -> None:
    reading = readers.of(kind, new_name())
    assert isinstance(reading, InPlainPython)
    wanted = kind.removeprefix("bridge-numpy-")
    assert reading.about["python"].startswith("3.11.") and wanted in (reading.about["numpy"], "newest")
    tops = {module.split(".")[0] for module in reading.about["modules"]} - set(sys.stdlib_module_names)
    assert {top for top in tops if not top.startswith(("_", "ring_"))} <= {"numpy", "cython_runtime"}

"""The sender of TouchDesigner's native shared memory, on a model of Windows' named objects; runs everywhere.

tests/test_wine_sharedmem.py runs it on Windows' own.
"""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from harness import frame, make
from pydantic import ValidationError

from engine.errors import BadInput, EngineError
from nodes.output import named_windows, sharedmem, touch_shm
from nodes.output.sharedmem import SharedMem
from nodes.output.touch_shm import Info, TouchSender, header, info_names

DOUBLE, SINGLE = "TouchSHMTouchSHMshow4jhd783h", "TouchSHMshow4jhd783h"


class Machine:
    """Sections live while anybody holds them; a mutex that another holds cannot be had."""

    def __init__(self) -> None:
        self.memory: dict[str, np.ndarray] = {}
        self.holders: dict[str, int] = {}
        self.locked: set[str] = set()
        self.refuses: OSError | None = None

    def section(self, name: str, size: int) -> Any:
        if self.refuses:
            raise self.refuses
        data = self.memory.setdefault(name, np.zeros(size, np.uint8))
        if data.size < size:
            raise PermissionError(13, "Access is denied")
        self.holders[name] = self.holders.get(name, 0) + 1
        return SimpleNamespace(data=data, close=lambda: self.let_go(name))

    def let_go(self, name: str) -> None:
        self.holders[name] -= 1
        if not self.holders[name]:
            del self.holders[name], self.memory[name]

    def mutex(self, name: str) -> Any:
        def acquire(seconds: float) -> bool:
            if name in self.locked:
                return False
            self.locked.add(name)
            return True

        return SimpleNamespace(acquire=acquire, release=lambda: self.locked.remove(name), close=lambda: None)

    def data_names(self) -> list[str]:
        return [name for name in self.memory if not name.startswith("TouchSHMTouchSHM") and "4jhd" not in name]


@pytest.fixture
def machine() -> Machine:
    return Machine()


def sender(machine: Machine, **settings: str) -> TouchSender:
    return TouchSender(
        "show", machine, **{"info": "both", "row_order": "bottom_up", "pixel_format": "rgba8", **settings}
    )


def picture(width: int, height: int, value: int = 9) -> np.ndarray:
    return np.full((height, width, 4), value, np.uint8)


# --- bytes ---


def test_the_header_byte_by_byte() -> None:
    assert header(640, 480, "bgra8") == (
        bytes.fromhex("35f85ed9 01000000 80020000 e0010000 0000803f 0000803f 2c000000 00000000")
        + bytes.fromhex("00c0120000000000 30000000 00000000")
    )
    formats = {name: struct.unpack_from("<I", header(1, 1, name), 24)[0] for name in touch_shm.PIXEL_FORMATS}
    assert formats == {"rgba8": 37, "rgba8_srgb": 43, "bgra8": 44, "bgra8_srgb": 50}


def test_the_info_block_byte_by_byte() -> None:
    block = Info(True, "abz", True).pack()
    assert block == bytes.fromhex("ba34ed56 02000000 01 00 610062007a00") + bytes(58) + b"\1\0" and len(block) == 76
    assert Info.unpack(block) == Info(True, "abz", True)
    longest = Info(False, "q" * 31).pack()
    assert longest[10 + 62 : 10 + 64] == b"\0\0" and Info.unpack(longest).postfix == "q" * 31


@pytest.mark.parametrize("data", [bytes(76), b"\xff" * 76, Info(True, "x").pack()[:10] + b"\x00\xd8" * 33])
def test_what_is_no_info_block_says_nothing(data: bytes) -> None:
    assert Info.unpack(data) == Info()


def test_the_info_block_has_two_names() -> None:
    assert info_names("show", "both") == {"double": DOUBLE, "single": SINGLE}
    assert info_names("show", "single") == {"single": SINGLE} and info_names("show", "double") == {"double": DOUBLE}


# --- the sender ---


def test_a_picture_lies_behind_its_header(machine: Machine) -> None:
    output = sender(machine)
    output.open(3, 2)
    assert not machine.memory["TouchSHMshow"].any()  # nothing that a receiver could take for a picture
    rows = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    output.write(rows)
    assert machine.memory["TouchSHMshow"].tobytes() == header(3, 2, "rgba8") + bytes(range(24))
    for name in (DOUBLE, SINGLE):
        assert machine.memory[name].tobytes() == Info(False, "").pack()
    assert machine.locked == {"UtsushiSendsshow"}
    output.close()
    assert not machine.memory and not machine.locked
    output.close()


def test_without_a_receiver_every_size_has_the_plain_name(machine: Machine) -> None:
    output = sender(machine)
    output.open(3, 2)
    for width in (30, 300, 3):
        output.resize(width, 2)
        output.write(picture(width, 2))
        assert machine.data_names() == ["TouchSHMshow"] and machine.memory["TouchSHMshow"].size == 48 + width * 8


def receiver(machine: Machine, info: str = DOUBLE) -> None:
    """Somebody holds the info block and the picture, and says so."""
    machine.section(info, 76).data[8] = 1
    machine.section(machine.data_names()[0], 48)


def test_a_receiver_is_sent_to_a_new_name_and_the_old_one_stays_as_it_is(machine: Machine) -> None:
    output = sender(machine)
    output.open(3, 2)
    output.write(picture(3, 2, 1))
    assert output.answered == "no"
    receiver(machine)
    assert output.answered == "double"
    before = machine.memory["TouchSHMshow"].tobytes()
    output.resize(2, 2)
    output.write(picture(2, 2, 2))
    postfixes = [Info.unpack(machine.memory[name].tobytes()) for name in (DOUBLE, SINGLE)]
    assert [info.supported for info in postfixes] == [True, False]
    (postfix,) = {info.postfix for info in postfixes}
    assert len(postfix) == 31 and postfix.islower() and postfix.isascii()
    assert machine.memory[f"TouchSHMshow{postfix}"].tobytes() == header(2, 2, "rgba8") + bytes([2] * 16)
    assert machine.memory["TouchSHMshow"].tobytes() == before
    output.resize(3, 2)  # back again, where the receiver still is
    assert Info.unpack(machine.memory[DOUBLE].tobytes()) == Info(True, "")


def test_the_next_life_takes_up_what_is_held(machine: Machine) -> None:
    first = sender(machine)
    first.open(3, 2)
    receiver(machine)
    first.resize(5, 2)
    first.write(picture(5, 2, 1))
    postfix = Info.unpack(machine.memory[DOUBLE].tobytes()).postfix
    machine.section(f"TouchSHMshow{postfix}", 48)
    first.close()
    assert Info.unpack(machine.memory[DOUBLE].tobytes()) == Info(True, postfix, True)
    assert SINGLE not in machine.memory
    second = sender(machine)
    second.open(5, 2)
    for name, supported in ((DOUBLE, True), (SINGLE, False)):
        assert Info.unpack(machine.memory[name].tobytes()) == Info(supported, postfix)
    second.write(picture(5, 2, 3))
    assert machine.memory[f"TouchSHMshow{postfix}"][48:].tolist() == [3] * 40
    second.close()
    third = sender(machine)
    third.open(5, 3)  # another form: not over the head of a receiver that maps the old one
    assert Info.unpack(machine.memory[DOUBLE].tobytes()).postfix not in ("", postfix)


def test_an_info_block_of_nonsense_is_written_anew(machine: Machine) -> None:
    machine.section(SINGLE, 76).data[:] = 255
    output = sender(machine)
    output.open(3, 2)
    assert machine.memory[SINGLE].tobytes() == Info().pack()


# --- what goes wrong ---


def test_a_receiver_that_keeps_the_picture_costs_pictures_then_says_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(touch_shm, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    output = sender(machine)
    output.open(3, 2)
    output.write(picture(3, 2, 1))
    machine.locked.add("TouchSHMshowMutex")
    clock.now += 60  # a slow input is no stuck receiver
    output.write(picture(3, 2, 2))
    clock.now += 1.9
    output.write(picture(3, 2, 2))
    assert machine.memory["TouchSHMshow"][48] == 1
    clock.now += 0.2
    with pytest.raises(EngineError, match="reads 'show' has not let go of the picture for 2 s"):
        output.write(picture(3, 2, 2))
    machine.locked.remove("TouchSHMshowMutex")
    output.write(picture(3, 2, 3))
    assert machine.memory["TouchSHMshow"][48] == 3


def test_a_receiver_that_keeps_the_info_block_is_named(machine: Machine) -> None:
    output = sender(machine)
    output.open(3, 2)
    machine.locked.add(SINGLE + "Mutex")
    with pytest.raises(EngineError, match="reads 'show' does not let go of it"):
        output.resize(4, 2)
    assert DOUBLE + "Mutex" not in machine.locked
    output.close()
    assert not machine.memory
    machine.locked.clear()
    output.open(4, 2)


def test_two_senders_of_one_name_are_told_apart(machine: Machine) -> None:
    sender(machine).open(3, 2)
    second = sender(machine)
    with pytest.raises(EngineError, match="sends as 'show' already. Choose another name"):
        second.open(3, 2)
    second.close()
    assert "UtsushiSendsshow" in machine.locked


def test_what_windows_refuses_is_a_sentence(machine: Machine) -> None:
    output = sender(machine)
    machine.refuses = OSError(1455, "The paging file is too small")
    with pytest.raises(EngineError, match="refuses the shared memory 'show': .*paging file.*smaller size"):
        output.open(3, 2)
    output.close()
    machine.refuses = None
    output.open(3, 2)
    machine.refuses = OSError(1455, "The paging file is too small")
    with pytest.raises(EngineError, match="paging file"):
        output.resize(4, 2)
    output.close()
    assert not machine.memory and not machine.locked


# --- the node ---


def test_the_node_turns_rows_and_colours_as_its_switches_say(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharedmem, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(named_windows, "section", machine.section, raising=False)
    monkeypatch.setattr(named_windows, "mutex", machine.mutex, raising=False)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 3, 4), np.uint8)
    for row_order, pixel_format, expected in (
        ("bottom_up", "rgba8", pixels[::-1]),
        ("top_down", "rgba8_srgb", pixels),
        ("top_down", "bgra8", pixels[..., [2, 1, 0, 3]]),
        ("bottom_up", "bgra8_srgb", pixels[::-1, :, [2, 1, 0, 3]]),
    ):
        node = make(SharedMem, name="show", row_order=row_order, pixel_format=pixel_format)
        node.step(image=frame(pixels, pixel_format="RGBA"))
        assert machine.memory["TouchSHMshow"].tobytes() == header(3, 2, pixel_format) + expected.tobytes()
        assert node.metrics == {"receiver": "no"} and not node.complaints
        node.close()
        assert not machine.memory


def test_other_systems_are_told_where_to_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharedmem, "sys", SimpleNamespace(platform="linux"))
    with pytest.raises(BadInput, match="on Windows only. Use output.touchdesigner"):
        make(SharedMem)


@pytest.mark.parametrize("name", ["", "a b", "a\\b", "x" * 65, "ü"])
def test_a_name_that_windows_would_take_otherwise_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        SharedMem.Config(name=name)

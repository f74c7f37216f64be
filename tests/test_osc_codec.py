"""OSC datagrams: what is good in them is read, and what is bad never gets any further."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from osc_kit import bundle
from pythonosc.osc_packet import OscPacket

from engine.errors import BadMessage
from engine.osc_codec import MOST_BYTES, decode, encode, setting
from engine.panel import Parameter

GOOD = encode("/a/b", 0.5, 3, "text")


def read(datagram: bytes) -> tuple[list[tuple[str, list[Any]]], list[str]]:
    """The messages of a datagram, and what was wrong with the others."""
    found = list(decode(datagram))
    return [one for one in found if not isinstance(one, BadMessage)], [
        str(e) for e in found if isinstance(e, BadMessage)
    ]


def parameter(kind: str, size: int = 1, most: int = 1, menu: tuple[str, ...] | None = None) -> Parameter:
    return Parameter("knob", kind, size, most, None, None, None, False, False, menu, "", "")


# --- bytes ---


def test_what_is_written_is_what_python_osc_reads_and_what_we_read() -> None:
    values = [0.25, 3, 2**40, "ü ö", True, False, [1, 2]]
    datagram = encode("/a/b", *values)
    (packet,) = OscPacket(datagram).messages
    assert (packet.message.address, packet.message.params) == ("/a/b", [0.25, 3, 2**40, "ü ö", 1, 0, 1, 2])
    assert read(datagram) == ([("/a/b", packet.message.params)], [])


def test_values_that_osc_has_no_room_for_are_still_sent() -> None:
    ((_, values),), _ = read(encode("/a", 1e300, 2**70, math.inf, "nul\0 and \udcff"))
    assert values == [1e300, pytest.approx(2.0**70), math.inf, "nul and ?"]


def test_a_number_of_32_bits_is_read_as_it_was_meant() -> None:
    assert read(encode("/a", 0.3, 1e-7, 12345678.0))[0] == [("/a", [0.3, 1e-7, 12345678.0])]


def test_true_false_and_doubles_are_read() -> None:
    datagram = b"/a\0\0,TFd\0\0\0\0" + struct.pack(">d", 0.1)
    assert read(datagram)[0] == [("/a", [True, False, 0.1])]


def test_a_message_without_a_type_tag_has_no_values() -> None:
    assert read(b"/a\0\0") == ([("/a", [])], [])


@pytest.mark.parametrize(
    "datagram",
    [
        b"", b"\0", b"hello", b"GET / HTTP/1.1\r\n\r\n", b"/", b"/abc", b"/ab\0,f\0\0", b"/ab\0,f\0\0\x3f",
        b"/ab\0,s\0\0abcd", b"/ab\0,s\0\0\xff\xfe\0\0", b"\xff" * 100, GOOD[:-1], GOOD[:-4],
        b"/ab\0,b\0\0\xff\xff\xff\xf0", b"/ab\0,[[\0", b"/ab\0,x\0\0", b"/" + b"a" * MOST_BYTES + b"\0" * 4,
    ],
)  # fmt: skip
def test_a_datagram_that_is_no_message_is_refused_with_a_sentence(datagram: bytes) -> None:
    messages, wrong = read(datagram)
    assert messages == [] and len(wrong) == 1 and wrong[0].endswith(".")


def test_one_bad_message_in_a_bundle_stops_no_other() -> None:
    messages, wrong = read(bundle(GOOD, b"/ab\0,x\0\0", bundle(GOOD), b"", GOOD))
    assert [address for address, _ in messages] == ["/a/b"] * 3 and len(wrong) == 2


@pytest.mark.parametrize("cut", range(1, len(GOOD) + 4))
def test_half_a_bundle_is_done_as_far_as_it_is_there(cut: int) -> None:
    messages, wrong = read(bundle(GOOD, GOOD)[:-cut])
    assert [address for address, _ in messages] == ["/a/b"] and len(wrong) == (cut != len(GOOD) + 4)


@pytest.mark.parametrize("size", [-4, -1, -(2**31), 2**31 - 1])
def test_a_bundle_with_a_lie_about_its_size_ends(size: int) -> None:
    messages, wrong = read(bundle(GOOD) + struct.pack(">i", size) + GOOD)
    assert len(messages) == 1 and len(wrong) == 1


def test_bundles_in_bundles_in_bundles_end() -> None:
    datagram = GOOD
    for _ in range(2000):
        datagram = bundle(datagram)
    assert read(datagram)[0] == [] and read(bundle(bundle(GOOD)))[1] == []


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 60))
@example(b"#bundle\0\0\0\0\0\0\0\0\x01\xff\xff\xff\xfc", 0)
def test_whatever_comes_is_read_or_refused(noise: bytes, at: int) -> None:
    whole = bundle(GOOD, GOOD)
    for datagram in (noise, b"/" + noise, bundle(noise), whole[:at] + noise + whole[at + len(noise) :]):
        for message in decode(datagram):
            assert isinstance(message, (tuple, BadMessage))


# --- values ---


@pytest.mark.parametrize(
    "kind, sent, value",
    [
        ("float", 0.5, 0.5), ("float", 3, 3), ("int", 3, 3), ("int", 3.0, 3), ("bool", True, True), ("bool", 0, False),
        ("bool", 1.0, True), ("str", "a", "a"), ("menu", "y", "y"), ("menu", 1.0, "y"), ("menu", "z", "z"),
    ],
)  # fmt: skip
def test_a_value_is_taken_as_what_the_setting_holds(kind: str, sent: Any, value: Any) -> None:
    found = setting(parameter(kind, menu=("x", "y")), [sent])
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "kind, sent, sentence",
    [
        ("float", "0.5", "'knob' takes a number, and '0.5' came."),
        ("float", True, "'knob' takes a number, and True came."),
        ("int", 3.5, "'knob' takes a whole number, and 3.5 came."),
        ("int", math.nan, "'knob' takes a whole number, and nan came."),
        ("int", math.inf, "'knob' takes a whole number, and inf came."),
        ("bool", 2, "'knob' takes true or false, 1 or 0, and 2 came."),
        ("bool", "on", "'knob' takes true or false, 1 or 0, and 'on' came."),
        ("str", 1, "'knob' takes text, and 1 came."),
        ("menu", 2, "'knob' takes one of x, y, and 2 came."),
        ("menu", -1, "'knob' takes one of x, y, and -1 came."),
        ("menu", 0.5, "'knob' takes one of x, y, and 0.5 came."),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, sent: Any, sentence: str) -> None:
    with pytest.raises(BadMessage) as caught:
        setting(parameter(kind, menu=("x", "y")), [sent])
    assert str(caught.value) == sentence


def test_how_many_values_there_are() -> None:
    assert setting(parameter("int", 4, 4), [1, 2, 3, 4.0]) == [1, 2, 3, 4]
    assert setting(parameter("str", 1, 16), ["a"]) == "a" and setting(parameter("str", 1, 16), ["a", "b"]) == ["a", "b"]
    for knob, sent, wanted in (
        (parameter("float"), [], "takes 1 value, and 0 came"),
        (parameter("float"), [0.1] * 3, "takes 1 value, and 3 came"),
        (parameter("int", 4, 4), [1], "takes 4 values, and 1 came"),
        (parameter("str", 1, 16), ["a"] * 17, "takes 1 to 16 values, and 17 came"),
    ):
        with pytest.raises(BadMessage, match=wanted):
            setting(knob, sent)

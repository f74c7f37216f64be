"""What strangers may send to a running supervisor: it is answered, refused or left out; nothing ends the show."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from osc_kit import bundle
from supervisor_kit import Show, make_fixture, show_fixture  # noqa: F401

from engine import bus
from engine.errors import BadMessage
from engine.osc_codec import decode, encode

quick = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
FIELDS = ["v", "type", "node", "values", "version", "phase", "text", "level", "stream", "bytes", "figures", "ok", "x"]
WORDS = ["start", "pause", "stop", "set", "state", "log", "error", "grow", "metrics", "stats", "ack", "camera"]
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats() | st.sampled_from([0, 1, 2**31, float("nan")])
leaves = st.none() | st.booleans() | numbers | st.text(max_size=20) | st.binary(max_size=20) | st.sampled_from(WORDS)
keys = st.sampled_from(["axis", "size", "fps", *FIELDS]) | st.text(max_size=10)
plain = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))
structures = st.dictionaries(st.sampled_from(FIELDS), plain, max_size=6)


def answer(data: bytes) -> str:
    """What a sender of these bytes is told, as it leaves the server; "" where it is a message."""
    try:
        bus.decode(data)
    except BadMessage as error:
        sent = bus.decode(bus.encode(bus.refusal(str(error))))
        assert isinstance(sent, bus.Ack) and not sent.ok
        return sent.text
    return ""


# --- the control port ---


@quick
@given(structures)
@example({"v": 1, "type": "stop", "x" * 60_000: 1})
@example({"v": 1, "type": "x" * 60_000})
@example({"v": 1, "type": "set", "node": "a", "values": {"x" * 60_000: 1}, "y" * 1000: 2})
def test_any_structure_is_a_message_or_refused_with_a_sentence_that_can_be_sent(fields: dict[str, Any]) -> None:
    said = answer(msgpack.packb({"v": 1, **fields}))
    assert len(said) <= bus.MOST_TEXT


def test_a_refusal_that_quotes_a_long_word_does_not_end_the_supervisor() -> None:
    server = bus.Server()
    stranger = bus.Client(server.port)
    stranger._socket.send(msgpack.packb({"v": 1, "type": "stop", "x" * 60_000: 1}))
    server.wait(5)
    assert server.receive() == [] and server.rejected == 1
    said = stranger.receive(5)
    assert isinstance(said, bus.Ack) and not said.ok and len(said.text) == bus.MOST_TEXT
    stranger.close()
    server.close()


def request_of_a_page(message: bytes) -> bytes:
    """What a page lets a browser send, with a body that is made so that ZeroMQ's protocol of 2010, lengths and bytes in
    turn, finds a message in it. That one has no greeting: whatever comes is a frame."""
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: 300\r\nOrigin: a\r\n\r\n"
    at = 0
    while at < len(head):
        at += 1 + head[at]
    last, frame = b"\x01\x00", bytes([len(message) + 1, 0]) + message
    return head + (b"x" * (at - len(head)) + last + frame).ljust(300, b"x")


def test_a_web_page_cannot_speak_to_the_control_port() -> None:
    server = bus.Server()
    with socket.create_connection(("127.0.0.1", server.port), 10) as browser:
        browser.sendall(request_of_a_page(bus.encode(bus.Stop())))
        browser.settimeout(10)
        with suppress(ConnectionError):
            while browser.recv(1000):  # until the server hangs up
                pass
    friend = bus.Client(server.port)
    friend.send(bus.Stats())
    server.wait(5)
    assert [message for _, message in server.receive()] == [bus.Stats()] and server.rejected == 0
    friend.close()
    server.close()


@quick
@given(st.binary(max_size=300), st.integers(0, 80), structures)
def test_bytes_in_the_middle_of_a_message_harm_nobody(noise: bytes, at: int, fields: dict[str, Any]) -> None:
    whole = msgpack.packb({"v": 1, **fields})
    answer(whole[:at] + noise + whole[at + len(noise) :])
    answer(whole[:at])


@quick
@given(node=st.sampled_from(["camera", "mirror", "output", "nobody"]), values=st.dictionaries(keys, plain, max_size=5))
@example("mirror", {"axis": ["x" * 50] * 1000})
@example("output", {"fit": {"a": [1] * 20_000}})
def test_any_values_are_taken_or_refused_and_the_supervisor_goes_on(
    show: Show, node: str, values: dict[str, Any]
) -> None:
    before = {life.name: life.settings for life in show.engine.lives}
    said = show.ask(bus.Set(node=node, values=values))
    assert isinstance(said, bus.Ack) and (said.ok or said.text)
    assert said.ok or {life.name: life.settings for life in show.engine.lives} == before
    for _, message in show.sent:
        bus.decode(bus.encode(message))


@quick
@given(
    st.one_of(
        st.builds(bus.State, phase=st.text(max_size=64)),
        st.builds(bus.Log, level=st.sampled_from(["WARNING", "ERROR", "CRITICAL"]), text=st.text(max_size=50)),
        st.builds(bus.Grow, stream=st.integers(0, 2**64), bytes=st.integers(1, 2**64)),
        st.builds(
            bus.Metrics,
            values=st.dictionaries(st.text(max_size=64), st.floats() | st.text(max_size=64), max_size=5),
        ),
        st.builds(bus.Pause, node=st.text(max_size=64)),
        st.builds(bus.Ack, ok=st.booleans()),
        st.just(bus.Stats()),
    ),
    st.sampled_from(["camera", "mirror", "output", ""]),
)
def test_whatever_a_node_or_a_stranger_says_the_supervisor_goes_on(
    show: Show, message: bus.AnyMessage, sender: str
) -> None:
    identity = show.life(sender).identity if sender else b"stranger"
    show.ask(message, identity)
    assert show.tick(1.1)
    figures = show.ask(bus.Stats())
    assert isinstance(bus.decode(bus.encode(figures)), bus.Stats)


# --- OSC ---

CALLS = ["engine/start", "engine/pause", "engine/subscribe", "engine/ask", "node/mirror/axis", "node/x/y", "engine/x"]
arguments = st.lists(numbers | st.text(max_size=20) | st.booleans(), max_size=4)


@quick
@given(st.sampled_from(CALLS), arguments)
@example("engine/subscribe", [float("inf")])
@example("engine/subscribe", [0.5])
@example("engine/pause", ["\ud800"])
def test_any_osc_message_is_answered_and_the_supervisor_goes_on(show: Show, call: str, values: list[Any]) -> None:
    gateway = show.engine.osc
    assert gateway is not None
    for message in decode(encode("/utsushi/" + call, *values)):
        gateway._handle(message, ("127.0.0.1", 9))
    assert show.tick(1.1)


@quick
@given(st.lists(st.binary(max_size=60), max_size=4), st.text("ifsdTFhb[]mN", max_size=6), st.binary(max_size=60))
def test_any_datagram_goes_through_the_gateway(show: Show, elements: list[bytes], tags: str, rest: bytes) -> None:
    gateway = show.engine.osc
    assert gateway is not None
    typed = b"/utsushi/node/mirror/axis\0\0\0" + f",{tags}".encode().ljust((len(tags) + 5) // 4 * 4, b"\0") + rest
    cut = struct.pack(">i", 2**31 - 1) + typed
    for data in (typed, bundle(*elements, typed, cut), rest):
        for message in decode(data):
            gateway._handle(message, ("127.0.0.1", 9))
    assert show.tick(0.1)


@pytest.mark.parametrize("size", [bus.MAX_BYTES, bus.MAX_BYTES + 1, 1 << 20])
def test_a_message_of_any_size_has_an_answer(size: int) -> None:
    head = msgpack.packb({"v": 1, "type": "log", "level": "ERROR"})
    assert answer(b"\x84" + head[1:] + b"\xa4text" + b"\xc6" + struct.pack(">I", size) + b"x" * size).endswith(
        ("allowed.", "string")
    )

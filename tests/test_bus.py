"""Control messages: what fits the table arrives; what does not is refused, counted, and stops nothing."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Iterator

import msgpack
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from engine import bus
from engine.bus import Ack, Client, Grow, Server, Set, Stop
from engine.errors import BadInput, BadMessage


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_a_message_arrives_as_it_was_sent(server: Server) -> None:
    client = Client(server.port, b"pose")
    client.send(Set(node="pose", values={"calm": 0.5, "on": True}, version=3))
    server.wait(5)
    assert server.receive() == [(b"pose", Set(node="pose", values={"calm": 0.5, "on": True}, version=3))]
    server.send(b"pose", Stop())
    assert client.receive(5) == Stop()
    client.close()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not msgpack"),
        (b"\xc1", "not msgpack"),
        (msgpack.packb({"v": 1, "type": "stop"})[:-2], "not msgpack"),
        (msgpack.packb([1, 2]), "another version"),
        (msgpack.packb({"type": "stop"}), "another version"),
        (msgpack.packb({"v": 2, "type": "stop"}), "another version"),
        (msgpack.packb({"v": 1, "type": "explode"}), "explode"),
        (msgpack.packb({"v": 1}), "type"),
        (msgpack.packb({"v": 1, "type": "stop", "now": 1}), "now"),
        (msgpack.packb({"v": 1, "type": "set", "node": 7, "values": {}}), "node"),
        (msgpack.packb({"v": 1, "type": "set", "node": "x", "values": [1]}), "values"),
        (msgpack.packb({"v": 1, "type": "grow", "stream": 0, "bytes": "9"}), "bytes"),
        (msgpack.packb({"v": 1, "type": "grow", "stream": -1, "bytes": 9}), "stream"),
        (msgpack.packb({"v": 1, "type": "grow", "stream": 0, "bytes": 0}), "bytes"),
        (msgpack.packb({"v": 1, "type": "set", "node": "x", "values": {}, "version": -1}), "version"),
        (msgpack.packb({"v": 1, "type": "set", "node": "x" * 65, "values": {}}), "node"),
        (msgpack.packb({"v": 1, "type": "log", "level": "ERROR", "text": "x" * 16385}), "text"),
        (pickle.dumps({"v": 1, "type": "stop"}), "refused"),
        (b"\x91" * 60_000, "not msgpack"),
        (b"x" * (bus.MAX_BYTES + 1), "allowed"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(data: bytes, why: str) -> None:
    with pytest.raises(BadMessage, match=why):
        bus.decode(data)


@given(st.binary(max_size=200))
def test_random_bytes_never_do_anything_but_be_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        bus.decode(data)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(), st.lists, max_leaves=5))
def test_any_value_in_a_field_is_a_message_or_a_refusal(value: object) -> None:
    data = msgpack.packb({"v": 1, "type": "grow", "stream": value, "bytes": 10})
    try:
        message = bus.decode(data)
    except BadMessage:
        return
    assert isinstance(message, Grow) and message.stream == value


def test_bad_messages_are_counted_and_do_not_stop_the_next(server: Server) -> None:
    raw = zmq.Context.instance().socket(zmq.DEALER)
    raw.setsockopt(zmq.LINGER, 0)
    raw.connect(f"tcp://127.0.0.1:{server.port}")
    rng = random.Random(1)
    for _ in range(50):
        raw.send(rng.randbytes(rng.randint(0, 300)))
    raw.send_multipart([bus.encode(Stop()), b"more"])
    raw.send(bus.encode(Stop()))
    received: list[object] = []
    for _ in range(100):
        server.wait(0.1)
        received += [message for _, message in server.receive()]
        if received:
            break
    assert received == [Stop()]
    assert server.rejected == 51
    answer = bus.decode(raw.recv())
    assert isinstance(answer, Ack) and not answer.ok and answer.text
    raw.close()


def test_a_flood_is_taken_in_bounded_portions(server: Server) -> None:
    client = Client(server.port)
    for _ in range(300):
        client.send(Stop())
    portions = []
    while sum(portions) < 300:
        server.wait(10)
        portions.append(len(server.receive(most=10)))
        assert 1 <= portions[-1] <= 10
    client.close()


def test_a_node_refuses_and_counts_what_does_not_fit(server: Server) -> None:
    client = Client(server.port, b"pose")
    client.send(Stop())
    server.wait(5)
    assert server.receive()
    server._socket.send_multipart([b"pose", b"nonsense"])
    server.send(b"pose", Stop())
    assert client.receive(5) is None and client.rejected == 1
    assert client.receive(5) == Stop()
    assert client.receive() is None and client.rejected == 1
    client.close()


def test_sending_to_whoever_is_not_there_neither_blocks_nor_fails(server: Server) -> None:
    port = server.port
    server.send(b"nobody", Stop())
    server.close()
    client = Client(port)
    for _ in range(1100):  # more than the queue holds
        client.send(Stop())
    client.close()
    assert client.rejected == 0


def test_a_message_far_too_large_only_costs_its_sender_the_connection(server: Server) -> None:
    flooder, polite = Client(server.port), Client(server.port)
    flooder._socket.send(os.urandom(bus.HANG_UP_BYTES + 1))
    polite.send(Stop())
    server.wait(5)
    assert [message for _, message in server.receive()] == [Stop()]
    flooder.close()
    polite.close()


def test_a_port_in_use_is_a_sentence(server: Server) -> None:
    with pytest.raises(BadInput, match=f"port {server.port} is in use"):
        Server(server.port)


def test_it_listens_on_loopback_only(server: Server) -> None:
    assert server._socket.getsockopt(zmq.LAST_ENDPOINT).startswith(b"tcp://127.0.0.1:")

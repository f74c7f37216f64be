"""Control messages: ZeroMQ + msgpack on loopback, one schema table, versioned.

The supervisor binds a ROUTER; nodes and other programs (a dashboard, TouchDesigner's gateway) connect DEALERs.
What does not fit the table is refused and counted, and never stops the next message. Frames do not travel here.
"""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from typing import Annotated, Any, Literal, Union

import msgpack
import zmq
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from engine.errors import BadInput, BadMessage
from engine.wake import LOOPBACK

VERSION = 1
MAX_BYTES = 64 * 1024  # of one message; more is refused
HANG_UP_BYTES = 4 * 1024 * 1024  # of one message; more and ZeroMQ drops the connection
MOST_TEXT = 16384  # characters
Name = Annotated[str, Field(max_length=64)]
Text = Annotated[str, Field(max_length=MOST_TEXT)]


class Message(BaseModel):
    """Base of all messages. Unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Start(Message):
    """Go on stepping after a pause. To the supervisor: `node` "" means all."""

    type: Literal["start"] = "start"
    node: Name = ""


class Pause(Message):
    """Stop stepping, stay ready."""

    type: Literal["pause"] = "pause"
    node: Name = ""


class Stop(Message):
    """To a node: end. To the supervisor: end the engine."""

    type: Literal["stop"] = "stop"


class Set(Message):
    """Change live settings. The supervisor checks them, numbers the change and passes it on with its version."""

    type: Literal["set"] = "set"
    node: Name
    values: dict[str, Any]
    version: int = Field(0, ge=0)


class State(Message):
    """From a node: it entered a phase."""

    type: Literal["state"] = "state"
    phase: Name
    text: Text = ""


class Log(Message):
    """From a node: a line that a person should see."""

    type: Literal["log"] = "log"
    level: Literal["WARNING", "ERROR", "CRITICAL"]
    text: Text


class Error(Message):
    """From a node: why it gives up."""

    type: Literal["error"] = "error"
    text: Text


class Grow(Message):
    """From a node: its stream needs slots of at least `bytes`."""

    type: Literal["grow"] = "grow"
    stream: int = Field(ge=0)
    bytes: int = Field(gt=0)


class Metrics(Message):
    """From a node: its own figures by name, in place of those before."""

    type: Literal["metrics"] = "metrics"
    values: dict[Name, float | Name] = Field(max_length=32)


class Event(Message):
    """From a node: something has happened, once. The supervisor passes it on under the node's name."""

    type: Literal["event"] = "event"
    node: Name = ""
    name: str = Field(pattern="^[a-z0-9_]{1,32}$")
    values: list[int | float | Name] = Field([], max_length=8)


class Subscribe(Message):
    """Tell me every event for the next 10 seconds; send it again every few seconds."""

    type: Literal["subscribe"] = "subscribe"


class Stats(Message):
    """Asked with no figures; answered with them (the same as in --stats)."""

    type: Literal["stats"] = "stats"
    figures: dict[str, Any] = {}


class Ack(Message):
    """The supervisor's answer to `start`, `pause`, `stop`, `set` and `subscribe`."""

    type: Literal["ack"] = "ack"
    ok: bool
    text: Text = ""
    version: int = 0


def refusal(text: str, version: int = 0) -> Ack:
    """Why something was not done. A sentence that quotes what came may be as long as that; it is cut."""
    return Ack(ok=False, text=text[:MOST_TEXT], version=version)


AnyMessage = Union[  # noqa: UP007  (a table, not a hint)
    Start, Pause, Stop, Set, State, Log, Error, Grow, Metrics, Event, Subscribe, Stats, Ack
]  # fmt: skip
_table: TypeAdapter[AnyMessage] = TypeAdapter(Annotated[AnyMessage, Field(discriminator="type")])


def encode(message: Message) -> bytes:
    return msgpack.packb({"v": VERSION, **message.model_dump()})


def decode(data: bytes) -> AnyMessage:
    """Raises `BadMessage` for anything that is not exactly one message of this version."""
    if len(data) > MAX_BYTES:
        raise BadMessage(f"A control message of {len(data)} bytes was refused; {MAX_BYTES} are allowed.")
    try:
        fields = msgpack.unpackb(data)
    except Exception as error:  # msgpack raises half a dozen kinds, by what is wrong with the bytes
        raise BadMessage(f"A control message that is not msgpack was refused ({type(error).__name__}).") from error
    if not isinstance(fields, dict) or fields.pop("v", None) != VERSION:
        raise BadMessage(f"A control message of another version was refused; this engine speaks {VERSION}.")
    try:
        return _table.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadMessage(f"A control message was refused: {where}: {first['msg']}") from error


def _socket(kind: int) -> zmq.Socket:
    socket: zmq.Socket = zmq.Context.instance().socket(kind)
    for option, value in ((zmq.LINGER, 0), (zmq.MAXMSGSIZE, HANG_UP_BYTES), (zmq.RCVHWM, 1000), (zmq.SNDHWM, 1000)):
        socket.setsockopt(option, value)
    return socket


class Server:
    """The supervisor's end. Raises `BadInput` when the port is taken."""

    def __init__(self, port: int = 0):
        self._socket = _socket(zmq.ROUTER)
        # ZeroMQ still speaks its oldest protocol, in which an HTTP request can be made to say anything: any page in a
        # browser on this machine could stop the engine. With a domain, even without anybody who judges it, it does not.
        self._socket.setsockopt(zmq.ZAP_DOMAIN, b"utsushi")
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self.rejected = 0
        try:
            if port:
                self._socket.bind(f"tcp://{LOOPBACK}:{port}")
            else:
                port = self._socket.bind_to_random_port(f"tcp://{LOOPBACK}")
        except zmq.ZMQError as error:
            self._socket.close()
            raise BadInput(
                f"Control port {port} is in use by another program ({error.strerror}). "
                "Choose another one under engine: port:, or leave it out to take any free one."
            ) from error
        self.port: int = port

    def watch(self, other: socket.socket) -> None:
        """Let `wait` return for what comes in there, too."""
        self._poller.register(other, zmq.POLLIN)

    def wait(self, timeout_s: float) -> None:
        """Return when a message is there, or after the time-out."""
        self._poller.poll(max(0, round(timeout_s * 1000)))

    def receive(self, most: int = 100) -> list[tuple[bytes, AnyMessage]]:
        """Up to `most` messages with their senders. Bounded, so that a flood cannot hold up the supervisor."""
        received = []
        for _ in range(most):
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                if len(parts) != 2:
                    raise BadMessage("A control message has one part.")
                received.append((parts[0], decode(parts[1])))
            except BadMessage as error:
                self.rejected += 1
                self.send(parts[0], refusal(str(error)))
        return received

    def send(self, identity: bytes, message: Message) -> None:
        """Best effort: whoever has gone or does not read misses it."""
        with suppress(zmq.ZMQError):
            self._socket.send_multipart([identity, encode(message)], zmq.NOBLOCK)

    def close(self) -> None:
        self._socket.close()


class Client:
    """A node's end, or any other program's."""

    def __init__(self, port: int, identity: bytes = b""):
        self._socket = _socket(zmq.DEALER)
        if identity:
            self._socket.setsockopt(zmq.IDENTITY, identity)
        self._socket.connect(f"tcp://{LOOPBACK}:{port}")
        self.rejected = 0

    def receive(self, timeout_s: float = 0) -> AnyMessage | None:
        """The next message, or None after `timeout_s`."""
        if timeout_s and not self._socket.poll(round(timeout_s * 1000)):
            return None
        try:
            return decode(self._socket.recv(zmq.NOBLOCK))
        except zmq.Again:
            return None
        except BadMessage:
            self.rejected += 1
            return None

    def send(self, message: Message) -> None:
        """Best effort, never blocks."""
        with suppress(zmq.ZMQError):
            self._socket.send(encode(message), zmq.NOBLOCK)

    def close(self, linger_ms: int = 0) -> None:
        self._socket.close(linger_ms)


class BusHandler(logging.Handler):
    """Passes a node's warnings on to the supervisor's screen."""

    def __init__(self, bus: Client):
        super().__init__(logging.WARNING)
        self._bus = bus

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()[:2000]
        self._bus.send(Log(level="ERROR" if record.levelno >= logging.ERROR else "WARNING", text=text))

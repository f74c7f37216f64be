"""The OSC gateway: settings and commands come in, states, figures, errors and answers go out. docs/OSC.md lists all.

It is part of the supervisor's loop and wakes it, so that a value reaches its node at once. A message that cannot be
used is answered and counted; how many are done in one round is bounded, and what is too much the system drops.
"""

from __future__ import annotations

import socket
import sys
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from engine.bus import Pause, Start
from engine.clock import now_ns
from engine.config import OscConfig
from engine.config.errors import shown, suggest
from engine.errors import BadInput, BadMessage
from engine.life import Life
from engine.osc_codec import Message, decode, encode, setting
from engine.osc_news import News
from engine.panel import parameters

if TYPE_CHECKING:
    from engine.supervisor import Supervisor

SECOND_NS = 1_000_000_000
SUBSCRIBED_NS = 10 * SECOND_NS
MOST_SUBSCRIBERS = 32
MOST_A_ROUND = 200  # messages
MOST_BYTES = 65536  # of a datagram
SAME_ANSWERS = 10  # a second, to each listener
MOST_TEXT = 1000  # characters of a sentence that is sent
COMMANDS = ("start", "pause", "stop", "subscribe", "ask")
TOLD = (
    "/utsushi/status/",
    "/utsushi/event/",
    *(f"/utsushi/engine/{word}" for word in ("answer", "state", "progress", "log")),
)
Peer = tuple[str, int]


class Gateway:
    """One engine's OSC port; `port` is the one that was taken. Raises `BadInput` for a host that is not ours."""

    def __init__(self, settings: OscConfig, supervisor: Supervisor):
        self.supervisor = supervisor
        self.received = self.refused = 0  # messages
        self._socket = _bound(settings)
        self.port: int = self._socket.getsockname()[1]
        if settings.port not in (0, self.port):
            supervisor.say(f"OSC port {settings.port} cannot be had on {settings.host}; OSC listens on {self.port}.")
        supervisor.server.watch(self._socket)
        self._inbox: deque[tuple[Message | BadMessage, Peer]] = deque()
        self._targets = {(host, int(port)) for host, _, port in (t.rpartition(":") for t in settings.targets)}
        self._subscribers: dict[Peer, int] = {}  # and until when
        self._news = News(supervisor)
        self._answered: Counter[tuple] = Counter()  # what listeners were told this second
        self._renewed_ns = 0

    @property
    def waiting(self) -> bool:
        """Whether something has come in that the next round must do."""
        return bool(self._inbox)

    def turn(self) -> None:
        """One round: do what has come in, and tell what has changed."""
        for _ in range(MOST_A_ROUND):
            if not self._inbox and not self._receive():
                break
            if self._inbox:
                self._handle(*self._inbox.popleft())
        now = now_ns()
        self._subscribers = {peer: until for peer, until in self._subscribers.items() if until > now}
        if now - self._renewed_ns >= SECOND_NS:
            self._news.count((now - self._renewed_ns) / 1e9)
            self._renewed_ns = now
            self._answered.clear()
            self._send(self._news.every_second(), self._listeners())
        self._send(self._news.changed(), self._listeners())

    def log(self, level: str, node: str, text: str) -> None:
        self._send({"/utsushi/engine/log": (level, node, text[:MOST_TEXT])}, self._listeners())

    def event(self, node: str, name: str, values: list[Any]) -> None:
        self._send({f"/utsushi/event/{node}/{name}": tuple(values)}, self._listeners())

    def close(self) -> None:
        """Say that the engine has ended, and how."""
        self._send(self._news.ended(), self._listeners())
        self._socket.close()

    # --- in ---

    def _receive(self) -> bool:
        try:
            data, peer = self._socket.recvfrom(MOST_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # Windows tells here that an earlier one of ours found nobody
            return True
        self._inbox.extend((message, peer) for message in decode(data))
        return True

    def _handle(self, message: Message | BadMessage, peer: Peer) -> None:
        self.received += 1
        where, values = ("", []) if isinstance(message, BadMessage) else message
        path = where.strip("/").split("/")
        if where.startswith(TOLD):
            return  # another engine, or an echo: an answer is never answered, or the two would never stop
        try:
            if isinstance(message, BadMessage):
                raise message
            version, text = self._do(path, values, peer)
        except BadMessage as error:
            self.refused += 1
            self._answer(peer, 0, where, getattr(error, "version", 0), str(error))
        else:
            self._answer(peer, 1, where, version, text)

    def _do(self, path: list[str], values: list[Any], peer: Peer) -> tuple[int, str]:
        """The version of the node's settings, and a sentence or "". Raises `BadMessage`."""
        match path:
            case ["utsushi", "node", node, name]:
                return self._set(node, name, values)
            case ["utsushi", "engine", "subscribe"]:
                return 0, self._subscribe(values, peer)
            case ["utsushi", "engine", command] if command in COMMANDS:
                if values == [0]:
                    return 0, "A button was let go of, which does nothing."
                return self._command(command, values, peer)
        raise BadMessage(f"There is no address {shown('/' + '/'.join(path))}; docs/OSC.md lists them all.")

    def _set(self, node: str, name: str, values: list[Any]) -> tuple[int, str]:
        life = self._life(node)
        known = {one.name: one for one in parameters(life.spec.type)}
        if name not in known:
            raise BadMessage(f"{node} has no live setting {shown(name)}{suggest(name, known)}")
        try:
            value = setting(known[name], values)
            configured = life.spec.config.model_dump(mode="json")[name]
            if value == configured and type(value) is type(configured):  # a CHOP that sends all the time
                return life.version, ""
            ack = self.supervisor.control.set(node, {name: value})
            if not ack.ok:
                raise BadMessage(ack.text)
            return ack.version, ""
        except BadMessage as error:
            error.version = life.version  # type: ignore[attr-defined]
            raise

    def _life(self, name: str) -> Life:
        lives = {life.name: life for life in self.supervisor.lives}
        if name not in lives:
            raise BadMessage(f"There is no node {shown(name)}{suggest(name, lives)}")
        return lives[name]

    def _command(self, command: str, values: list[Any], peer: Peer) -> tuple[int, str]:
        node = values[0] if values and isinstance(values[0], str) else ""
        if len(values) > 1 or (values and not node and values[0] != 1):
            raise BadMessage(f"{command!r} takes the name of a node, or nothing; {shown(values)} came.")
        if node:
            self._life(node)
        match command:
            case "ask":
                self._send(self._news.everything(), [peer])
            case "stop":
                self.supervisor.stop()
            case _:
                self.supervisor.control.pass_on(Start(node=node) if command == "start" else Pause(node=node))
        return 0, ""

    def _subscribe(self, values: list[Any], peer: Peer) -> str:
        port = values[0] if len(values) == 1 and isinstance(values[0], (int, float)) else 0
        if not 0 < port < 65536:
            raise BadMessage(f"'subscribe' takes the UDP port to tell, 1 to 65535; {shown(values)} came.")
        listener = (peer[0], int(port))
        if listener not in self._subscribers and len(self._subscribers) >= MOST_SUBSCRIBERS:
            raise BadMessage(f"{MOST_SUBSCRIBERS} programs listen already; let one of them run out.")
        is_new = listener not in self._subscribers
        self._subscribers[listener] = now_ns() + SUBSCRIBED_NS
        if is_new:
            self._send(self._news.everything(), [listener])
        return ""

    # --- out ---

    def _listeners(self) -> set[Peer]:
        return self._targets | self._subscribers.keys()

    def _answer(self, peer: Peer, ok: int, where: str, version: int, text: str) -> None:
        """To whoever asked, and to the listeners on its machine: a program often sends from one port and listens on
        another. Those are told the same thing a few times a second only, since a CHOP may send all the time."""
        said = (ok, where[:MOST_TEXT], version, text[:MOST_TEXT])
        to = {peer}
        self._answered[said] += 1
        if self._answered[said] <= SAME_ANSWERS:
            to |= {listener for listener in self._listeners() if listener[0] == peer[0]}
        self._send({"/utsushi/engine/answer": said}, to)

    def _send(self, news: dict[str, tuple], listeners: Iterable[Peer]) -> None:
        """Best effort: whoever has gone or does not read misses it, and is told again in a second."""
        datagrams = [encode(where, *values) for where, values in news.items()] if listeners else []
        for listener in listeners:
            for datagram in datagrams:
                with suppress(OSError):
                    self._socket.sendto(datagram, listener)


def _bound(settings: OscConfig) -> socket.socket:
    """A socket on the port that was asked for, or on any."""
    for port in (settings.port, 0):
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if sys.platform == "win32":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        found.setblocking(False)
        try:
            found.bind((settings.host, port))
            return found
        except OSError as error:
            found.close()
            refused = error
    raise BadInput(
        f"OSC cannot listen on {settings.host} ({refused.strerror}). "
        "Give an address of this machine under engine: osc: host:, or leave it out for 127.0.0.1."
    )

"""What is asked of a running engine, by its nodes and by other programs; ZeroMQ and OSC end up here alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine import config as configs
from engine.bus import (
    Ack,
    Error,
    Event,
    Grow,
    Log,
    Message,
    Metrics,
    Pause,
    Set,
    Start,
    State,
    Stats,
    Stop,
    Subscribe,
    refusal,
)  # fmt: skip
from engine.clock import now_ns
from engine.errors import ConfigError, EngineError
from engine.life import Life

if TYPE_CHECKING:
    from engine.supervisor import Supervisor


SUBSCRIBED_NS = 10_000_000_000
MOST_SUBSCRIBERS = 32


class Control:
    """Acts on the nodes of one supervisor. Nothing in here waits, and nothing raises for what a message says."""

    def __init__(self, supervisor: Supervisor):
        self.supervisor, self.server = supervisor, supervisor.server
        self._subscribers: dict[bytes, int] = {}  # who wants to be told events, and until when

    def answer(self, identity: bytes, message: Message) -> None:
        """Do what one message of the control port asks for."""
        life = next((life for life in self.supervisor.lives if life.identity == identity), None)
        match message:
            case State() if life:  # the phase itself is in the node's row
                life.connected = True
                self._tell(life)
            case Log() if life:
                self.supervisor.report(f"{life.name}: {message.text}", life.name, message.level)
            case Error() if life:
                pass  # said when its process has ended
            case Grow() if life:
                self._grow(life, message)
            case Metrics() if life:
                life.metrics = message.values
            case Event() if life:
                self._pass_on_event(life.name, message)
            case Subscribe():
                self.server.send(identity, self._subscribe(identity))
            case Stats():
                self.server.send(identity, Stats(figures=self.supervisor.figures()))
            case Set():
                self.server.send(identity, self.set(message.node, message.values))
            case Start() | Pause():
                self.server.send(identity, self.pass_on(message))
            case Stop():
                self.server.send(identity, Ack(ok=True))
                self.supervisor.stop()
            case _:
                self.server.rejected += 1

    def set(self, node: str, values: dict[str, Any]) -> Ack:
        """Change live settings of a node, all of them or none. The answer holds the version of its settings."""
        life = next((life for life in self.supervisor.lives if life.name == node), None)
        if life is None:
            return refusal(f"There is no node {node!r}.")
        try:
            life.change(values)
        except ConfigError as error:
            return refusal(str(error), life.version)
        self._tell(life)
        return Ack(ok=True, version=life.version)

    def pass_on(self, message: Start | Pause) -> Ack:
        """Start or pause the node that the message names, or all."""
        chosen = [life for life in self.supervisor.lives if message.node in ("", life.name)]
        for life in chosen:
            life.paused = isinstance(message, Pause)
            self._tell(life)
        return Ack(ok=bool(chosen), text="" if chosen else f"There is no node {message.node!r}.")

    def _subscribe(self, identity: bytes) -> Ack:
        now = now_ns()
        self._subscribers = {one: until for one, until in self._subscribers.items() if until > now}
        if identity not in self._subscribers and len(self._subscribers) >= MOST_SUBSCRIBERS:
            return refusal(f"{MOST_SUBSCRIBERS} programs listen already; let one of them run out.")
        self._subscribers[identity] = now + SUBSCRIBED_NS
        return Ack(ok=True)

    def _pass_on_event(self, node: str, event: Event) -> None:
        if self.supervisor.osc:
            self.supervisor.osc.event(node, event.name, event.values)
        now = now_ns()
        for identity, until in self._subscribers.items():
            if until > now:
                self.server.send(identity, event.model_copy(update={"node": node}))

    def _tell(self, life: Life) -> None:
        """Tell a node what it does not know yet; one that is not connected yet is told when it is."""
        version, paused = life.told
        if not life.connected:
            return
        if version != life.version:
            values = life.settings.model_dump(include=set(configs.live_fields(life.spec.node_class)))
            self.server.send(life.identity, Set(node=life.name, values=values, version=life.version))
        if paused != life.paused:
            self.server.send(life.identity, Pause() if life.paused else Start())
        life.told = (life.version, life.paused)

    def _grow(self, life: Life, message: Grow) -> None:
        rings = self.supervisor.rings
        owned = [stream.row for stream in rings.streams if stream.spec.node == life.name]
        if message.stream not in owned:
            self.server.rejected += 1
            return
        try:
            rings.grow(message.stream, message.bytes)
        except EngineError as error:
            self.supervisor.report(f"{life.name}: {error}", life.name)

"""Faults, dealt out one at a time from a seeded pack in which each kind stands once: a short run meets them all.

A fault is a generator: it does something, yields while the run goes on, and in the end undoes what it did.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field

import msgpack
import psutil
import zmq

from engine import bus, config, decide
from engine.clock import now_ns
from engine.stress.graph import is_reader, is_source
from engine.stress.show import Show
from engine.wake import LOOPBACK

FLOOD_PER_TURN = 500
REST_NS = 10_000_000_000  # at most this long a node that was killed is waited for beyond its own limits


@dataclass
class Fault:
    """One fault. Times are seconds since the load began; `back_s`: from the blow until the node ran again.

    limit_s: how long that may take: the node's step_timeout + the delay before its restart + its startup_timeout.
    up_s: how much of it the new process took.
    """

    kind: str
    target: str
    at_s: float
    ended_s: float = 0.0
    restarts: int = 0  # that this fault has caused
    back_s: float | None = None
    limit_s: float | None = None
    up_s: float | None = None
    note: str = ""


@dataclass
class Chaos:
    """seed: the same seed deals the same faults in the same order.

    every_s: from the beginning of one to the next; one that takes longer delays the next. visit: opens a reader of
    TouchDesigner's kind and returns how to ask how often it has looked, and how to close it (True: by a kill).
    """

    show: Show
    seed: int
    every_s: float
    visit: Callable[[], tuple[Callable[[], int], Callable[[bool], None]]]
    began_ns: int = field(default_factory=now_ns)
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._pack: list[str] = []
        self._current: Generator[None, None, None] | None = None
        self._next_ns = self.began_ns + round(self.every_s * 1e9 / 2)
        nodes = self.show.config.nodes
        self._kinds: dict[str, list[str]] = {
            "kill": [spec.name for spec in nodes],
            "stop/continue": [*(spec.name for spec in nodes), "supervisor"],
            "slow reader": [spec.name for spec in nodes if is_reader(spec)],
            "bad messages": ["control port"],
            "size change": [spec.name for spec in nodes if is_source(spec)],
            "TouchDesigner": ["opens and closes", "opens and is killed"],
        }
        self._fps = max(getattr(spec.config, "fps", 0.0) for spec in nodes if is_source(spec)) or 1000.0
        self._sizes = {spec.name: getattr(spec.config, "size", (64, 64)) for spec in nodes if is_source(spec)}

    @property
    def busy(self) -> bool:
        return self._current is not None

    def turn(self, more: bool = True) -> None:
        """Go on with the fault at hand; with `more`, begin the next one when it is due."""
        if self._current is not None:
            if next(self._current, self) is self:  # it is over
                self._current = None
                self.faults[-1].ended_s = self._now_s()
        elif more and now_ns() >= self._next_ns:
            self._next_ns = now_ns() + round(self.every_s * 1e9)
            self._begin()

    def close(self) -> None:
        """Undo the fault at hand, whatever comes: nobody stays stopped."""
        if self._current is not None:
            self._current.close()
            self._current = None

    def _begin(self) -> None:
        if not self._pack:
            self._pack = sorted(kind for kind, targets in self._kinds.items() if targets)
            self._random.shuffle(self._pack)
        kind = self._pack.pop()
        fault = Fault(kind, self._random.choice(self._kinds[kind]), self._now_s())
        self.faults.append(fault)
        deal = {
            "kill": self._kill, "stop/continue": self._pause, "slow reader": self._slow, "bad messages": self._flood,
            "size change": self._resize, "TouchDesigner": self._come_and_go,
        }[kind]  # fmt: skip
        self._current = deal(fault)

    def _now_s(self) -> float:
        return (now_ns() - self.began_ns) / 1e9

    def _for(self, seconds: float) -> Generator[None, None, None]:
        until = now_ns() + round(seconds * 1e9)
        while now_ns() < until:
            yield

    # --- the faults ---

    def _kill(self, fault: Fault) -> Generator[None, None, None]:
        yield from self._for(self._random.uniform(0, 0.05))  # at any point of a step
        before, since_ns = self.show.node(fault.target)["restarts"], now_ns()
        process = self.show.processes().get(fault.target)
        if process is None:
            fault.note = "was not running"
            return
        process.kill()
        yield from self._until_back(fault, before, since_ns)

    def _pause(self, fault: Fault) -> Generator[None, None, None]:
        """Shorter than the step timeout: nothing may come of it. Longer: the node is replaced."""
        is_node = fault.target != "supervisor"
        limit_s = self._spec(fault.target).config.step_timeout if is_node else 2.0
        seconds = self._random.choice((limit_s * self._random.uniform(0.1, 0.4), limit_s + 1))
        process = self.show.processes().get(fault.target) if is_node else psutil.Process(self.show.process.pid)
        if process is None:
            fault.note = "was not running"
            return
        before, since_ns = self.show.node(fault.target)["restarts"] if is_node else 0, now_ns()
        fault.note = f"for {seconds:.1f} s"
        with suppress(psutil.NoSuchProcess):
            process.suspend()
            try:
                yield from self._for(seconds)
            finally:
                with suppress(psutil.NoSuchProcess):
                    process.resume()
        if is_node and seconds > limit_s:
            yield from self._until_back(fault, before, since_ns)

    def _until_back(self, fault: Fault, restarts: int, since_ns: int) -> Generator[None, None, None]:
        node, settings = self.show.node(fault.target), self._spec(fault.target).config
        delay_ns = decide.delay_ns(sum(one.target == fault.target for one in self.faults))
        fault.limit_s = settings.step_timeout + delay_ns / 1e9 + settings.startup_timeout
        until_ns = since_ns + round(fault.limit_s * 1e9) + REST_NS
        started_ns = 0
        while now_ns() < until_ns:
            if node["restarts"] > restarts:
                started_ns = started_ns or now_ns()
                if self.show.lively(fault.target):
                    fault.back_s, fault.up_s = (now_ns() - since_ns) / 1e9, (now_ns() - started_ns) / 1e9
                    break
            yield
        fault.restarts = node["restarts"] - restarts

    def _slow(self, fault: Fault) -> Generator[None, None, None]:
        """Ten times as slow as the pictures come, or standing still for a while."""
        delay = self._random.choice((10 / self._fps, 0.5))
        fault.note = f"{delay * 1e3:.0f} ms for each picture"
        self.show.set(fault.target, delay=delay)
        yield from self._for(self._random.uniform(1, 2))
        self.show.set(fault.target, delay=0.0)

    def _flood(self, fault: Fault) -> Generator[None, None, None]:
        socket: zmq.Socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"tcp://{LOOPBACK}:{self.show.directory['control_port']}")
        sent, noise = 0, random.Random(self._random.random())  # how many are drawn is up to the clock
        try:
            for _ in self._for(1.0):
                for _ in range(FLOOD_PER_TURN):
                    with suppress(zmq.Again):
                        socket.send(self._bad_message(noise), zmq.NOBLOCK)
                        sent += 1
                with suppress(zmq.Again):
                    while True:
                        socket.recv(zmq.NOBLOCK)
                yield
        finally:
            fault.note = f"{sent} messages"
            socket.close()

    def _bad_message(self, noise: random.Random) -> bytes:
        good = bus.encode(bus.Set(node=self.show.names[0], values={"fps": 1}, version=0))
        match noise.randrange(100):
            case 0:
                return bytes(bus.MAX_BYTES + 1)
            case number if number < 20:
                return noise.randbytes(noise.randrange(1, 200))
            case number if number < 40:
                return good[: noise.randrange(1, len(good))]
            case number if number < 55:
                return msgpack.packb({"v": bus.VERSION + 1, "type": "stop"})
            case number if number < 70:
                return msgpack.packb({"v": bus.VERSION, "type": "set", "node": 7, "values": []})
            case number if number < 85:
                return pickle.dumps({"type": "stop"})
            case _:
                return msgpack.packb({"v": bus.VERSION, "type": "stop", "also": noise.random()})

    def _resize(self, fault: Fault) -> Generator[None, None, None]:
        width, height = self._sizes[fault.target]
        factor = self._random.choice((0.5, 1.5, 2.0))
        size = [max(2, int(width * factor) // 2 * 2), max(1, int(height * factor))]
        fault.note = f"{size[0]}x{size[1]} for a while"
        self.show.set(fault.target, size=size)
        yield from self._for(self._random.uniform(0.5, 1.5))
        self.show.set(fault.target, size=[width, height])

    def _come_and_go(self, fault: Fault) -> Generator[None, None, None]:
        restarts = self._restarts()
        looks, close = self.visit()
        until_ns = now_ns() + REST_NS
        while not looks() and now_ns() < until_ns:  # a Python takes its time to start
            yield
        yield from self._for(self._random.uniform(0.5, 2.0))
        close(fault.target.endswith("killed"))
        fault.restarts = self._restarts() - restarts  # none, if the engine takes no notice of visitors

    def _restarts(self) -> int:
        return sum(self.show.node(name)["restarts"] for name in self.show.names)

    def _spec(self, name: str) -> config.NodeSpec:
        return next(spec for spec in self.show.config.nodes if spec.name == name)

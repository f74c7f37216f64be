"""Run one writer and its readers in processes of their own, and count."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from bench.links import Link, Reader, Writer
from engine.clock import Pacer, now_ns

CONTEXT = multiprocessing.get_context("spawn")  # what the engine's nodes are: processes with nothing in common
QUIET_S = 1.0  # a reader that got nothing for so long has got all it will get
WARM_UP_S = 0.3
PATIENCE_S = 30.0  # for a process to start, or to finish after its last frame


@dataclass
class Run:
    """What one run of one link gave.

    latencies_ns: of every frame, of all readers.
    cpu: CPU seconds of all its processes per second.
    dropped: frames, of all readers, that were sent and not seen.
    wrong: frames that were not what was sent.
    """

    latencies_ns: list[int] = field(default_factory=list)
    cpu: float = 0.0
    dropped: int = 0
    wrong: int = 0


class Stamp:
    """Two words at a frame's start (when it was begun, its number) and the number again at its very end."""

    def __init__(self) -> None:
        self.begun_ns = self.number = self.seen_ns = 0
        self.whole = True

    def write(self, frame: np.ndarray) -> None:
        data = frame.reshape(-1)
        data[:16].view(np.int64)[:] = self.begun_ns, self.number
        data[-8:].view(np.int64)[0] = self.number

    def read(self, frame: np.ndarray) -> None:
        data = frame.reshape(-1)
        self.begun_ns, self.number = data[:16].view(np.int64).tolist()
        last = int(data[-8:].view(np.int64)[0])
        self.seen_ns = now_ns()
        self.whole = last == self.number


def write_frames(writer: Writer, fps: float, first: int, last: int, start_ns: int) -> float:
    """Send frames 1 to `last` from `start_ns` on, the time just before each inside it. Returns the CPU used, in cores.

    The time is taken before the frame is begun (or loaned); only frames from `first` on are counted.
    """
    stamp, pacer = Stamp(), Pacer(fps)
    pacer.next_ns = start_ns
    cpu = wall = 0
    for stamp.number in range(1, last + 1):
        time.sleep(pacer.remaining_s())
        pacer.advance()
        if stamp.number == first:
            cpu, wall = time.process_time_ns(), now_ns()
        stamp.begun_ns = now_ns()
        writer.send(stamp.write)
    time.sleep(pacer.remaining_s())
    return (time.process_time_ns() - cpu) / (now_ns() - wall)


def read_frames(reader: Reader, first: int, last: int) -> Run:
    """Take frames until number `last` or silence; those before `first` are not counted."""
    run, stamp = Run(), Stamp()
    heard = now_ns()
    cpu = wall = 0
    while stamp.number < last and now_ns() - heard < QUIET_S * 1e9:
        if not reader.receive(stamp.read, QUIET_S):
            continue
        heard = stamp.seen_ns
        if stamp.number < first:
            cpu, wall = time.process_time_ns(), heard
            continue
        run.latencies_ns.append(stamp.seen_ns - stamp.begun_ns)
        run.wrong += not stamp.whole
        run.cpu = (time.process_time_ns() - cpu) / (heard - wall)
    run.dropped = last - first + 1 - len(run.latencies_ns)
    return run


def _child(connection: Connection, link: Link, index: int | None, fps: float, first: int, last: int) -> None:
    """Reader number `index`, or the writer, in its own process: say ready, wait for go, work, wait to be let go."""
    end: Any = link.writer() if index is None else link.reader(index)
    connection.send("ready")
    start_ns = connection.recv()
    if index is None:
        connection.send(write_frames(end, fps, first, last, start_ns))
    else:
        connection.send(read_frames(end, first, last))
    connection.recv()
    end.close()


def run(links: Mapping[str, Link], readers: int, fps: float, seconds: float) -> dict[str, Run]:
    """Send frames through several links at the same time, out of step, each from its own writer to its own readers.

    So whatever else the machine does meets all of them alike. Raises `RuntimeError` when a process dies.
    """
    first = round(WARM_UP_S * fps) + 1
    plan = fps, first, first + round(seconds * fps) - 1
    children: list[tuple[str, Connection, Any]] = []
    with ExitStack() as stack:
        for name, link in links.items():
            stack.enter_context(link.opened())
            for index in [*range(readers), None]:
                connection, process = _start(link, index, plan)
                stack.callback(process.kill)
                children.append((name, connection, process))
        for name, connection, _ in children:
            _hear(name, connection, PATIENCE_S)
        start_ns, apart_ns = now_ns() + 50_000_000, 1e9 / fps / len(links)
        for name, connection, _ in children:
            connection.send(start_ns + round(apart_ns * list(links).index(name)))
        told = [(name, _hear(name, connection, seconds + PATIENCE_S)) for name, connection, _ in children]
        for _, connection, _ in children:
            connection.send("stop")
        for _, _, process in children:
            process.join(PATIENCE_S)
    return {name: _total([each for who, each in told if who == name]) for name in links}


def _total(told: list[Any]) -> Run:
    *received, writer_cpu = told
    return Run(
        [latency for each in received for latency in each.latencies_ns],
        writer_cpu + sum(each.cpu for each in received),
        sum(each.dropped for each in received),
        sum(each.wrong for each in received),
    )


def _start(link: Link, index: int | None, plan: tuple[float, int, int]) -> tuple[Connection, Any]:
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_child, args=(theirs, link, index, *plan), daemon=True)
    process.start()
    theirs.close()  # so that the child's death ends the pipe
    return ours, process


def _hear(name: str, connection: Connection, timeout_s: float) -> Any:
    try:
        if connection.poll(timeout_s):
            return connection.recv()
    except (EOFError, ConnectionError):
        pass
    raise RuntimeError(f"A process of '{name}' died or hung. Its own message, if it left one, is above.")

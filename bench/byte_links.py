"""Links that move every byte of a frame through the kernel."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.context import SpawnContext
from typing import Any

import numpy as np
import zmq

from bench.links import SLOTS, Use
from bench.wakes import free_address


class Rotation:
    """Frames of its own, for what keeps a frame for a while after `send`."""

    def __init__(self, shape: tuple[int, ...]):
        self._arrays, self._next = [np.zeros(shape, np.uint8) for _ in range(SLOTS)], 0

    def take(self) -> np.ndarray:
        self._next = (self._next + 1) % SLOTS
        return self._arrays[self._next]


class QueueLink:
    """`multiprocessing.Queue`: the array is pickled, piped and unpickled. One queue per reader."""

    def __init__(self, context: SpawnContext, shape: tuple[int, ...], readers: int):
        self.shape = shape
        self.queues = [context.Queue(SLOTS - 2) for _ in range(readers)]

    @contextmanager
    def opened(self) -> Iterator[None]:
        yield

    def writer(self) -> QueueWriter:
        return QueueWriter(self)

    def reader(self, index: int) -> QueueReader:
        return QueueReader(self.queues[index])


class QueueWriter:
    def __init__(self, link: QueueLink):
        self._queues, self._frames = link.queues, Rotation(link.shape)

    def send(self, fill: Use) -> None:
        array = self._frames.take()
        fill(array)
        for each in self._queues:
            with suppress(queue.Full):
                each.put_nowait(array)

    def close(self) -> None:
        for each in self._queues:
            each.cancel_join_thread()


class QueueReader:
    def __init__(self, frames: Any):
        self._queue = frames

    def receive(self, use: Use, timeout_s: float) -> bool:
        try:
            frame = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return False
        use(frame)
        return True

    def close(self) -> None:
        self._queue.close()


class ZmqLink:
    """pyzmq PUB/SUB over TCP on loopback, without copies on the Python side."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape, self.address = shape, free_address()

    @contextmanager
    def opened(self) -> Iterator[None]:
        yield

    def writer(self) -> ZmqWriter:
        return ZmqWriter(self)

    def reader(self, index: int) -> ZmqReader:
        return ZmqReader(self)


class ZmqWriter:
    def __init__(self, link: ZmqLink):
        self._frames = Rotation(link.shape)
        self._socket: zmq.Socket = zmq.Context.instance().socket(zmq.PUB)
        self._socket.set(zmq.SNDHWM, SLOTS - 2)
        self._socket.bind(link.address)

    def send(self, fill: Use) -> None:
        array = self._frames.take()
        fill(array)
        self._socket.send(array.data, copy=False)

    def close(self) -> None:
        self._socket.close(linger=0)


class ZmqReader:
    def __init__(self, link: ZmqLink):
        self._shape = link.shape
        self._socket: zmq.Socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, SLOTS - 2)
        self._socket.subscribe(b"")
        self._socket.connect(link.address)

    def receive(self, use: Use, timeout_s: float) -> bool:
        if not self._socket.poll(round(1000 * timeout_s)):
            return False
        use(np.frombuffer(self._socket.recv(copy=False).buffer, np.uint8).reshape(self._shape))
        return True

    def close(self) -> None:
        self._socket.close(linger=0)

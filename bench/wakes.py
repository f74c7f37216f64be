"""Other ways than the engine's own to wake the readers of a ring, for comparison.

Each is made in the parent; `ringer` is called in the writer's process, `bell` in that of a reader.
"""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import suppress
from multiprocessing import reduction
from typing import Any, Protocol

import zmq

LOOPBACK = "127.0.0.1"


class Wake(Protocol):
    def ringer(self) -> Any:
        """Something with `ring()` and `close()`."""

    def bell(self, index: int) -> Any:
        """Something with `wait(timeout_s)` and `close()`, for reader number `index`."""

    def close(self) -> None: ...


class Polling:
    """Nobody is woken: the reader looks every 500 microseconds."""

    def ringer(self) -> Polling:
        return self

    def bell(self, index: int) -> Polling:
        return self

    def ring(self) -> None:
        pass

    def wait(self, timeout_s: float) -> None:
        time.sleep(0.0005)

    def close(self) -> None:
        pass


class UdpWake:
    """A UDP datagram on loopback, to a socket that is connected once per reader, or for every datagram anew."""

    def __init__(self, readers: int, connected: bool):
        self.ports, self.connected = [free_port(socket.SOCK_DGRAM) for _ in range(readers)], connected

    def ringer(self) -> UdpRinger:
        return UdpRinger(self.ports, self.connected)

    def bell(self, index: int) -> UdpBell:
        return UdpBell(self.ports[index])

    def close(self) -> None:
        pass


class UdpRinger:
    def __init__(self, ports: list[int], connected: bool):
        self._ports, self._connected = ports, connected
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in ports]
        for each, port in zip(self._sockets, ports, strict=True):
            if connected:
                each.connect((LOOPBACK, port))

    def ring(self) -> None:
        for each, port in zip(self._sockets, self._ports, strict=True):
            if self._connected:
                each.send(b"!")
            else:
                each.sendto(b"!", (LOOPBACK, port))

    def close(self) -> None:
        for each in self._sockets:
            each.close()


class UdpBell:
    def __init__(self, port: int):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, port))

    def wait(self, timeout_s: float) -> None:
        self._socket.settimeout(timeout_s)
        with suppress(TimeoutError):
            self._socket.recv(1)

    def close(self) -> None:
        self._socket.close()


class ZmqWake:
    """A ZeroMQ message over TCP. CONFLATE keeps only the last one, or a slow reader would wake for old ones."""

    def __init__(self) -> None:
        self.address = free_address()

    def ringer(self) -> ZmqRinger:
        return ZmqRinger(self.address)

    def bell(self, index: int) -> ZmqBell:
        return ZmqBell(self.address)

    def close(self) -> None:
        pass


class ZmqRinger:
    def __init__(self, address: str):
        self._socket: zmq.Socket = zmq.Context.instance().socket(zmq.PUB)
        self._socket.bind(address)

    def ring(self) -> None:
        self._socket.send(b"!")

    def close(self) -> None:
        self._socket.close(linger=0)


class ZmqBell:
    def __init__(self, address: str):
        self._socket: zmq.Socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.set(zmq.CONFLATE, 1)
        self._socket.subscribe(b"")
        self._socket.connect(address)

    def wait(self, timeout_s: float) -> None:
        if self._socket.poll(round(1000 * timeout_s)):
            self._socket.recv()

    def close(self) -> None:
        self._socket.close(linger=0)


class EventFd:
    """Linux only: counters in the kernel. Their descriptors must be passed on to whoever rings or waits."""

    def __init__(self, readers: int):
        self._descriptors = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(readers)]

    def __getstate__(self) -> list[Any]:
        return [reduction.DupFd(each) for each in self._descriptors]

    def __setstate__(self, passed: list[Any]) -> None:
        self._descriptors = [each.detach() for each in passed]

    def ringer(self) -> EventFd:
        return self

    def bell(self, index: int) -> EventFdBell:
        return EventFdBell(self._descriptors[index])

    def ring(self) -> None:
        for each in self._descriptors:
            os.eventfd_write(each, 1)

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())


class EventFdBell:
    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def wait(self, timeout_s: float) -> None:
        if self._poll.poll(1000 * timeout_s):
            os.eventfd_read(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def free_port(kind: socket.SocketKind) -> int:
    """A port on loopback that nobody used a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def free_address() -> str:
    return f"tcp://{LOOPBACK}:{free_port(socket.SOCK_STREAM)}"

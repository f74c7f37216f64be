"""Wake-ups: a datagram on loopback that says "look again".

A wake-up is a hint. It may be lost, doubled or forged: whoever wakes reads `head` again, and whoever waits
does so for a bounded time. One mechanism on three systems, no descriptor to pass on, nothing to leak or to
clean up after a kill. bench/transports.py compares it with the alternatives.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

LOOPBACK = "127.0.0.1"
HOST = LOOPBACK.encode()


class Doorbell:
    """The reader's end. `port` goes into the reader's line of each ring that it reads."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        # One waiting datagram says all there is to say: keep the queue short, let the rest be dropped.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port: int = self._socket.getsockname()[1]
        self._timeout_s = 0.0

    def wait(self, timeout_s: float) -> None:
        """Return at a ring, or after `timeout_s`, or for no reason at all."""
        if timeout_s <= 0:
            return
        if timeout_s != self._timeout_s:
            self._timeout_s = timeout_s
            self._socket.settimeout(timeout_s)
        try:  # not `suppress`, which costs more than the rest of this path
            self._socket.recv(1)
        except OSError:  # a time-out is one
            return

    def close(self) -> None:
        self._socket.close()


class Ringer:
    """The writer's end: never blocks, never fails."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))  # else its first datagram would open a port to every network
        self._socket.setblocking(False)

    def ring(self, ports: Iterable[int]) -> None:
        for port in ports:
            if 0 < port < 65536:
                try:
                    # As bytes: Python would take a text through its codec for international names, each time.
                    self._socket.sendto(b"!", (HOST, port))
                except OSError:
                    continue

    def close(self) -> None:
        self._socket.close()

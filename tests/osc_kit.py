"""A program that speaks OSC over a UDP socket of its own."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from engine.errors import BadMessage
from engine.osc_codec import decode, encode

QUIET_S = 0.02  # loopback delivers at once; this is for systems that take a breath


class Client:
    def __init__(self, engine_port: int = 0):
        self.engine = ("127.0.0.1", engine_port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(QUIET_S)
        self.port: int = self._socket.getsockname()[1]

    def send(self, address: str, *values: Any) -> None:
        self.raw(encode(address, *values))

    def raw(self, datagram: bytes) -> None:
        self._socket.sendto(datagram, self.engine)

    def received(self) -> list[tuple[str, list[Any]]]:
        """What has come in since the last call."""
        messages: list[tuple[str, list[Any]]] = []
        try:
            while True:
                for message in decode(self._socket.recv(65536)):
                    assert not isinstance(message, BadMessage), message
                    messages.append(message)
        except TimeoutError:
            return messages

    def answers(self) -> list[list[Any]]:
        """ok, address, version, text: of the answers that have come in since the last call."""
        return [values for address, values in self.received() if address == "/utsushi/engine/answer"]

    def until(self, wanted: Callable[[str, list[Any]], bool], seconds: float = 20) -> list[Any]:
        """Wait for a message, and return its values; a watchdog, not a measurement."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for address, values in self.received():
                if wanted(address, values):
                    return values
        raise AssertionError("it never came")

    def close(self) -> None:
        self._socket.close()


def bundle(*elements: bytes) -> bytes:
    """An OSC bundle, to be done at once."""
    return b"#bundle\0" + struct.pack(">Q", 1) + b"".join(struct.pack(">i", len(one)) + one for one in elements)

"""OSC and UDP as TouchDesigner's network DATs speak them: real datagrams on loopback, no thread."""

from __future__ import annotations

import socket
import struct
from typing import Any


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (4 - len(data) % 4)


def encode(address: str, values: list[Any]) -> bytes:
    """One OSC message, with the types that `sendOSC` uses by default: int32, float32, string."""
    tags, body = ",", b""
    for value in values:
        if isinstance(value, int):
            tags, body = tags + "i", body + struct.pack(">i", value)
        elif isinstance(value, float):
            tags, body = tags + "f", body + struct.pack(">f", value)
        else:
            assert isinstance(value, str), f"OSC Out sends no {type(value).__name__}"
            tags, body = tags + "s", body + _padded(value.encode())
    return _padded(address.encode()) + _padded(tags.encode()) + body


def decode(data: bytes) -> list[tuple[str, list[Any]]]:
    """The messages of a packet; a bundle has several."""
    if data.startswith(b"#bundle\0"):
        messages, at = [], 16
        while at < len(data):
            (size,) = struct.unpack_from(">i", data, at)
            messages += decode(data[at + 4 : at + 4 + size])
            at += 4 + size
        return messages
    address, at = _text(data, 0)
    tags, at = _text(data, at)
    values: list[Any] = []
    for tag in tags[1:]:
        if tag in "ifhd":
            code = {"i": ">i", "f": ">f", "h": ">q", "d": ">d"}[tag]
            values.append(struct.unpack_from(code, data, at)[0])
            at += struct.calcsize(code)
        elif tag == "s":
            value, at = _text(data, at)
            values.append(value)
        else:
            values.append({"T": True, "F": False}.get(tag))
    return [(address, values)]


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at)
    return data[at:end].decode(), end + 4 - end % 4


class Port:
    """A bound UDP socket, or None's worth of one while the DAT is not active."""

    def __init__(self) -> None:
        self.number, self._socket = 0, None

    def listen(self, number: int) -> str:
        """Follow the DAT's parameters; 0 closes. Returns what stands in the way."""
        if number == self.number:
            return ""
        self.close()
        if number:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            try:
                self._socket.bind(("127.0.0.1", number))
            except OSError as error:
                self.close()
                return f"port {number}: {error.strerror}"
            self.number = number
        return ""

    def receive(self) -> list[bytes]:
        """What has come since the last frame."""
        data: list[bytes] = []
        while self._socket is not None:
            try:
                data.append(self._socket.recv(65536))
            except BlockingIOError:
                break
        return data

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self.number, self._socket = 0, None


def send(host: str, port: int, data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(data, (host, port))

"""OSC 1.0: bytes to messages, their values to settings, and back to bytes. python-osc reads and writes the values.

Bundles are taken apart in here, because python-osc drops a whole bundle for one bad message in it, never returns
from one with a negative size, and puts zeros in place of a number that was cut off.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.parsing import osc_types

from engine.config.errors import shown
from engine.errors import BadMessage
from engine.panel import Parameter

BUNDLE = b"#bundle\0"
HEAD = len(BUNDLE) + 8  # and the time tag: what is sent is done at once
MOST_BYTES = 4096  # of one message, since reading text takes its time
MOST_DEPTH = 8  # of bundles in bundles
MOST_FLOAT = float(np.finfo(np.float32).max)
Message = tuple[str, list[Any]]  # address, values


def decode(data: bytes, depth: int = 0) -> Iterator[Message | BadMessage]:
    """The messages of a datagram in order, and a `BadMessage` in place of each that cannot be used. Never raises."""
    if not data.startswith(BUNDLE):
        try:
            yield _message(data)
        except BadMessage as error:
            yield error
        return
    at = HEAD
    while at + 4 <= len(data) and depth < MOST_DEPTH:
        (size,) = struct.unpack_from(">i", data, at)
        if size < 0 or at + 4 + size > len(data):
            break
        yield from decode(data[at + 4 : at + 4 + size], depth + 1)
        at += 4 + size
    if at != len(data):
        yield BadMessage("That was an OSC bundle that is cut off or not well formed; what came before was done.")


def _float(data: bytes, at: int) -> tuple[float, int]:
    """The shortest number that OSC's 32 bits stand for: 0.3 and not 0.30000001, which a limit of 0.3 would refuse."""
    value, at = osc_types.get_float(data, at)
    return float(str(np.float32(value))), at


READERS: dict[str, Callable[[bytes, int], tuple[Any, int]]] = {
    "i": osc_types.get_int,
    "h": osc_types.get_int64,
    "f": _float,
    "d": osc_types.get_double,
    "s": osc_types.get_string,
    "T": lambda data, at: (True, at),
    "F": lambda data, at: (False, at),
}


def _message(data: bytes) -> Message:
    if len(data) > MOST_BYTES:
        raise BadMessage(f"An OSC message of {len(data)} bytes was refused; {MOST_BYTES} are allowed.")
    if not data.startswith(b"/"):
        raise BadMessage("That was no OSC: a message begins with its address, such as /utsushi/engine/ask.")
    values = []
    try:
        address, at = osc_types.get_string(data, 0)
        tags, at = osc_types.get_string(data, at) if at < len(data) else (",", at)
        for tag in tags.removeprefix(","):
            if tag not in READERS:
                raise BadMessage(f"A value of the OSC type {shown(tag)} cannot be used; send numbers or text.")
            value, at = READERS[tag](data, at)
            values.append(value)
    except (osc_types.ParseError, ValueError):
        at = len(data) + 1
    if at > len(data):
        raise BadMessage("That was an OSC message that is cut off or not well formed.")
    return address, values


def encode(address: str, *values: Any) -> bytes:
    """A message that every program understands: true and false go as 1 and 0, lists as one value after the other."""
    builder = OscMessageBuilder(address)
    for value in values:
        for one in value if isinstance(value, (list, tuple)) else [value]:
            builder.add_arg(*_argument(one))
    return builder.build().dgram


def _argument(value: Any) -> tuple[Any, str]:
    if isinstance(value, str):
        return value.replace("\0", "").encode(errors="replace").decode(), "s"
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value), "i" if -(2**31) <= value < 2**31 else "h"
    return float(value), "d" if MOST_FLOAT < abs(value) < float("inf") else "f"


def setting(parameter: Parameter, values: Sequence[Any]) -> Any:
    """The values of a message as what the parameter is set to; its limits are not looked at here.

    A CHOP sends nothing but floats: 3.0 is good for a whole number, 0 and 1 for false and true, and a whole number
    for the word of a menu that stands there, counted from 0. Raises `BadMessage`.
    """
    if not parameter.size <= len(values) <= parameter.most:
        wanted = f"{parameter.size}" + (f" to {parameter.most}" if parameter.most > parameter.size else "")
        raise BadMessage(f"{parameter.name!r} takes {wanted} value{'s' * (wanted != '1')}, and {len(values)} came.")
    fitted = [_one(parameter, value) for value in values]
    return fitted[0] if parameter.size == len(fitted) == 1 else fitted


def _one(parameter: Parameter, value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    whole = int(value) if number and value == value // 1 else None
    match parameter.type:
        case "float" if number:
            return value
        case "int" if whole is not None:
            return whole
        case "bool" if isinstance(value, bool) or whole in (0, 1):
            return bool(value)
        case "str" | "menu" if isinstance(value, str):
            return value
        case "menu" if whole is not None and 0 <= whole < len(parameter.menu or ()):
            return (parameter.menu or ())[whole]
    raise BadMessage(f"{parameter.name!r} takes {_wanted(parameter)}, and {shown(value)} came.")


def _wanted(parameter: Parameter) -> str:
    if parameter.type == "menu":
        return "one of " + ", ".join(parameter.menu or ())
    return {"float": "a number", "int": "a whole number", "bool": "true or false, 1 or 0", "str": "text"}[
        parameter.type
    ]

"""A picture that says when it was made, for cameras that go wrong on purpose. Needs nothing but Python, because one of
them runs in the system's (tests/rtsp_server.py)."""

from __future__ import annotations

import time

BITS, BLOCK = 16, 16  # each bit is a block of that many pixels a side, which survives lossy coding
ROUND = 1 << BITS
GREY, DARK, BRIGHT = 90, 20, 230


def clock_ms() -> int:
    """The clock that all processes share, in ms, as far as it fits into a picture: about a minute."""
    return time.perf_counter_ns() // 1_000_000 % ROUND


def age_ms(stamp: int, at_ns: int) -> int:
    """How old a picture of that stamp was at `at_ns` of the clock; negative before it was made."""
    return (at_ns // 1_000_000 - stamp + ROUND // 2) % ROUND - ROUND // 2


def stamped(number: int, width: int = 320, height: int = 240) -> bytes:
    """A picture, (H, W, 3) in bytes, that holds `number` in blocks in its top rows."""
    bits = b"".join(bytes([BRIGHT if number >> bit & 1 else DARK]) * 3 * BLOCK for bit in range(BITS))
    grey = bytes([GREY]) * 3
    return (bits + grey * (width - BITS * BLOCK)) * BLOCK + grey * (width * (height - BLOCK))

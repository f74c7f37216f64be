"""Which sizes and rates a camera has on Linux, asked of its driver. It need not be free for that, and stays as it is.

After https://docs.kernel.org/userspace-api/media/v4l/vidioc-enum-fmt.html, …-enum-framesizes.html and
…-enum-frameintervals.html; the layouts are those of videodev2.h.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator

from nodes.camera.devices.device import Format

CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
ENUM_FMT, FMT = 0xC0405602, struct.Struct("=3I32sI16x")  # index, type, flags, description, pixel format
ENUM_SIZES, SIZES = 0xC02C564A, struct.Struct("=3I6I8x")  # index, pixel format, kind, sizes
ENUM_INTERVALS, INTERVALS = 0xC034564B, struct.Struct("=5I6I8x")  # the same with width, height before the kind
DISCRETE = 1  # other kinds are ranges, of which the ends are told
MOST = 200  # of anything; a driver that never ends is not to be believed

Ioctl = Callable[[int, int, bytearray], object]


def formats(path: str, ioctl: Ioctl | None = None) -> tuple[Format, ...]:
    """What the camera at /dev/video… offers, in the driver's order; nothing where it does not say."""
    if ioctl is None:
        import fcntl  # not on Windows

        ioctl = fcntl.ioctl  # type: ignore[attr-defined, unused-ignore]
    try:
        file = os.open(path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return ()
    try:
        return tuple(
            Format(width, height, fps, code.to_bytes(4, "little").decode("latin-1").strip())
            for *_, code in _each(ioctl, file, ENUM_FMT, FMT, CAPTURE)
            for width, height in _sizes(ioctl, file, code)
            for fps in _rates(ioctl, file, code, width, height)
        )
    finally:
        os.close(file)


def _sizes(ioctl: Ioctl, file: int, code: int) -> Iterator[tuple[int, int]]:
    for _, _, kind, *numbers in _each(ioctl, file, ENUM_SIZES, SIZES, code):
        if kind == DISCRETE:
            yield numbers[0], numbers[1]
        else:  # least, most and step of the width, then of the height
            yield from dict.fromkeys([(numbers[0], numbers[3]), (numbers[1], numbers[4])])
            return


def _rates(ioctl: Ioctl, file: int, code: int, width: int, height: int) -> list[float]:
    """Pictures per second; [0.0] where the driver does not say. Of a range the highest."""
    found = []
    for *_, kind, over, under, _, _, _, _ in _each(ioctl, file, ENUM_INTERVALS, INTERVALS, code, width, height):
        if over and under:
            found.append(round(under / over, 2))  # it tells the time from one picture to the next
        if kind != DISCRETE:
            break
    return found or [0.0]


def _each(ioctl: Ioctl, file: int, request: int, layout: struct.Struct, *what: int) -> Iterator[tuple]:
    """The answers for index 0, 1, … until the driver has no more."""
    for index in range(MOST):
        memory = bytearray(struct.pack(f"={1 + len(what)}I", index, *what).ljust(layout.size, b"\0"))
        try:
            ioctl(file, request, memory)
        except OSError:
            return
        yield layout.unpack(memory)

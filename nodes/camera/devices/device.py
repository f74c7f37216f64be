"""What `run_engine.py devices` tells of one device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np


class Format(NamedTuple):
    """One way in which a device gives pictures. format: as its driver calls it, such as MJPG, YUYV or Z16."""

    width: int
    height: int
    fps: float
    format: str


@dataclass(frozen=True)
class Device:
    """One device that was found.

    snapshot: takes one picture, (H, W, 3) uint8 BGR; raises BadInput. It may take long, or never return: the command
    calls it in a process of its own.
    identity: what to write into a config, as `source` or `serial`.
    usb: the version that it speaks, "3.2" or "2.1"; "" where that is not known. speed: Mbit/s; 0: not known.
    path: where the system keeps it. remark: a sentence, or "".
    """

    kind: Literal["camera", "realsense"]
    name: str
    identity: str
    snapshot: Callable[[], np.ndarray]
    formats: tuple[Format, ...] = ()
    serial: str = ""
    usb: str = ""
    speed: int = 0
    path: str = ""
    remark: str = ""

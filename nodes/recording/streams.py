"""What a recording says of each of its streams, so that a replay can offer them before it has read a frame."""

from __future__ import annotations

import re
from collections.abc import Mapping

from engine.config.model import NODE_NAME
from engine.frame import Frame
from engine.node import Depth, Image, Keypoints, Port, World

POINTS_MOST = 1000
CHANNELS_MOST = 16


def facts(frame: Frame, place: int, wall_ns: int) -> dict[str, str]:
    """What is written down of a stream, from its first frame.

    place: among the streams, for a replay the same. wall_ns: what the file adds to the frames' clock.
    """
    shape = "x".join(map(str, frame.shape))
    about = {"pixel_format": frame.pixel_format, "dtype": frame.dtype.name, "shape": shape}
    return about | {"place": str(place), "wall_ns": str(wall_ns)}


def usable(name: str) -> bool:
    """Can a stream be called so? Names come from files."""
    return re.fullmatch(NODE_NAME, name) is not None


def place(found: Mapping[str, str]) -> int:
    return _number(found.get("place", ""))


def wall_ns(found: Mapping[str, str]) -> int:
    text = found.get("wall_ns", "")
    return int(text) if re.fullmatch("-?[0-9]{1,19}", text) else 0


def port(found: Mapping[str, str]) -> Port:
    """The output for frames like these; one of pictures where nothing better is known. Rings grow by themselves."""
    pixel_format, lengths = found.get("pixel_format", ""), found.get("shape", "").split("x")
    last, points = _number(lengths[-1]), _number(lengths[-2] if lengths[1:] else "")
    if pixel_format == "DEPTH":
        return Depth()
    if pixel_format in ("KEYPOINTS", "WORLD"):
        return (World if pixel_format == "WORLD" else Keypoints)(points=max(1, min(points, POINTS_MOST)))
    return Image(channels=max(1, min(last, CHANNELS_MOST)))


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else 0

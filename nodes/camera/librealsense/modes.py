"""What a camera can give: of sizes, rates and formats the nearest to what is wanted that works."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import log2
from typing import Any, NamedTuple

from engine.errors import BadInput
from nodes.camera.librealsense.picture import FORMATS
from nodes.camera.librealsense.sdk import info, name_of

MOST_TRIES = 40  # each one asks the camera


class Mode(NamedTuple):
    width: int
    height: int
    fps: int
    format: str


class Wanted(NamedTuple):
    """size: (width, height) of the pictures. depth, infrared: see `camera.realsense`."""

    size: tuple[int, int]
    fps: float
    depth: bool
    infrared: bool


def modes(rs: Any, device: Any, kind: Any, index: int = 0) -> set[Mode]:
    """All modes of one of the camera's streams."""
    profiles = (profile for sensor in device.query_sensors() for profile in sensor.get_stream_profiles())
    return {
        Mode(video.width(), video.height(), profile.fps(), profile.format().name)
        for profile in profiles
        if profile.stream_type() == kind and profile.stream_index() == index
        for video in [profile.as_video_stream_profile()]
        if video
    }


def request(rs: Any, context: Any, device: Any, wanted: Wanted) -> tuple[Any, Any, str]:
    """A pipeline, the config to start it with, and "" or a sentence on how that differs from what is wanted.

    Raises BadInput where the camera has nothing to offer.
    """
    pipeline = rs.pipeline(context)
    wrapper = rs.pipeline_wrapper(pipeline)
    for picture, depth in _nearest_first(rs, device, wanted):
        config = rs.config()
        config.enable_device(info(device, "serial_number"))
        kind, index = picture_stream(rs, wanted.infrared)
        config.enable_stream(kind, index, *picture[:2], getattr(rs.format, picture.format), picture.fps)
        if depth:
            config.enable_stream(rs.stream.depth, 0, *depth[:2], rs.format.z16, depth.fps)
        if config.can_resolve(wrapper):
            return pipeline, config, _compromise(picture, wanted)
    what = " with depths" if wanted.depth else ""
    raise BadInput(
        f"{name_of(device)} offers no {'infrared' if wanted.infrared else 'colour'} pictures{what}. "
        "Check `depth` and `infrared`, or take another camera."
    )


def picture_stream(rs: Any, infrared: bool) -> tuple[Any, int]:
    """The SDK's name and index of the stream of pictures; infrared ones are the left camera's."""
    return (rs.stream.infrared, 1) if infrared else (rs.stream.color, 0)


def _nearest_first(rs: Any, device: Any, wanted: Wanted) -> Iterator[tuple[Mode, Mode | None]]:
    kind, index = picture_stream(rs, wanted.infrared)
    order = list(FORMATS)
    pictures = {mode for mode in modes(rs, device, kind, index) if mode.format in order}
    depths = {mode for mode in modes(rs, device, rs.stream.depth) if mode.format == "z16"} if wanted.depth else {None}
    # The sensors of one pair run at one rate; an infrared picture and its depths come from the very same pixels.
    pairs = [
        (picture, depth)
        for picture, depth in product(pictures, depths)
        if depth is None or (picture.fps == depth.fps and (not wanted.infrared or picture[:2] == depth[:2]))
    ]

    def cost(pair: tuple[Mode, Mode | None]) -> tuple[float, int]:
        return sum(_far(mode, wanted) for mode in pair if mode), order.index(pair[0].format)

    yield from sorted(pairs, key=cost)[:MOST_TRIES]


def _far(mode: Mode, wanted: Wanted) -> float:
    """0: just right. Half or twice as wide or high counts 1, as quick 3: slow pictures hurt a show more than coarse."""
    width, height, fps = (
        abs(log2(have / want)) for have, want in zip(mode[:3], (*wanted.size, wanted.fps), strict=True)
    )
    return width + height + 3 * fps


def _compromise(picture: Mode, wanted: Wanted) -> str:
    if picture[:2] == wanted.size and picture.fps == wanted.fps:
        return ""
    return (
        f"It gives {picture.width} × {picture.height} at {picture.fps} pictures per second instead of "
        f"{wanted.size[0]} × {wanted.size[1]} at {wanted.fps:g}."
    )

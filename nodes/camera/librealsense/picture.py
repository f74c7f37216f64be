"""From the SDK's frames to arrays, and from its intrinsics to a Lens."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.frame import Lens

# OpenCV's conversion to BGR of each format that a picture may come in, the best first; None: it is BGR.
FORMATS: dict[str, str | None] = {
    "bgr8": None,
    "rgb8": "COLOR_RGB2BGR",
    "bgra8": "COLOR_BGRA2BGR",
    "rgba8": "COLOR_RGBA2BGR",
    "yuyv": "COLOR_YUV2BGR_YUY2",
    "uyvy": "COLOR_YUV2BGR_UYVY",
    "y8": "COLOR_GRAY2BGR",
}


def picture_of(frames: Any, infrared: bool) -> Any:
    """The picture of a frameset; false where it has none. The infrared ones are those of the left camera."""
    return frames.get_infrared_frame(1) if infrared else frames.get_color_frame()


def pixels_of(frame: Any) -> np.ndarray:
    """The frame's own memory, (H, W) or (H, W, C); valid while the frame is kept."""
    return np.asanyarray(frame.get_data())


def picture_into(frame: Any, array: np.ndarray) -> None:
    """Fill `array`, (H, W, 3) uint8 BGR, with a picture in one of the FORMATS."""
    import cv2

    pixels, conversion = pixels_of(frame), FORMATS[frame.profile.format().name]
    if conversion is None:
        np.copyto(array, pixels)
    else:
        if pixels.dtype == np.uint16:  # two bytes a pixel: YUYV, UYVY
            pixels = pixels.view(np.uint8).reshape(*pixels.shape, 2)
        cv2.cvtColor(pixels, getattr(cv2, conversion), dst=array)


def lens_of(profile: Any, metres: float = 0.0) -> Lens:
    """Of a stream. Distortion that `Lens` has no name for is left out."""
    intrinsics = profile.as_video_stream_profile().get_intrinsics()
    model, coefficients = intrinsics.model.name.upper(), tuple(float(one) for one in intrinsics.coeffs)
    if model not in ("BROWN_CONRADY", "INVERSE_BROWN_CONRADY") or not any(coefficients):
        model, coefficients = "NONE", (0.0,) * 5
    where = (intrinsics.fx, intrinsics.fy, intrinsics.ppx, intrinsics.ppy)
    return Lens(*where, model, coefficients, metres)  # type: ignore[arg-type]

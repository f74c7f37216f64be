"""Frames to look at: any frame as a picture, and a contact sheet of a stream."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from engine.frame import Frame
from nodes.output.fit import fit_rgba

SIZE = (320, 240)  # of one picture
COLUMNS = 4
BAR = 20  # under each, for its time
GREY, WHITE, DOT = (40, 40, 40), (230, 230, 230), (80, 200, 255)


def thumbnail(frame: Frame) -> np.ndarray:
    """(240, 320, 3) uint8 BGR. Depths are coloured from near to far, points are dots; what is neither is grey."""
    width, height = SIZE
    tile = np.full((height, width, 3), GREY, np.uint8)
    if frame.pixel_format in ("KEYPOINTS", "WORLD"):
        _dots(tile, frame)
        return tile
    try:
        rgba = np.empty((height, width, 4), np.uint8)
        fit_rgba(_coloured(frame), "contain", rgba)
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR)
    except ValueError:
        return tile


def sheet(frames: Sequence[Frame], captions: Sequence[str]) -> np.ndarray:
    """(H, W, 3) uint8 BGR: the frames in rows of four, each over its caption. At least one frame."""
    tiles = []
    for frame, caption in zip(frames, captions, strict=True):
        tile = np.vstack([thumbnail(frame), np.zeros((BAR, SIZE[0], 3), np.uint8)])
        cv2.putText(tile, caption, (4, SIZE[1] + 15), cv2.FONT_HERSHEY_SIMPLEX, 0.4, WHITE, 1, cv2.LINE_AA)
        tiles.append(tile)
    columns = min(COLUMNS, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[row : row + columns]) for row in range(0, len(tiles), columns)])


def _coloured(frame: Frame) -> Frame:
    if frame.pixel_format != "DEPTH" or frame.array.ndim != 3:
        return frame
    depth = frame.array[..., 0].astype(np.float32)
    known = depth > 0
    near, far = np.percentile(depth[known], (2, 98)) if known.any() else (0, 1)
    grey = np.clip((depth - near) / max(far - near, 1) * 255, 0, 255).astype(np.uint8)
    picture = cv2.applyColorMap(255 - grey, cv2.COLORMAP_TURBO)
    picture[~known] = 0
    return _with(frame, picture)


def _with(frame: Frame, picture: np.ndarray) -> Frame:
    return Frame(
        picture, frame.seq, frame.epoch, frame.ordinal, frame.capture_ns, frame.capture_wall_ns, frame.publish_ns,
        pixel_format="BGR", row_order=frame.row_order,
    )  # fmt: skip


def _dots(tile: np.ndarray, frame: Frame) -> None:
    """Keypoints where they are in their picture; points in space as seen from the camera."""
    points = frame.array
    if points.ndim != 3 or points.shape[2] != 4 or not points.size:
        return
    x, y, _, score = points.reshape(-1, 4).astype(np.float64).T
    seen = np.isfinite(x) & np.isfinite(y) & (score > 0.3)
    if not seen.any():
        return
    if frame.pixel_format == "KEYPOINTS" and min(frame.canvas) > 0:
        left, top, (wide, high) = 0.0, 0.0, frame.canvas
    else:
        left, top = x[seen].min(), y[seen].min()
        wide, high = x[seen].max() - left, y[seen].max() - top
    scale = min(SIZE[0] / max(wide, 1e-6), SIZE[1] / max(high, 1e-6)) * 0.98
    for px, py in zip(x[seen], y[seen], strict=True):
        at = SIZE[0] / 2 + (px - left - wide / 2) * scale, SIZE[1] / 2 + (py - top - high / 2) * scale
        if all(-1e4 < one < 1e4 for one in at):
            cv2.circle(tile, (round(at[0]), round(at[1])), 2, DOT, -1, cv2.LINE_AA)

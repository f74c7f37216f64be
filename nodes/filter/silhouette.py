"""The outline of people in a picture, cut along their depth: nothing behind or beside them, and no hole in them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from engine.frame import Lens
from nodes.lens import rays
from nodes.pose.depth_reader import Reading
from nodes.pose.floor.plane import Floor

Pixel = tuple[int, int]
WIDTH = 320  # of the picture in which bodies are looked for, at most; their edges are then found in the whole one
_LEAST_SCORE = 0.1
_STEP_M = 0.15  # a limb that comes nearer by more than that is taken in pieces
_SHOE_M = 0.03  # what is no higher above the floor is floor
_RADIUS, _EPSILON = 3, 1e-3  # of the guided filter: pixels of the small picture; how much contrast is an edge, squared
_STEEP = 4.0  # how much narrower than that filter's window an edge is

# From one point to another, how far from that line a body may reach, and how far it surely does, in metres. What is in
# between must be at the line's depth; what surely is body may be a hole in the depth picture, as dark hair often is.
_LINES = [
    ("nose", "nose", 0.22, 0.09),
    ("left_ear", "right_ear", 0.2, 0.08),
    ("left_shoulder", "right_shoulder", 0.2, 0.05),
    ("left_hip", "right_hip", 0.2, 0.05),
    ("left_shoulder", "right_hip", 0.2, 0.06),
    ("right_shoulder", "left_hip", 0.2, 0.06),
    *(
        (f"{side}_{start}", f"{side}_{end}", reach, sure)
        for side in ("left", "right")
        for start, end, reach, sure in (
            ("shoulder", "ear", 0.13, 0.03), ("shoulder", "hip", 0.22, 0.05), ("shoulder", "elbow", 0.15, 0.03),
            ("elbow", "wrist", 0.12, 0.025), ("wrist", "wrist", 0.2, 0.02), ("hip", "knee", 0.18, 0.05),
            ("knee", "ankle", 0.14, 0.03), ("ankle", "ankle", 0.12, 0.02), ("ankle", "foot_index", 0.1, 0.02),
            ("ankle", "big_toe", 0.1, 0.02),
        )
    ),
]  # fmt: skip


class Silhouette:
    """layout: of the points that it is given."""

    def __init__(self, layout: tuple[str, ...]):
        self._lines = [
            (layout.index(start), layout.index(end), reach, sure)
            for start, end, reach, sure in _LINES
            if start in layout and end in layout
        ]

    def __call__(
        self, points: np.ndarray, found: Reading, depth: np.ndarray, lens: Lens, thickness: float, floor: Floor | None
    ) -> np.ndarray:
        """Where the people are, (h, w) uint8 0 or 1, at most `WIDTH` wide.

        points: (P, K, 4) in pixels of the depth picture; found: what was read there. depth: (H, W) uint16.
        thickness: metres before and behind its bones that still are the body.
        """
        height, width = depth.shape
        share = min(1.0, WIDTH / width)
        size = max(1, round(width * share)), max(1, round(height * share))
        z = cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST) * np.float32(lens.metres)
        unknown = z == 0
        stands = ~unknown
        if floor is not None:
            stands &= z * _upwards(lens, (width, height), size, floor.plane[:3]) + np.float32(floor.height) > _SHOE_M
        scale = np.array(size) / (width, height)
        places = (points[..., :2] + 0.5) * scale - 0.5
        focus = lens.fx * scale[0]
        union = np.zeros(z.shape, bool)
        for person in np.flatnonzero(found.body > 0):
            union |= self._one(places[person], points[person, :, 3], found.z[person], z, stands, focus, thickness)
        return _mended(union, unknown)

    def _one(
        self,
        places: np.ndarray,
        score: np.ndarray,
        depths: np.ndarray,
        z: np.ndarray,
        stands: np.ndarray,
        focus: float,
        thickness: float,
    ) -> np.ndarray:
        """One person, (h, w) bool: what is at the depth of a bone nearby and hangs together with the bones."""
        body, core = np.zeros(z.shape, bool), np.zeros(z.shape, np.uint8)
        sure_enough = (score >= _LEAST_SCORE) & (depths > 0)
        at = np.round(np.clip(places, -10000, 10000)).astype(int).tolist()
        depth_at = depths.tolist()
        for start, end, reach, sure in self._lines:
            if not (sure_enough[start] and sure_enough[end]):
                continue
            for one, two, middle in _pieces(at[start], at[end], depth_at[start], depth_at[end]):
                pixels = focus / middle
                cv2.line(core, one, two, 1, _thick(sure * pixels))
                half = _thick(reach * pixels) // 2 + 2
                left, right = max(min(one[0], two[0]) - half, 0), max(one[0], two[0]) + half
                top, bottom = max(min(one[1], two[1]) - half, 0), max(one[1], two[1]) + half
                near = z[top : max(bottom, 0), left : max(right, 0)]
                if near.size:
                    stencil = np.zeros(near.shape, np.uint8)
                    start_here, end_here = ((x - left, y - top) for x, y in (one, two))
                    cv2.line(stencil, start_here, end_here, 1, _thick(reach * pixels))
                    found = stencil.view(bool) & (np.abs(near - middle) < thickness)
                    body[top : max(bottom, 0), left : max(right, 0)] |= found
        known_core = core > 0
        body = (body & stands) | (known_core & (z == 0))
        count, labels = cv2.connectedComponents(body.astype(np.uint8))
        kept = np.zeros(count, bool)
        kept[labels[known_core & body]] = True
        kept[0] = False
        return kept[labels]


def _pieces(start: list[int], end: list[int], near: float, far: float) -> Iterator[tuple[Pixel, Pixel, float]]:
    """A line between two pixels in pieces, each so short that its depth, in the middle, is good for all of it."""
    count = max(1, round(abs(far - near) / _STEP_M))
    across, down, away = (end[0] - start[0]) / count, (end[1] - start[1]) / count, (far - near) / count
    stops = [(round(start[0] + across * n), round(start[1] + down * n)) for n in range(count + 1)]
    for number, (one, two) in enumerate(pairwise(stops)):
        yield one, two, near + away * (number + 0.5)


def _thick(half: float) -> int:
    return max(1, min(round(2 * half), 10000))


def _mended(body: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Without specks and cracks, and with what is unknown at the edge or enclosed: (h, w) uint8 0 or 1."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    mask = cv2.morphologyEx(body.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel, iterations=2)
    mask = mask | (cv2.dilate(mask, kernel) & unknown)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = cv2.drawContours(np.zeros_like(mask), outlines, -1, 1, cv2.FILLED)
    return mask | (whole & unknown)


def region(mask: np.ndarray, size: tuple[int, int], feather: float) -> tuple[slice, slice]:
    """The rows and columns of a picture of this width and height outside of which nobody is."""
    left, top, width, height = cv2.boundingRect(mask)
    grown = []
    for start, length, small, whole in ((top, height, mask.shape[0], size[1]), (left, width, mask.shape[1], size[0])):
        margin = (2 * _RADIUS + 2) * whole / small + feather
        grown.append(slice(max(0, int(start * whole / small - margin)), int((start + length) * whole / small + margin)))
    return grown[0], grown[1]


def refined(mask: np.ndarray, guide: np.ndarray, grey: np.ndarray, where: tuple[slice, slice], size: tuple[int, int],
            feather: float) -> np.ndarray:  # fmt: skip
    """(h, w) 0 or 1 → opacity, uint8, of a piece of the picture: its edge follows that of the picture.

    guide: (h, w) uint8, the whole picture in grey, as small as the mask; grey: the piece. where: the piece is, in a
    picture of this width and height. feather: pixels by which the edge is softened.
    Source: He and Sun, "Fast Guided Filter", 2015.
    """
    light, wanted = guide * np.float32(1 / 255), mask.astype(np.float32)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (2 * _RADIUS + 1, 2 * _RADIUS + 1))

    middle, share = mean(light), mean(wanted)
    slope = (mean(light * wanted) - middle * share) / (mean(light * light) - middle * middle + _EPSILON)
    slope, offset = mean(slope), mean(share - slope * middle)
    # An edge of `_STEEP` times that slope around one half, in numbers from 0 to 255.
    slope, offset = slope * _STEEP, 255 * ((offset - 0.5) * _STEEP + 0.5)
    across, down = mask.shape[1] / size[0], mask.shape[0] / size[1]
    rows, columns = where
    to_small = np.array(
        [[across, 0, (columns.start + 0.5) * across - 0.5], [0, down, (rows.start + 0.5) * down - 0.5]], np.float32
    )

    def large(values: np.ndarray) -> np.ndarray:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(values, to_small, grey.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)

    opacity = cv2.multiply(large(slope), grey, dtype=cv2.CV_32F)
    opacity += large(offset)
    clean = cv2.convertScaleAbs(np.maximum(opacity, 0, out=opacity))
    side = 2 * round(feather) + 1
    return cv2.blur(clean, (side, side)) if side > 1 else clean


@lru_cache(4)
def _upwards(
    lens: Lens, whole: tuple[int, int], size: tuple[int, int], normal: tuple[float, float, float]
) -> np.ndarray:
    """By how much the line of sight of each pixel of the small picture rises above the floor per metre, (h, w)."""
    columns, rows = np.meshgrid(
        *((np.arange(small) + 0.5) * large / small - 0.5 for small, large in zip(size, whole, strict=True))
    )
    sight = rays(lens, np.stack([columns, rows], -1))
    return (sight @ np.array(normal[:2]) + normal[2]).astype(np.float32)

"""Soft, lit shapes from tapered capsules.

A tapered capsule is what a ball sweeps that moves from one joint to the next while its radius changes:
the exact distance to it is that of Quilez' "uneven capsule" (iquilezles.org/articles/distfunctions2d).
Several of them melt into one shape: each pixel takes the mean of their values, weighted by
exp(-distance / softness), and the distance is the matching smooth minimum (Quilez, "smooth minimum").

All of it is smooth, so it is computed at a fraction of the resolution and enlarged; only the coverage,
which is the edge, is computed from the enlarged distance. Edges come out sharp and anti-aliased.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

LIGHT = np.array([-0.46, -0.62, 0.64], np.float32)  # from where the light comes: x right, y down, z to the viewer
TINY = 1e-3  # pixels
STEEPEST = 0.9  # of a taper, as the sine of its half angle
NEAR = 2.8  # in units of softness: how far outside a capsule its colour and opacity reach
TONES, SHADES = 64, 256  # size of a ramp: along the body × from shadow to light


@dataclass(frozen=True)
class Patch:
    """A shape as pixels, ready to be laid over a picture.

    x, y: its upper left corner in the picture, multiples of grid.  grid: pixels per sample, both ways.
    colour: (h, w, 4) uint8 opaque RGBA.  distance: (h, w) float32 pixels to the outline, negative inside.
    opacity: (h, w) float32 0..1.  The last samples may reach out of the picture.
    """

    x: int
    y: int
    grid: int
    colour: np.ndarray
    distance: np.ndarray
    opacity: np.ndarray

    def over(self, canvas: np.ndarray) -> None:
        """Lay the shape over `canvas`, (H, W, 4) uint8 premultiplied, in place."""
        rows, columns = self.distance.shape
        size = (columns * self.grid, rows * self.grid)
        cover = np.clip(0.5 - cv2.resize(self.distance, size), 0, 1) * cv2.resize(self.opacity, size)
        _blend(canvas[self.y :, self.x :], cv2.resize(self.colour, size), cover)

    def over_small(self, canvas: np.ndarray) -> None:
        """The same on a picture of 1 / grid of the size."""
        cover = np.clip(0.5 - self.distance / self.grid, 0, 1) * self.opacity
        _blend(canvas[self.y // self.grid :, self.x // self.grid :], self.colour, cover)


def grid_for(size: tuple[int, int]) -> int:
    """Pixels per sample for a picture of this size: as many samples on a body in a large picture as in a small one."""
    return max(1, round(min(size) / 256))


def _blend(canvas: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> None:
    """Lay `colour` over the upper left corner of `canvas`, in place; what reaches out is cut off."""
    height, width = (min(pair) for pair in zip(canvas.shape[:2], cover.shape, strict=True))
    region, colour, cover = canvas[:height, :width], colour[:height, :width], cover[:height, :width]
    cv2.blendLinear(colour, region, cover, 1 - cover, dst=region)


def patch(ends: np.ndarray, ramp: np.ndarray, softness: float, size: tuple[int, int]) -> Patch | None:
    """Melt capsules into one shape; None where nothing of it is inside the picture.

    ends: (capsules, 2, 5) float32: x, y, radius, tone, opacity of the two ends of each capsule.
    ramp: (TONES, SHADES) uint32, packed RGBA.  softness: pixels over which shapes melt.
    size: width and height of the picture.
    """
    grid = grid_for(size)
    box = _box(ends, softness, size, grid)
    if box is None:
        return None
    x0, y0, x1, y1 = box
    x, y = (np.arange(a, b, grid, dtype=np.float32) + np.float32((grid - 1) / 2) for a, b in ((x0, x1), (y0, y1)))
    distance, along, shade = _fields(ends, x, y)

    weight = np.exp(distance / -softness)
    # Far from every capsule all weights underflow to 0.
    total = np.maximum(weight.sum(0), np.finfo(np.float32).tiny)
    weight /= total

    def run(column: int) -> np.ndarray:
        """A value that runs from one end of each capsule to the other."""
        return along * (ends[:, 1, column] - ends[:, 0, column])[:, None, None] + ends[:, 0, column, None, None]

    tone = np.einsum("nhw,nhw->hw", weight, run(3))
    shade = np.einsum("nhw,nhw->hw", weight, shade)
    # A pixel is as opaque as the most opaque capsule that it lies in or is melted to.
    near = np.clip(NEAR - distance / softness, 0, 1)
    opacity = (run(4) * near).max(0)
    row = np.clip(tone * (TONES - 1), 0, TONES - 1).astype(np.intp)
    column = np.clip(shade * (SHADES / 2) + SHADES / 2, 0, SHADES - 1).astype(np.intp)
    colour = ramp[row, column].view(np.uint8).reshape(*row.shape, 4)
    return Patch(x0, y0, grid, colour, -softness * np.log(total), opacity)


def _box(ends: np.ndarray, softness: float, size: tuple[int, int], grid: int) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 of all that may be drawn, inside the picture."""
    reach = ends[:, :, 2:3] + NEAR * softness + 1
    low = (ends[:, :, :2] - reach).min((0, 1)) // grid * grid
    high = (ends[:, :, :2] + reach).max((0, 1))
    x0, y0 = np.maximum(low, 0).astype(int).tolist()
    x1, y1 = np.ceil(np.minimum(high, size)).astype(int).tolist()
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _fields(ends: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each capsule, (n, h, w) float32: distance in pixels, place along it 0..1, shade -1..1."""
    a, b = ends[:, 0, :, None, None], ends[:, 1, :, None, None]
    dx, dy = b[:, 0] - a[:, 0], b[:, 1] - a[:, 1]
    dx[np.hypot(dx, dy) < TINY] = TINY  # ends that coincide: any direction will do
    length = np.hypot(dx, dy)
    dx, dy = dx / length, dy / length
    sine = np.clip((a[:, 2] - b[:, 2]) / length, -STEEPEST, STEEPEST)
    slope = sine / np.sqrt(1 - sine * sine)

    px, py = x[None, None, :] - a[:, 0], y[None, :, None] - a[:, 1]
    forward, aside = px * dx + py * dy, py * dx - px * dy
    along = np.clip((forward - np.abs(aside) * slope) / length, 0, 1)
    forward -= along * length
    radius = a[:, 2] + along * (b[:, 2] - a[:, 2])
    square = forward * forward + aside * aside
    # The surface is that of the swept ball: its normal is (forward, aside, rest) / radius.
    reach = np.sqrt(square)
    rest = np.sqrt(np.maximum(radius * radius - square, 0))
    lx, ly, lz = LIGHT
    shade = (forward * (lx * dx + ly * dy) + aside * (ly * dx - lx * dy) + lz * rest) / np.maximum(radius, reach)
    return reach - radius, along, shade

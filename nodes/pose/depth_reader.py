"""Where the points of a body are in space, read from a depth picture that may not be believed everywhere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.frame import Lens
from nodes.lens import rays
from nodes.pose.limbs import Limbs

WINDOW_M = 0.03  # half the side of the square that is looked at around a point, measured on the body
_MOST_PX = 16
_STEPS = np.linspace(-1, 1, 5)
_GRID = np.stack(np.meshgrid(_STEPS, _STEPS), -1).reshape(-1, 2)  # (25, 2): 5 × 5 places in that square
_FEWEST = 3  # of them must have a depth
_NEARLY_FIRST = 5  # the sample at a fifth, counted from the nearest, begins the near layer: no stray pixel does
_LAYER_M = 0.06  # what is that close to it belongs to it
_INSIDE = np.array(  # weights of shoulders and hips for nine places in the torso, which are read like points
    [[(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y] for y in (0.2, 0.5, 0.8) for x in (0.25, 0.5, 0.75)]
)
_SAME_BODY_M, _TORSO_M = 0.2, 0.4
_SIZES = (0.5, 1.6)  # bodies smaller or larger than this beside an average adult are none
_MARGIN_M = 0.03
_HIDDEN_SCORE, _HIDDEN_M = 0.5, 0.1  # what the estimator did not see counts as measured only where it is expected
_LAST = 65535


class Reading(NamedTuple):
    """P people, K points. rays: (P, K, 2) x, y at a depth of 1. z: (P, K) metres. measured: (P, K) bool, False where
    the body alone told z. body: (P,) metres to the middle of the torso, 0 where the picture does not show the body."""

    rays: np.ndarray
    z: np.ndarray
    measured: np.ndarray
    body: np.ndarray


def in_depth_pixels(points: np.ndarray, canvas: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """Keypoints, (P, K, 4), of a picture of `canvas` width and height as they are in a depth picture, (H, W), of the
    same view: float64."""
    height, width = shape
    across, down = (width / canvas[0], height / canvas[1]) if all(canvas) else (1.0, 1.0)
    scaled = points * np.array((across, down, across, 1.0))
    scaled[..., 0] += (across - 1) / 2
    scaled[..., 1] += (down - 1) / 2
    return scaled


class DepthReader:
    """Reads all points of all people at once.

    1. Around each point the depths of a small square fall into two layers, near and far.
    2. The bones in the picture say roughly how far away a body is. Among the depths that this allows, the one that most
       of the body's points agree on is the body's, and the median in the torso near it is where the next step begins.
    3. From the torso outwards, a point's depth is believed when its bone reaches so far: when the line of sight
       through the point meets the ball around its neighbour there. So a wall behind, a hand in front and another
       person are not believed. Such points, and holes, get the depth that the estimator's own z gives them beside
       their neighbour, within the ball.
    """

    def __init__(self, layout: tuple[str, ...]):
        limbs = self._limbs = Limbs.of(layout)
        self._count = len(layout)
        # From a layout's points to the root, the points in the tree's order, and the inner places of the torso.
        self._spread = np.zeros((1 + self._count + len(_INSIDE), self._count))
        self._spread[0, limbs.torso] = 1 / len(limbs.torso)
        self._spread[np.arange(1, 1 + self._count), limbs.order] = 1
        self._spread[1 + self._count :, limbs.torso] = _INSIDE
        self._own = np.argsort(limbs.order) + 1  # and back
        self._starts, self._ends = self._own[limbs.ends].T

    def __call__(self, points: np.ndarray, depth: np.ndarray, lens: Lens) -> Reading:
        """points: (P, K, 4) x, y, z in pixels of the depth picture, score. depth: (H, W) uint16, 0 is unknown."""
        limbs = self._limbs
        if not np.isfinite(points).all():
            points = np.where(np.isfinite(points).all(-1, keepdims=True), points, 0)
        torso_score = points[:, limbs.torso, 3].min(1, keepdims=True)
        points = self._spread @ points
        points[:, 0, 3:] = torso_score
        points[:, 1 + self._count :, 3] = torso_score
        sight, score = rays(lens, points[..., :2]), points[..., 3]
        focus = (lens.fx + lens.fy) / 2
        lean = points[..., 2] / focus  # a point's own z, as a share of the body's distance
        size = self._size(sight, score)
        layers, known = self._layers(points[..., :2], depth, size * focus, lens.metres)
        body = self._body(layers[0], known, score, size)
        z, measured = self._climb(sight, lean, score, layers, known, body, size)
        there = (body > 0)[:, None]
        return Reading(sight[:, self._own], z[:, self._own] * there, measured[:, self._own] & there, body)

    def _climb(
        self,
        sight: np.ndarray,
        lean: np.ndarray,
        score: np.ndarray,
        layers: np.ndarray,
        known: np.ndarray,
        body: np.ndarray,
        size: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """z and whether it was measured, both (P, 1 + K), from the torso outwards."""
        parents, up_to = self._limbs.parents, 1 + self._count
        x, y, lean = sight[:, :up_to, 0], sight[:, :up_to, 1], lean[:, :up_to]
        on_x, on_y, lean_on = x.take(parents, 1), y.take(parents, 1), lean - lean.take(parents, 1)
        # The line of sight comes closest to the parent at `nearest` times its z. Along it, the ball's edge is as far
        # from there as the root of that z squared times `bend`, plus `reach`.
        square = 1 + x * x + y * y
        nearest = (1 + x * on_x + y * on_y) / square
        bend = nearest * nearest - (1 + on_x * on_x + on_y * on_y) / square
        scale = np.where(size > 0, np.minimum(np.maximum(body * size, _SIZES[0]), _SIZES[1]), 1)
        reach = (self._limbs.reach * scale[:, None]) ** 2 / square
        layers = np.where(known[:, :up_to], layers[..., :up_to], np.inf)
        seen = score[:, :up_to] >= _HIDDEN_SCORE
        z, measured = np.empty(x.shape), np.zeros(x.shape, bool)
        z[:, 0] = body
        for number, level in enumerate(self._limbs.levels):
            on = z.take(parents[level], 1)
            middle = on * nearest[:, level]
            half = np.sqrt(np.maximum(on * on * bend[:, level] + reach[:, level], 0))
            guess = on + lean_on[:, level] * body[:, None]
            guess = np.minimum(np.maximum(guess, middle - half), middle + half)
            found = layers[:, :, level]
            if number == 0:  # what is in front of a torso is none of it; a limb is itself in front of something
                off = np.abs(found - guess)
                found = np.where(off[1] < off[0], found[::-1], found)
            fits = np.abs(found - middle) <= half + _MARGIN_M
            read = np.where(fits[0], found[0], np.where(fits[1], found[1], guess))
            z[:, level] = np.where(seen[:, level], read, np.maximum(read, guess))  # behind what hides it
            measured[:, level] = (fits[0] | fits[1]) & (seen[:, level] | (np.abs(read - guess) <= _HIDDEN_M))
        return z, measured

    def _size(self, sight: np.ndarray, score: np.ndarray) -> np.ndarray:
        """How large each body looks, (P,): its bones at a depth of 1 as a share of an average adult's; 0 for unknown.

        Bones that point towards the camera look short, so the longest count; a single point gone astray makes two
        long ones, so the third longest does.
        """
        start, end = self._starts, self._ends
        looks = np.sqrt(((sight[:, start] - sight[:, end]) ** 2).sum(-1)) / self._limbs.lengths
        looks *= np.minimum(score[:, start], score[:, end]) >= _HIDDEN_SCORE
        looks.sort(-1)
        return np.where(looks[:, -3] > 0, looks[:, -3], looks[:, -1])

    @staticmethod
    def _layers(
        places: np.ndarray, depth: np.ndarray, scale: np.ndarray, metres: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The middles of the near layer and of what is behind it, (2, P, N) metres, and where there is one, (P, N)."""
        height, width = depth.shape
        radius = np.minimum(np.maximum(WINDOW_M * scale, 1), _MOST_PX)[:, None, None]
        places = np.minimum(np.maximum(places[..., None], -1e6), 1e6)
        # Seen without a sign, what lies left of the picture or above it is far beyond the other end.
        x, y = (np.rint(places[:, :, n] + _GRID[:, n] * radius).astype(np.intp).view(np.uintp) for n in (0, 1))
        inside = (x < width) & (y < height)
        samples = depth.take(np.where(inside, y * width + x, 0).view(np.intp)) * inside
        samples -= 1  # so that 0, the unknown, comes last
        samples.sort(-1)
        known = np.count_nonzero(samples != _LAST, axis=-1)
        flat, starts = samples.reshape(-1), np.arange(known.size).reshape(known.shape) * len(_GRID)
        first = flat[starts + known // _NEARLY_FIRST]
        layer = np.count_nonzero(samples <= first[..., None] + np.float32(_LAYER_M / metres), axis=-1)
        layer = np.minimum(layer, known)
        behind = np.where(layer < known, layer + known, layer) // 2
        return (flat[np.stack([starts + layer // 2, starts + behind])] + 1.0) * metres, known >= _FEWEST

    def _body(self, near: np.ndarray, known: np.ndarray, score: np.ndarray, size: np.ndarray) -> np.ndarray:
        """How far away the middle of each torso is, (P,) metres; 0 where nothing shows the body.

        First the distance that most of the body's points agree on, then the median in the torso about there.
        """
        relative = near * size[:, None]
        allowed = ((relative > _SIZES[0]) & (relative < _SIZES[1])) | (size == 0)[:, None]
        weight = score * score * (known & allowed)
        support = ((np.abs(near[:, :, None] - near[:, None]) < _SAME_BODY_M) * weight[:, None]).sum(-1)
        row, best = np.arange(len(near)), support.argmax(-1)
        body = near[row, best] * (support[row, best] > 0)
        torso = near[:, 1 + self._count :]
        fits = known[:, 1 + self._count :] & (np.abs(torso - body[:, None]) < _TORSO_M)
        count = np.count_nonzero(fits, axis=1)
        torso = np.sort(np.where(fits, torso, np.inf), axis=1)
        return np.where((count > 0) & (body > 0), torso[row, count // 2], body)

"""The stage that the performer dances on: the camera before it, its empty picture, its lamps and their shadows."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

PLATE = Path(__file__).parents[3] / "assets" / "performer_plate.png"
FLOOR, WALL = -8.24, -9.0  # where they stand: y and z
CAMERA, AIM = np.array([0.0, 1.6, 46.0]), np.array([0.0, 0.5, 0.0])
VIEW = np.deg2rad(26.0)  # from the picture's top to its bottom
LAMP = np.array([9.0, 18.0, 16.0])  # the brighter one, which casts the shadows
TOWARDS_LAMPS = np.array([[0.35, 0.70, 0.62], [-0.70, 0.40, 0.60]], np.float32)
LAMP_COLOURS = np.array([[0.58, 0.62, 0.65], [0.37, 0.33, 0.30]], np.float32)  # blue, green, red
AMBIENT = 0.18

SHADOW_ROWS = 128  # it is soft: a small picture of it will do
SOFTNESS = 1.0  # in rows of that
ON_FLOOR, ON_WALL = 137, 212  # what is left of 255
# From point to point of BlazePose's, and the half width.
LIMBS = (
    (0, 7, 0.5), (0, 8, 0.5), (11, 12, 0.4), (11, 23, 0.6), (12, 24, 0.6), (11, 24, 0.9), (12, 23, 0.9), (23, 24, 0.7),
    (11, 13, 0.4), (13, 15, 0.3), (15, 19, 0.25), (12, 14, 0.4), (14, 16, 0.3), (16, 20, 0.25),
    (23, 25, 0.6), (25, 27, 0.4), (27, 31, 0.3), (24, 26, 0.6), (26, 28, 0.4), (28, 32, 0.3),
)  # fmt: skip


class Camera:
    """A picture of width × height pixels of the stage. A wider one shows more to the sides, a narrower one less."""

    def __init__(self, width: int, height: int):
        ahead = (AIM - CAMERA) / np.linalg.norm(AIM - CAMERA)
        right = np.cross(ahead, (0, 1, 0))
        right /= np.linalg.norm(right)
        self._axes = np.stack([right, np.cross(ahead, right), ahead]).astype(np.float32)
        self._middle = np.array([width / 2, height / 2], np.float32)
        self._scale = height / 2 / np.tan(VIEW / 2)

    def seen(self, places: np.ndarray) -> np.ndarray:
        """(N, 3) places on the stage → (N, 3): x and y in pixels, and the distance before the camera."""
        seen = (places - CAMERA.astype(np.float32)) @ self._axes.T
        seen[:, :2] *= self._scale / seen[:, 2:]
        seen[:, :2] += self._middle
        return seen

    def pixels_per_unit(self, distance: float) -> float:
        return float(self._scale / distance)


def empty_stage(width: int, height: int) -> np.ndarray:
    """The stage without anybody, (height, width, 3) uint8 BGR; beyond the sides of the plate it goes on mirrored.

    Raises OSError when there is no such picture.
    """
    stored = np.frombuffer(PLATE.read_bytes(), np.uint8)
    plate = cv2.imdecode(stored, cv2.IMREAD_COLOR) if stored.size else None
    if plate is None:
        raise OSError(f"{PLATE} is damaged")
    plate = cv2.resize(plate, (height, height), interpolation=cv2.INTER_AREA)
    beside = max(0, -(-(width - height) // 2))
    plate = cv2.copyMakeBorder(plate, 0, 0, beside, beside, cv2.BORDER_REFLECT)
    left = (plate.shape[1] - width) // 2
    return np.ascontiguousarray(plate[:, left : left + width])


def light(normals: np.ndarray) -> np.ndarray:
    """(N, 3) float32 unit normals of surfaces → (N, 3) how much they are lit in blue, green and red."""
    return AMBIENT + (normals @ TOWARDS_LAMPS.T).clip(0, 1) @ LAMP_COLOURS


class Shadow:
    """A soft shadow on floor and wall, from what the lamp sees of the limbs: capsules between points of the body."""

    def __init__(self, camera: Camera, width: int, height: int):
        self._camera, self._size = camera, (width, height)
        self._small = SHADOW_ROWS / height
        corner = camera.seen(np.array([[0, FLOOR, WALL]], np.float32))
        self._horizon = round(float(corner[0, 1]) * self._small)

    def fall(self, picture: np.ndarray, points: np.ndarray) -> None:
        """Darken `picture`, (H, W, 3) uint8, by the shadow of a body with BlazePose's (33, 3) `points`."""
        width, height = self._size
        mask = np.full((SHADOW_ROWS, max(1, round(width * self._small))), 255, np.uint8)
        self._cast(mask[self._horizon :], points, 1, FLOOR, ON_FLOOR, self._horizon)
        self._cast(mask[: self._horizon], points, 2, WALL, ON_WALL)
        soft = cv2.resize(cv2.GaussianBlur(mask, (0, 0), SOFTNESS), (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.multiply(picture, cv2.merge((soft, soft, soft)), picture, 1 / 255)

    def _cast(self, mask: np.ndarray, points: np.ndarray, axis: int, at: float, shade: int, top: int = 0) -> None:
        """Draw the shadow on the plane where coordinate `axis` is `at` into the mask's rows from `top` on."""
        rays = points - LAMP
        reach = ((at - LAMP[axis]) / rays[:, axis])[:, None]
        seen = self._camera.seen((LAMP + rays * reach).astype(np.float32))
        places = (seen[:, :2] * self._small - (0, top)).clip(-4096, 4096).astype(np.int32)
        for a, b, radius in LIMBS:
            width = 2 * radius * float(reach[a, 0]) * self._camera.pixels_per_unit(float(seen[a, 2])) * self._small
            cv2.line(mask, places[a].tolist(), places[b].tolist(), shade, max(1, min(round(width), 255)))

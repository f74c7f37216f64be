"""A contact sheet of drawn poses."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engine.frame import Frame

TILE, COLUMNS = (300, 530), 4
LIMBS = [
    (11, 12), (11, 13), (13, 15), (12, 14), (14, 16), (11, 23), (12, 24), (23, 24), (23, 25), (25, 27), (24, 26),
    (26, 28), (27, 31), (28, 32), (0, 11), (0, 12),
]  # fmt: skip
COLOURS = [(60, 220, 60), (60, 160, 255), (255, 120, 60), (220, 80, 220)]  # BGR, by id


class Sheet:
    def __init__(self) -> None:
        self._tiles: list[np.ndarray] = []

    def add(self, picture: np.ndarray, people: Frame, mask: Frame, title: str) -> None:
        """picture: (H, W, 3) uint8 BGR, shown with the poses of `people` and brighter where `mask` is."""
        scale = min(TILE[0] / picture.shape[1], TILE[1] / picture.shape[0])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        body = cv2.resize(mask.array, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_AREA)[:, :, None]
        small = (small * (0.45 + 0.55 * (body / 255.0))).astype(np.uint8)
        for one, points in zip(people.ids, people.array[:, :, :2] * scale, strict=True):
            colour, xy = COLOURS[one % len(COLOURS)], points.round().astype(int).tolist()
            for a, b in LIMBS:
                cv2.line(small, xy[a], xy[b], colour, 2, cv2.LINE_AA)
            cv2.putText(small, f"id {one}", xy[0], cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        tile = np.zeros((TILE[1], TILE[0], 3), np.uint8)
        tile[: small.shape[0], : small.shape[1]] = small
        cv2.putText(tile, title, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        self._tiles.append(tile)

    def save(self, path: Path) -> None:
        blank = np.zeros((TILE[1], TILE[0], 3), np.uint8)
        tiles = self._tiles + [blank] * (-len(self._tiles) % COLUMNS)
        rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
        cv2.imwrite(str(path), np.vstack(rows))
        print(f"\nDrawn poses: {path}")

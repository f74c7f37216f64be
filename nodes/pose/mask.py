"""Where the body of one person is: what BlazePose's landmark network says of every pixel of its square."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Mask:
    """alpha: (N, N) uint8, 255 is body. matrix: 2×3, from pixels of `alpha` to pixels of the picture."""

    alpha: np.ndarray
    matrix: np.ndarray

    def onto(self, picture: np.ndarray) -> None:
        """Add this body to `picture`, (H, W, 1) uint8: where several are, the surest says how much."""
        height, width = picture.shape[:2]
        # Only the pixels around the body are touched: it fills a third of its square.
        x, y, across, down = cv2.boundingRect(self.alpha)
        corners = np.array([[x + i, y + j, 1] for i in (-1, across) for j in (-1, down)]) @ self.matrix.T
        left, top = np.clip(np.floor(corners.min(0)), 0, (width, height)).astype(int).tolist()
        right, bottom = np.clip(np.ceil(corners.max(0)) + 1, 0, (width, height)).astype(int).tolist()
        if not across or left >= right or top >= bottom:
            return
        moved = self.matrix - [[0, 0, left], [0, 0, top]]
        body = cv2.warpAffine(self.alpha, moved, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
        covered = picture[top:bottom, left:right, 0]
        cv2.max(covered, body, dst=covered)

"""What counts as a picture at an output."""

from __future__ import annotations

import numpy as np

from engine.frame import Frame


def pixels(image: Frame) -> np.ndarray:
    """The picture as (H, W, C) uint8, first row on top; C is 1, 3 or 4. A view, not a copy.

    Raises ValueError for what is not a picture.
    """
    array = image.array[..., None] if image.array.ndim == 2 else image.array
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3, 4) or array.size == 0:
        raise ValueError(
            f"The input is {image.array.dtype} of shape {image.array.shape}; this output takes pictures: "
            "uint8 of shape (height, width, 1, 3 or 4). Connect a node that gives pictures."
        )
    return array[::-1] if image.row_order == "BOTTOM_UP" else array


def even_sided(array: np.ndarray) -> np.ndarray:
    """(H, W, C), C-contiguous, with the last row and column repeated where a side is odd.

    Video codecs halve the colour both ways, and take even sides only."""
    height, width = array.shape[:2]
    if height % 2 or width % 2:
        array = np.pad(array, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(array)

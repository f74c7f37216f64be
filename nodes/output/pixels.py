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

"""People over the stage: premultiplied pictures, one over the other (Porter and Duff 1984)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

BAND = 128  # rows that are mixed at a time: they stay in the cache
Layer = tuple[np.ndarray, float]  # (S, S, 4) uint8 premultiplied RGBA, and how opaque it is shown, 0..1


def compose(layers: Sequence[Layer], plate: np.ndarray | None, out: np.ndarray) -> None:
    """Fill `out`, (S, S, 4) uint8, with premultiplied RGBA; each byte is written once and none is read.

    layers: from far to near. plate: (S, S, 3) uint8 RGB, which makes the picture opaque; None: a transparent stage.
    The result is that of real numbers to within 1 of 255. Where nobody is, little is computed.
    """
    shown = [(layer, min(opacity, 1.0)) for layer, opacity in layers if opacity > 0]
    if not shown and plate is None:
        out[:] = 0
    elif not shown and plate is not None:
        _copy(plate, out)
    elif len(shown) == 1 and plate is None:
        _fade(*shown[0], out)
    elif len(shown) == 1 and plate is not None and shown[0][1] == 1:
        _over(shown[0][0], plate, out)
    else:
        for top in range(0, len(out), BAND):
            band = slice(top, top + BAND)
            parts = [(layer[band], opacity) for layer, opacity in shown]
            _mix(parts, None if plate is None else plate[band], out[band])


def _copy(plate: np.ndarray, out: np.ndarray) -> None:
    cv2.cvtColor(plate, cv2.COLOR_RGB2RGBA, dst=out)


def _fade(layer: np.ndarray, opacity: float, out: np.ndarray) -> None:
    if opacity == 1:
        np.copyto(out, layer)
    else:
        cv2.convertScaleAbs(layer, dst=out, alpha=opacity)


def _over(layer: np.ndarray, plate: np.ndarray, out: np.ndarray) -> None:
    """One person, opaque, over the plate: the usual case, in whole numbers."""
    alpha = cv2.extractChannel(layer, 3)
    x, y, width, height = cv2.boundingRect(alpha)
    rows, columns = slice(y, y + height), slice(x, x + width)
    for around in (np.s_[:y], np.s_[y + height :], np.s_[rows, :x], np.s_[rows, x + width :]):
        if plate[around].size:
            _copy(plate[around], out[around])
    if width:
        behind = cv2.cvtColor(plate[rows, columns], cv2.COLOR_RGB2RGBA)
        through = cv2.cvtColor(cv2.bitwise_not(alpha[rows, columns]), cv2.COLOR_GRAY2RGBA)
        behind = cv2.multiply(behind, through, dst=behind, scale=1 / 255)  # alpha: 255, where the sum ends
        cv2.add(layer[rows, columns], behind, dst=out[rows, columns])


def _mix(layers: Sequence[Layer], plate: np.ndarray | None, out: np.ndarray) -> None:
    """Any number of people: in real numbers, rounded once at the end."""
    mixed = np.zeros(out.shape, np.float32)
    if plate is not None:
        mixed[:] = cv2.cvtColor(plate, cv2.COLOR_RGB2RGBA)
    for layer, opacity in layers:
        alpha = cv2.extractChannel(layer, 3)
        x, y, width, height = cv2.boundingRect(alpha)
        if width:
            place = np.s_[y : y + height, x : x + width]
            through = 1 - np.multiply(alpha[place], opacity / 255, dtype=np.float32)
            behind = cv2.multiply(mixed[place], cv2.merge([through] * 4))
            mixed[place] = cv2.addWeighted(layer[place], opacity, behind, 1, 0, dtype=cv2.CV_32F)
    cv2.convertScaleAbs(mixed, dst=out)

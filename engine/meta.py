"""A slot's metadata as bytes: everything but the mark, which protects it.

Three parts, because they change at different rates: the head with every frame; the form (shape, dtype, format)
hardly ever, so that both sides remember it; the lineage where there is one. At 60 frames a second every line of
Python between two processes runs with cold caches, and remembering is what keeps a hop short.
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from engine import layout
from engine.frame import Lens, Source

_CODES = [code for _, code in layout.META_FIELDS]
_NAMES = [name for name, _ in layout.META_FIELDS]
_FORM_AT, _LINEAGE_AT = _NAMES.index("payload_bytes"), _NAMES.index("source_count")
HEAD = struct.Struct("<" + "".join(_CODES[:_FORM_AT]))  # seq, epoch, ordinal, the three times, version, flags
FORM = struct.Struct("<" + "".join(_CODES[_FORM_AT:_LINEAGE_AT]))
LINEAGE = struct.Struct("<" + "".join(_CODES[_LINEAGE_AT:]))
NO_LINEAGE = bytes(LINEAGE.size)
FORMAT_NAMES = {code: name for name, code in layout.PIXEL_FORMATS.items()}
ROW_ORDER_NAMES = {code: name for name, code in layout.ROW_ORDERS.items()}
LENS_MODEL_NAMES = {code: name for name, code in layout.LENS_MODELS.items() if name != "UNKNOWN"}
NO_LENS = (layout.LENS_MODELS["UNKNOWN"], *[0.0] * 10)


class Form(NamedTuple):
    """What frames of one kind have in common. `size`: bytes of payload; `packed`: the form itself as bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype
    size: int
    pixel_format: str
    row_order: str
    canvas: tuple[int, int]
    lens: Lens | None
    packed: bytes


@lru_cache(64)
def form_of(
    shape: tuple[int, ...], dtype: Any, pixel_format: str, row_order: str, canvas: tuple[int, int], lens: Lens | None
) -> Form:
    """Raises `ValueError`, `KeyError` or `TypeError` for a shape, dtype, format or row order that there is not."""
    if len(shape) > layout.MAX_DIMS or any(length < 0 for length in shape):
        raise ValueError(f"A frame of shape {shape} is not possible; up to {layout.MAX_DIMS} lengths, none negative.")
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    packed = FORM.pack(
        size, layout.DTYPE_CODES[kind], len(shape), *_padded(shape, layout.MAX_DIMS),
        layout.PIXEL_FORMATS[pixel_format], layout.ROW_ORDERS[row_order], *canvas, *_lens_words(lens),
    )  # fmt: skip
    return Form(shape, kind, size, pixel_format, row_order, canvas, lens, packed)


@lru_cache(64)
def form_from(packed: bytes) -> Form | None:
    """The form that a writer has packed, or None where the bytes cannot be true."""
    size, code, ndim, *rest = FORM.unpack(packed)
    shape, (pixel_format, row_order, width, height, *lens) = rest[: layout.MAX_DIMS], rest[layout.MAX_DIMS :]
    dtype = layout.NUMPY_DTYPES.get(code)
    if dtype is None or ndim > layout.MAX_DIMS or math.prod(shape[:ndim]) * dtype.itemsize != size:
        return None
    try:
        np.empty(0, dtype).reshape(0, *shape[:ndim])  # no element at all, but lengths that no array can have?
    except ValueError:
        return None
    return Form(
        tuple(shape[:ndim]), dtype, size, FORMAT_NAMES.get(pixel_format, "NONE"),
        ROW_ORDER_NAMES.get(row_order, "TOP_DOWN"), (width, height), _lens(*lens), packed,
    )  # fmt: skip


def _lens_words(lens: Lens | None) -> tuple:
    if lens is None:
        return NO_LENS
    focus, (k1, k2, p1, p2, k3) = lens[:4], lens.coefficients
    return layout.LENS_MODELS[lens.distortion], *focus, k1, k2, p1, p2, k3, lens.metres


def _lens(model: int, *values: float) -> Lens | None:
    """None where nobody said anything, or nothing that can be true."""
    distortion = LENS_MODEL_NAMES.get(model)
    fx, fy, cx, cy, *coefficients, metres = values
    if distortion is None or not all(map(math.isfinite, values)) or min(fx, fy) <= 0 or metres < 0:
        return None
    return Lens(fx, fy, cx, cy, distortion, tuple(coefficients), metres)  # type: ignore[arg-type]


def pack_lineage(ids: tuple[int, ...], sources: tuple[Source, ...]) -> bytes:
    """At most `layout.MAX_PEOPLE` ids and `layout.MAX_SOURCES` sources."""
    names = tuple(number for source in sources for number in source)
    padded = (*_padded(ids, layout.MAX_PEOPLE), *_padded(names, 3 * layout.MAX_SOURCES))
    return LINEAGE.pack(len(sources), len(ids), *padded)


def unpack_lineage(packed: bytes) -> tuple[tuple[int, ...], tuple[Source, ...]]:
    """(ids, sources); never more than fit."""
    if packed == NO_LINEAGE:
        return (), ()
    sources, people, *rest = LINEAGE.unpack(packed)
    ids, names = rest[: min(people, layout.MAX_PEOPLE)], rest[layout.MAX_PEOPLE :]
    return tuple(ids), tuple(Source(*names[3 * i : 3 * i + 3]) for i in range(min(sources, layout.MAX_SOURCES)))


def _padded(values: tuple[int, ...], length: int) -> list[int]:
    return [*values, *[0] * (length - len(values))]

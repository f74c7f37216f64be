"""A slot's metadata as bytes: everything but the mark, which protects it."""

from __future__ import annotations

from typing import NamedTuple

from engine import layout
from engine.frame import Source


class Meta(NamedTuple):
    """What a slot says about its frame. Codes are those of engine/layout.py."""

    seq: int
    epoch: int
    ordinal: int
    capture_ns: int
    capture_wall_ns: int
    publish_ns: int
    param_version: int
    flags: int
    payload_bytes: int
    dtype: int
    shape: tuple[int, ...]
    pixel_format: int
    row_order: int
    canvas: tuple[int, int]
    ids: tuple[int, ...]
    sources: tuple[Source, ...]


def _padded(values: tuple[int, ...], length: int) -> list[int]:
    return [*values, *[0] * (length - len(values))]


def pack(meta: Meta) -> bytes:
    """`layout.META.size` bytes."""
    names = tuple(number for source in meta.sources for number in source)
    return layout.META.pack(
        *meta[:10], len(meta.shape), *_padded(meta.shape, layout.MAX_DIMS), meta.pixel_format, meta.row_order,
        *meta.canvas, len(meta.sources), len(meta.ids), *_padded(meta.ids, layout.MAX_PEOPLE),
        *_padded(names, 3 * layout.MAX_SOURCES),
    )  # fmt: skip


def unpack(data: bytes | memoryview) -> Meta:
    """Never raises for the right number of bytes: what they say is the reader's to doubt."""
    values = layout.META.unpack(data)
    ndim, dims, after = values[10], values[11 : 11 + layout.MAX_DIMS], values[11 + layout.MAX_DIMS :]
    pixel_format, row_order, width, height, sources, people, *rest = after
    ids = tuple(rest[: min(people, layout.MAX_PEOPLE)])
    names = rest[layout.MAX_PEOPLE :]
    count = min(sources, layout.MAX_SOURCES)
    named = tuple(Source(*names[3 * i : 3 * i + 3]) for i in range(count))
    shape = dims[: min(ndim, layout.MAX_DIMS)]
    return Meta(*values[:10], shape, pixel_format, row_order, (width, height), ids, named)  # type: ignore[call-arg]

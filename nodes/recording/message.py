"""A frame as bytes, with all that is known of it, and back: a protobuf message that says itself what it means.

Pictures are written as the message `foxglove.RawImage`, which viewers of MCAP files show, with fields of our own
after theirs (docs.foxglove.dev/docs/sdk/schemas/raw-image); everything else as `utsushi.Frame`, the same fields.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from google.protobuf.message import DecodeError

from engine import layout
from engine.frame import Flags, Frame, Lens, Source

PICTURE, OTHER = "foxglove.RawImage", "utsushi.Frame"
# What viewers call our pixel formats, where the array is (H, W, C) of the type that they expect.
ENCODINGS = {
    ("GRAY", 1, "uint8"): "mono8", ("NONE", 1, "uint8"): "mono8", ("RGB", 3, "uint8"): "rgb8",
    ("NONE", 3, "uint8"): "rgb8", ("BGR", 3, "uint8"): "bgr8", ("RGBA", 4, "uint8"): "rgba8",
    ("NONE", 4, "uint8"): "rgba8", ("BGRA", 4, "uint8"): "bgra8", ("DEPTH", 1, "uint16"): "16UC1",
}  # fmt: skip
FIELDS = (
    ("timestamp", 1, ".google.protobuf.Timestamp"), ("frame_id", 7, "string"), ("width", 2, "fixed32"),
    ("height", 3, "fixed32"), ("encoding", 4, "string"), ("step", 5, "fixed32"), ("data", 6, "bytes"),
    ("seq", 16, "uint64"), ("epoch", 17, "uint64"), ("ordinal", 18, "uint64"), ("capture_ns", 19, "sint64"),
    ("capture_wall_ns", 20, "sint64"), ("publish_ns", 21, "sint64"), ("param_version", 22, "uint64"),
    ("flags", 23, "uint64"), ("dtype", 24, "string"), ("shape", 25, "uint32 *"), ("pixel_format", 26, "string"),
    ("row_order", 27, "string"), ("canvas", 28, "uint32 *"), ("ids", 29, "uint32 *"), ("sources", 30, "Source *"),
    ("stream", 31, "uint64"), ("lens", 32, "Lens"),
)  # fmt: skip
SOURCE = (("stream", 1, "uint64"), ("epoch", 2, "uint64"), ("seq", 3, "uint64"))
LENS = (
    *((name, number, "double") for number, name in enumerate(("fx", "fy", "cx", "cy"), 1)),
    ("distortion", 5, "string"), ("coefficients", 6, "double *"), ("metres", 7, "double"),
)  # fmt: skip
DATA_TAG = bytes([6 << 3 | 2])  # of the field `data` on the wire: bytes, with their length before them
COUNTS = ("seq", "epoch", "ordinal", "capture_ns", "capture_wall_ns", "publish_ns", "param_version", "stream")


def _message(found: descriptor_pb2.DescriptorProto, fields: tuple[tuple[str, int, str], ...], own: str) -> None:
    """Add `fields` to a message; a type with a star is a list, one with a capital letter a message of `own`."""
    for name, number, kind in fields:
        field = found.field.add(name=name, number=number, label="LABEL_REPEATED" if "*" in kind else "LABEL_OPTIONAL")
        kind = kind.removesuffix(" *")
        if kind[0].isupper() or kind[0] == ".":
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
            field.type_name = kind if kind[0] == "." else f".{own}.{kind}"
        else:
            field.type = getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{kind.upper()}")


def _file(full_name: str) -> descriptor_pb2.FileDescriptorProto:
    package, _, name = full_name.partition(".")
    file = descriptor_pb2.FileDescriptorProto(name=f"utsushi/{full_name}.proto", package=package, syntax="proto3")
    file.dependency.append(timestamp_pb2.DESCRIPTOR.name)
    top = file.message_type.add(name=name)
    _message(top.nested_type.add(name="Source"), SOURCE, full_name)
    _message(top.nested_type.add(name="Lens"), LENS, full_name)
    _message(top, FIELDS, full_name)
    return file


def schema(full_name: str) -> bytes:
    """The message's own description, a FileDescriptorSet, as an MCAP file holds it."""
    times = descriptor_pb2.FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
    return descriptor_pb2.FileDescriptorSet(file=[times, _file(full_name)]).SerializeToString()


def _message_class() -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(_file(OTHER).SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(OTHER))


Message = _message_class()  # of both names: they are the same on the wire


def encoding(frame: Frame) -> str:
    """What a viewer calls this picture; "" for what is none."""
    if frame.array.ndim != 3:
        return ""
    return ENCODINGS.get((frame.pixel_format, frame.shape[2], frame.dtype.name), "")


def pack(name: str, frame: Frame) -> bytes:
    """The message of one frame of the stream `name`."""
    kind = encoding(frame)
    seconds, nanoseconds = divmod(max(0, frame.capture_wall_ns), 1_000_000_000)
    about = Message(
        timestamp={"seconds": seconds, "nanos": nanoseconds}, frame_id=name, encoding=kind,
        flags=int(frame.flags), dtype=frame.dtype.name, shape=frame.shape, pixel_format=frame.pixel_format,
        row_order=frame.row_order, canvas=frame.canvas, ids=frame.ids,
        sources=[source._asdict() for source in frame.sources], lens=frame.lens and frame.lens._asdict(),
        **{count: getattr(frame, count) for count in COUNTS},
    )  # fmt: skip
    if kind:
        about.height, about.width, about.step = *frame.shape[:2], frame.array[:1].nbytes
    # The payload is put behind by hand, which saves two copies of it.
    payload = np.ascontiguousarray(frame.array).reshape(-1).view(np.uint8)
    return b"".join((about.SerializeToString(), DATA_TAG, _varint(payload.size), payload.data))


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def unpack(packed: bytes) -> Frame:
    """The frame of a message, its array read-only. Raises ValueError for what can be no frame."""
    try:
        found = Message.FromString(packed)
    except DecodeError as error:
        raise ValueError(f"it is no message of ours ({error})") from None
    shape, canvas = tuple(found.shape), tuple(found.canvas)
    if found.dtype not in layout.DTYPES.values() or len(shape) > layout.MAX_DIMS or len(canvas) != 2:
        raise ValueError(f"frames of {found.dtype[:20]!r} with {len(shape)} lengths cannot be")
    dtype = np.dtype(found.dtype)
    if math.prod(shape) * dtype.itemsize != len(found.data):
        raise ValueError(f"{len(found.data)} bytes do not make an array of {shape} {dtype}")
    if found.pixel_format not in layout.PIXEL_FORMATS or found.row_order not in layout.ROW_ORDERS:
        raise ValueError(f"there is no pixel format {found.pixel_format[:20]!r} or row order {found.row_order[:20]!r}")
    if len(found.ids) > layout.MAX_PEOPLE or len(found.sources) > layout.MAX_SOURCES:
        raise ValueError("it names more people or sources than a frame can")
    if any(not 0 <= getattr(found, count) < layout.MOST for count in COUNTS) or found.flags > 0xFFFF:
        raise ValueError("it has a number that nobody counts to")
    return Frame(
        np.frombuffer(found.data, dtype).reshape(shape), found.seq, found.epoch, found.ordinal, found.capture_ns,
        found.capture_wall_ns, found.publish_ns, found.param_version, Flags(found.flags), found.pixel_format,
        found.row_order, (canvas[0], canvas[1]), tuple(found.ids),
        tuple(Source(s.stream, s.epoch, s.seq) for s in found.sources), found.stream, _lens(found),
    )  # fmt: skip


def _lens(found: Any) -> Lens | None:
    if not found.HasField("lens"):
        return None
    lens = found.lens
    numbers = (lens.fx, lens.fy, lens.cx, lens.cy)
    k = tuple(lens.coefficients)
    if lens.distortion not in layout.LENS_MODELS or lens.distortion == "UNKNOWN" or len(k) != 5:
        raise ValueError("it was seen through a lens that cannot be")
    if not all(map(math.isfinite, (*numbers, *k, lens.metres))) or min(numbers[:2]) <= 0 or lens.metres < 0:
        raise ValueError("it was seen through a lens that cannot be")
    return Lens(*numbers, lens.distortion, k, lens.metres)

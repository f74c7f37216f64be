"""The records of an MCAP file (mcap.dev/spec), read with nothing taken on trust.

The package mcap knows the records, but believes every length that a file claims: here they are looked at first.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any

import lz4.frame
import numpy as np
from mcap import records as kinds
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.stream_reader import breakup_chunk

PROFILE = "utsushi.frames/1"  # what the header of our files says
MAGIC = b"\x89MCAP0\r\n"
RECORD_MOST = 1 << 29  # bytes of one record, packed or not: a picture of 16384 x 8192 in RGBA
LZ4_MOST = 256  # LZ4 makes nothing smaller than to a 255th
HEAD = struct.Struct("<BQ")  # of each record: its kind, and the length of its content
INDEX_HEAD = struct.Struct("<HI")  # of a chunk's index of one channel: the channel, and the bytes of its entries
ENTRY_BYTES = 16  # a time, and where in the chunk its message is
WRONG = (McapError, struct.error, ValueError, RuntimeError)  # what parsing nonsense raises


class Damaged(Exception):
    """A record, or what is in it, cannot be."""


class Records:
    """The records of a file. Every method raises Damaged, or OSError where the disk fails. size: of it, in bytes."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.size = file.seek(0, 2)

    def bytes(self, position: int, count: int) -> bytes:
        if not 0 <= position <= position + count <= self.size or count > RECORD_MOST:
            raise Damaged(f"there are no {count} bytes at {position}")
        self._file.seek(position)
        found = self._file.read(count)
        if len(found) != count:
            raise Damaged(f"only {len(found)} of {count} bytes at {position} can be read")
        return found

    def walk(self, position: int) -> Iterator[tuple[int, int, int]]:
        """(kind, where its content begins, the length of that) of each record from `position` on."""
        while position < self.size:
            kind, length = HEAD.unpack(self.bytes(position, HEAD.size))
            position += HEAD.size
            if length > self.size - position:
                raise Damaged(f"the record at {position} is cut off")
            yield kind, position, length
            position += length

    def read(self, name: str, position: int, length: int) -> Any:
        """The record of this kind ("Channel") whose content is there."""
        content = self.bytes(position, length)
        try:
            return getattr(kinds, name).read(ReadDataStream(BytesIO(content)))
        except WRONG as error:
            raise Damaged(f"the {name} at {position} makes no sense ({error})") from None

    def chunk(self, position: int) -> list[Any]:
        """What is in the chunk that begins at `position`: Schema, Channel and Message records."""
        kind, at, length = next(self.walk(position), (0, 0, 0))
        if kind != Opcode.CHUNK:
            raise Damaged(f"at {position} there is no chunk")
        chunk = self.read("Chunk", at, length)
        if chunk.uncompressed_size > min(RECORD_MOST, LZ4_MOST * len(chunk.data)):
            raise Damaged(f"the chunk at {position} claims to hold {chunk.uncompressed_size} bytes")
        try:
            if chunk.compression == "lz4":
                unpacker = lz4.frame.LZ4FrameDecompressor()
                chunk.data, chunk.compression = unpacker.decompress(chunk.data, chunk.uncompressed_size), ""
            if chunk.compression:
                raise Damaged(f"the chunk at {position} is packed in a way that we do not use")
            if len(chunk.data) != chunk.uncompressed_size or zlib.crc32(chunk.data) != chunk.uncompressed_crc:
                raise Damaged(f"the chunk at {position} is not as it was written")
            return breakup_chunk(chunk)
        except WRONG as error:
            raise Damaged(f"the chunk at {position} makes no sense ({error})") from None

    def captures(self, position: int, channel: int) -> np.ndarray:
        """When the frames of one channel in the chunk at `position` were captured, by the index behind it: int64."""
        after = self.walk(position)
        next(after, None)  # the chunk itself
        for kind, at, length in after:
            if kind != Opcode.MESSAGE_INDEX:
                break
            content = self.bytes(at, length)
            if length >= INDEX_HEAD.size and INDEX_HEAD.unpack_from(content)[0] == channel:
                whole = (length - INDEX_HEAD.size) // ENTRY_BYTES * ENTRY_BYTES
                return np.frombuffer(content, "<i8", whole // 8, INDEX_HEAD.size)[::2]
        return np.empty(0, np.int64)

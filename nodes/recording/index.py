"""What is where in a recording: from its summary, or, where that is missing or damaged, from the chunks' own heads."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from dataclasses import dataclass, field

from mcap.opcode import Opcode
from mcap.records import Channel

from engine.layout import MAX_STREAMS
from nodes.recording.mcap_file import ENTRY_BYTES, HEAD, INDEX_HEAD, MAGIC, PROFILE, Damaged, Records

FOOTER = struct.Struct("<BQQQI8s")  # kind, length, where the summary begins, where its offsets do, its CRC; the magic
CHUNK_HEAD = struct.Struct("<QQ")  # the first and the last time in it
SUMMARY_MOST = 1 << 27  # bytes
KNOWN = frozenset(Opcode) - {Opcode.DATA_END}  # what a file holds before its summary


@dataclass
class Index:
    """channels: the package's records by number. counts: frames of each. chunks: (position, its channels), in order.

    start_ns, end_ns: first and last capture, by the wall's clock. whole: was the file completed?
    """

    channels: dict[int, Channel] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)
    chunks: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    start_ns: int = 0
    end_ns: int = 0
    whole: bool = False


def read_index(records: Records, chunks: bool = True) -> Index:
    """chunks: also where they are, which takes longer in a large file. Raises Damaged for what is no recording."""
    if records.size < len(MAGIC) or records.bytes(0, len(MAGIC)) != MAGIC:
        raise Damaged("it is no MCAP file")
    kind, at, length = next(records.walk(len(MAGIC)), (0, 0, 0))
    if kind != Opcode.HEADER or records.read("Header", at, length).profile != PROFILE:
        raise Damaged(f"it is an MCAP file, but none of ours (its profile is not {PROFILE})")
    try:
        return _summary(records, chunks)
    except Damaged:
        return _scan(records, at + length)


def _summary(records: Records, chunks: bool) -> Index:
    at = records.size - FOOTER.size
    kind, _, start, offsets, crc, magic = FOOTER.unpack(records.bytes(at, FOOTER.size))
    if kind != Opcode.FOOTER or magic != MAGIC or not 0 < start <= offsets <= at or at - start > SUMMARY_MOST:
        raise Damaged("there is no summary")
    if chunks and zlib.crc32(records.bytes(start, at - start + FOOTER.size - 12)) != crc:
        raise Damaged("the summary is damaged")
    index = Index(whole=True)
    for kind, position, length in records.walk(start):
        if kind == Opcode.CHANNEL:
            _add(index, records.read("Channel", position, length))
        elif kind == Opcode.STATISTICS:
            found = records.read("Statistics", position, length)
            index.counts = Counter(found.channel_message_counts)
            index.start_ns, index.end_ns = found.message_start_time, found.message_end_time
        elif kind == Opcode.CHUNK_INDEX:
            if not chunks:  # they stand last, and are most of it
                break
            found = records.read("ChunkIndex", position, length)
            index.chunks.append((found.chunk_start_offset, tuple(found.message_index_offsets)))
        elif position >= offsets:
            break
    return index


def _scan(records: Records, position: int) -> Index:
    """Chunk by chunk, up to where the file was cut off."""
    index = Index()
    try:
        for kind, at, length in records.walk(position):
            if kind == Opcode.CHUNK:
                first, last, *_ = CHUNK_HEAD.unpack(records.bytes(at, CHUNK_HEAD.size))
                index.start_ns = first if not index.chunks else min(index.start_ns, first)
                index.end_ns = max(index.end_ns, last)
                index.chunks.append((at - HEAD.size, ()))
            elif kind == Opcode.MESSAGE_INDEX and index.chunks:
                channel, entries = INDEX_HEAD.unpack(records.bytes(at, INDEX_HEAD.size))
                chunk, channels = index.chunks[-1]
                index.chunks[-1] = chunk, (*channels, channel)
                index.counts[channel] += min(entries, length) // ENTRY_BYTES
                if channel not in index.channels:
                    for record in records.chunk(chunk):
                        if isinstance(record, Channel):
                            _add(index, record)
                    if channel not in index.channels:
                        raise Damaged(f"nothing is known of channel {channel}")
            elif kind not in KNOWN:  # zeros, where a power cut has left room for what was never written
                break
    except (Damaged, struct.error):
        pass  # as far as it goes
    return index


def _add(index: Index, channel: Channel) -> None:
    if len(index.channels) >= MAX_STREAMS:
        raise Damaged(f"no recording has more than {MAX_STREAMS} streams")
    others = (one for number, one in index.channels.items() if number != channel.id)
    if any(channel.topic == one.topic for one in others):
        raise Damaged(f"two of its streams are called {channel.topic[:40]!r}")
    index.channels[channel.id] = channel

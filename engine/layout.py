"""The byte map of shared memory: the one place that knows offsets.

All control words are little-endian u64 at 8-byte-aligned offsets, so that one store or load is one
machine instruction. Each group of words has exactly one writer. `DIGEST` guards the whole map: a
reader built from another map refuses to attach. docs/PROTOCOL.md explains every word;
td_bridge/ring_mapping.py repeats the part it needs, and a test holds the two together.
"""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np

ABI = 1
MAGIC = int.from_bytes(b"UTSUSHI\0", "little")
BYTE_ORDER = 0x0102030405060708
PAGE = 4096

# --- every segment starts with these words (written once, by the supervisor) ---
COMMON = {"magic": 0x00, "abi": 0x08, "digest": 0x10, "byte_order": 0x18, "session": 0x20, "segment_bytes": 0x28}

# --- ring segment: one header page, then slots ---
RING = {
    # supervisor, once
    "generation": 0x30,
    "slot_count": 0x38,
    "slot_stride": 0x40,
    "slot_capacity": 0x48,
    "base_seq": 0x50,  # the last seq of the generation before this one
    "base_ordinal": 0x58,  # how many frames were published before this generation
    "reader_count": 0x60,
    "lossless": 0x68,
    # supervisor, while running
    "state": 0xC0,
    "granted_epoch": 0xC8,
    # writer
    "epoch": 0x100,
    "head": 0x108,
    "ended": 0x110,
}
RING_HEADER_BYTES = PAGE
READER_LINES = 0x200
READER_LINE_BYTES = 128
MAX_READERS = (RING_HEADER_BYTES - READER_LINES) // READER_LINE_BYTES
# One line per configured reader. `turn` says which of the two halves is valid: see engine/books.py.
READER = {"port": 0x00, "turn": 0x08, "half": 0x10}
BOOKS = ("last_seq", "last_ordinal", "received", "torn_retries")
BOOKS_BYTES = 8 * len(BOOKS)

# --- slot: one metadata page, then the payload ---
SLOT_META_BYTES = PAGE
MARK = 0x00  # the seqlock word: 2*seq-1 while frame `seq` is being written, 2*seq when it is whole
META_OFFSET = 0x08
MAX_DIMS, MAX_PEOPLE, MAX_SOURCES = 6, 16, 4
META_FIELDS = (
    ("seq", "Q"),
    ("epoch", "Q"),
    ("ordinal", "Q"),  # how many frames this stream has published, this one included
    ("capture_ns", "q"),
    ("capture_wall_ns", "q"),
    ("publish_ns", "q"),
    ("param_version", "Q"),
    ("flags", "Q"),
    ("payload_bytes", "Q"),
    ("dtype", "I"),
    ("ndim", "I"),
    ("shape", f"{MAX_DIMS}I"),
    ("pixel_format", "I"),
    ("row_order", "I"),
    ("canvas", "2I"),  # width, height of the picture that keypoints refer to
    ("lens_model", "I"),
    ("lens", "10d"),  # fx, fy, cx, cy, k1, k2, p1, p2, k3, metres
    ("source_count", "I"),
    ("people", "I"),
    ("ids", f"{MAX_PEOPLE}I"),
    ("sources", f"{3 * MAX_SOURCES}Q"),  # (stream row, epoch, seq) of each frame this one was made from
)
META = struct.Struct("<" + "".join(code for _, code in META_FIELDS))

# --- directory segment: a header page, stream rows, node rows ---
DIRECTORY = {
    "state": 0x30,
    "supervisor_pid": 0x38,
    "beat_ns": 0x40,
    "control_port": 0x48,
    "stream_count": 0x50,
    "node_count": 0x58,
}
MAX_STREAMS, MAX_NODES = 32, 32
STREAM_ROWS, STREAM_ROW_BYTES = PAGE, 256
STREAM = {"mark": 0x00, "generation": 0x08, "segment_bytes": 0x10, "node": 0x18, "name": 0x20, "segment": 0x60}
NODE_ROWS, NODE_ROW_BYTES = STREAM_ROWS + MAX_STREAMS * STREAM_ROW_BYTES, 32768
NODE = {
    # supervisor
    "name": 0x00,
    "pid": 0x40,
    "granted_epoch": 0x48,
    "restarts": 0x50,
    "go": 0x58,  # 1: the node may step (everyone who reads from it is there)
    # node
    "epoch": 0x80,
    "phase": 0x88,
    "beat_ns": 0x90,
    "steps": 0x98,
    "errors": 0xA0,
    "first_step_ns": 0xA8,
    "last_step_ns": 0xB0,
    "total": 0xB8,  # how many steps this run will take, where that is known; else 0
    "param_version": 0xC0,
    "text_mark": 0x100,
    "text_bytes": 0x108,
    "text": 0x110,
    # histograms: count, max, then bins
    "step_ns": 0x400,
    "latency_ns": 0x4000,
}
NAME_BYTES = 64
TEXT_BYTES = 0x400 - NODE["text"]
# Bins grow by 2**(1/64), about 1.1 %, from 1 microsecond to 67 seconds.
BINS_PER_OCTAVE, OCTAVES = 64, 26
HISTOGRAM_BINS = BINS_PER_OCTAVE * OCTAVES
HISTOGRAM = {"count": 0x00, "max": 0x08, "bins": 0x10}
DIRECTORY_BYTES = NODE_ROWS + MAX_NODES * NODE_ROW_BYTES

# --- values ---
STATES = {"INIT": 0, "READY": 1, "RETIRED": 2}  # of a ring; of the directory: RETIRED = engine stopped
PHASES = {"NONE": 0, "STARTING": 1, "READY": 2, "RUNNING": 3, "DEGRADED": 4, "PAUSED": 5, "STOPPING": 6, "FINISHED": 7}
DTYPES = {
    1: "uint8", 2: "int8", 3: "uint16", 4: "int16", 5: "uint32", 6: "int32", 7: "uint64", 8: "int64",
    9: "float16", 10: "float32", 11: "float64", 12: "bool",
}  # fmt: skip
FLAGS = {"HELD": 1, "PLACEHOLDER": 2, "DEGRADED": 4, "FIRST_AFTER_RESTART": 8}
PIXEL_FORMATS = {
    "NONE": 0, "GRAY": 1, "RGB": 2, "BGR": 3, "RGBA": 4, "BGRA": 5, "KEYPOINTS": 6, "DEPTH": 7, "WORLD": 8,
}  # fmt: skip
LENS_MODELS = {"UNKNOWN": 0, "NONE": 1, "BROWN_CONRADY": 2, "INVERSE_BROWN_CONRADY": 3}  # UNKNOWN: nothing is said
ROW_ORDERS = {"TOP_DOWN": 0, "BOTTOM_UP": 1}
MOST = 1 << 62  # nobody counts that far: a larger seq, ordinal or count was written by somebody who is no writer


def digest_of(*tables: object) -> int:
    """A u64 that changes whenever any of the tables does."""
    text = json.dumps(tables, sort_keys=True).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


DIGEST = digest_of(
    ABI, COMMON, RING, READER_LINES, READER_LINE_BYTES, READER, BOOKS, SLOT_META_BYTES, MARK, META_OFFSET, META_FIELDS,
    DIRECTORY, STREAM_ROWS, STREAM_ROW_BYTES, STREAM, NODE_ROWS, NODE_ROW_BYTES, NODE, HISTOGRAM, BINS_PER_OCTAVE,
    STATES, PHASES, DTYPES, FLAGS, PIXEL_FORMATS, ROW_ORDERS, LENS_MODELS,
)  # fmt: skip

NUMPY_DTYPES = {code: np.dtype(name) for code, name in DTYPES.items()}
DTYPE_CODES = {dtype: code for code, dtype in NUMPY_DTYPES.items()}


def round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def slot_stride(capacity: int) -> int:
    return SLOT_META_BYTES + round_up(max(capacity, 1), PAGE)


def ring_bytes(slot_count: int, capacity: int) -> int:
    """Size of a ring segment whose slots hold `capacity` bytes of payload each."""
    return RING_HEADER_BYTES + slot_count * slot_stride(capacity)


# The highest offset that a mark's page and a reader line reach must stay inside their pages.
assert META_OFFSET + META.size <= SLOT_META_BYTES
assert READER["half"] + 2 * BOOKS_BYTES <= READER_LINE_BYTES
assert NODE["latency_ns"] + HISTOGRAM["bins"] + 8 * HISTOGRAM_BINS <= NODE_ROW_BYTES
assert NODE["step_ns"] + HISTOGRAM["bins"] + 8 * HISTOGRAM_BINS <= NODE["latency_ns"]

"""The engine's shared memory as the bridge sees it: the byte map, and a read-only mapping of one segment.

This runs inside TouchDesigner's own Python, with the standard library and NumPy only. It maps the memory by itself,
because Python's own `SharedMemory` class would, in Python 3.11, start a second TouchDesigner as its "tracker" and
delete the engine's memory when TouchDesigner closes. Nothing here writes to the engine, waits for it, or starts it.

The tables repeat engine/layout.py, and a test holds the two together. Tried on Linux, and by hand with a Windows Python
under Wine; never on Windows itself, on macOS or on an ARM64 processor.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import struct
import sys
import threading
import weakref
from collections.abc import Callable, Iterator

# --- the byte map: the same names and values as in engine/layout.py ---
ABI = 1
DIGEST = 0xC53374B1B2AFAA86
MAGIC = int.from_bytes(b"UTSUSHI\0", "little")
BYTE_ORDER = 0x0102030405060708
PAGE = 4096
COMMON = {"magic": 0x00, "abi": 0x08, "digest": 0x10, "byte_order": 0x18, "session": 0x20, "segment_bytes": 0x28}
RING = {
    "generation": 0x30, "slot_count": 0x38, "slot_stride": 0x40, "slot_capacity": 0x48, "base_seq": 0x50,
    "base_ordinal": 0x58, "reader_count": 0x60, "lossless": 0x68, "state": 0xC0, "granted_epoch": 0xC8,
    "epoch": 0x100, "head": 0x108, "ended": 0x110,
}  # fmt: skip
RING_HEADER_BYTES, SLOT_META_BYTES, MARK, META_OFFSET = PAGE, PAGE, 0x00, 0x08
META_FIELDS = (
    ("seq", "Q"), ("epoch", "Q"), ("ordinal", "Q"), ("capture_ns", "q"), ("capture_wall_ns", "q"),
    ("publish_ns", "q"), ("param_version", "Q"), ("flags", "Q"), ("payload_bytes", "Q"), ("dtype", "I"),
    ("ndim", "I"), ("shape", "6I"), ("pixel_format", "I"), ("row_order", "I"), ("canvas", "2I"),
    ("lens_model", "I"), ("lens", "10d"), ("source_count", "I"), ("people", "I"), ("ids", "16I"), ("sources", "12Q"),
)  # fmt: skip


def _part(first: str, last: str) -> struct.Struct:
    names = [name for name, _ in META_FIELDS]
    return struct.Struct("<" + "".join(code for _, code in META_FIELDS[names.index(first) : names.index(last) + 1]))


# Three parts, because they change at different rates: with every frame, hardly ever, and only asked for now and then.
HEAD, FORM, LINEAGE = _part("seq", "flags"), _part("payload_bytes", "lens"), _part("source_count", "sources")
FORM_AT, LINEAGE_AT = HEAD.size, HEAD.size + FORM.size
META_END = META_OFFSET + LINEAGE_AT + LINEAGE.size
MAX_DIMS, MAX_PEOPLE, MAX_SOURCES = 6, 16, 4
DIRECTORY = {
    "state": 0x30, "supervisor_pid": 0x38, "beat_ns": 0x40, "control_port": 0x48, "stream_count": 0x50,
    "node_count": 0x58,
}  # fmt: skip
MAX_STREAMS, STREAM_ROWS, STREAM_ROW_BYTES, NAME_BYTES = 32, PAGE, 256, 64
STREAM_ROWS_END = STREAM_ROWS + MAX_STREAMS * STREAM_ROW_BYTES
STREAM = {"mark": 0x00, "generation": 0x08, "segment_bytes": 0x10, "node": 0x18, "name": 0x20, "segment": 0x60}
STATES = {"INIT": 0, "READY": 1, "RETIRED": 2}
FLAGS = {"HELD": 1, "PLACEHOLDER": 2, "DEGRADED": 4, "FIRST_AFTER_RESTART": 8}
ROW_ORDERS = {"TOP_DOWN": 0, "BOTTOM_UP": 1}
PIXEL_FORMATS = {
    "NONE": 0, "GRAY": 1, "RGB": 2, "BGR": 3, "RGBA": 4, "BGRA": 5, "KEYPOINTS": 6, "DEPTH": 7, "WORLD": 8,
}  # fmt: skip
DTYPES = {
    1: "uint8", 2: "int8", 3: "uint16", 4: "int16", 5: "uint32", 6: "int32", 7: "uint64", 8: "int64",
    9: "float16", 10: "float32", 11: "float64", 12: "bool",
}  # fmt: skip

ENGINE_NAME = r"[a-z0-9-]{1,16}"
BAD_NAME = "An engine's name has 1 to 16 of the characters a-z, 0-9 and '-'."
STARTING = "The engine is just starting."
OTHER_VERSION = (
    "The engine that runs is another version than this bridge. Build the component anew with install.py of that "
    "engine's td_bridge folder, or copy the files there into their DATs again."
)
OTHER_USER = "The engine belongs to another user. Start it and TouchDesigner as the same user."


class Refused(Exception):
    """Why there is no picture: (state, sentence for the artist)."""


def _choose_fence() -> Callable[[], object]:
    """What keeps loads in order: see engine/atomics.py. x86-64 needs nothing."""
    machine = os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "")
    if machine.lower() in ("x86_64", "amd64"):
        return lambda: None
    try:
        if sys.platform == "darwin":
            return ctypes.CDLL("/usr/lib/libSystem.B.dylib").OSMemoryBarrier
        if sys.platform == "win32":
            return ctypes.WinDLL("kernel32").FlushProcessWriteBuffers
    except (OSError, AttributeError):
        pass
    lock = threading.Lock()
    lock.acquire()

    def fence() -> None:
        lock.release()
        lock.acquire()

    return fence


fence = _choose_fence()


if sys.platform == "win32":

    class _Region(ctypes.Structure):
        """MEMORY_BASIC_INFORMATION."""

        _fields_ = [
            ("base", ctypes.c_void_p), ("allocation", ctypes.c_void_p), ("allocation_protect", ctypes.c_uint32),
            ("partition", ctypes.c_uint32), ("size", ctypes.c_size_t), ("state", ctypes.c_uint32),
            ("protect", ctypes.c_uint32), ("type", ctypes.c_uint32),
        ]  # fmt: skip

    def _map(name: str) -> memoryview:
        # Python's mmap(tagname=) would create a missing segment and so block the engine; this only opens.
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        pointer, u32, file_map_read = ctypes.c_void_p, ctypes.c_uint32, 4
        kernel.OpenFileMappingW.restype = kernel.MapViewOfFile.restype = pointer
        kernel.MapViewOfFile.argtypes = [pointer, u32, u32, u32, ctypes.c_size_t]
        kernel.VirtualQuery.argtypes = [pointer, ctypes.POINTER(_Region), ctypes.c_size_t]
        kernel.UnmapViewOfFile.argtypes = kernel.CloseHandle.argtypes = [pointer]
        handle = kernel.OpenFileMappingW(file_map_read, False, ctypes.c_wchar_p(name))
        if not handle:
            raise ctypes.WinError(ctypes.get_last_error())
        address = kernel.MapViewOfFile(handle, file_map_read, 0, 0, 0)
        error = ctypes.get_last_error()
        kernel.CloseHandle(handle)  # the view keeps the memory but not the name, so a new engine can take that
        if not address:
            raise ctypes.WinError(error)
        region = _Region()
        kernel.VirtualQuery(address, ctypes.byref(region), ctypes.sizeof(region))
        area = (ctypes.c_ubyte * region.size).from_address(address)
        weakref.finalize(area, kernel.UnmapViewOfFile, address).atexit = False  # views may live on; Windows unmaps
        return memoryview(area).cast("B").toreadonly()

else:

    def _map(name: str) -> memoryview:
        import _posixshmem

        file = _posixshmem.shm_open("/" + name, os.O_RDONLY, mode=0)
        try:
            about = os.fstat(file)
            size = about.st_size
            if about.st_uid != os.geteuid():  # who could cut it short at any time, which would end TouchDesigner
                raise Refused("MISMATCH", OTHER_USER)
            if size < PAGE:  # made, but its size not yet set
                raise Refused("WAITING", STARTING)
            return memoryview(mmap.mmap(file, size, access=mmap.ACCESS_READ))
        finally:
            os.close(file)


class Mapping:
    """A segment of the engine, mapped read-only and known to be laid out as this file says.

    bytes: all of it. Take a copy before believing anything. mapping["beat_ns"]: a word of its header, read live.

    There is no `close`: the last view of the memory unmaps it when it goes. Unmapping under a view would crash
    TouchDesigner.
    """

    def __init__(self, name: str, header: dict[str, int], at_least: int):
        """Raises FileNotFoundError where there is no such segment, and `Refused`.

        header: RING or DIRECTORY. at_least: how many bytes there must be.
        """
        self._header = {**COMMON, **header}
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,63}", name):
            raise Refused("MISMATCH", OTHER_VERSION)
        try:
            self.bytes = _map(name)
        except PermissionError:
            raise Refused("MISMATCH", OTHER_USER) from None
        self._words = self.bytes[: len(self.bytes) // 8 * 8].cast("Q")  # one load is one machine instruction
        self._check(at_least)

    def word(self, offset: int) -> int:
        return self._words[offset >> 3]

    def __getitem__(self, name: str) -> int:
        return self._words[self._header[name] >> 3]

    def _check(self, at_least: int) -> None:
        size = len(self.bytes)
        if size < PAGE or self["magic"] == 0:
            raise Refused("WAITING", STARTING)
        fence()  # magic was written last
        expected = {"magic": MAGIC, "abi": ABI, "digest": DIGEST, "byte_order": BYTE_ORDER}
        if any(self[key] != value for key, value in expected.items()):
            raise Refused("MISMATCH", OTHER_VERSION)
        if not at_least <= self["segment_bytes"] <= size:
            raise Refused("MISMATCH", OTHER_VERSION)


def text(data: bytes, at: int) -> str:
    """A name in a row."""
    return data[at : at + NAME_BYTES].split(b"\0", 1)[0].decode(errors="replace")


def stream_rows(directory: Mapping) -> Iterator[tuple[int, int, bytes]]:
    """Offset, mark and bytes of each stream's row. With another or an odd mark afterwards the bytes are void."""
    for index in range(min(directory["stream_count"], MAX_STREAMS)):
        at = STREAM_ROWS + index * STREAM_ROW_BYTES
        mark = directory.word(at + STREAM["mark"])
        fence()
        data = bytes(directory.bytes[at : at + STREAM_ROW_BYTES])
        fence()
        yield at, mark, data

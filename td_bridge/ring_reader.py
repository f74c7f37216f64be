"""Read the newest picture that an Utsushi engine puts into shared memory. Standard library and NumPy only.

It never writes to the engine, never waits for it and never raises. It polls: a Script TOP asks once per cook.
The steps R1 to R4 are those of docs/PROTOCOL.md.
"""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np
import ring_mapping as memory
from ring_mapping import FLAGS, SLOT_META_BYTES, STATES, STREAM, Mapping, Refused, fence, text

STALE_NS = 2_000_000_000  # older than this is no sign of life
FIRST_LOOK_NS, LAST_LOOK_NS = 250_000_000, 2_000_000_000  # back-off of looking for an engine
ATTEMPTS = 4  # at one frame within one poll


class RingReader:
    """The newest picture of one stream, across restarts of the engine and changes of size.

    state: LIVE, HELD (the engine repeats its last picture), PLACEHOLDER (it shows its card), WAITING (nothing to read
        yet), STALE (nothing new for 2 s), STOPPED (the engine was stopped), MISMATCH (what is there cannot be read),
        ERROR (a fault of the bridge).
    message: a sentence for the artist; empty while LIVE.
    array: the last picture, (H, W, 4) uint8 RGBA, C-contiguous, *bottom row first* as TouchDesigner wants it; or None.
    seq, width, height: of that picture. skipped: pictures that came and went between two polls. torn_retries: copies
        thrown away because the engine wrote meanwhile. restarts: new lives of the writer or of the engine.
    fps: pictures received per second. age_ms: since publication. latency_ms: from capture to `poll`.
    """

    def __init__(self, engine: str = "utsushi", stream: str = "output"):
        self.engine, self.stream = engine, stream
        self.state, self.message = "WAITING", ""
        self.array: np.ndarray | None = None
        self.seq = self.width = self.height = self.skipped = self.torn_retries = self.restarts = 0
        self.fps = self.age_ms = self.latency_ms = 0.0
        self._spare: np.ndarray | None = None  # the next picture is written here, so that a torn one harms none
        self._directory: Mapping | None = None
        self._ring: Mapping | None = None
        self._row = self._row_mark = self._slots = self._stride = self._capacity = 0
        self._session = self._epoch = self._flags = self._published_ns = 0
        self._ordinal: int | None = None
        self._next_look_ns, self._delay_ns = 0, FIRST_LOOK_NS
        self._window_ns = self._received = 0

    def poll(self) -> np.ndarray | None:
        """`array` when there is a new picture, else None. Never raises, never waits. Valid through one more poll."""
        now, new = time.perf_counter_ns(), False
        try:
            if self._find_engine(now):
                self._find_stream()
                new = self._read_newest(now)
                self._judge(now)
        except Refused as refusal:
            self.state, self.message = refusal.args
        except Exception as error:  # whatever it is, it must not stop TouchDesigner's cook
            self._drop()
            self.state, self.message = "ERROR", f"The bridge failed and tries again ({type(error).__name__}: {error})."
        self._measure(now, new)
        return self.array if new else None

    def close(self) -> None:
        """Let go of the engine. Idempotent; the next `poll` opens it again."""
        self._drop()
        self._forget()
        self._session = 0
        self._next_look_ns, self._delay_ns = 0, FIRST_LOOK_NS

    # --- finding the engine ---

    def _beats(self, now: int) -> bool:
        assert self._directory is not None
        return abs(now - self._directory["beat_ns"]) < STALE_NS

    def _find_engine(self, now: int) -> bool:
        """Is there an engine? One that seems dead is looked for by its name, now and then."""
        directory = self._directory
        if (
            directory is not None
            and directory["state"] == STATES["READY"]
            and directory["session"] == self._session  # on Windows a new engine takes the old segment over
            and self._beats(now)
        ):
            self._next_look_ns, self._delay_ns = 0, FIRST_LOOK_NS
        elif now >= self._next_look_ns:
            self._next_look_ns, self._delay_ns = now + self._delay_ns, min(2 * self._delay_ns, LAST_LOOK_NS)
            self._look()
        return self._directory is not None

    def _look(self) -> None:
        start = "Start it in its folder with: python3 run_engine.py"
        try:
            if not re.fullmatch(memory.ENGINE_NAME, self.engine):
                raise Refused("MISMATCH", memory.BAD_NAME)
            found = Mapping(f"utsu_{self.engine}_dir", memory.DIRECTORY, memory.STREAM_ROWS_END)
            state, session = found["state"], found["session"]
            if state == STATES["RETIRED"]:
                raise Refused("STOPPED", f"Engine '{self.engine}' was stopped. {start}")
            if state != STATES["READY"]:
                raise Refused("WAITING", memory.STARTING)
        except FileNotFoundError:
            self._drop()
            raise Refused("WAITING", f"No engine named '{self.engine}' runs on this computer. {start}") from None
        except Refused:
            self._drop()
            raise
        if session != self._session:
            self.restarts += self._session != 0
            self._forget()
            self._session, self._next_look_ns, self._delay_ns = session, 0, FIRST_LOOK_NS
        self._directory = found

    def _forget(self) -> None:
        """What was known of the last session means nothing in the next."""
        self._ring, self._ordinal = None, None
        self.seq = self._epoch = self._published_ns = 0

    def _drop(self) -> None:
        self._ring = self._directory = None

    # --- finding the stream ---

    def _find_stream(self) -> None:
        """Follow the stream to its present ring; a new size comes as a new ring."""
        directory = self._directory
        assert directory is not None
        mark = directory.word(self._row + STREAM["mark"])
        if self._ring is not None and (mark == self._row_mark or mark % 2):
            return
        row, mark, data = self._read_row(directory)
        try:
            ring = Mapping(text(data, STREAM["segment"]), memory.RING, memory.RING_HEADER_BYTES)
        except FileNotFoundError:
            raise Refused("WAITING", f"The engine is just making its stream '{self.stream}'.") from None
        self._slots, self._stride, self._capacity = self._geometry(ring)
        self._ring, self._row, self._row_mark = ring, row, mark

    def _read_row(self, directory: Mapping) -> tuple[int, int, bytes]:
        """Offset, mark and bytes of the stream's row. A row being written is left for the next poll."""
        names = []
        for index in range(min(directory["stream_count"], memory.MAX_STREAMS)):
            at = memory.STREAM_ROWS + index * memory.STREAM_ROW_BYTES
            mark = directory.word(at + STREAM["mark"])
            fence()
            data = bytes(directory.bytes[at : at + memory.STREAM_ROW_BYTES])
            fence()
            name = text(data, STREAM["name"])
            if name == self.stream:
                changed = directory.word(at + STREAM["mark"]) != mark
                if mark % 2 or changed or not text(data, STREAM["segment"]):
                    raise Refused("WAITING", f"The engine is just making its stream '{self.stream}'.")
                return at, mark, data
            names.append(name)
        raise Refused("MISMATCH", f"The engine has no stream '{self.stream}'. It has: {', '.join(names) or 'none'}.")

    def _geometry(self, ring: Mapping) -> tuple[int, int, int]:
        slots, stride, capacity = ring["slot_count"], ring["slot_stride"], ring["slot_capacity"]
        fits = memory.RING_HEADER_BYTES + slots * stride <= len(ring.bytes) and SLOT_META_BYTES + capacity <= stride
        if not slots or not fits or ring["session"] != self._session:
            raise Refused("MISMATCH", f"The engine's stream '{self.stream}' makes no sense. Restart the engine.")
        return slots, stride, capacity

    # --- reading a frame ---

    def _read_newest(self, now: int) -> bool:
        ring = self._ring
        assert ring is not None
        for _ in range(ATTEMPTS):
            head = ring["head"]  # R1
            if head <= self.seq or ring["state"] != STATES["READY"]:
                return False
            at = memory.RING_HEADER_BYTES + head % self._slots * self._stride
            if ring.word(at + memory.MARK) != 2 * head:  # R2: lapped, there is a newer head already
                continue
            fence()
            about = memory.unpack(bytes(ring.bytes[at + memory.META_OFFSET : at + memory.META_END]))  # R3
            complaint = self._complaint(about, head)
            if not complaint:
                self._copy(ring, at + SLOT_META_BYTES, about)
            fence()
            if ring.word(at + memory.MARK) != 2 * head:  # R4: whatever was read since R2 is void
                self.torn_retries += 1
                continue
            if complaint:
                raise Refused("MISMATCH", complaint)
            self._accept(about, now)
            return True
        return False

    def _complaint(self, about: dict[str, Any], head: int) -> str:
        """Why this frame cannot be shown, or nothing. Every number here may be a lie."""
        height, width, channels = about["shape"][:3]
        size = about["payload_bytes"]
        if about["seq"] != head or size > self._capacity or about["row_order"] not in memory.ROW_ORDERS.values():
            return f"A frame of stream '{self.stream}' describes itself wrongly. Restart the engine."
        rgba = (about["ndim"], about["dtype"], about["pixel_format"], channels) == (3, memory.UINT8, memory.RGBA, 4)
        if not rgba or not size or size != height * width * 4:
            return f"Stream '{self.stream}' carries no RGBA pictures. Choose the stream of the engine's output node."
        return ""

    def _copy(self, ring: Mapping, start: int, about: dict[str, Any]) -> None:
        """Copy the pixels into the spare picture, bottom row first."""
        shape = about["shape"][:3]
        if self._spare is None or self._spare.shape != shape:
            self._spare = np.empty(shape, np.uint8)
        # frombuffer holds the mapping open; ndarray(buffer=) would not, and crash after close.
        pixels = np.frombuffer(ring.bytes, np.uint8, about["payload_bytes"], start).reshape(shape)
        np.copyto(self._spare, pixels if about["row_order"] == memory.ROW_ORDERS["BOTTOM_UP"] else pixels[::-1])

    def _accept(self, about: dict[str, Any], now: int) -> None:
        self.array, self._spare = self._spare, self.array
        self.height, self.width = about["shape"][:2]
        if self._ordinal is not None:  # the engine's own count: numbers that died with a writer are not in it
            self.skipped += max(0, about["ordinal"] - self._ordinal - 1)
        self.restarts += self._epoch not in (0, about["epoch"])
        self.seq, self._ordinal, self._epoch = about["seq"], about["ordinal"], about["epoch"]
        self._flags, self._published_ns = about["flags"], about["publish_ns"]
        self.latency_ms = (now - about["capture_ns"]) / 1e6

    # --- saying how it is ---

    def _judge(self, now: int) -> None:
        engine, stream = self.engine, self.stream
        if self._published_ns and abs(now - self._published_ns) < STALE_NS:
            if self._flags & FLAGS["PLACEHOLDER"]:
                verdict = ("PLACEHOLDER", "The engine shows its placeholder card, which says what is missing.")
            elif self._flags & FLAGS["HELD"]:
                verdict = ("HELD", "The engine repeats its last picture: nothing new reaches its output.")
            else:
                verdict = ("LIVE", "")
        elif not self._beats(now):
            verdict = ("STALE", f"Engine '{engine}' gives no sign of life. If it does not come back, start it again.")
        elif not self._published_ns:
            verdict = ("WAITING", f"Engine '{engine}' runs, but its stream '{stream}' has no picture yet.")
        else:
            verdict = ("STALE", f"Engine '{engine}' runs, but its stream '{stream}' is silent. See its status line.")
        self.state, self.message = verdict

    def _measure(self, now: int, new: bool) -> None:
        self._received += new
        if now - self._window_ns >= 1_000_000_000:
            self.fps = self._received * 1e9 / (now - self._window_ns) if self._window_ns else 0.0
            self._window_ns, self._received = now, 0
        if self._published_ns:
            self.age_ms = (now - self._published_ns) / 1e6

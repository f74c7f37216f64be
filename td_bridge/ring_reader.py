"""Read the newest frame that an Utsushi engine puts into shared memory. Standard library and NumPy only.

It never writes to the engine, never waits for it and never raises. It polls: a Script TOP asks once per cook.
The steps R1 to R4 are those of docs/PROTOCOL.md.
"""

from __future__ import annotations

import re
import time

import numpy as np
import ring_frames
import ring_mapping as memory
from ring_mapping import FLAGS, SLOT_META_BYTES, STATES, STREAM, Mapping, Refused, fence, text

STALE_NS = 2_000_000_000  # older than this is no sign of life
FIRST_LOOK_NS, LAST_LOOK_NS = 250_000_000, 2_000_000_000  # back-off of looking for an engine
ATTEMPTS = 4  # at one frame within one poll


class RingReader:
    """The newest frame of one stream, across restarts of the engine and changes of size: a picture, or keypoints.

    state: LIVE, HELD (the engine repeats its last picture), PLACEHOLDER (it shows its card), WAITING (nothing to read
        yet), STALE (nothing new for 2 s), STOPPED (the engine was stopped), MISMATCH (what is there cannot be read),
        ERROR (a fault of the bridge).
    message: a sentence for the artist; empty while LIVE.
    array: the last one, C-contiguous, *bottom row first* as TouchDesigner wants it, or None. Colour pictures are
        (H, W, 4) uint8 RGBA; those of one channel (H, W, 1) uint8, uint16 or float32; keypoints (people, points, 4)
        float32: x, y and z in pixels of the `canvas` with y downwards, and a score.
    seq, width, height, param_version, pixel_format: of that frame. canvas: (width, height) of the picture that
        keypoints refer to. ids: the track id of each person. sources: (row, epoch, seq) of the frames it was made from.
    skipped: frames that came and went between two polls. torn_retries: copies thrown away because the engine wrote
        meanwhile. restarts: new lives of the writer or of the engine.
    fps: pictures received per second. age_ms: since publication. latency_ms: from capture to `poll`.
    """

    def __init__(self, engine: str = "utsushi", stream: str = "output"):
        self.engine, self.stream = engine, stream
        self.state, self.message = "WAITING", ""
        self.array: np.ndarray | None = None
        self.seq = self.width = self.height = self.skipped = self.torn_retries = self.restarts = 0
        self.param_version, self.pixel_format, self.canvas = 0, "", (0, 0)
        self._views: dict[int, tuple[ring_frames.Form, np.ndarray]] = {}  # of the ring's slots, by their offset
        self._lineage = bytes(memory.LINEAGE.size)
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

    def streams(self) -> dict[str, str]:
        """The engine's streams, and the pixel format of each that has carried a frame ("" of the others)."""
        if self._directory is None:
            return {}
        rows = [data for _, _, data in memory.stream_rows(self._directory)]
        return {text(row, STREAM["name"]): self._format_of(text(row, STREAM["segment"])) for row in rows}

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
        self._views.clear()
        self.seq = self._epoch = self._published_ns = 0

    def _drop(self) -> None:
        self._ring = self._directory = None
        self._views.clear()

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
        self._views.clear()

    def _read_row(self, directory: Mapping) -> tuple[int, int, bytes]:
        """Offset, mark and bytes of the stream's row. A row being written is left for the next poll."""
        names = []
        for at, mark, data in memory.stream_rows(directory):
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

    def _format_of(self, segment: str) -> str:
        """The pixel format of the newest frame in a ring; a guess, since the engine may be writing it."""
        try:
            ring = Mapping(segment, memory.RING, memory.RING_HEADER_BYTES)
            slots, stride, _ = self._geometry(ring)
        except (OSError, Refused):
            return ""
        at = memory.RING_HEADER_BYTES + ring["head"] % slots * stride
        about = bytes(ring.bytes[at + memory.META_OFFSET : at + memory.META_END])
        form = ring_frames.form_of(about[memory.FORM_AT : memory.LINEAGE_AT])
        return form.pixel_format if form is not None and memory.HEAD.unpack_from(about)[0] == ring["head"] > 0 else ""

    # --- reading a frame ---

    def _read_newest(self, now: int) -> bool:
        ring = self._ring
        assert ring is not None
        for _ in range(ATTEMPTS):
            head = ring["head"]  # R1
            if head <= self.seq or ring["state"] != STATES["READY"]:
                return False
            at = memory.RING_HEADER_BYTES + head % self._slots * self._stride
            fence()
            if ring.word(at + memory.MARK) != 2 * head:  # R2: lapped, there is a newer head already
                continue
            about = bytes(ring.bytes[at + memory.META_OFFSET : at + memory.META_END])  # R3
            form = ring_frames.form_of(about[memory.FORM_AT : memory.LINEAGE_AT])
            first = memory.HEAD.unpack_from(about)
            complaint = self._complaint(form, first[0] == head)
            if form is not None and not complaint:
                if self._spare is None or (self._spare.shape, self._spare.dtype) != (form.shape, form.dtype):
                    self._spare = ring_frames.empty(form)
                ring_frames.copy(form, self._view(ring, form, at), self._spare)
            fence()
            if ring.word(at + memory.MARK) != 2 * head:  # R4: whatever was read since R1 is void
                self.torn_retries += 1
                continue
            if form is None or complaint:
                raise Refused("MISMATCH", complaint)
            self._accept(form, first, now)
            self._lineage = about[memory.LINEAGE_AT :]
            return True
        return False

    def _view(self, ring: Mapping, form: ring_frames.Form, at: int) -> np.ndarray:
        """A slot's pixels; kept, because at 60 frames a second making them takes longer than one thinks."""
        known, view = self._views.get(at, (None, None))
        if known is not form or view is None:
            view = ring_frames.view_of(form, ring.bytes, at + SLOT_META_BYTES)
            self._views[at] = form, view
        return view

    def _complaint(self, form: ring_frames.Form | None, is_the_one: bool) -> str:
        """Why this frame cannot be shown, or nothing."""
        if form is None or form.size > self._capacity or not is_the_one:
            return f"A frame of stream '{self.stream}' describes itself wrongly. Restart the engine."
        if not form.pixel_format:
            return f"Stream '{self.stream}' carries neither pictures nor keypoints. Choose another one."
        return ""

    def _accept(self, form: ring_frames.Form, about: tuple[int, ...], now: int) -> None:
        seq, epoch, ordinal, capture_ns, _, self._published_ns, self.param_version, self._flags = about
        self.array, self._spare = self._spare, self.array
        self.pixel_format, self.canvas = form.pixel_format, form.canvas
        self.height, self.width = form.canvas[::-1] if form.pixel_format in ("KEYPOINTS", "WORLD") else form.shape[:2]
        if self._ordinal is not None:  # the engine's own count: numbers that died with a writer are not in it
            self.skipped += max(0, ordinal - self._ordinal - 1)
        self.restarts += self._epoch not in (0, epoch)
        self.seq, self._ordinal, self._epoch = seq, ordinal, epoch
        self.latency_ms = (now - capture_ns) / 1e6

    @property
    def ids(self) -> tuple[int, ...]:
        _, people, *rest = memory.LINEAGE.unpack(self._lineage)
        return tuple(rest[: min(people, memory.MAX_PEOPLE)])

    @property
    def sources(self) -> tuple[tuple[int, ...], ...]:
        count, _, *rest = memory.LINEAGE.unpack(self._lineage)
        numbers = rest[memory.MAX_PEOPLE :]
        return tuple(tuple(numbers[3 * i : 3 * i + 3]) for i in range(min(count, memory.MAX_SOURCES)))

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

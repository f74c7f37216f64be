"""What the sides of a ring do, word by word, in the order of engine/ring_writer.py, ring_reader.py, books.py, stream.py
and rings.py. W0…, R1… are the steps of docs/PROTOCOL.md; tests/test_model_trace.py holds the two together.

One word stands for a slot's payload and one for its metadata: a promise about "every word that was copied" is
kept by all if it is kept by any one of them. A payload is (epoch, seq) of who wrote it; metadata has the ordinal, too.

`without` names one guard that is left out, to see what it is good for.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from .machine import FENCE, Op, Program, load, note, store

READY, RETIRED = 1, 2
BOOKS = ("last_seq", "last_ordinal", "received", "torn_retries")
Counts = tuple[int, int, int]  # last_seq, last_ordinal, received
Part = Generator[Op, Any, Any]


class Programs:
    """slots: of each ring. lines: how many readers are counted in the ring. attempts: of a Latest reader."""

    def __init__(self, slots: int, lines: int = 0, lossless: bool = False, attempts: int = 2, without: str = ""):
        self.slots, self.lines, self.lossless, self.attempts, self.without = slots, lines, lossless, attempts, without

    def _fence(self, name: str) -> Part:
        if name != self.without:
            yield FENCE

    def _at(self, ring: int, field: str, seq: int) -> str:
        return f"{ring}.{field}{seq % self.slots}"

    # --- the writer ---

    def resume(self, ring: int, epoch: int, plan: tuple, last: int = 0, ordinal: int = 0) -> Program:
        """W0. plan: the frames to write: "small", "large" (it fits only a grown ring), "abandoned", "end" of all.

        last, ordinal: how far this same process has come in the ring before.
        """
        base_seq = yield load(f"{ring}.base_seq")
        base_ordinal = yield load(f"{ring}.base_ordinal")
        if (yield load(f"{ring}.granted")) != epoch:
            return "fenced off"
        yield store(f"{ring}.epoch", epoch)
        yield store(f"{ring}.ended", 0)
        touched = head = yield load(f"{ring}.head")
        yield load(f"{ring}.head")  # one that was damaged is mended here
        for slot in range(self.slots):
            mark = yield load(f"{ring}.mark{slot}")
            if (mark + 1) >> 1 > head:
                if self.without != "W0 makes dead frames odd":
                    yield store(f"{ring}.mark{slot}", 2 * ((mark + 1) >> 1) - 1)
                if self.without != "W0 goes on after what was touched":
                    touched = max(touched, (mark + 1) >> 1)
        if (yield load(f"{ring}.head")) == base_seq:
            found = base_ordinal
        else:
            _, _, found = yield load(self._at(ring, "meta", head))
        return ("frame", ring, epoch, plan, max(touched, last), head, max(found, ordinal))

    def frame(self, ring: int, epoch: int, plan: tuple, last: int, head: int, ordinal: int) -> Program:
        if not plan:
            return "finished"
        if plan[0] == "end":
            yield from self._fence("fence before the end")
            yield store(f"{ring}.ended", 1)
            return "finished"
        seq = last + 1
        if seq % self.slots == head % self.slots and self.without != "W0 leaves the newest alone":
            seq += 1
        waits = self.lossless and self.without != "lossless wait"
        if waits and not (yield from self._all_read(ring, seq - self.slots)):
            return ("frame", ring, epoch, plan, last, head, ordinal)
        if self.without not in ("W1 before W2", "W1") and (yield load(f"{ring}.granted")) != epoch:
            return "fenced off"
        if self.without != "W2":
            yield store(self._at(ring, "mark", seq), 2 * seq - 1)
        yield note("begun", ring, seq, epoch)
        yield from self._fence("fence W2-W3")
        yield store(self._at(ring, "payload", seq), (epoch, seq))
        if plan[0] == "abandoned":
            return ("frame", ring, epoch, plan[1:], last, head, ordinal)
        if self.without not in ("W1 before W4", "W1") and (yield load(f"{ring}.granted")) != epoch:
            return "fenced off"
        steps = {
            "W3": (self._at(ring, "meta", seq), (epoch, seq, ordinal + 1)),
            "W4": (self._at(ring, "mark", seq), 2 * seq),
            "W5": (f"{ring}.head", seq),
        }
        order = {"W4 after W3": ("W4", "W3", "W5"), "W5 after W4": ("W3", "W5", "W4")}
        for step in order.get(self.without, ("W3", "W4", "W5")):
            yield store(*steps[step])
            if step == "W5":
                yield note("published", seq, epoch)
            elif step == "W4":
                yield from self._fence("fence W4-W5")
        return ("frame", ring, epoch, plan[1:], seq, seq, ordinal + 1)

    def _all_read(self, ring: int, needed: int) -> Part:
        """A lossless writer's look at its readers."""
        for line in range(self.lines):
            counts = yield from self._counts(ring, line)
            if counts is None or counts[0] < needed:
                return False
        return True

    # --- readers ---

    def start(self, policy: str, ring: int, line: int) -> Program:
        """A reader takes up its line."""
        counts = yield from self._counts(ring, line)
        if counts is None:
            return ("start", policy, ring, line)
        seen = (
            counts[:3] if counts[0] <= (yield load(f"{ring}.head")) else (0, 0, 0)
        )  # no reader is ahead of its writer
        yield note("resumed", ring, seen)
        yield store(f"{ring}.{line}.port", 1)
        return (policy, ring, line, seen, counts[3])

    def latest(self, ring: int, line: int | None, counts: Counts, turn: int, tried: int = 0) -> Program:
        me = ("latest", ring, line)
        head = yield load(f"{ring}.head")  # R1
        if head <= counts[0]:
            return (*me, counts, turn)
        frame = yield from self._take(ring, head)
        if frame is not None:
            counts, turn = yield from self._accept(ring, line, head, frame, counts, turn)
            yield note("delivered", head, *frame)
            return (*me, counts, turn)
        return (*me, counts, turn, tried + 1) if tried + 1 < self.attempts else (*me, counts, turn)

    def peek(self, ring: int, line: int | None, counts: Counts, turn: int, tried: int = 0) -> Program:
        """A Latest reader that uses the frame where it lies, and asks `intact` afterwards."""
        me = ("peek", ring, line)
        head = yield load(f"{ring}.head")  # R1
        if head <= counts[0]:
            return (*me, counts, turn)
        frame = yield from self._take(ring, head, copies=False)
        if frame is None:
            return (*me, counts, turn, tried + 1) if tried + 1 < self.attempts else (*me, counts, turn)
        counts, turn = yield from self._accept(ring, line, head, frame, counts, turn)
        payload = yield load(self._at(ring, "payload", head))
        yield from self._fence("fence use-intact")
        if (yield load(self._at(ring, "mark", head))) == 2 * head:
            yield note("delivered", head, frame[0], payload)
        return (*me, counts, turn)

    def every(self, ring: int, line: int | None, counts: Counts, turn: int, seq: int = 0) -> Program:
        """seq: the one to try next, when others were passed over."""
        me = ("every", ring, line)
        seq = seq or counts[0] + 1
        head = yield load(f"{ring}.head")  # R1
        if seq > head:
            return (*me, counts, turn)
        while seq < head - self.slots + 1:
            yield note("lapped", ring, seq)
            seq += 1
        frame = yield from self._take(ring, seq)
        if frame is not None:
            counts, turn = yield from self._accept(ring, line, seq, frame, counts, turn)
            yield note("delivered", seq, *frame)
            return (*me, counts, turn)
        yield load(self._at(ring, "mark", seq))  # only to count it as torn
        yield note("passed over", ring, seq)
        return (*me, counts, turn, seq + 1)

    def look(self, ring: int) -> Program:
        """The bridge comes: it has no line, and remembers nothing."""
        yield note("forgotten")
        return ("bridge", ring, 0)

    def bridge(self, ring: int, seq: int, tried: int = 0) -> Program:
        head = yield load(f"{ring}.head")  # R1
        if head <= seq or (yield load(f"{ring}.state")) != READY:
            return ("bridge", ring, seq)
        again = ("bridge", ring, seq, tried + 1) if tried + 1 < self.attempts else ("bridge", ring, seq)
        frame = yield from self._take(ring, head, wary=True)
        if frame is None:
            return again
        yield note("delivered", head, *frame)
        return ("bridge", ring, head)

    def _take(self, ring: int, seq: int, copies: bool = True, wary: bool = False) -> Part:
        """copies: the payload, too. wary: not one of which the metadata says that it is another frame's."""
        yield from self._fence("fence R1-R2")
        if self.without != "R2" and (yield load(self._at(ring, "mark", seq))) != 2 * seq:
            return None
        meta = yield load(self._at(ring, "meta", seq))  # R3
        copies = copies and not (wary and meta[1] != seq)
        payload = (yield load(self._at(ring, "payload", seq))) if copies else None
        yield from self._fence("fence R3-R4")
        if self.without != "R4" and (yield load(self._at(ring, "mark", seq))) != 2 * seq:
            return None
        return meta, payload

    # --- counts ---

    def _accept(self, ring: int, line: int | None, seq: int, frame: tuple, counts: Counts, turn: int) -> Part:
        counts = (seq, frame[0][2], counts[2] + 1)
        if line is not None:
            yield note("counting", counts)
            turn = yield from self._count(ring, line, counts, turn)
            yield note("counted")
        return counts, turn

    def _count(self, ring: int, line: int, counts: Counts, turn: int) -> Part:
        turn += 1
        half = 0 if self.without == "two halves" else turn & 1
        if self.without == "turn after the half":
            yield store(f"{ring}.{line}.turn", turn)
        for word, value in zip(BOOKS, (*counts, 0), strict=True):
            yield store(f"{ring}.{line}.{half}.{word}", value)
        yield from self._fence("fence half-turn")
        if self.without != "turn after the half":
            yield store(f"{ring}.{line}.turn", turn)
        return turn

    def _counts(self, ring: int, line: int) -> Part:
        """A look at a line: its counts and turn, or None when they changed meanwhile."""
        turn = yield load(f"{ring}.{line}.turn")
        yield from self._fence("fence turn-half")
        half = 0 if self.without == "two halves" else turn & 1
        counts = []
        for word in BOOKS:
            counts.append((yield load(f"{ring}.{line}.{half}.{word}")))
        yield from self._fence("fence half-turn again")
        if self.without != "turn again" and (yield load(f"{ring}.{line}.turn")) != turn:
            return None
        return *counts[:3], turn

    def observe(self, ring: int, line: int) -> Program:
        """The supervisor looks at a reader's counts."""
        counts = yield from self._counts(ring, line)
        if counts is None:
            return ("observe", ring, line)
        yield note("observed", counts[:3])
        return "seen"

    def until_the_end(self, ring: int) -> Program:
        """Ask whether all was read, as an offline reader does whose last read found nothing."""
        if not (yield load(f"{ring}.ended")):
            return ("until_the_end", ring)
        yield from self._fence("fence ended-head")
        yield note("ended", (yield load(f"{ring}.head")))
        return "ended"

"""A stream whose ring grows: what engine/stream.py, rings.py and directory.py add to the two sides of a ring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .machine import Program, load, note, store
from .programs import BOOKS, READY, RETIRED, Counts, Part, Programs
from .scenes import COUNTED, Scene, Thread, ring_words


class Generations(Programs):
    """Ring 0 grows into ring 1, in which "large" frames fit. patience: may the writer give up waiting?"""

    def __init__(self, *, patience: bool, **more: Any):
        super().__init__(**more)
        self.patience = patience

    def _row(self) -> Part:
        """Where the stream is now; None while that changes."""
        mark = yield load("row.mark")
        yield from self._fence("fence mark-row")
        ring = yield load("row.generation")
        segment = yield load("row.segment")
        yield from self._fence("fence row-mark")
        again = yield load("row.mark")
        return None if mark % 2 or again != mark else (ring, segment)

    # --- the writer ---

    def attach_writer(self, epoch: int, plan: tuple, last: int = 0, ordinal: int = 0) -> Program:
        row = yield from self._row()
        return ("resume", row[1], epoch, plan, last, ordinal) if row else ("attach_writer", epoch, plan, last, ordinal)

    def frame(self, ring: int, epoch: int, plan: tuple, last: int, head: int, ordinal: int) -> Program:
        me = (ring, epoch, plan, last, head, ordinal)
        if self.without != "writers follow" and (yield load(f"{ring}.state")) == RETIRED:
            return ("attach_writer", epoch, plan, last, ordinal)
        yield note("starts", ring)
        if not plan or plan[0] != "large" or ring:
            return (yield from super().frame(*me))
        if (yield load(f"{ring}.granted")) != epoch:
            return "fenced off"
        yield store("request", 1)
        return ("wait", *me)

    def wait(self, ring: int, epoch: int, plan: tuple, last: int, head: int, ordinal: int) -> Program:
        row = yield from self._row()
        if row and row[0] != ring:
            return ("resume", row[1], epoch, plan, last, ordinal)
        if not self.patience and (yield ("choose", 2)):
            return ("frame", ring, epoch, plan[1:], last, head, ordinal)
        return ("wait", ring, epoch, plan, last, head, ordinal)

    # --- readers ---

    def attach_reader(self, policy: str, line: int) -> Program:
        row = yield from self._row()
        return ("start", policy, row[1], line) if row else ("attach_reader", policy, line)

    def latest(self, ring: int, line: int, counts: Counts, turn: int, more: int = 0, again: bool = False) -> Program:
        return self._follow(super().latest(ring, line, counts, turn, more), ring, line, counts, turn, again)

    def every(self, ring: int, line: int, counts: Counts, turn: int, more: int = 0, again: bool = False) -> Program:
        return self._follow(super().every(ring, line, counts, turn, more), ring, line, counts, turn, again)

    def _follow(self, read: Program, ring: int, line: int, counts: Counts, turn: int, again: bool) -> Program:
        following = yield from read
        if following[3] != counts:
            return following  # a frame
        if len(following) > 5:
            return (*following, again)  # still at it
        if again:
            return ("move", following[0], ring, line, counts, turn)
        if (yield load(f"{ring}.state")) != RETIRED:
            return following
        yield from self._fence("fence retired-head")
        if self.without == "second look":
            return ("move", following[0], ring, line, counts, turn)
        return (*following, 0, True)

    def move(self, policy: str, ring: int, line: int, counts: Counts, turn: int) -> Program:
        row = yield from self._row()
        if row is None:
            return ("move", policy, ring, line, counts, turn)
        if row[0] == ring:
            return (policy, ring, line, counts, turn)
        new = row[1]
        found = yield from self._counts(new, line)
        if found is None:
            return ("move", policy, ring, line, counts, turn)
        yield load(f"{new}.head")
        yield store(f"{new}.{line}.port", 1)
        if self.without != "counts are carried over":
            turn = yield from self._count(new, line, counts, found[3])
        yield note("moved", new, counts)
        return (policy, new, line, counts, turn)

    def look(self, ring: int) -> Program:
        yield note("forgotten")
        return ("find", 0)

    def find(self, seq: int, ring: int | None = None, known: int = 0) -> Program:
        """The bridge follows the stream's row."""
        mark = yield load("row.mark")
        if ring is not None and (mark == known or mark % 2):
            return ("bridge", ring, seq, 0, known)
        mark = yield load("row.mark")
        yield from self._fence("fence mark-row")
        segment = yield load("row.segment")
        yield from self._fence("fence row-mark")
        if mark % 2 or (yield load("row.mark")) != mark:
            return ("find", seq, ring, known)
        return ("bridge", segment, seq, 0, mark)

    def bridge(self, ring: int, seq: int, tried: int = 0, known: int = 0) -> Program:
        following = yield from super().bridge(ring, seq, tried)
        return (*following, known) if len(following) > 3 else ("find", following[2], ring, known)

    # --- the supervisor ---

    def supervise(self, ring: int) -> Program:
        if not (yield load("request")):
            return ("supervise", ring)
        yield store("request", 0)
        if ring:
            return ("supervise", ring)
        base_seq = yield load("0.head")
        if (yield load("0.head")) == (yield load("0.base_seq")):
            ordinal = yield load("0.base_ordinal")
        else:
            _, _, ordinal = yield load(self._at(0, "meta", base_seq))
        for word, value in (("base_seq", base_seq), ("base_ordinal", ordinal), ("head", base_seq), ("state", READY)):
            yield store(f"1.{word}", value)
        for line in range(self.lines):
            yield from self._copy_line(line)
        yield store("1.granted", (yield load("0.granted")))
        yield from self._point_at_ring_1()
        yield store("0.state", RETIRED)
        return ("supervise", 1)

    def _point_at_ring_1(self) -> Part:
        mark = yield load("row.mark")
        yield store("row.mark", mark | 1)
        yield from self._fence("fence odd-row")
        yield store("row.generation", 1)
        yield store("row.segment", 1)
        yield from self._fence("fence row-even")
        yield store("row.mark", (mark | 1) + 1)

    def point(self) -> Program:
        yield from self._point_at_ring_1()
        return "pointed"

    def look_up(self) -> Program:
        row = yield from self._row()
        if row is None:
            return ("look_up",)
        yield note("row", *row)
        return ("look_up",) if row == (0, 0) else "moved"

    def _copy_line(self, line: int) -> Part:
        for word in ("port", "turn", *(f"{half}.{word}" for half in (0, 1) for word in BOOKS)):
            yield store(f"1.{line}.{word}", (yield load(f"0.{line}.{word}")))


class Growing(Scene):
    """A stream whose writer asks for a larger ring, and whose supervisor makes one."""

    def __init__(
        self, slots: int = 2, plan: tuple = ("small", "large", "small"), readers: tuple[str, ...] = ("every",),
        deaths: int = 0, reader_deaths: int = 0, patience: bool = True, without: str = "",
    ):  # fmt: skip
        super().__init__(slots, readers=readers, deaths=deaths, reader_deaths=reader_deaths, plan=plan)
        lines = sum(policy in COUNTED for policy in readers)
        self.programs = Generations(slots=slots, lines=lines, without=without, patience=patience)
        self.memory |= ring_words(1, slots, lines)
        self.memory |= {"row.mark": 2, "row.generation": 0, "row.segment": 0, "request": 0, "1.state": 0}
        self.threads[0] = self.threads[0]._replace(start=("attach_writer", 1, self.plan))
        for thread, policy in enumerate(readers, 1):
            if policy in COUNTED:
                self.threads[thread] = self.threads[thread]._replace(start=("attach_reader", policy, thread - 1))
        self.threads.append(Thread("supervisor", ("supervise", 0)))

    def private(self, thread: int, kind: str, word: str) -> bool:
        return word.endswith((".epoch", ".ended", ".port"))

    def watches(self, thread: int, word: str) -> bool:
        return not word.endswith((".epoch", ".ended", ".port"))

    def newest(self, look: Callable[[str], int]) -> int:
        """Nothing while the supervisor is at it, or while the newest frame lies where newcomers do not look."""
        if look("row.mark") % 2 or (look("row.segment") and look("0.state") == READY):
            return 0
        if look("1.head") > look("1.base_seq"):
            return look("1.head")
        return 0 if look("row.segment") else look("0.head")

    def restart(self, thread: int, state: Any, look: Callable[[str], int]) -> tuple[tuple, dict[str, int]] | None:
        if thread:
            return super().restart(thread, state, look)
        supervisor = state.nodes[-1]
        if supervisor.name != "supervise" or supervisor.steps or state.views[-1].queue:
            return None  # it does one thing after the other
        granted = f"{supervisor.root[1]}.granted"
        return ("attach_writer", state.epoch + 1, self.plan), {granted: state.epoch + 1, "request": 0}


class Row(Growing):
    """Only the stream's row: one who changes it, and one who looks at it."""

    def __init__(self, without: str = ""):
        super().__init__(readers=(), without=without)
        self.threads = [Thread("supervisor", ("point",)), Thread("reader", ("look_up",))]

"""Which programs meet, and which guards each meeting is there for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .machine import Node
from .programs import BOOKS, READY, Programs

READERS = ("latest", "every", "bridge", "peek")
COUNTED = ("latest", "every", "peek")
POINTS = ("between frames", "before W2", "in W3", "after the payload", "before the metadata", "before W4", "before W5")


class Thread(NamedTuple):
    """start: its first program; empty for one that is not there yet. deaths: how often it may die."""

    name: str
    start: tuple
    deaths: int = 0
    reads: bool = False


class Scene:
    """A writer, what reads from it, and the writer's successors, on one ring.

    frames: how many each life of the writer publishes; plan: or exactly these.
    readers: "latest", "every" and "peek" have a line; "bridge" has none; "observe" looks at the counts of line 0;
    "until_the_end" waits for the last frame.
    deaths, reader_deaths: how often the writer, and each reader, may be killed and started again, wherever it is.
    damaged: after the writer's death the header is found damaged, and is restored from the slots.
    stopped: where the writer may be stopped, at which point a successor is started, and it wakes up whenever it likes.
    """

    def __init__(
        self, slots: int = 3, frames: int = 3, readers: tuple[str, ...] = ("latest",), deaths: int = 0,
        reader_deaths: int = 0, without: str = "", lossless: bool = False, plan: tuple = (), stopped: str = "",
        damaged: bool = False,
    ):  # fmt: skip
        lines = sum(policy in COUNTED for policy in readers)
        self.programs = Programs(slots, lines, lossless, without=without)
        self.plan, self.stopped, self.damaged = plan or ("small",) * frames, stopped, damaged
        self._shared_lines = lossless or "observe" in readers
        self.threads = [Thread("writer", ("resume", 0, 1, self.plan), deaths)]
        self.memory = ring_words(0, slots, lines) | {"0.granted": 1}
        for index, policy in enumerate(readers):
            others = {"bridge": ("look", 0), "observe": ("observe", 0, 0), "until_the_end": ("until_the_end", 0)}
            start = others.get(policy, ("start", policy, 0, index))
            self.threads.append(Thread(f"{policy} {index}", start, reader_deaths, policy in READERS))
        if stopped:
            self.threads.append(Thread("predecessor", ()))

    def private(self, thread: int, kind: str, word: str) -> bool:
        """Does nobody else look at this word meanwhile (for a load: nobody else store to it)?"""
        if _in_line(word):
            return not self._shared_lines
        return thread == 0 and not self.stopped and (kind == "load" or word.endswith("epoch"))

    def watches(self, thread: int, word: str) -> bool:
        """Does this thread ever load this word, once another may have stored to it?"""
        if _in_line(word):
            return self._shared_lines
        if thread in (0, len(self.threads) - bool(self.stopped)):
            return bool(self.stopped)
        return word[2:] not in ("base_seq", "base_ordinal", "granted", "epoch")

    def newest(self, look: Callable[[str], int]) -> int:
        """The number of the frame that a reader who looks now must get."""
        return look("0.head")

    def restart(self, thread: int, state: Any, look: Callable[[str], int]) -> tuple[tuple, dict[str, int]] | None:
        """The first program of what is started anew, and the words that the supervisor sets before; None: not now.

        look: what a word holds now.
        """
        if thread:
            return (self.threads[thread].start, {}) if self.threads[thread].start else None
        words = {"0.granted": state.epoch + 1}
        if self.damaged:
            marks = [look(f"0.mark{slot}") for slot in range(self.programs.slots)]
            words["0.head"] = max((mark // 2 for mark in marks if mark % 2 == 0), default=0)
        return ("resume", 0, state.epoch + 1, self.plan), words

    def stops(self, node: Node) -> bool:
        return bool(self.stopped) and point(node) == self.stopped


def point(node: Node) -> str:
    """Where a writer is within a frame, or nothing."""
    if node.name != "frame":
        return ""
    if not node.steps:
        return "between frames"
    kind, *about = node.op
    if node.before[:1] == ("store",) and ".payload" in node.before[1]:
        return "after the payload"
    if kind != "store":
        return ""
    word = about[0][2:].rstrip("0123456789")
    if word == "mark":
        return "before W2" if about[1] % 2 else "before W4"
    return {"payload": "in W3", "meta": "before the metadata", "head": "before W5"}[word]


def _in_line(word: str) -> bool:
    return word[2].isdigit()


def ring_words(ring: int, slots: int, lines: int) -> dict[str, object]:
    words: dict[str, object] = dict.fromkeys((f"{ring}.{word}" for word in (
        "base_seq", "base_ordinal", "granted", "epoch", "head", "ended")), 0)  # fmt: skip
    words[f"{ring}.state"] = READY
    for slot in range(slots):
        words |= {f"{ring}.mark{slot}": 0, f"{ring}.meta{slot}": (0, 0, 0), f"{ring}.payload{slot}": (0, 0)}
    for line in range(lines):
        words |= {f"{ring}.{line}.turn": 0, f"{ring}.{line}.port": 0}
        words |= {f"{ring}.{line}.{half}.{word}": 0 for half in (0, 1) for word in BOOKS}
    return words

"""Which programs meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .programs import BOOKS, READY, Programs


class Thread(NamedTuple):
    """start: its first program; empty for one that is not there yet. deaths: how often it may die."""

    name: str
    start: tuple
    deaths: int = 0
    reads: bool = False


class Scene:
    """One writer and its readers on one ring.

    frames: how many each life of the writer publishes. readers: their policies; those but the bridge have a line.
    """

    def __init__(
        self, slots: int = 2, frames: int = 3, readers: tuple[str, ...] = ("latest",), deaths: int = 0,
        reader_deaths: int = 0, without: str = "", lossless: bool = False, plan: tuple = (), attempts: int = 2,
    ):  # fmt: skip
        lines = sum(policy != "bridge" for policy in readers)
        self.programs = Programs(slots, lines, lossless, attempts=attempts, without=without)
        self.plan = plan or ("small",) * frames
        self.threads = [Thread("writer", ("resume", 0, 1, self.plan), deaths)]
        self._policies = readers
        self.memory: dict[str, object] = ring_words(0, slots, lines)
        self.memory["0.granted"] = 1
        for index, policy in enumerate(readers):
            start = ("look", 0) if policy == "bridge" else ("start", policy, 0, index)
            self.threads.append(Thread(f"{policy} {index}", start, reader_deaths, reads=True))

    def private(self, thread: int, kind: str, word: str) -> bool:
        """Does nobody else look at this word now (for a load: nobody else store to it)?"""
        if thread == 0:
            return kind == "load" and not (self.programs.lossless and word[2].isdigit()) or word.endswith("epoch")
        return word[2].isdigit() and not self.programs.lossless

    def watches(self, thread: int, word: str) -> bool:
        """Does this thread ever load this word, once another may have stored to it?"""
        line = word[2].isdigit()
        if thread == 0:
            return line and self.programs.lossless
        return not line and word[2:] not in ("base_seq", "base_ordinal", "granted", "epoch", "ended")

    def restart(self, thread: int, epoch: int) -> Iterator[tuple[tuple, dict[str, object], int]]:
        """(first program, words to set, epoch of the writer then)"""
        if thread == 0:
            yield ("resume", 0, epoch + 1, self.plan), {"0.granted": epoch + 1}, epoch + 1
        else:
            yield self.threads[thread].start, {}, epoch


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

"""Three memories under the same programs.

IN_ORDER  every access takes effect at once
X86       TSO: stores wait in a queue and leave it in order; loads see the newest; fences do nothing, as in
          engine/atomics.py
WEAK      like ARM64: a thread's waiting stores leave in any order that keeps each word's own; a load may see what
          the word held at any instant since the thread's last fence, but never go back. A fence waits until the
          queue is empty, and from then on old values are out of sight.

Everywhere a thread sees its own waiting stores. What WEAK leaves out: a store that overtakes an *earlier load* of
its own thread. Wherever that would matter the store is made only after a decision that hangs on the load, which
ARM64 orders.

The memory is a tuple of histories, oldest first; a view is how far back a thread may look into each, and its queue.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

Memory = tuple  # per word: its values, oldest first, as far back as anyone may still see them
Ages = tuple  # per word: how many stores ago a thread may still look


class View(NamedTuple):
    ages: Ages
    queue: tuple[tuple[int, Any], ...] = ()


class Rules(NamedTuple):
    """queued: stores wait. in_order: they leave in order. early: loads may be old. fences: they have an effect."""

    name: str
    queued: bool
    in_order: bool
    early: bool


IN_ORDER = Rules("in order", False, True, False)
X86 = Rules("x86-64", True, True, False)
WEAK = Rules("weak", True, False, True)
RULES = {rules.name: rules for rules in (IN_ORDER, X86, WEAK)}


def newest(memory: Memory, word: int) -> Any:
    return memory[word][-1]


def fresh(memory: Memory) -> View:
    """The view of a process that has just started: the kernel has seen to it that it sees everything."""
    return View((0,) * len(memory))


def loads(memory: Memory, view: View, word: int) -> Iterator[tuple[Any, View]]:
    """What a load may give."""
    for waiting, value in reversed(view.queue):
        if waiting == word:
            yield value, view
            return
    ages = view.ages
    if not ages[word]:
        yield memory[word][-1], view
        return
    for age in range(ages[word] + 1):
        yield memory[word][-1 - age], View((*ages[:word], age, *ages[word + 1 :]), view.queue)


def leaving(rules: Rules, queue: tuple[tuple[int, Any], ...]) -> Iterator[int]:
    """Which waiting stores may take effect now."""
    words = set()
    for index, (word, _) in enumerate(queue):
        if word not in words:
            yield index
        if rules.in_order:
            return
        words.add(word)


def take_effect(
    rules: Rules, memory: Memory, views: tuple[View, ...], thread: int, word: int, value: Any,
    watching: Collection[int],
) -> tuple[Memory, tuple[View, ...]]:  # fmt: skip
    """A store by `thread` reaches the memory; whoever is `watching` the word may still see what it held before."""
    if not rules.early:
        return (*memory[:word], (value,), *memory[word + 1 :]), views
    aged, oldest = [], 0
    for other, view in enumerate(views):
        age = view.ages[word] + 1 if other != thread and other in watching else 0
        oldest = max(oldest, age)
        aged.append(
            view if age == view.ages[word] else View((*view.ages[:word], age, *view.ages[word + 1 :]), view.queue)
        )
    history = (*memory[word], value)[-1 - oldest :]
    return (*memory[:word], history, *memory[word + 1 :]), tuple(aged)

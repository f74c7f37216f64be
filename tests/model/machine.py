"""A program's states as nodes of a graph, made as they are reached.

A program is a generator that yields operations and is sent their results. A generator cannot be copied, but it
behaves the same whenever it gets the same results; so a state is what it was started with and what it was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

Op = tuple  # ("load", where), ("store", where, value), ("fence",), ("choose", n), ("note", what, ...), ("end", why)
Program = Generator[Op, Any, "tuple | str"]  # returns what comes next, (method, *arguments), or why it ended


def load(where: str) -> Op:
    return ("load", where)


def store(where: str, value: Any) -> Op:
    return ("store", where, value)


def note(what: str, *about: Any) -> Op:
    """Something to judge; no step of its own."""
    return ("note", what, *about)


FENCE: Op = ("fence",)


class Node:
    """One state: the operation that comes next, and the one before. Nodes are compared by identity and so hash fast."""

    __slots__ = ("_children", "_machine", "_sent", "_start", "before", "op")

    def __init__(self, machine: Machine, start: tuple, sent: tuple, op: Op, before: Op):
        self._machine, self._start, self._sent, self.op, self.before = machine, start, sent, op, before
        self._children: dict[Any, Node] = {}

    @property
    def name(self) -> str:
        return self._start[0]

    @property
    def steps(self) -> int:
        """How many operations of its program lie behind it."""
        return len(self._sent)

    @property
    def root(self) -> tuple:
        """What its program was started with."""
        return self._start

    def after(self, result: Any) -> Node:
        """The state in which the operation has had this result."""
        child = self._children.get(result)
        if child is None:
            child = self._children[result] = self._machine.node(self._start, (*self._sent, result))
        return child

    def __repr__(self) -> str:
        return f"{self._start[0]}{self._start[1:]} {self.op}"


class Machine:
    """programs: an object whose methods are the programs."""

    def __init__(self, programs: object):
        self._programs = programs
        self._roots: dict[tuple, Node] = {}

    def root(self, *start: Any) -> Node:
        """The first state of a program: its name and what it is started with."""
        node = self._roots.get(start)
        if node is None:
            node = self._roots[start] = self.node(start, ())
        return node

    def node(self, start: tuple, sent: tuple) -> Node:
        method: Callable[..., Program] = getattr(self._programs, start[0])
        program, before = method(*start[1:]), ("start",)
        try:
            op = next(program)
            for result in sent:
                before, op = op, program.send(result)
        except StopIteration as end:
            if isinstance(end.value, tuple):
                return self.root(*end.value)
            op = ("end", end.value)
        return Node(self, start, sent, op, before)

"""A stand-in for TouchDesigner that is as strict as TouchDesigner: what it refuses, this refuses.

Only what the component uses, from TouchDesigner's documentation; never compared with a real one. Where the
documentation is silent there is a switch here (`frames_while_paused`), and a test for either way.
"""

from __future__ import annotations

import builtins
import itertools
import sys
import traceback
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

from fake_td import net
from fake_td.families import CLASSES, DAT
from fake_td.ops import COMP, OP
from fake_td.pars import Par

__all__ = ["COMP", "DAT", "OP", "CookLevel", "Par", "TouchDesigner"]


class CookLevel:
    AUTOMATIC, ON_CHANGE, WHEN_USED, ALWAYS = "AUTOMATIC", "ON_CHANGE", "WHEN_USED", "ALWAYS"


class AbsTime:
    """`absTime`: remembers which operator has read it, because that is what makes it cook again."""

    def __init__(self, td: TouchDesigner):
        self._td, self._frame = td, 1

    @property
    def frame(self) -> int:
        for node in self._td.cooking:
            node.seen_frame = self._frame
        return self._frame

    @property
    def seconds(self) -> float:
        return self.frame / 60


class TouchDesigner:
    """One running TouchDesigner.

    build: 2023 knows no CookLevel, no `modoutsidecook`, and its `absTime` never pauses.
    textport: what it would print there, which is every exception of a callback.
    watched: the operators that something looks at.
    """

    def __init__(self, build: int = 2025, non_commercial: bool = False, frames_while_paused: bool = True):
        self.build, self.frames_while_paused = build, frames_while_paused
        self.playing, self.textport, self.watched = True, [], set()
        self.cooking: list[OP] = []
        self._ids, self._changed, self._fresh = itertools.count(1), {}, []
        self.absTime = AbsTime(self)
        self.root = COMP(self, "baseCOMP", "", None)
        self.project = SimpleNamespace(folder="/nowhere", name="project.toe")
        self.licenses = SimpleNamespace(isNonCommercial=non_commercial)
        self.root.create("baseCOMP", "project1")

    # --- what scripts see ---

    def names_for(self, me: OP) -> dict[str, Any]:
        """The names that TouchDesigner gives to a script or an expression of this operator."""
        names: dict[str, Any] = {
            "me": me, "parent": me.parent, "op": lambda path: self.find(me, path), "root": self.root,
            "project": self.project, "absTime": self.absTime, "licenses": self.licenses, "debug": print,
        }  # fmt: skip
        if self.build >= 2025:
            names["CookLevel"] = CookLevel
        return names

    def td_module(self) -> ModuleType:
        """`import td`, for a file outside of any DAT."""
        module = ModuleType("td")
        module.__dict__.update(self.names_for(self.root))
        return module

    def find(self, start: OP, path: str | OP, inside: bool = False) -> Any:
        """`op(path)`: absolute, or relative to the network that `start` is in (or, for a method, to its inside)."""
        if isinstance(path, OP):
            return path
        assert ".." not in path, "where '..' leads depends on who asks: use parent()"
        here: Any = self.root if path.startswith("/") else start if inside else start.parent() or self.root
        if not path:
            return None
        for part in path.strip("/").split("/"):
            if part not in ("", "."):
                here = next((child for child in getattr(here, "children", []) if child.name == part), None)
        return here

    def compile(self, dat: DAT) -> ModuleType:
        """A DAT's text as a module: `import` finds the DATs of the same network first."""
        module = ModuleType(dat.name)

        def find_module(name: str, *rest: Any) -> Any:
            sibling = None if rest and rest[-1] and isinstance(rest[-1], int) else self.find(dat, name)
            if isinstance(sibling, DAT):
                return sibling.module
            return builtins.__import__(name, *rest)

        module.__dict__.update(self.names_for(dat), __builtins__={**vars(builtins), "__import__": find_module})
        exec(builtins.compile(dat.text, dat.path, "exec"), module.__dict__)
        return module

    def call(self, dat: DAT | None, name: str, *values: Any) -> Any:
        """A callback, if there is one. An exception goes to the Textport and stops nothing."""
        try:
            callback: Callable[..., Any] | None = getattr(dat.module, name, None) if dat is not None else None
            return callback(*values) if callback is not None else None
        except Exception:
            self.textport.append(traceback.format_exc())
            print(self.textport[-1], file=sys.stderr)
        return None

    # --- what happens ---

    def make(self, kind: str, name: str, parent: COMP) -> OP:
        family = next(family for family in CLASSES if kind.endswith(family))
        return CLASSES[family](self, kind, name, parent)

    def next_id(self) -> int:
        return next(self._ids)

    def everything(self) -> list[OP]:
        return self.root.everything()

    def created(self, node: OP) -> None:
        if node.OPType == "executeDAT":
            self._fresh.append(node)

    def changed(self, par: Par, before: Any) -> None:
        if par.eval() != before:
            self._changed.setdefault(id(par), (par, before))

    def pulsed(self, par: Par) -> None:
        for dat in self._execute_dats("parameterexecuteDAT", "onpulse"):
            if self._watches(dat, par):
                self.call(dat, "onPulse", par)

    def _execute_dats(self, kind: str, toggle: str) -> list[Any]:
        found = [node for node in self.everything() if node.OPType == kind]
        return [dat for dat in found if dat.par.active.eval() and getattr(dat.par, toggle).eval()]

    def _watches(self, dat: DAT, par: Par) -> bool:
        wanted = dat.par.custom.eval() if par.isCustom else dat.par.builtin.eval()
        return bool(wanted and dat.par.op.eval() is par.owner and par in par.owner.par.matching(dat.par.pars.eval()))

    def frame(self, count: int = 1) -> None:
        """Frames of TouchDesigner: messages, Execute DATs, cooking, and changes of parameters at the end."""
        for _ in range(count):
            if self.playing or self.build < 2025:
                self.absTime._frame += 1
            for dat in [fresh for fresh in self._fresh if fresh.valid]:
                if dat.par.active.eval() and dat.par.create.eval():
                    self.call(dat, "onCreate")
            self._fresh.clear()
            self._receive()
            if self.playing or self.frames_while_paused:
                for dat in self._execute_dats("executeDAT", "framestart"):
                    self.call(dat, "onFrameStart", self.absTime._frame)
            for node in self.everything():
                if self._wants_to_cook(node):
                    self.cook(node, force=True)
            self._tell_of_changes()

    def start(self) -> None:
        """The project was opened."""
        for dat in self._execute_dats("executeDAT", "start"):
            self.call(dat, "onStart")

    def quit(self) -> None:
        for dat in self._execute_dats("executeDAT", "exit"):
            self.call(dat, "onExit")
        for node in self.everything():
            if isinstance(node, DAT):
                node.port.close()

    def _tell_of_changes(self) -> None:
        changed, self._changed = list(self._changed.values()), {}
        for dat in self._execute_dats("parameterexecuteDAT", "valuechange"):
            for par, before in changed:
                if par.valid and self._watches(dat, par):
                    self.call(dat, "onValueChange", par, before)

    def _receive(self) -> None:
        for node in self.everything():
            if not isinstance(node, DAT) or node.OPType not in ("oscinDAT", "udpinDAT"):
                continue
            trouble = node.port.listen(node.par.port.eval() if node.par.active.eval() else 0)
            node.errors_ = [trouble] if trouble else []
            for data in node.port.receive():
                self._deliver(node, data)

    def _deliver(self, node: DAT, data: bytes) -> None:
        callbacks = node.par.callbacks.eval()
        if node.OPType == "udpinDAT":
            text = data.decode(errors="replace")
            pieces = [text] if node.par.format.eval() == "permessage" else text.split("\n")
            for piece in pieces:
                self.call(callbacks, "onReceive", node, node.appendRow([piece]), piece, data, None)
        else:
            for address, values in net.decode(data):
                row = node.appendRow([address, *values])
                peer = SimpleNamespace(address="127.0.0.1", port=0, owner=node)
                self.call(callbacks, "onReceiveOSC", node, row, address, data, 0.0, address, values, peer)
        del node.table[: -node.par.maxlines.eval()]

    # --- cooking ---

    def _wants_to_cook(self, node: OP) -> bool:
        if node.OPType not in ("scriptTOP", "scriptCHOP"):
            return False
        level = None
        if self.build >= 2025:
            level = self.call(node.par.callbacks.eval(), "onGetCookLevel", node)
        stale = node.cooks == 0 or (node.seen_frame is not None and node.seen_frame != self.absTime._frame)
        if level in (CookLevel.ALWAYS, CookLevel.WHEN_USED):
            return level == CookLevel.ALWAYS or self._used(node)
        return stale and self._used(node)

    def _used(self, node: OP) -> bool:
        """Something looks at it, or at a node after it in the same network: use does not pass a component's edge."""
        if node in self.watched:
            return True
        after = [other for other in (node.parent() or self.root).children if node in other.inputs]
        return any(self._used(other) for other in after)

    def cook(self, node: OP, force: bool) -> None:
        if node.OPType not in ("scriptTOP", "scriptCHOP") or not (force or node.cooks == 0):
            return
        node.cooking = True
        self.cooking.append(node)
        try:
            self.call(node.par.callbacks.eval(), "onCook", node)
        finally:
            node.cooks += 1
            node.cooking = False
            self.cooking.remove(node)

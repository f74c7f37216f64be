"""Operators: a tree with names and paths, parameters, storage, errors, copying and saving."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake_td import types
from fake_td.pars import Page, Par, Pars

if TYPE_CHECKING:
    from fake_td import TouchDesigner

PLAIN = (str, int, float, bool, type(None))


class Connector:
    """The left (input) or right (output) side of an operator."""

    def __init__(self, owner: OP, index: int):
        self.owner, self.index = owner, index

    def connect(self, other: OP | Connector) -> None:
        """An output's connector goes into `other`; an input's takes from it."""
        source, target = (self.owner, getattr(other, "owner", other))
        if self in self.owner.inputConnectors:
            source, target = target, self.owner
        assert source.family == target.family, "only operators of one family can be connected"
        target.inputs[:] = [source]


class OP:
    """Base of all operators; `kind` is TouchDesigner's OPType, for example 'scriptTOP'."""

    def __init__(self, td: TouchDesigner, kind: str, name: str, parent: COMP | None):
        self.td, self.OPType, self._parent = td, kind, parent
        self.family = re.sub("^.*(COMP|DAT|TOP|CHOP)$", r"\1", kind)
        self.name, self.valid, self.id = name, True, td.next_id()
        self.par = Pars(self, types.builtin(kind, td.build))
        self.customPages: list[Page] = []
        self.storage: dict[str, Any] = {}
        self.inputs: list[OP] = []
        self.inputConnectors, self.outputConnectors = [Connector(self, 0)], [Connector(self, 0)]
        self.docked: list[OP] = []
        self.nodeX = self.nodeY = 0
        self.nodeWidth, self.nodeHeight = 130, 90
        self.comment, self.color, self.viewer, self.expose, self.tags = "", (0.5, 0.5, 0.5), False, True, set()
        self.errors_: list[str] = []
        self.complaints = self.cooks = 0
        self.cooking = False
        self.seen_frame: int | None = None  # what it read of absTime in its last cook

    def __bool__(self) -> bool:
        return self.valid

    def parent(self, levels: int = 1) -> COMP | None:
        above: Any = self
        for _ in range(levels):
            above = above._parent if above is not None else None
        return above

    @property
    def path(self) -> str:
        return "/" if self._parent is None else f"{self._parent.path.rstrip('/')}/{self.name}"

    def op(self, path: str) -> OP | None:
        return self.td.find(self, path, inside=True)

    @property
    def customPars(self) -> list[Par]:
        return [par for page in self.customPages for par in page.pars]

    def appendCustomPage(self, name: str) -> Page:
        assert name not in [page.name for page in self.customPages], f"there is a page {name} already"
        self.customPages.append(Page(self, name))
        return self.customPages[-1]

    def store(self, key: str, value: Any) -> None:
        self.storage[key] = value

    def fetch(self, key: str, default: Any = None) -> Any:
        return self.storage.get(key, default)

    def unstore(self, key: str) -> None:
        self.storage.pop(key, None)

    def destroy(self) -> None:
        self.valid = False
        for docked in list(self.docked):
            docked.destroy()
        if self._parent is not None and self in self._parent.children:
            self._parent.children.remove(self)
            for other in self._parent.children:
                other.docked[:] = [one for one in other.docked if one is not self]
                other.inputs[:] = [one for one in other.inputs if one is not self]

    # --- errors ---

    def addScriptError(self, message: str) -> None:
        self.errors_.append(message)
        self.complaints += 1

    def addError(self, message: str) -> None:
        assert self.cooking, "addError outside of a cook"
        self.errors_.append(message)

    def clearScriptErrors(self, recurse: bool = False, error: str = "*") -> None:
        self.errors_ = [message for message in self.errors_ if not fnmatch.fnmatch(message, error)]

    def scriptErrors(self) -> str:
        return "\n".join(self.errors_)

    def cook(self, force: bool = False) -> None:
        """Without `force` only what something it has read makes stale."""
        self.td.cook(self, force)


class COMP(OP):
    """A component. `save` writes what TouchDesigner would keep, as JSON that a test can look into."""

    def __init__(self, td: TouchDesigner, kind: str, name: str, parent: COMP | None):
        super().__init__(td, kind, name, parent)
        self.children: list[OP] = []

    def create(self, kind: str, name: str = "", initialize: bool = True) -> OP:
        name = self._free(name or re.sub("(COMP|DAT|TOP|CHOP)$", "1", kind))
        assert re.fullmatch("[A-Za-z0-9_]+", name), f"TouchDesigner refuses the name {name!r}"
        assert kind in types.BUILTIN, f"there is no operator type {kind!r}"
        new = self.td.make(kind, name, self)
        self.children.append(new)
        if kind in types.DOCKS_CALLBACKS and initialize:
            docked = self.create("textDAT", f"{new.name}_callbacks")
            new.docked.append(docked)
            new.par.callbacks = docked.name
        self.td.created(new)
        return new

    def _free(self, name: str) -> str:
        taken = {child.name for child in self.children}
        stem, number = re.fullmatch("(.*?)([0-9]*)", name).groups()  # type: ignore[union-attr]
        count = int(number or 0)
        while name in taken:
            count += 1
            name = f"{stem}{count}"
        return name

    def copy(self, other: Any, name: str = "", includeDocked: bool = True) -> OP:
        new = self.create(other.OPType, name or other.name, initialize=False)
        for key in ("nodeX", "nodeY", "comment", "color"):
            setattr(new, key, getattr(other, key))
        new.par.take(other.par)
        for page in other.customPages:
            new.appendCustomPage(page.name).take(page)
        new.storage.update(other.storage)
        if other.family == "DAT":
            new.text, new.table = other.text, [list(row) for row in other.table]
        for child in getattr(other, "children", []):
            new.copy(child)
        for child in getattr(other, "children", []):
            new.op(child.name).inputs[:] = [new.op(one.name) for one in child.inputs]
        return new

    def findChildren(self, type: str = "", name: str = "*", depth: int | None = None) -> list[OP]:
        found = [child for child in self.children if fnmatch.fnmatchcase(child.name, name)]
        return [child for child in found if type in ("", child.OPType)]

    def everything(self) -> list[OP]:
        """This and all that lies in it."""
        return [self, *(one for child in self.children for one in getattr(child, "everything", lambda c=child: [c])())]

    def save(self, path: str | Path, createFolders: bool = False) -> str:
        Path(path).write_text(json.dumps(_saved(self), indent=1), encoding="utf-8")
        return str(path)


def _saved(node: Any) -> dict[str, Any]:
    for key, value in node.storage.items():
        assert _plain(value), f"saving {node.path} failed: its storage '{key}' holds a live {type(value).__name__}"
    changed = {par.name: par.expr or par.val for par in node.par if par.isCustom or not par.isDefault}
    about = {"name": node.name, "type": node.OPType, "pars": changed, "storage": node.storage, "comment": node.comment}
    if node.family == "DAT":
        about["text"] = node.text if node.OPType != "tableDAT" else [list(row) for row in node.table]
    return {**about, "children": [_saved(child) for child in getattr(node, "children", [])]}


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple | set):
        return all(_plain(one) for one in value)
    if isinstance(value, dict):
        return all(_plain(one) for pair in value.items() for one in pair)
    return isinstance(value, PLAIN)

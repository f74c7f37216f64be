"""Parameters as TouchDesigner has them: names, types, ranges, menus, modes, pages, and who is told of a change."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_td.ops import OP

NUMBERS, WORDS = ("Float", "Int"), ("Str", "StrMenu", "File", "Folder", "OP", "DAT", "COMP")
CUSTOM_ONLY = {
    "label",
    "min",
    "max",
    "normMin",
    "normMax",
    "clampMin",
    "clampMax",
    "default",
    "menuNames",
    "menuLabels",
}
CUSTOM_ONLY |= {"enable", "order", "startSection", "help"}
READ_ONLY = {"hidden", "valid", "style", "owner", "isCustom", "isPulse", "isMenu", "page", "parGroup"}


class Par:
    """One parameter. `val` may be set by a script whatever `readOnly` says; `typed` is what an artist does."""

    def __init__(self, owner: OP, name: str, style: str, value: Any = None, custom: bool = False):
        empty = {"Float": 0.0, "Int": 0, "Toggle": False}.get(style, "")
        self.__dict__.update(
            owner=owner, name=name, style=style, isCustom=custom, isPulse=style == "Pulse", hidden=False,
            isMenu=style in ("Menu", "StrMenu"), label=name, help="", default=empty if value is None else value,
            min=0, max=1, normMin=0, normMax=1, clampMin=False, clampMax=False, readOnly=False, enable=True, order=0,
            startSection=False, menuNames=[], menuLabels=[], mode="CONSTANT", page=None, parGroup=None, changes=0,
            _val=empty if value is None else value, _expr="", valid=True,
        )  # fmt: skip

    def __setattr__(self, name: str, value: Any) -> None:
        self._live()
        if name in READ_ONLY:
            raise AttributeError(f"{name} of a parameter is read-only")
        if name in CUSTOM_ONLY and not self.isCustom:
            raise AttributeError(f"{name} can only be set on custom parameters, not on {self.name}")
        if name not in self.__dict__ and name not in ("val", "expr", "menuIndex"):
            raise AttributeError(f"a parameter has no {name}")
        super().__setattr__(name, value)

    @property
    def val(self) -> Any:
        return self._val

    @val.setter
    def val(self, value: Any) -> None:
        before = self.eval()
        self.__dict__.update(_val=self._accept(value), mode="CONSTANT", changes=self.changes + 1)
        self.owner.td.changed(self, before)

    @property
    def expr(self) -> str:
        return self._expr

    @expr.setter
    def expr(self, text: str) -> None:
        before = self.eval()
        self.__dict__.update(_expr=text, mode="EXPRESSION")
        self.owner.td.changed(self, before)

    def _accept(self, value: Any) -> Any:
        if self.style in NUMBERS:
            assert isinstance(value, int | float), f"{self.name} takes numbers, not {value!r}"
            value = float(value) if self.style == "Float" else round(value)
            low = self.min if self.clampMin else value
            return min(max(value, low), self.max if self.clampMax else max(value, low))
        if self.style == "Toggle":
            return bool(value)
        if self.style == "Menu":
            assert value in self.menuNames, f"{self.name} has no choice {value!r}"
        if self.style in ("OP", "DAT", "COMP"):
            return value.path if hasattr(value, "path") else value
        assert isinstance(value, str), f"{self.name} takes a text, not {value!r}"
        return value

    def eval(self) -> Any:
        self._live()
        value = self._val
        if self.mode == "EXPRESSION":
            value = eval(self._expr, self.owner.td.names_for(self.owner))
            value = value.eval() if isinstance(value, Par) else value
        if self.style in ("OP", "DAT", "COMP"):
            return self.owner.td.find(self.owner, value)
        return value

    def pulse(self) -> None:
        assert self.isPulse or self.style == "Toggle"
        self.owner.td.pulsed(self)

    def destroy(self) -> None:
        """Whatever anybody holds of this operator's parameters is invalid from then on: ask for it anew."""
        self._live()
        assert self.isCustom, "only custom parameters can be destroyed"
        self.page._pars.remove(self)
        del self.owner.par._all[self.name]
        for page in self.owner.customPages:
            page._pars[:] = [self.owner.par._renew(par) for par in page._pars]
        self.__dict__["valid"] = False

    def _live(self) -> None:
        assert self.valid, f"{self.name}: a parameter was destroyed meanwhile, so ask for this one again"

    def typed(self, value: Any) -> None:
        """The artist enters a value."""
        assert not self.readOnly and self.enable, f"{self.name} cannot be changed by hand"
        self.val = value

    @property
    def isDefault(self) -> bool:
        return self.mode == "CONSTANT" and self._val == self.default

    def __bool__(self) -> bool:
        return bool(self.eval())

    def __float__(self) -> float:
        return float(self.eval())

    def __str__(self) -> str:
        return str(self.eval())


class Pars:
    """`op.par`: attribute or item; an item that is missing is None, an attribute that is missing is an error."""

    def __init__(self, owner: OP, builtin: dict[str, tuple[str, Any]]):
        self.__dict__["_all"] = {name: Par(owner, name, *about) for name, about in builtin.items()}

    def __getattr__(self, name: str) -> Par:
        try:
            return self._all[name]
        except KeyError:
            raise AttributeError(f"there is no parameter {name}") from None

    def __getitem__(self, name: str) -> Par | None:
        return self._all.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        getattr(self, name).val = value

    def __iter__(self) -> Iterator[Par]:
        return iter(list(self._all.values()))

    def _renew(self, par: Par) -> Par:
        new = Par(par.owner, par.name, par.style, custom=True)
        new.__dict__.update(vars(par))
        new.parGroup[:] = [new if one is par else one for one in new.parGroup]
        par.__dict__["valid"] = False
        self._all[par.name] = new
        return new

    def take(self, others: Pars) -> None:
        """The values of another operator of this type."""
        for par in others:
            if not par.isCustom:
                self._all[par.name].__dict__.update(_val=par._val, _expr=par._expr, mode=par.mode)

    def matching(self, patterns: str) -> list[Par]:
        return [par for par in self if any(fnmatch.fnmatchcase(par.name, one) for one in patterns.split())]


class ParGroup(list):
    """What `append…` returns: the parameters of one line."""


class Page:
    """A custom page. `append…` with the default `replace=True` makes an existing parameter anew."""

    def __init__(self, owner: OP, name: str):
        self.owner, self.name = owner, name
        self._pars: list[Par] = []

    @property
    def pars(self) -> list[Par]:
        return list(self._pars)

    def destroy(self) -> None:
        while self._pars:
            self._pars[0].destroy()
        self.owner.customPages.remove(self)

    def take(self, other: Page) -> None:
        """Copies of another operator's parameters."""
        for par in other.pars:
            new = Par(self.owner, par.name, par.style, custom=True)
            new.__dict__.update(vars(par), owner=self.owner, page=self)
            self._pars.append(new)
            self.owner.par._all[par.name] = new

    def __getattr__(self, name: str) -> Any:
        style = name.removeprefix("append")
        if not name.startswith("append") or style not in (*NUMBERS, *WORDS, "Toggle", "Menu", "Pulse", "Header"):
            raise AttributeError(f"a page has no {name}")

        def append(name: str, label: str | None = None, size: int = 1, order: int | None = None, replace: bool = True):
            assert size == 1 or style in NUMBERS
            return self._append(name, style, label, size, replace)

        return append

    def _append(self, name: str, style: str, label: str | None, size: int, replace: bool) -> ParGroup:
        assert re.fullmatch("[A-Z][a-z0-9]*", name), f"TouchDesigner refuses the name {name!r}"
        group = ParGroup()
        for one in [name] if size == 1 else [f"{name}{index + 1}" for index in range(size)]:
            old = self.owner.par[one]
            assert old is None or old.isCustom, f"{one} is a built-in parameter"
            assert old is None or replace, f"{one} exists already"
            if old is not None:
                old.page._pars.remove(old)
                old.__dict__["valid"] = False
            par = Par(self.owner, one, style, custom=True)
            par.__dict__.update(page=self, parGroup=group, label=label or name)
            self._pars.append(par)
            self.owner.par._all[one] = par
            group.append(par)
        return group

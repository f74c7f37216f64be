"""What an engine says of itself (its panel), and what TouchDesigner's parameters make of it. Standard library only.

The engine writes the file whole, as engine/panel.py says. Nothing here touches TouchDesigner: `rows` says which
parameters there should be, `lay_out` makes them on an operator; settings.py says which values go which way.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

FORMAT = "utsushi.panel/1"
STYLES = {"float": "Float", "int": "Int", "bool": "Toggle", "str": "Str", "menu": "Menu"}


def home() -> Path:
    """The folder in which engines leave their panels: as engine/session.py chooses it."""
    if chosen := os.environ.get("UTSUSHI_HOME"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "utsushi"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "utsushi"
    return Path.home() / ".local" / "state" / "utsushi"


class PanelFile:
    """The panel of one engine, read again when its file changes. `panel` is None while no engine has left one."""

    def __init__(self, engine: str):
        self.path = home() / f"{engine}.panel.json"
        self.panel: dict[str, Any] | None = None
        self._stamp: tuple[int, int] | None = None

    def changed(self) -> bool:
        """Look at the file; says whether `panel` is another one now. Never raises."""
        try:
            about = self.path.stat()
            stamp = (about.st_mtime_ns, about.st_size)
            if stamp == self._stamp:
                return False
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            stamp, found = None, None
        if not _makes_sense(found):
            found = None
        known, self._stamp = self.panel, stamp
        self.panel = found
        return found != known


def _makes_sense(panel: Any) -> bool:
    """Is it a panel, and of the right kind wherever something is read from it?"""
    try:
        osc = panel["osc"] or {"host": "", "port": 0}
        kinds: list[tuple[Any, Any]] = [(panel["session"], int), (osc["host"], str), (osc["port"], int)]
        kinds += [(stream[key], str) for stream in panel["streams"] for key in ("name", "kind")]
        for node in panel["nodes"]:
            kinds.append((node["name"], str))
            for one in node["parameters"]:
                kinds += [(one[key], str) for key in ("name", "type", "unit", "help", "address")]
                kinds += [(one[key], int) for key in ("size", "most", "version")]
                kinds += [(one[key] or 0, (int, float)) for key in ("min", "max")]
        return (
            panel["format"] == FORMAT and all(isinstance(value, kind) for value, kind in kinds) and bool([rows(panel)])
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        return False


class Row(NamedTuple):
    """One line of a page. `default` and `value` have `size` items."""

    par: str
    page: str
    label: str
    style: str
    default: tuple[Any, ...]
    value: tuple[Any, ...]
    low: float | None = None
    high: float | None = None
    menu: tuple[str, ...] = ()
    help: str = ""
    address: str = ""
    read_only: bool = False
    listed: bool = False  # one text holds several values, with ';' between them

    @property
    def names(self) -> list[str]:
        """The parameters of this line: TouchDesigner numbers them from 1 where there are several."""
        return [self.par] if len(self.value) == 1 else [f"{self.par}{index + 1}" for index in range(len(self.value))]

    def to_osc(self, values: tuple[Any, ...]) -> list[Any]:
        """The parameters' values as OSC arguments."""
        if self.listed:
            return [part.strip() for part in values[0].split(";")]
        return [int(value) if self.style == "Toggle" else value for value in values]

    def from_osc(self, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """OSC arguments as the parameters' values; None where they do not fit."""
        if self.listed:
            return ("; ".join(str(value) for value in values),)
        make: Any = {"Float": _short, "Int": int, "Toggle": bool}.get(self.style, str)
        held = tuple(make(value) for value in values)
        fits = len(held) == len(self.value) and (self.style != "Menu" or set(held) <= set(self.menu))
        return held if fits else None


def rows(panel: dict[str, Any]) -> list[Row]:
    """The engine's live settings as lines, one page per node. A setting of a type unknown here is left out."""
    found: list[Row] = []
    for node in panel["nodes"]:
        for about in node["parameters"]:
            listed = about["most"] != about["size"]
            if about["type"] not in STYLES or (listed and about["type"] != "str"):
                continue
            default, value = _items(about, "default"), _items(about, "value")
            name = _free(node["name"] + about["name"], {one for row in found for one in (row.par, *row.names)})
            words = about["name"].replace("_", " ").capitalize()
            found.append(Row(
                name, node["name"], f"{words} ({about['unit']})" if about["unit"] else words, STYLES[about["type"]],
                default, value, about["min"], about["max"], tuple(about["menu"] or ()), _help(about), about["address"],
                listed=listed,
            ))  # fmt: skip
    return found


def _items(about: dict[str, Any], key: str) -> tuple[Any, ...]:
    value = about[key]
    if about["most"] != about["size"]:
        return ("; ".join(value) if isinstance(value, list) else value or "",)
    value = value if about["size"] > 1 else [value]
    make: Any = {"float": float, "int": int, "bool": bool}.get(
        about["type"], lambda one: "" if one is None else str(one)
    )
    return tuple(make(one) for one in value)


def _short(value: float) -> float:
    """The 0.9 that was meant, and not the 0.8999999761581421 that 32 bits make of it."""
    return float(f"{value:.7g}")


def _free(words: str, taken: set[str]) -> str:
    """A parameter's name as TouchDesigner wants it: one capital, then small letters and digits; and not `taken`."""
    name = "N" + re.sub("[^a-z0-9]", "", words.lower())
    while name in taken:
        name += "x"
    return name


def _help(about: dict[str, Any]) -> str:
    low, high = about["min"], about["max"]
    more = "more than " if about.get("exclusive_min") else ""
    limits = {
        (True, True): f"{more}{low} to {high}", (True, False): f"{more or 'at least '}{low}",
        (False, True): f"at most {high}", (False, False): "",
    }[low is not None, high is not None]  # fmt: skip
    return ". ".join(part for part in (about["help"], limits, f"OSC: {about['address']}") if part)


def lay_out(owner: Any, lines: list[Row]) -> None:
    """Make the parameters that `lines` name on `owner`. One that is there keeps its value, or its expression."""
    for row in lines:
        there = [owner.par[name] for name in row.names]
        fresh = any(par is None or par.style != row.style for par in there)
        if fresh:
            page = _page(owner, row.page)
            sized = {"size": len(row.value)} if len(row.value) > 1 else {}
            there = list(getattr(page, "append" + row.style)(row.par, label=row.label, **sized))
        for par, default, value in zip(there, row.default, row.value, strict=True):
            _describe(par, row, default)
            if fresh and row.style not in ("Pulse", "Header"):
                par.val = value


def _page(owner: Any, name: str) -> Any:
    found = [page for page in owner.customPages if page.name == name]
    return found[0] if found else owner.appendCustomPage(name)


def _describe(par: Any, row: Row, default: Any) -> None:
    par.label, par.help, par.readOnly = row.label, row.help, row.read_only
    if row.menu:
        par.menuNames = par.menuLabels = list(row.menu)
    if row.style in ("Float", "Int"):  # the slider's ends; a value beyond them is refused with a sentence, not clamped
        low = row.low if row.low is not None else min(0, *row.default)
        high = row.high if row.high is not None else max(1, *(2 * one for one in row.default))
        par.min, par.max, par.normMin, par.normMax = low, high, low, high
    if row.style not in ("Pulse", "Header"):
        par.default = default

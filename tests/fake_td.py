"""A stand-in for TouchDesigner that is as strict as TouchDesigner: what it refuses, this refuses.

Only what the bridge's callbacks use. From TouchDesigner's documentation, never compared with a real one.
"""

from __future__ import annotations

import fnmatch
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np


class CookLevel:
    AUTOMATIC, ON_CHANGE, WHEN_USED, ALWAYS = "AUTOMATIC", "ON_CHANGE", "WHEN_USED", "ALWAYS"


class Par:
    """One parameter. Custom names: first letter upper case, the rest lower case or digits."""

    def __init__(self, kind: type, value: Any):
        self.kind, self.default, self.readOnly, self.changes = kind, value, False, 0
        self.val = value

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "val":
            assert isinstance(value, self.kind), f"{value!r} is no {self.kind.__name__}"
            self.__dict__["changes"] = self.__dict__.get("changes", 0) + 1
        super().__setattr__(name, value)

    def eval(self) -> Any:
        return self.val


class Pars:
    """`op.par`: assigning to a name sets that parameter's value; an unknown name is an error."""

    def __init__(self) -> None:
        self.__dict__.update(
            outputresolution=Par(str, "useinput"), resolutionw=Par(int, 256), resolutionh=Par(int, 256)
        )

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[name].val = value


class Page:
    def __init__(self, pars: Pars):
        self._pars = pars

    def _append(self, name: str, kind: type, value: Any) -> list[Par]:
        assert name == name[0].upper() + name[1:].lower() and name.isalnum(), f"TouchDesigner refuses the name {name!r}"
        self._pars.__dict__[name] = Par(kind, value)
        return [self._pars.__dict__[name]]

    def appendToggle(self, name: str, label: str = "") -> list[Par]:
        return self._append(name, bool, False)

    def appendStr(self, name: str, label: str = "") -> list[Par]:
        return self._append(name, str, "")

    def appendInt(self, name: str, label: str = "") -> list[Par]:
        return self._append(name, int, 0)

    def appendFloat(self, name: str, label: str = "") -> list[Par]:
        return self._append(name, float, 0.0)


class ScriptTOP:
    """A Script TOP. `image` is what it shows: row 0 at the bottom."""

    def __init__(self, td: TouchDesigner, path: str = "/project1/script1"):
        self.path, self.par, self.pages = path, Pars(), []
        self.image: np.ndarray | None = None
        self.errors: list[str] = []
        self.copies = self.complaints = 0
        self._td, self._cooking = td, False
        td.ops[path] = self

    def appendCustomPage(self, name: str) -> Page:
        self.pages.append(name)
        return Page(self.par)

    def copyNumpyArray(self, array: np.ndarray) -> None:
        assert self._cooking, "copyNumpyArray outside of onCook"
        assert array.dtype in (np.uint8, np.uint16, np.float32), f"dtype {array.dtype}"
        assert array.ndim == 3 and 1 <= array.shape[2] <= 4 and array.size, f"shape {array.shape}"
        assert array.flags.c_contiguous, "not C-contiguous"
        self.image, self.copies = array.copy(), self.copies + 1

    def addScriptError(self, message: str) -> None:
        self.errors.append(message)
        self.complaints += 1

    def clearScriptErrors(self, recurse: bool = False, error: str = "*") -> None:
        self.errors = [message for message in self.errors if not fnmatch.fnmatch(message, error)]

    def cook(self) -> None:
        self._cooking = True
        try:
            self._td.callbacks.onCook(self)
        finally:
            self._cooking = False


class TouchDesigner:
    """The names that TouchDesigner gives to a DAT's script. build: 2023 knows no CookLevel."""

    def __init__(self, callbacks: ModuleType, build: int = 2025, non_commercial: bool = False):
        self.ops: dict[str, ScriptTOP] = {}
        self.frame_reads = 0
        self.callbacks = callbacks
        names = {"absTime": self, "op": self.ops.get, "licenses": SimpleNamespace(isNonCommercial=non_commercial)}
        if build >= 2025:
            names["CookLevel"] = CookLevel
        callbacks.__dict__.update(names)

    @property
    def frame(self) -> int:
        """`absTime.frame`: reading it is what makes a cook happen again in TouchDesigner 2023."""
        self.frame_reads += 1
        return self.frame_reads

    def script_top(self, path: str = "/project1/script1", setup: bool = True) -> ScriptTOP:
        node = ScriptTOP(self, path)
        if setup:
            self.callbacks.onSetupParameters(node)
        return node

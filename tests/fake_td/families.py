"""What each family of operators can do: texts and tables, pictures, channels."""

from __future__ import annotations

import re
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from fake_td import net
from fake_td.ops import COMP, OP

if TYPE_CHECKING:
    from fake_td import TouchDesigner


class DAT(OP):
    """Text or table. `module` is its text as a Python module, compiled anew after every change of the text."""

    def __init__(self, td: TouchDesigner, kind: str, name: str, parent: COMP | None):
        super().__init__(td, kind, name, parent)
        self._text, self._module = "", None
        self.table: list[list[str]] = []
        self.port = net.Port()
        self.sent: list[tuple[str, list[Any]]] = []

    @property
    def text(self) -> str:
        return self._text

    @text.setter
    def text(self, text: str) -> None:
        assert isinstance(text, str) and not text.startswith("\ufeff"), "TouchDesigner's tokenizer refuses a BOM"
        self._text, self._module = text, None

    @property
    def module(self) -> ModuleType:
        if self._module is None:
            self._module = self.td.compile(self)
        return self._module

    # --- a table ---

    @property
    def numRows(self) -> int:
        return len(self.table)

    @property
    def numCols(self) -> int:
        return max(map(len, self.table), default=0)

    def appendRow(self, values: list[Any]) -> int:
        self.table.append([str(value) for value in values])
        return len(self.table) - 1

    def deleteRow(self, index: int) -> None:
        del self.table[index]

    def replaceRow(self, index: int, values: list[Any]) -> None:
        self.table[index] = [str(value) for value in values]

    def clear(self, keepFirstRow: bool = False) -> None:
        del self.table[1 if keepFirstRow else 0 :]

    def rows(self) -> list[list[Cell]]:
        return [[Cell(value) for value in row] for row in self.table]

    def __getitem__(self, at: tuple[int, int]) -> Cell | None:
        row, column = at
        known = row < len(self.table) and column < len(self.table[row])
        return Cell(self.table[row][column]) if known else None

    # --- OSC Out ---

    def sendOSC(self, address: str, values: list[Any]) -> int:
        assert self.OPType == "oscoutDAT" and isinstance(values, list)
        self.sent.append((address, values))
        data = net.encode(address, values)
        if self.par.active.eval():
            net.send(self.par.address.eval(), self.par.port.eval(), data)
        return len(data)

    def destroy(self) -> None:
        self.port.close()
        super().destroy()


class Cell(str):
    @property
    def val(self) -> str:
        return str(self)


class TOP(OP):
    """`image` is what it shows, row 0 at the bottom; `copies` counts the pictures that were handed over."""

    image: np.ndarray | None = None
    copies = 0

    def copyNumpyArray(self, array: np.ndarray) -> None:
        outside = self.par["modoutsidecook"]
        allowed = self.cooking or (outside is not None and outside.eval())
        assert allowed, "copyNumpyArray outside of onCook"
        assert array.dtype in (np.uint8, np.uint16, np.float32), f"dtype {array.dtype}"
        assert array.ndim == 3 and 1 <= array.shape[2] <= 4 and array.size, f"shape {array.shape}"
        assert array.flags.c_contiguous, "not C-contiguous"
        self.image, self.copies = array.copy(), self.copies + 1


class Channel(list):
    name = ""


class CHOP(OP):
    """Channels of a Script CHOP: `clear`, then `numSamples`, then `appendChan`, only while it cooks."""

    def __init__(self, *about: Any):
        super().__init__(*about)
        self.channels: dict[str, Channel] = {}
        self.numSamples, self.rate, self.isTimeSlice = 1, 60.0, False

    def clear(self) -> None:
        assert self.cooking
        self.channels = {}

    def appendChan(self, name: str) -> Channel:
        assert self.cooking and name not in self.channels and re.fullmatch("[A-Za-z0-9_]+", name), name
        self.channels[name] = Channel([0.0] * self.numSamples)
        return self.channels[name]

    @property
    def numChans(self) -> int:
        return len(self.channels)

    def __getitem__(self, name: str) -> Channel | None:
        return self.channels.get(name)

    def values(self) -> dict[str, float]:
        assert all(type(one[0]) in (int, float, bool) for one in self.channels.values()), "channels hold numbers"
        return {name: one[0] for name, one in self.channels.items()}


CLASSES: dict[str, type[OP]] = {"COMP": COMP, "DAT": DAT, "TOP": TOP, "CHOP": CHOP}

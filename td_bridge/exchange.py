"""Values and news between an engine and the parameters of the component. Standard library only.

`comp` is the component: TouchDesigner's own object, with parameters, storage, and the nodes `osc_out` and `osc_in`.
Nothing else of TouchDesigner is needed here.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from health import Health
from panel import PanelFile, Row, lay_out
from settings import Settings

SUBSCRIBE_S, NOTICE_S = 3.0, 5.0


def set_par(owner: Any, **values: Any) -> None:
    """Set parameters that differ: one that is set tells whoever watches it."""
    for name, value in values.items():
        if getattr(owner.par, name).eval() != value:
            setattr(owner.par, name, value)


class Exchange:
    """What one component knows of its engine. Kept outside of TouchDesigner's storage, but for two lists of names.

    engine: its name, "" while the component is off. notice: a sentence that goes before others, for a while.
    """

    def __init__(self, comp: Any):
        self.comp, self.engine = comp, ""
        self.file: PanelFile | None = None
        self.settings, self.health = Settings([]), Health()
        self._ports: dict[str, int] = {}
        self._meanwhile: set[str] = set()  # parameters of an engine's page that were set while none was there
        self._subscribe_at = self._notice_until = 0.0
        self._notice = ""

    @property
    def panel(self) -> dict[str, Any] | None:
        return self.file.panel if self.file is not None else None

    @property
    def notice(self) -> str:
        return self._notice if time.monotonic() < self._notice_until else ""

    def note(self, node: str, text: str, level: str = "WARNING") -> None:
        """A line in the log, and for a while the status line."""
        self._notice, self._notice_until = text, time.monotonic() + NOTICE_S
        self.health.log.append((level, node, text))

    def turn(self) -> None:
        """Follow the engine, keep the subscription, send again what was lost, and show what has come."""
        engine = self.comp.par.Engine.eval() if self.comp.par.Active.eval() else ""
        if engine != self.engine:
            self.engine, self.file = engine, PanelFile(engine) if engine else None
            self.settings = Settings(self.comp.fetch("mine", []))
            self.health.forget()
        is_another = False
        if self.file is not None and self.file.changed():
            is_another = self.settings.load(self.file.panel)
            if self.file.panel is not None:
                self._make_pages(self.file.panel)
        if is_another:
            self.health.forget()
            self._subscribe_at = 0.0
            self.settings.mine |= {row.address for row in self.settings.rows if self._meanwhile & set(row.names)}
            self._meanwhile.clear()
        self._stay_connected()
        if is_another and self.comp.par.Sendmine.eval():
            for row in self.settings.rows:
                if row.address in self.settings.mine:
                    self._send(row)
        self._show()

    def _make_pages(self, panel: dict[str, Any]) -> None:
        rows = self.settings.rows
        lay_out(self.comp, rows)
        self._drop({name for row in rows for name in row.names}, {row.page for row in rows})
        for name, kinds in (("Stream", ()), ("Posestream", ("keypoints", "world"))):
            par = getattr(self.comp.par, name)
            streams = [one["name"] for one in panel["streams"] if not kinds or one["kind"] in kinds]
            par.menuNames = par.menuLabels = streams

    def _drop(self, names: set[str], pages: set[str]) -> None:
        """Remove what only an engine before this one had, and nothing that the artist has made."""
        comp, ours = self.comp, self.comp.fetch("pages", [])
        gone = [par.name for page in comp.customPages if page.name in ours for par in page.pars if par.name[0] == "N"]
        for name in gone:  # by name: destroying one parameter makes every other that is held invalid
            if name not in names and hasattr(comp.par, name):
                getattr(comp.par, name).destroy()
        for name in [name for name in ours if name not in pages]:
            for page in [page for page in comp.customPages if page.name == name and not page.pars]:
                page.destroy()
        comp.store("pages", sorted(pages))

    # --- from TouchDesigner ---

    def changed(self, par: Any) -> None:
        """A parameter has another value: one of the engine's is sent to it, as soon as there is one."""
        row = self.settings.row_of(par.name)
        if row is not None:
            self._send(row, by_hand=_is_constant(par))
        elif self.panel is None and _is_constant(par) and par.page.name in self.comp.fetch("pages", []):
            self._meanwhile.add(par.name)

    def use_engines_values(self) -> None:
        """Forget what the artist has set, and show what the engine holds."""
        self.settings.mine.clear()
        self.settings.show |= {row.address for row in self.settings.rows}
        self.comp.store("mine", [])
        self._show()

    def _send(self, row: Row, by_hand: bool = True) -> None:
        values = self._values(row)
        if self.settings.edit(row.address, values, by_hand):
            self._osc(row.address, row.to_osc(values))
            self.comp.store("mine", sorted(self.settings.mine))

    def _osc(self, address: str, values: list[Any]) -> None:
        out = self.comp.op("osc_out")
        if out.par.active.eval():
            out.sendOSC(address, values)

    def _stay_connected(self) -> None:
        osc, out = self.panel["osc"] if self.panel is not None else None, self.comp.op("osc_out")
        if osc is None:
            set_par(out, active=False)
            return
        set_par(out, address=osc["host"], port=osc["port"], active=True)
        now = time.monotonic()
        if now >= self._subscribe_at:
            self._subscribe_at = now + SUBSCRIBE_S
            self._osc("/utsushi/engine/subscribe", [self.listen("osc_in")])
        for row, values in self.settings.overdue():
            self._osc(row.address, row.to_osc(values))

    def listen(self, name: str) -> int:
        """Open this DAT at a port that nobody has: two TouchDesigners on one computer cannot share one."""
        if name not in self._ports:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("127.0.0.1", 0))
                self._ports[name] = probe.getsockname()[1]
            set_par(self.comp.op(name), port=self._ports[name], active=True)
        return self._ports[name]

    # --- from the engine ---

    def hear(self, address: str, values: tuple[Any, ...]) -> None:
        """The engine has said something. What is no message of an engine changes nothing."""
        try:
            self._take(address, values)
        except (IndexError, TypeError, ValueError, OverflowError):  # any program on this computer can send here
            return
        self._show()

    def _take(self, address: str, values: tuple[Any, ...]) -> None:
        row = self.settings.row_of(address)
        if address == "/utsushi/engine/answer" and len(values) == 4:
            ok, about, version, text = bool(values[0]), str(values[1]), int(values[2]), values[3]
            if self.settings.answer(ok, about, version):
                self.comp.store("mine", sorted(self.settings.mine))
            if not ok:
                self.note(about.removeprefix("/utsushi/node/"), f"Refused: {text}")
        elif row is not None and values:
            held = row.from_osc(values[:-1])
            if held is not None:
                self.settings.learn(address, held, int(values[-1]))
        elif values:
            self.health.hear(address, values)

    def _show(self) -> None:
        """Bring the engine's values to the parameters; one that an expression drives stays the artist's."""
        for row in self.settings.to_show():
            for name, value in zip(row.names, self.settings.shown(row.address, self._values(row)) or (), strict=False):
                if _is_constant(getattr(self.comp.par, name)):
                    set_par(self.comp, **{name: value})

    def _values(self, row: Row) -> tuple[Any, ...]:
        return tuple(getattr(self.comp.par, name).eval() for name in row.names)


def _is_constant(par: Any) -> bool:
    return "CONSTANT" in str(par.mode)

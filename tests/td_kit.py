"""The component in a TouchDesigner that the test moves frame by frame, beside a real engine or a fake one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import install
from fake_engine import BRIDGE
from fake_td import COMP, TouchDesigner
from fake_td.families import CHOP, TOP


class Desk:
    """A TouchDesigner with the component in it, as the line in the Textport builds it."""

    def __init__(self, engine: str = "utsushi", build: int = 2025, **how: Any):
        self.td, self.kept = TouchDesigner(build, **how), ModuleType("_utsushi_bridge")
        self.install()
        self.comp.par.Engine = engine

    def install(self) -> None:
        with self.running():
            self.comp: COMP = install.install(BRIDGE)

    @property
    def par(self) -> Any:
        return self.comp.par

    @property
    def picture(self) -> TOP:
        return self.comp.op("picture")

    def chop(self, name: str) -> dict[str, float]:
        node = self.comp.op(name)
        assert isinstance(node, CHOP)
        return node.values()

    def table(self, name: str) -> list[list[str]]:
        return [list(row) for row in self.comp.op(name).table]

    @property
    def alive(self) -> Any:
        """What the component keeps beside TouchDesigner."""
        return self.kept.by_component[self.comp.path]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Each TouchDesigner is a process of its own, with its own `sys.modules`."""
        names = {"td": self.td.td_module(), "_utsushi_bridge": self.kept}
        before = {name: sys.modules.get(name) for name in names}
        sys.modules.update(names)
        try:
            yield
        finally:
            for name, module in before.items():
                if module is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = module

    def frame(self) -> None:
        with self.running():
            self.td.frame()
        assert self.td.textport == []

    def until(self, condition: Callable[[], Any], seconds: float = 20) -> None:
        """Frames until something becomes true; a watchdog, not a measurement."""
        deadline = time.monotonic() + seconds
        while not condition():
            about = (
                self.par.Status.eval(),
                self.par.Launcher.eval(),
                self.par.Jobstatus.eval(),
                self.table("log")[-3:],
                self.table("nodes"),
            )
            assert time.monotonic() < deadline, about
            self.frame()
            time.sleep(0.005)

    def value(self, node: str, parameter: str) -> Any:
        """The engine's setting as it stands in TouchDesigner."""
        name = ("N" + node + parameter).replace("_", "")
        return getattr(self.comp.par, name).eval()

    def set(self, node: str, parameter: str, value: Any) -> None:
        getattr(self.comp.par, ("N" + node + parameter).replace("_", "")).typed(value)

    def press(self, button: str) -> None:
        with self.running():
            getattr(self.comp.par, button).pulse()
        assert self.td.textport == []

    def close(self) -> None:
        with self.running():
            self.td.quit()

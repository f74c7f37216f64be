"""What the OSC gateway tells of an engine: states, figures and settings, each as address and values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.panel import address, parameters
from engine.rates import Line, Rates, progress

if TYPE_CHECKING:
    from engine.life import Life
    from engine.supervisor import Supervisor

UNKNOWN = -1.0  # seconds left, before anybody can say
HEALTHY = ("RUNNING", "FINISHED", "PAUSED", "STARTING")
Told = dict[str, tuple]


class News:
    """Looks at one supervisor and remembers what was told already."""

    def __init__(self, supervisor: Supervisor):
        self._supervisor = supervisor
        self._rates = Rates()
        self._figures: Told = {}
        self._states: Told = {}
        self._versions: dict[str, int] = {}  # of each node's settings, as told

    def count(self, seconds: float) -> None:
        """Take the figures of the last `seconds` down."""
        self._figures = {}
        for line in self._rates.lines(self._supervisor, seconds):
            self._figures |= _figures(line)
        if self._supervisor.offline:
            self._figures |= self._progress()

    def every_second(self) -> Told:
        return self._now() | self._figures

    def changed(self) -> Told:
        """The states and settings that are others than at the last call."""
        now = self._now()
        changed = {where: values for where, values in now.items() if self._states.get(where) != values}
        self._states = now
        for life in self._supervisor.lives:
            if life.version != (told := self._versions.get(life.name, 0)):
                changed |= _settings(life, since=told)
                self._versions[life.name] = life.version
        return changed

    def everything(self) -> Told:
        """For somebody who knows nothing yet."""
        told = self.every_second()
        for life in self._supervisor.lives:
            told |= _settings(life)
        return told

    def ended(self) -> Told:
        failure = self._supervisor.failure
        log = {"/utsushi/engine/log": ("ERROR", "", str(failure))} if failure else {}
        last = self._progress() if self._supervisor.offline else {}
        return {**log, **last, "/utsushi/engine/state": ("STOPPED", str(failure or ""))}

    def _now(self) -> Told:
        lives = self._supervisor.lives
        states = {f"/utsushi/status/{life.name}/state": (_state(life), life.text) for life in lives}
        return {"/utsushi/engine/state": self._engine(list(states.values()))} | states

    def _engine(self, states: list[tuple[str, str]]) -> tuple[str, str]:
        """One word for the whole, and the first sentence that a node complains with."""
        lives = self._supervisor.lives
        seen = [(life.name, *state) for life, state in zip(lives, states, strict=True)]
        trouble = [f"{name}: {text or state.lower()}" for name, state, text in seen if state not in HEALTHY]
        starting = [name for name, state, _ in seen if state == "STARTING"]
        if self._supervisor.stopping:
            return "STOPPING", ""
        if all(state == "PAUSED" for state, _ in states):
            return "PAUSED", ""
        if trouble:
            return "DEGRADED", trouble[0]
        return ("STARTING", f"waiting for {', '.join(starting)}") if starting else ("RUNNING", "")

    def _progress(self) -> Told:
        found = progress(self._supervisor.lives)
        if not found.total:
            return {}
        left_s = UNKNOWN if found.left_s is None else max(found.left_s, 0.0)
        return {"/utsushi/engine/progress": (min(found.done / found.total, 1.0), left_s)}


def _state(life: Life) -> str:
    return "STARTING" if life.state in ("NONE", "READY") else life.state


def _figures(line: Line) -> Told:
    place = f"/utsushi/status/{line.name}"
    own = {f"{place}/metric/{re.sub('[^A-Za-z0-9_.-]', '_', name)}": (value,) for name, value in line.metrics.items()}
    return {
        f"{place}/fps": (line.fps,),
        f"{place}/step_ms": (line.p50_ms,),
        f"{place}/skipped": (line.skipped,),
        f"{place}/restarts": (line.restarts,),
        **own,
    }


def _settings(life: Life, since: int = -1) -> Told:
    """The settings that were changed after version `since`: value or values, and the version of the change."""
    values = life.settings.model_dump(mode="json")
    versions = {one.name: life.versions.get(one.name, 0) for one in parameters(life.spec.type)}
    return {
        address(life.name, name): (*_as_list(values[name]), version)
        for name, version in versions.items()
        if version > since
    }


def _as_list(value: object) -> list:
    return value if isinstance(value, list) else [value]

"""How an engine's nodes are doing, gathered from its OSC messages (docs/OSC.md). Standard library only."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

SILENT_S = 5.0  # the engine tells everything once a second
LOG_MOST = 1000  # lines between two looks: what a node says without end must not hold a frame up
COLUMNS = ("state", "fps", "step_ms", "skipped", "restarts")


class Health:
    """`hear` takes what the OSC In DAT receives; the rest says what is known, and nothing once it has gone silent.

    state, text: of the engine. progress: 0 to 1, of an offline run, or -1. log: (level, node, text), not taken yet.
    """

    def __init__(self) -> None:
        self.state, self.text, self.progress = "", "", -1.0
        self.log: deque[tuple[str, str, str]] = deque(maxlen=LOG_MOST)
        self._nodes: dict[str, dict[str, Any]] = {}
        self._heard = 0.0

    def hear(self, address: str, values: tuple[Any, ...]) -> None:
        """Take one message in. What is not known here, or not as it should be, is left out."""
        self._heard = time.monotonic()
        match address.split("/")[2:]:
            case ["engine", "state"]:
                self.state, self.text = str(values[0]), str(values[1]) if len(values) > 1 else ""
            case ["engine", "progress"]:
                self.progress = float(values[0])
            case ["engine", "log"] if len(values) == 3:
                self.log.append((str(values[0]), str(values[1]), str(values[2])))
            case ["status", node, "state"]:
                self._of(node).update(state=str(values[0]), text=str(values[1]) if len(values) > 1 else "")
            case ["status", node, what] if what in COLUMNS:
                self._of(node)[what] = values[0]

    def _of(self, node: str) -> dict[str, Any]:
        return self._nodes.setdefault(node, {"state": "", "text": ""})

    @property
    def silent(self) -> bool:
        return time.monotonic() - self._heard > SILENT_S

    def forget(self) -> None:
        """Another engine: what was known of the one before means nothing."""
        self.state, self.text, self.progress, self._nodes = "", "", -1.0, {}

    def table(self) -> list[list[str]]:
        """One row per node, under a heading."""
        nodes = {} if self.silent else self._nodes
        return [
            ["node", *COLUMNS, "text"],
            *(
                [name, *(_short(node.get(column, "")) for column in COLUMNS), str(node["text"])]
                for name, node in nodes.items()
            ),
        ]

    def missing(self) -> str:
        """Who does not do its work, and why, in a sentence; empty when everybody does."""
        nodes = {} if self.silent else self._nodes
        absent = [name for name, node in nodes.items() if node["state"] not in ("RUNNING", "FINISHED", "PAUSED", "")]
        if not absent:
            return ""
        why = "; ".join(f"{name}: {nodes[name]['text'] or nodes[name]['state'].lower()}" for name in absent)
        return f"Missing: {why.rstrip('.')}."


def _short(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def sentence(reader: Any, launcher: Any, engine: str, missing: str) -> str:
    """How it goes, for the status line. reader: of the picture, or None. engine: its name, empty while off."""
    if not engine:
        return "Off. 'Active' begins it again."
    if launcher.state in ("STARTING", "STOPPING", "FAILED"):
        return launcher.message
    if reader is None:
        return "Looking for the engine."
    if "run_engine.py" in reader.message:  # it says how to start one by hand
        if reader.state == "WAITING" and launcher.state in ("RUNNING", "ATTACHED"):
            return launcher.message  # which has found it already, for the reader looks now and then only
        return f"{reader.message} Or press 'Start' on the page 'Engine'."
    if missing or reader.message:
        return " ".join(part for part in (reader.message, missing) if part)
    return f"{reader.state}: {reader.fps:.0f} pictures per second, {reader.latency_ms:.0f} ms from capture to here."

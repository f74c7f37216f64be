"""Chains of tiny programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fake_engine import BRIDGE

from engine.jobs import plan as plans
from engine.jobs.reporter import Reporter
from engine.jobs.runner import Runner
from engine.process import ROOT

assert str(BRIDGE) in sys.path
Row = list[Any]


def script(code: str, **about: Any) -> dict[str, Any]:
    """A command that runs a few lines of Python."""
    return {"argv": ["python", "-c", code], **about}


def stage(name: str, command: str, *options: Row, **about: Any) -> dict[str, Any]:
    return {"stage": name, "command": command, "options": list(options), **about}


def job_file(folder: Path, stages: Sequence[dict[str, Any]], commands: dict[str, Any] | None = None) -> Path:
    path = folder / "job.json"
    path.write_text(json.dumps({"commands": commands or {}, "stages": list(stages)}, indent=1), encoding="utf-8")
    return path


def read(folder: Path, stages: Sequence[dict[str, Any]], commands: dict[str, Any] | None = None) -> plans.Plan:
    return plans.read(job_file(folder, stages, commands))


class Chain:
    """A chain run in this process; its programs are real ones."""

    def __init__(self, folder: Path, stages: Sequence[dict[str, Any]], commands: dict[str, Any] | None = None):
        self.status = folder / "status.json"
        self.events: list[dict[str, Any]] = []
        self.runner = Runner(read(folder, stages, commands), Reporter("status", self.status, None, self.events.append))

    def run(self, during: Callable[[], None] = lambda: None, seconds: float = 30) -> int:
        deadline = time.monotonic() + seconds
        try:
            while self.runner.tick():
                assert time.monotonic() < deadline, self.events
                during()
                time.sleep(0.005)
        finally:
            self.runner.close()
        assert self.runner.exit_code is not None
        return self.runner.exit_code

    def heard(self, *kinds: str) -> list[tuple[str, str]]:
        """(stage, event) of what was told, passing things left out unless they are named."""
        wanted = kinds or ("started", "done", "failed", "timed_out", "cancelled")
        return [(event["stage"], event["event"]) for event in self.events if event["event"] in wanted]

    def last(self, name: str, kind: str) -> dict[str, Any]:
        return [event for event in self.events if (event["stage"], event["event"]) == (name, kind)][-1]


def shell(*words: str, home: Path, **kwargs: Any) -> dict[str, Any]:
    """What starts `run_engine.py` with these words, for subprocess."""
    import os

    return {
        "args": [sys.executable, str(ROOT / "run_engine.py"), *words],
        "env": {**os.environ, "UTSUSHI_HOME": str(home)}, "cwd": home, **kwargs,
    }  # fmt: skip

"""The processes that read as TouchDesigner does, from the side of who starts them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from engine.process import ROOT
from engine.stress.tally import Tally


class Visitor:
    """A process that reads a stream as TouchDesigner does (engine/stress/viewer.py)."""

    def __init__(self, engine: str, stream: str, path: Path, numbered: bool):
        self.stream, self.numbered, self.tally = stream, numbered, Tally(path)
        kind = "numbered" if numbered else "pictures"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine.stress.viewer", engine, stream, str(path), kind],
            stdin=subprocess.PIPE,
            cwd=ROOT,
        )

    def close(self, kill: bool = False) -> None:
        """Idempotent. It ends with its stdin, or by a kill."""
        if kill:
            self.process.kill()
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

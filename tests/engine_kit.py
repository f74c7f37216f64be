"""An engine in a process of its own, with the small nodes of tests/faults."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.directory import Directory
from engine.errors import SegmentError
from engine.process import ROOT
from engine.ring_reader import Policy
from engine.session import Session
from engine.stream import StreamReader

PROGRAM = "import sys; from engine.main import main; sys.exit(main(sys.argv[1:]))"
NAME = f"e{os.getpid() % 100000}"


class Engine:
    """An engine in a process of its own, with nodes from tests/faults."""

    def __init__(
        self,
        folder: Path,
        nodes: str,
        mode: str = "live",
        *arguments: str,
        osc: str = "{port: 0}",
        name: str = NAME,
        program: str = PROGRAM,
        variables: Mapping[str, str] = {},
    ):
        self.folder, self.config, self.name = folder, folder / "config.yaml", name
        self.config.write_text(f"engine: {{name: {name}, mode: {mode}, osc: {osc}}}\nnodes:\n{nodes}")
        self.log = folder / "output.txt"
        environment = {
            **os.environ,
            "UTSUSHI_HOME": str(folder / "home"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "faults")]),
            **variables,
        }
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, "--config", str(self.config), *arguments],
                cwd=ROOT, stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip
        self._directory: Directory | None = None

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def directory(self) -> Directory:
        """Attach, waiting for the engine to come up."""
        if self._directory is None:
            until(lambda: self._try_attach() or self.process.poll() is not None, 20, self)
        assert self._directory is not None, self.output
        return self._directory

    def _try_attach(self) -> bool:
        try:
            found = Directory.attach(self.name)
        except SegmentError:
            return False
        if found["supervisor_pid"] != self.process.pid:  # what a killed one has left
            found.close()
            return False
        self._directory = found
        return True

    def node(self, index: int) -> Any:
        return self.directory().node(index)

    def running(self, *names: str) -> bool:
        health = {node.name: node.phase for node in self.directory().health()}
        return all(health[name] == "RUNNING" for name in names or health)

    def pids(self) -> list[int]:
        directory = self.directory()
        return [directory.node(index)["pid"] for index in range(directory["node_count"])]

    def reader(self, stream: int, policy: Policy = Policy.LATEST) -> StreamReader:
        return StreamReader(self.directory(), stream, policy)

    def wait(self, seconds: float = 30) -> int:
        return self.process.wait(seconds)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.wait()


def until(condition: Callable[[], Any], seconds: float, engine: Engine | None = None) -> None:
    """Wait for something to become true; a watchdog, not a measurement."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, engine.output if engine else "it never came to that"
        time.sleep(0.01)


def end(engine: Engine) -> None:
    """At the end of a test, also of one that failed: nobody is left running and nothing lying about."""
    if engine.process.poll() is None:
        engine.process.kill()
        engine.process.wait()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("UTSUSHI_HOME", str(engine.folder / "home"))
            Session(engine.name).close()  # sweeps what the killed one has left


def leftovers(name: str = NAME) -> list[str]:
    """Our segments that are still there (Linux shows them)."""
    folder = Path("/dev/shm")
    return [path.name for path in folder.glob(f"utsu_{name}_*")] if folder.is_dir() else []


CHAIN = """\
  a: {{type: fault.count, fps: 60}}
  b: {{type: fault.misbehave, input: a, {how}}}
  c: {{type: fault.check, input: b, path: {folder}/seen.txt}}
"""


def chain(folder: Path, how: str = "how: not") -> str:
    return CHAIN.format(folder=folder, how=how)


def seen(folder: Path) -> list[list[int]]:
    """What fault.check wrote: seq, epoch, value, torn, param_version."""
    lines = (folder / "seen.txt").read_text().splitlines() if (folder / "seen.txt").exists() else []
    return [[int(number) for number in line.split()] for line in lines]

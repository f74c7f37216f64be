"""kill -9 of the supervisor, at each moment of its life (K8, K9): nothing of it lives on, and the next start is clean.

TouchDesigner's side looks on all the time. It is told what to do, never shown rubbish, and finds the next engine by
itself.
"""

from __future__ import annotations

import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_kit import NAME, PROGRAM, Engine, end, leftovers, until
from fake_engine import RingReader
from test_fault_matrix import alive

from engine.directory import Directory
from engine.errors import Exit, NotReady, SegmentMissing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these are the steps by which Linux makes memory")
NODES = """\
  a: {type: fault.count, fps: 60}
  b: {type: fault.faulty, input: a, fault: hangs, phase: close, stop_timeout: 5}
  c: {type: output.touchdesigner, input: b, size: [64, 64], fade: 0}
"""
# What the supervisor calls when it makes memory, and in which call it dies. The directory comes first, then the rings.
DIE_IN = {
    "before the directory has a size": ("os.ftruncate", 1),
    "before the directory has its pages": ("os.posix_fallocate", 1),
    "before a ring has a size": ("os.ftruncate", 2),
    "before a ring is filled in": ("engine.shm.Segment.publish", 1),
    "before the directory is ready": ("engine.shm.Segment.publish", 4),
}
DYING = """
    import os, signal, sys
    import engine.shm
    calls, true = [], {name}
    def die(*arguments):
        calls.append(1)
        if len(calls) == {number}:
            os.kill(os.getpid(), signal.SIGKILL)
        return true(*arguments)
    {name} = die
"""


class Bridge:
    """What TouchDesigner sees of one engine and the next."""

    def __init__(self) -> None:
        self.reader = RingReader(NAME, "c")
        self.seqs: list[tuple[int, int]] = []

    def look(self) -> str:
        had = self.reader.array is not None
        if self.reader.poll() is not None:
            shown = self.reader.array
            assert shown is not None
            assert self.reader.state == "PLACEHOLDER" or (shown[..., :3] == shown.flat[0]).all()
            self.seqs.append((self.reader.restarts, self.reader.seq))
            assert self.seqs == sorted(set(self.seqs))
        assert self.reader.state in ("WAITING", "LIVE", "HELD", "PLACEHOLDER", "STALE", "STOPPED"), self.reader.message
        assert not had or self.reader.array is not None
        return self.reader.state


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Engines, one after the other; what one leaves is the next one's to clean up."""
    engines: list[Engine] = []

    def start(nodes: str = NODES, **how: Any) -> Engine:
        engines.append(Engine(tmp_path, nodes, **how))
        return engines[-1]

    yield start
    for engine in engines:
        end(engine)


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    bridge = Bridge()
    yield bridge
    bridge.reader.close()


def run_to_live(engine: Engine, bridge: Bridge) -> None:
    until(lambda: bridge.look() == "LIVE" and engine.running(), 60, engine)


def test_killed_while_it_starts_runs_and_stops_it_leaves_nothing_that_the_next_one_minds(
    start: Callable[..., Engine], bridge: Bridge
) -> None:
    for name, number in DIE_IN.values():
        dying = textwrap.dedent(DYING).format(name=name, number=number) + PROGRAM
        engine = start(program=dying)
        until(lambda engine=engine: bridge.look() and engine.process.poll() is not None, 30, engine)
        assert engine.process.returncode == -signal.SIGKILL, engine.output
        assert bridge.look() == "WAITING" and leftovers()
        with pytest.raises((NotReady, SegmentMissing)):
            Directory.attach(NAME)
    for stopping in (False, True):
        engine = start()
        run_to_live(engine, bridge)
        processes = [psutil.Process(pid) for pid in engine.pids()]
        if stopping:
            engine.process.send_signal(signal.SIGINT)
            until(lambda engine=engine: bridge.look() and engine.node(1).phase == "STOPPING", 10, engine)
        engine.process.kill()
        engine.process.wait()
        try:
            until(lambda processes=processes: bridge.look() and not any(map(alive, processes)), 5, engine)
        finally:  # also where it fails: nobody may be left
            for process in processes:
                with suppress(psutil.Error):
                    process.kill()
        assert bridge.reader.array is not None and leftovers()
    engine = start(NODES.replace("fault: hangs", "fault: none"))
    run_to_live(engine, bridge)
    assert engine.stop() == Exit.OK, engine.output
    assert leftovers() == []

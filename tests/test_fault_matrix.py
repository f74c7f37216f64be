"""Fault × phase on a running engine: whatever one node does, the frames stay whole, in order, and come back.

One engine runs all of it, so that a fault also meets what the one before it has left. `b` of a → b → c does what it is
told to (tests/faults/nodes/fault/faulty.py); a watcher reads all streams meanwhile. docs/FAULTS.md has the table.
"""

from __future__ import annotations

import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_kit import NAME, Engine, end, leftovers, until
from watch_kit import FLAGGED, Watcher, deadline_s, uniform

from engine import bus
from engine.errors import Exit
from engine.frame import Flags

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="stops and kills processes by Linux's means")

DEAD = ["killed", "exits", "raises", "eats_memory"]
SILENT = ["hangs", "hangs_in_c", "is_frozen", "is_deaf", "has_a_child"]
STARTUP_S, STEP_S, HOLD_S = 3, 1, 0.1
OUTPUT = f"output.touchdesigner, size: [64, 64], hold_after: {HOLD_S}, placeholder_after: 0.5, fade: 0"
FIRST = "fault: hangs, phase: setup, life: 1"
NODES = f"""\
  a: {{type: fault.count, fps: 60}}
  b: {{type: fault.faulty, input: a, startup_timeout: {STARTUP_S}, step_timeout: {STEP_S}, {FIRST}}}
  c: {{type: {OUTPUT}, input: b}}
"""
WHOLE = {"a": uniform, "b": uniform, "c": lambda frame: bool(frame.flags & Flags.PLACEHOLDER) or uniform(frame)}


class Show:
    """An engine with a faulty node in the middle, and somebody who watches."""

    def __init__(self, engine: Engine):
        self.engine, self.node = engine, engine.node(1)
        self.watcher = Watcher(engine, WHOLE, same=True, hold_after=HOLD_S)
        self.client = bus.Client(engine.directory()["control_port"])

    def tell(self, **values: Any) -> None:
        self.client.send(bus.Set(node="b", values=values, version=0))
        answer = self.client.receive(10)
        assert isinstance(answer, bus.Ack) and answer.ok, answer

    def be_well(self) -> None:
        self.watcher.wait(lambda: self.engine.running() and self.watcher.live())
        self.watcher.wait_for_more("a", "b", "c")

    def children(self) -> list[psutil.Process]:
        """What the faulty node has started, as soon as it has."""
        found: list[psutil.Process] = []

        def look() -> list[psutil.Process]:
            with suppress(psutil.Error):
                found.extend(psutil.Process(self.node["pid"]).children())
            return found

        self.watcher.wait(look)
        return found

    def close(self) -> None:
        self.client.close()
        self.watcher.stop()


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    engine = Engine(tmp_path_factory.mktemp("show"), NODES)
    try:
        show = Show(engine)
        yield show
        show.close()
        code = engine.stop()
        assert (code, leftovers()) == (Exit.OK, []), engine.output
    finally:
        end(engine)


def test_the_first_start_shows_the_card_until_all_are_there(show: Show) -> None:
    show.watcher.wait(lambda: show.watcher.frames["b"], deadline_s(STARTUP_S, STEP_S, 2))
    show.be_well()
    first = show.watcher.frames["c"][0]
    assert first.flags & Flags.PLACEHOLDER
    assert {seen.epoch for seen in show.watcher.frames["b"]} == {2}
    assert f"b was not ready within {STARTUP_S} s: killed" in show.engine.output


@pytest.mark.parametrize("fault", [*DEAD, *SILENT])
@pytest.mark.parametrize("phase", ["start-up", "running"])
def test_a_fault_shows_on_the_output_and_the_frames_come_back(show: Show, phase: str, fault: str) -> None:
    show.be_well()
    watcher, pids, life = show.watcher, show.engine.pids(), show.node["epoch"]
    shown, doomed = watcher.newest("c").seq, life + (phase == "start-up")
    show.tell(fault=fault, phase="setup" if phase == "start-up" else "step", life=doomed)
    if phase == "start-up":
        os.kill(pids[1], signal.SIGKILL)
    children = show.children() if fault == "has_a_child" else []
    watcher.wait(lambda: watcher.newest("b").epoch > doomed, deadline_s(STARTUP_S, STEP_S, 2))
    show.be_well()
    assert watcher.flags_since(shown) & FLAGGED
    assert phase == "running" or doomed not in {seen.epoch for seen in watcher.frames["b"]}
    assert [pid == before for pid, before in zip(show.engine.pids(), pids, strict=True)] == [True, False, True]
    until(lambda: not any(alive(child) for child in children), 5, show.engine)


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def test_one_that_lies_is_found_out_by_its_frames(show: Show) -> None:
    """It beats, it steps, it says RUNNING: only the output tells, until there is something to show again."""
    show.be_well()
    pids = show.engine.pids()
    show.tell(fault="lies", phase="step", life=0)
    show.watcher.wait(lambda: show.watcher.newest("c").flags & Flags.PLACEHOLDER)
    show.watcher.wait_for_more("a", "c")
    assert show.watcher.newest("c").flags & Flags.PLACEHOLDER and show.engine.running()
    show.tell(fault="none")
    show.be_well()
    assert show.engine.pids() == pids


def test_a_crash_loop_slows_down_and_disturbs_nobody(show: Show) -> None:
    show.be_well()
    pids, restarts, said = show.engine.pids(), show.node["restarts"], len(show.engine.output)
    began = time.monotonic()
    show.tell(fault="exits", phase="setup", life=0)
    os.kill(pids[1], signal.SIGKILL)
    show.watcher.wait(lambda: show.watcher.newest("c").flags & Flags.PLACEHOLDER)
    show.watcher.wait(lambda: show.node["restarts"] >= restarts + 4)
    show.watcher.wait_for_more("a", "c")
    # The n-th restart comes no sooner than 0.1 + 0.2 + ... seconds after the first death.
    assert show.node["restarts"] - restarts <= math.log2((time.monotonic() - began) / 0.1 + 1)
    delays = re.findall(r"b exited with code 0\. Starting it again in ([0-9.]+) s", show.engine.output[said:])
    assert [float(delay) for delay in delays] == [0.2 * 2**number for number in range(len(delays))]
    show.tell(fault="none", phase="step")  # which also ends the waiting
    show.be_well()
    assert (show.engine.pids()[0], show.engine.pids()[2]) == (pids[0], pids[2])


def test_a_dead_node_that_goes_on_writing_is_fenced_off(show: Show) -> None:
    show.be_well()
    doomed = show.node["epoch"]
    show.tell(fault="leaves_a_zombie", phase="step", life=doomed)
    show.watcher.wait(lambda: show.watcher.newest("b").epoch > doomed)
    show.be_well()
    show.watcher.wait_for_more("b", frames=120)  # in which a zombie that still writes would show


def test_nobody_is_killed_when_everything_stood_still(show: Show) -> None:
    """As when a laptop is closed and opened: the supervisor may wake first, and sees beats of long ago."""
    show.be_well()
    pids, supervisor = show.engine.pids(), show.engine.process.pid
    for pid in (supervisor, *pids):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(STEP_S + 1)
    os.kill(supervisor, signal.SIGCONT)
    time.sleep(STEP_S / 3)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    show.be_well()
    assert show.engine.pids() == pids


def test_frames_flow_on_while_the_supervisor_stands_still(show: Show) -> None:
    show.be_well()
    pids, supervisor = show.engine.pids(), show.engine.process.pid
    os.kill(supervisor, signal.SIGSTOP)
    show.watcher.wait_for_more("a", "b", "c", frames=60 * (STEP_S + 1))
    assert show.watcher.live()
    os.kill(supervisor, signal.SIGCONT)
    show.be_well()
    assert show.engine.pids() == pids


# --- stopping ---


# Those that end by themselves may share an engine; while it waits for one that does not, it asks nobody else.
@pytest.mark.parametrize("faults", [DEAD, *([fault] for fault in SILENT)], ids=" ".join)
def test_a_fault_while_stopping_keeps_neither_the_engine_nor_a_process(
    launch: Callable[..., Engine], tmp_path: Path, faults: list[str]
) -> None:
    first, *_ = faults
    settings = "type: fault.faulty, input: a, phase: close, stop_timeout: 0.3"
    nodes = [f"  {fault}: {{{settings}, fault: {fault}}}\n" for fault in faults]
    name = f"{NAME}-s"
    engine = launch(f"  a: {{type: fault.count}}\n{''.join(nodes)}  c: {{type: {OUTPUT}, input: {first}}}\n", name=name)
    watcher = Watcher(engine, dict.fromkeys(["a", *faults], uniform) | {"c": WHOLE["c"]}, same=True)
    watcher.wait(lambda: engine.running() and watcher.live())
    watcher.wait_for_more(*faults, "c")
    processes = [psutil.Process(pid) for pid in engine.pids()]
    engine.process.send_signal(signal.SIGINT)
    if first == "has_a_child":
        until(lambda: processes[1].children(), 10, engine)
        processes += processes[1].children()
    assert (engine.wait(), leftovers(name)) == (Exit.OK, []), engine.output
    assert not any(alive(process) for process in processes)
    logs = tmp_path / "home" / "logs" / name
    assert all(f"doing wrong: {fault}" in (logs / f"{fault}.log").read_text() for fault in faults)
    watcher.wait(lambda: watcher.bridge.state in ("STOPPED", "WAITING"), 10)
    picture = watcher.bridge.array
    assert picture is not None and (picture[..., :3] == picture.flat[0]).all(), "the last picture stays"
    watcher.stop()

"""Nothing that the supervisor starts outlives it: each wall by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import msgpack
import psutil
import pytest

from engine import process
from engine.errors import Exit
from engine.process import ROOT

SPEC = msgpack.packb({"name": "camera"})
PACKED = len(SPEC).to_bytes(4, "little") + SPEC
linux = pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
posix = pytest.mark.skipif(sys.platform == "win32", reason="sessions and signals are POSIX")

CHILD = """
    import time
    from engine import process
    {before}
    print(process.receive_spec()["name"], flush=True)
    time.sleep(600)
"""
NO_SIGNAL = "process.PR_SET_PDEATHSIG = 0"  # prctl then does nothing


def code(before: str = "") -> str:
    return textwrap.dedent(CHILD).format(before=before)


def wait_for_end(orphan: psutil.Process) -> None:
    """Until it has ended, buried or not: whoever adopts it may take its time. A watchdog, not a measurement."""
    deadline = time.monotonic() + 30
    with suppress(psutil.NoSuchProcess):
        while orphan.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, f"process {orphan.pid} lives on"
            time.sleep(0.01)


def test_the_end_of_the_pipe_ends_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", code(NO_SIGNAL)], cwd=ROOT, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)  # fmt: skip
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(PACKED)
    child.stdin.flush()
    assert child.stdout.readline().strip() == b"camera"
    child.stdin.close()
    assert child.wait(30) == Exit.ORPHANED
    child.stdout.close()


@linux
def test_the_death_of_the_parent_ends_it_though_the_pipe_stays_open() -> None:
    starter = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {code()!r}]).wait()"
    parent = subprocess.Popen([sys.executable, "-c", starter], cwd=ROOT, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)  # fmt: skip
    assert parent.stdin is not None and parent.stdout is not None
    parent.stdin.write(PACKED)
    parent.stdin.flush()
    assert parent.stdout.readline().strip() == b"camera"
    (child,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    wait_for_end(child)
    parent.stdin.close()
    parent.stdout.close()


def test_a_kill_takes_what_it_started_along() -> None:
    starter = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(child.pid, flush=True); child.wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    grandchild = psutil.Process(int(parent.stdout.readline()))
    process.kill_tree(parent.pid)
    parent.wait(30)
    parent.stdout.close()
    wait_for_end(grandchild)
    process.kill_tree(parent.pid)  # one that is gone already


@posix
def test_ctrl_c_in_the_terminal_does_not_reach_a_node(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log:
        child = process.start({}, log)
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    child.kill()
    assert child.wait() == -signal.SIGKILL and child.stdin is not None
    child.stdin.close()


@posix
def test_one_that_dies_before_it_has_heard_anything_is_noticed_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process.sys, "executable", "/bin/false")
    with open(tmp_path / "log", "wb") as log:
        child = process.start({"config": "x" * 1_000_000}, log)
    assert child.wait() == 1

"""Starting a node's process, and making sure that it never outlives the supervisor.

Three walls, because each has a gap: a pipe that ends when the supervisor does (a node stuck in a C call does not
notice), the parent-death signal on Linux, and a kill-on-close job object on Windows (engine/job.py). Never run on
the real thing here: Windows and macOS.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgpack
import psutil

from engine.errors import Exit

ROOT = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1


def start(spec: dict, log: IO[bytes]) -> subprocess.Popen:
    """Start a worker and hand it its spec. Its stdin stays open as the death pipe; it writes to `log`."""
    # One thread each: the nodes are the parallelism, and threads of theirs would only fight for the cores.
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1")
    environment = {**single, **os.environ, "PYTHONUTF8": "1"}
    options: dict = {"start_new_session": True}  # Ctrl+C is for the supervisor alone
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.worker"],
        stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=ROOT, env=environment, **options,
    )  # fmt: skip
    packed = msgpack.packb(spec)
    assert process.stdin is not None
    with suppress(OSError):  # it died already: its exit code will say so
        process.stdin.write(len(packed).to_bytes(4, "little") + packed)
        process.stdin.flush()
    return process


def receive_spec() -> dict:
    """In the worker, first thing: what `start` sent. From then on it ends when the supervisor does."""
    end_with_parent()
    size = int.from_bytes(sys.stdin.buffer.read(4), "little")
    spec = msgpack.unpackb(sys.stdin.buffer.read(size))
    threading.Thread(target=_wait_for_end_of_pipe, daemon=True).start()
    return spec


def end_with_parent() -> None:
    """Linux: let the kernel end this process with the thread that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_for_end_of_pipe() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock would be held at interpreter exit
        pass
    os._exit(Exit.ORPHANED)


def kill_tree(pid: int) -> None:
    """Kill a process and everything it started."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for victim in [*process.children(recursive=True), process]:
            with suppress(psutil.Error):
                victim.kill()

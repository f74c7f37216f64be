"""Which backend paints a performer here: found out once, in a process to be thrown away, and remembered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from engine.decide import describe_exit
from engine.errors import BadInput, EngineError
from engine.process import ROOT, kill_tree
from nodes.generator.backends import cache
from nodes.generator.backends.base import BATCHES, MODULES, Backend, kind
from nodes.generator.backends.cache import Prepared

CHILD = "nodes.generator.backends.prepare"
LONGEST_S = 300.0  # for a child process; TensorRT takes minutes
GLANCE_S = 0.2  # between two questions whether it is still wanted
TRYING = "trying "  # begins the child's lines that say how far it is
DEVICES = ("auto", "cpu", "cuda", "mps")


class Unwanted(Exception):
    """Nobody waits for this performer any more."""


def prepare(
    path: Path, backend: str = "auto", device: str = "auto", threads: int = 1,
    wanted: Callable[[], bool] = lambda: True,
) -> Prepared:  # fmt: skip
    """Find out how a performer runs best here, or that `backend` runs it: seconds, for a file seen before milliseconds.

    The work is done by a child process of the lowest priority, so that neither a crash nor a hang nor a held GIL
    reaches this one. Raises `BadInput` with a sentence for a bad file, and for a backend or device that cannot be used;
    `Unwanted` soon after `wanted` says no.
    """
    for what, name, known in (("backend", backend, ("auto", *MODULES)), ("device", device, DEVICES)):
        if name not in known:
            raise BadInput(f"There is no {what} {name!r}. Choose one of: {', '.join(known)}.")
    sha256, folder = _place(path, backend, device, threads)
    if found := cache.recall(folder, path):
        return found
    built = cache.begin(folder)
    try:
        task = {"sha256": sha256, "backend": backend, "device": device, "threads": threads}
        prepared = _in_child({"path": str(path), "folder": str(built), **task, "refused": {}}, wanted)
        return cache.keep(built, folder, prepared)
    finally:
        shutil.rmtree(built, ignore_errors=True)


def remembered(path: Path, backend: str, device: str, threads: int) -> bool:
    """Whether `prepare` will answer at once. Raises `BadInput`."""
    return cache.recall(_place(path, backend, device, threads)[1], path) is not None


def load(prepared: Prepared, people: int = BATCHES[-1]) -> Backend:
    """Open what `prepare` has chosen, and run each batch size once. May run in a thread beside the one that paints.

    people: how many there will be at most; larger batches are not run.
    Raises `BadInput`, and `OutOfMemory` or `DeviceFailed`, after which this process can only end.
    """
    return _open(prepared.path, prepared.backend, prepared.artefact, prepared.device, prepared.threads,
                 prepared.size, people)  # fmt: skip


def load_with_torch(path: Path, device: str, threads: int, size: int, people: int) -> Backend:
    """Open a performer's file with torch, the reference, which needs neither preparing nor comparing. As `load`."""
    from nodes.generator.backends.prepare import best_device

    if absent := kind("torch").refusal("cpu"):
        raise BadInput(f"The performer {path} needs torch: {absent}.")
    return _open(path, "torch", path, best_device(device), threads, size, people)


def _open(path: Path, name: str, artefact: Path, device: str, threads: int, size: int, people: int) -> Backend:
    try:
        backend = kind(name).open(artefact, device, threads)
        warm_up(backend, size, people)
    except EngineError:
        raise
    except Exception as error:  # each backend has its own
        raise BadInput(
            f"{name} cannot open what was built for the performer {path}: {error}. Load it again."
        ) from error
    return backend


def warm_up(backend: Backend, size: int, people: int = BATCHES[-1]) -> None:
    for batch in (batch for batch in BATCHES if batch <= people):
        backend.run(np.zeros((batch, 33, 4), np.float32), np.empty((batch, size, size, 4), np.uint8))


def _place(path: Path, backend: str, device: str, threads: int) -> tuple[str, Path]:
    """The file's digest, and the folder for what is found out about it."""
    try:
        sha256 = cache.digest(path)
    except OSError as error:
        raise BadInput(f"The performer {path} cannot be read: {error.strerror or error}. Check the path.") from error
    return sha256, cache.entry(sha256, backend, device, threads)


def _in_child(task: dict, wanted: Callable[[], bool]) -> Prepared:
    """Let the child do it. What crashes or hangs while `auto` tries it is refused, and the others are tried again."""
    while True:
        code, said, complained = _run(task, wanted)
        with suppress(IndexError, ValueError):
            answer = json.loads(said[-1])
            if "error" in answer:
                raise BadInput(answer["error"])
            return TypeAdapter(Prepared).validate_python(answer)
        why = f"was not done after {LONGEST_S:g} s" if code is None else describe_exit(code)
        why += "".join(f" ({line})" for line in complained[-1:])
        tried = next((line.removeprefix(TRYING) for line in reversed(said) if line.startswith(TRYING)), None)
        if task["backend"] != "auto" or tried in (None, "torch"):
            raise BadInput(
                f"The performer {task['path']} could not be prepared: "
                f"a process that tried {tried or 'to read it'} {why}. Choose another file, or another backend."
            )
        task = {**task, "refused": {**task["refused"], tried: f"a process that tried it {why}"}}


def _run(task: dict, wanted: Callable[[], bool]) -> tuple[int | None, list[str], list[str]]:
    """The child's exit code (None: killed, for it took too long) and the lines of its output and of its complaints."""
    options: dict = {}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NO_WINDOW}
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", CHILD, json.dumps(task)], cwd=ROOT,
            env={**os.environ, "PYTHONUTF8": "1"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding="utf-8", errors="replace", **options,
        )  # fmt: skip
    except OSError as error:
        raise BadInput(f"No process to prepare the performer {task['path']} could be started: {error}.") from error
    said = complained = ""
    deadline = time.monotonic() + LONGEST_S
    while (asked := wanted()) and time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            said, complained = child.communicate(timeout=GLANCE_S)
            return child.returncode, said.splitlines(), complained.strip().splitlines()
    kill_tree(child.pid)
    with suppress(subprocess.TimeoutExpired):  # a process inside a driver may not even heed that
        said, complained = child.communicate(timeout=5)
    if not asked:
        raise Unwanted
    return None, said.splitlines(), complained.strip().splitlines()

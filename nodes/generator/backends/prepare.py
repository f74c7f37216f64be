"""The child process of `choose.prepare`: try, compare, time, decide. One JSON line on stdout is its answer.

Every backend's pictures are held against those of torch on the CPU in float32. Times of several backends are taken in
rounds, so that what else the machine does meets all of them.
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

from engine.errors import BadInput, EngineError
from engine.process import end_with_parent
from nodes.generator.backends.base import MODULES, Backend, kind, missing
from nodes.generator.backends.cache import Prepared, digest
from nodes.generator.backends.choose import LONGEST_S, TRYING, warm_up
from nodes.generator.backends.eager import Eager
from nodes.generator.network import checkpoint

POSES = 3
LARGEST_DIFFERENCE = 2  # of a byte
LEAST_DECIBELS = 40.0  # for 8-bit arithmetic, whose rounding may show in single pixels and still be invisible
ROUNDS, RUNS = 6, 5


@dataclass(frozen=True)
class Task:
    """What to do; see `choose.prepare`. folder: to build in. refused: backends that are not to be tried, and why."""

    path: Path
    sha256: str
    folder: Path
    backend: str
    device: str
    threads: int
    refused: Mapping[str, str]


class Refused(Exception):
    """Why a backend is not used."""


@dataclass
class Candidate:
    backend: Backend
    artefact: Path
    difference: int
    decibels: float


def decide(task: Task) -> Prepared:
    """Raises `BadInput`."""
    if absent := missing("torch"):
        raise BadInput(f"Preparing a performer needs torch: {absent}.")
    performer = checkpoint.read(task.path)
    size, poses = performer.about.network.size, performer.poses
    poses = poses[np.linspace(0, len(poses) - 1, POSES).astype(int)]
    copy = Path(shutil.copyfile(task.path, task.folder / "performer.safetensors"))
    if digest(copy) != task.sha256:
        raise BadInput(f"The performer {task.path} was replaced while it was read. Load it again.")
    device = best_device(task.device)
    reference = pictures(Eager(copy, "cpu", task.threads), poses, size)
    candidates: dict[str, Candidate] = {}
    refused = dict(task.refused)
    for name in MODULES if task.backend == "auto" else [task.backend]:
        if name not in refused:
            print(f"{TRYING}{name}", flush=True)
            try:
                candidates[name] = _try(name, copy, device, task, poses, reference)
            except Refused as why:
                refused[name] = str(why)
    if not candidates:
        said = "; ".join(f"{name}: {why}" for name, why in refused.items())
        raise BadInput(f"The performer {task.path} cannot run on {device} ({said}). Choose another backend, or auto.")
    times = milliseconds({name: each.backend for name, each in candidates.items()}, poses[:1], reference[:1])
    best = min(times, key=lambda name: times[name])
    slower = {name: f"{spent / times[best]:.1f} x slower than {best}" for name, spent in times.items() if name != best}
    chosen = candidates[best]
    return Prepared(
        task.path, task.sha256, best, chosen.artefact, digest(chosen.artefact), size, device,
        task.threads, {**refused, **slower}, times, chosen.difference, chosen.decibels,
    )  # fmt: skip


def best_device(asked: str) -> str:
    """The device that is meant. Raises `BadInput` for one that is not there."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked == "auto":
        return next(name for name, found in there.items() if found)
    if not there[asked]:
        raise BadInput(f"torch {torch.__version__} finds no device {asked!r} here. Choose cpu, or auto.")
    return asked


def _try(name: str, source: Path, device: str, task: Task, poses: np.ndarray, reference: np.ndarray) -> Candidate:
    """Build, open, compare. Raises `Refused`."""
    module = kind(name)
    if why := module.refusal(device):
        raise Refused(why)
    try:
        artefact = module.build(source, task.folder)
        backend = module.open(artefact, device, task.threads)
        warm_up(backend, reference.shape[1])
        found = pictures(backend, poses, reference.shape[1])
    except Exception as error:  # whatever it is: there are other backends
        said = str(error).partition("\n")[0].rstrip(".")
        raise Refused(said if isinstance(error, EngineError) else f"{type(error).__name__}: {said}") from error
    difference, decibels = deviation(found, reference)
    if "int8" in name and decibels < LEAST_DECIBELS:
        raise Refused(f"its pictures are {decibels:.1f} dB from torch's, and {LEAST_DECIBELS:.0f} dB are asked for")
    if "int8" not in name and difference > LARGEST_DIFFERENCE:
        raise Refused(f"its pictures differ from torch's by {difference} of 255, and {LARGEST_DIFFERENCE} are allowed")
    return Candidate(backend, artefact, difference, decibels)


def pictures(backend: Backend, poses: np.ndarray, size: int) -> np.ndarray:
    """(N, size, size, 4) uint8: what a backend makes of (N, 33, 4) poses, one by one."""
    found = np.empty((len(poses), size, size, 4), np.uint8)
    for number in range(len(poses)):
        backend.run(poses[number : number + 1], found[number : number + 1])
    return found


def deviation(found: np.ndarray, reference: np.ndarray) -> tuple[int, float]:
    """The largest difference of a byte, and the PSNR in dB (at most 100)."""
    apart = np.abs(found.astype(np.int16) - reference)
    square = float(np.square(apart, dtype=np.float64).mean())
    return int(apart.max()), float(10 * np.log10(255**2 / max(square, 255**2 / 1e10)))


def milliseconds(backends: Mapping[str, Backend], points: np.ndarray, picture: np.ndarray) -> dict[str, float]:
    """How long each takes for one person: its quickest run.

    This process has the lowest priority, so the longer times are those of others.
    """
    times: dict[str, list[float]] = {name: [] for name in backends}
    out = np.empty_like(picture)
    for _ in range(ROUNDS):
        for name, backend in backends.items():
            backend.run(points, out)
            for _ in range(RUNS):
                begun = time.perf_counter()
                backend.run(points, out)
                times[name].append((time.perf_counter() - begun) * 1e3)
    return {name: min(spent) for name, spent in times.items()}


def main(task: Task) -> None:
    """Print the verdict, or the sentence of what went wrong, as one JSON line."""
    try:
        answer = asdict(decide(task))
    except BadInput as error:
        answer = {"error": str(error)}
    except Exception as error:
        answer = {"error": f"The performer {task.path} could not be prepared: {type(error).__name__}: {error}"}
    print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    end_with_parent()
    faulthandler.dump_traceback_later(LONGEST_S + 10, exit=True)  # should nobody be left to kill it
    if sys.platform == "win32":
        psutil.Process().nice(psutil.IDLE_PRIORITY_CLASS)
    else:
        psutil.Process().nice(19)
    given = json.loads(sys.argv[1])
    main(Task(**{**given, "path": Path(given["path"]), "folder": Path(given["folder"])}))
    os._exit(0)  # libraries' own clean-up at exit is where native code likes to hang

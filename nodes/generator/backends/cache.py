"""What was found out about a performer, and what was built for it: kept, so that the next start is quick.

One folder per performer and circumstances under `home()/cache/performers`, with a verdict and what it speaks of. What
is not whole, or was made by other versions, is made anew; nobody has to clear anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from engine.errors import BadInput
from engine.session import home, private, replace_file

FORMAT = 1  # of the verdict and of what the backends build
KEPT = 8  # performers
ABANDONED_S = 3600.0  # whoever was building there was killed
VERDICT = "verdict.json"
PACKAGES = ("torch", "numpy", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt")


@dataclass(frozen=True)
class Prepared:
    """A performer's file and how it runs best here; `load` (choose.py) makes a `Backend` of it.

    size: of the pictures, pixels. refused: backend → why not. milliseconds: backend → for one person.
    difference, decibels: the chosen backend's pictures against torch's on the CPU in float32: the largest difference of
    a byte, and the PSNR.
    """

    path: Path
    sha256: str
    backend: str
    artefact: Path
    artefact_sha256: str
    size: int
    device: str
    threads: int
    refused: dict[str, str]
    milliseconds: dict[str, float]
    difference: int
    decibels: float


def digest(path: Path) -> str:
    """Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entry(sha256: str, backend: str, device: str, threads: int) -> Path:
    """The folder for a performer under these circumstances."""
    key = [FORMAT, backend, device, threads, [_version(name) for name in PACKAGES], platform.platform(), os.cpu_count()]
    if device != "cpu":
        key.append(_cards())
    return _folder() / f"{sha256}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}"


def recall(folder: Path, path: Path) -> Prepared | None:
    """The verdict in that folder, said of the file `path`; None if there is none that is whole."""
    try:
        found = TypeAdapter(Prepared).validate_json((folder / VERDICT).read_bytes())
        found = replace(found, path=path, artefact=folder / found.artefact.name)
        if f"{found.sha256}-" != folder.name[:65] or digest(found.artefact) != found.artefact_sha256:
            return None
        os.utime(folder / VERDICT)  # used now
    except (OSError, ValueError):
        return None
    return found


def begin(folder: Path) -> Path:
    """A new folder to build in, which `keep` turns into `folder`. Raises `BadInput`."""
    try:
        private(folder.parent)
        return Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise _unusable(folder.parent, error) from error


def keep(built: Path, folder: Path, prepared: Prepared) -> Prepared:
    """Let what was built take its place unless there is one, and the oldest others go. Raises `BadInput`."""
    try:
        replace_file(built / VERDICT, json.dumps(asdict(prepared), default=str).encode())
        if not recall(folder, prepared.path):  # else another process was as quick, and may be using it
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(built, folder)
    except OSError as error:
        raise _unusable(folder.parent, error) from error
    _forget_old(folder)
    if kept := recall(folder, prepared.path):
        return kept
    raise BadInput(f"What was built for the performer {prepared.path} has gone from {folder}. Load it again.")


def _forget_old(newest: Path) -> None:
    """Remove all but the entries of the performers used last, and what was begun for others and never finished."""

    def used(entry: Path) -> float:
        with suppress(OSError):
            return (entry / VERDICT).stat().st_mtime
        with suppress(OSError):
            return entry.stat().st_mtime
        return 0.0

    entries = sorted(newest.parent.iterdir(), key=used, reverse=True)
    performers = list(dict.fromkeys([newest.name[:64], *(each.name[:64] for each in entries)]))
    for each in entries:
        unfinished = "." in each.name and time.time() - used(each) > ABANDONED_S
        if unfinished or each.name[:64] not in performers[:KEPT]:
            shutil.rmtree(each, ignore_errors=True)


def _folder() -> Path:
    return home() / "cache" / "performers"


def _version(package: str) -> str:
    with suppress(PackageNotFoundError):
        return version(package)
    return ""


def _cards() -> str:
    """The NVIDIA cards, their drivers and which of them this process may use, as far as that can be told in no time."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    with suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", "--query-gpu=name,uuid,driver_version", "--format=csv,noheader"]
        return visible + subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    return visible


def _unusable(folder: Path, error: OSError) -> BadInput:
    return BadInput(
        f"What is built for performers cannot be kept in {folder}: {error.strerror or error}. "
        "Make room or give yourself the right, or name another folder in UTSUSHI_HOME."
    )

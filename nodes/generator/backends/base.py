"""The seam between whoever wants a performer painted and what computes it.

A backend's module offers three functions, so that `prepare` and `load` (choose.py) treat all alike:

    refusal(device) -> str | None            why it cannot run here, in a few words; looks, builds nothing
    build(source, folder) -> Path            make what it opens later, of a checkpoint that nobody will replace; slow,
                                             in a process to be thrown away
    open(artefact, device, threads) -> Backend
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

import numpy as np

BATCHES: tuple[int, ...] = (1, 2, 4)  # people who are painted in one go


class Backend(Protocol):
    """One loaded performer, ready to run in this process."""

    name: str
    batches: tuple[int, ...]

    def run(self, points: np.ndarray, out: np.ndarray) -> None:
        """Paint people. Used by one thread at a time.

        points: (B, 33, 4) float32, C-contiguous, as `PoseField` takes them, B in `batches`.
        out: (B, size, size, 4) uint8, C-contiguous; becomes RGBA, premultiplied, every byte. May be shared memory.
        Raises `OutOfMemory` and `DeviceFailed`, after which this process can only end.
        """

    def close(self) -> None: ...


class Kind(Protocol):
    """A backend's module."""

    refusal: Callable[[str], str | None]
    build: Callable[[Path, Path], Path]
    open: Callable[[Path, str, int], Backend]


MODULES = {
    "torch": "eager",
    "cuda-graphs": "cuda_graphs",
    "onnx": "onnx_runtime",
    "onnx-int8": "onnx_int8",
    "openvino": "openvino",
    "tensorrt": "tensorrt",
}


def kind(name: str) -> Kind:
    """The module of a backend. Imports nothing heavy: those do it inside their functions."""
    return cast(Kind, import_module(f"nodes.generator.backends.{MODULES[name]}"))


def missing(*packages: str) -> str | None:
    """Why a backend that needs these packages cannot run."""
    absent = [package for package in packages if find_spec(package) is None]
    return f"not installed; pip install {' '.join(absent)}" if absent else None


def on_cpu(device: str) -> str | None:
    """Why a backend of the CPU cannot run."""
    return None if device == "cpu" else f"it runs on the CPU, and the device is {device}"

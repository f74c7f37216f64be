"""A stand-in for torch with a graphics card that does what STUB_TORCH says. Only what nodes/…/pinned.py uses."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any

import numpy as np

HOW = os.environ.get("STUB_TORCH", "work")
uint8 = np.uint8
calls: list[tuple[str, int]] = []  # (what, address), as the driver saw them
launches: list[int] = []
refuse = HOW == "refuse"


class Tensor:
    def __init__(self, array: np.ndarray):
        self.array = array

    def copy_(self, other: Tensor, non_blocking: bool) -> None:
        self.array[:] = other.array
        if HOW == "garble":
            self.array[7] ^= 1

    def to(self, device: str, non_blocking: bool) -> Tensor:
        return Tensor(self.array.copy())

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray:
        return self.array

    def is_pinned(self) -> bool:
        return HOW != "pretend"


def _register(address: int, size: int, flags: int) -> int:
    if HOW == "abort":
        os.abort()
    if HOW == "hang":
        time.sleep(1000)
    if HOW == "raise":
        raise RuntimeError("CUDA error: unspecified launch failure")
    if refuse:
        return 712
    calls.append(("register", address))
    return 0


def _unregister(address: int) -> int:
    calls.append(("unregister", address))
    return 0


def _synchronize() -> None:
    if HOW == "late" and ("unregister" in (what for what, _ in calls)):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


cuda = SimpleNamespace(
    is_available=lambda: True,
    synchronize=_synchronize,
    cudart=lambda: SimpleNamespace(cudaHostRegister=_register, cudaHostUnregister=_unregister),
)


def from_numpy(array: np.ndarray) -> Tensor:
    return Tensor(array)


def randint(low: int, high: int, shape: tuple[int, ...], dtype: Any, device: str) -> Tensor:
    return Tensor(np.random.default_rng(1).integers(low, high, shape, dtype))


def equal(a: Tensor, b: Tensor) -> bool:
    return np.array_equal(a.array, b.array)


def ones(count: int, device: str) -> None:
    launches.append(count)
    if refuse:
        raise RuntimeError("CUDA error: part or all of the requested memory range is already mapped")

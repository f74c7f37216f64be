"""Reads and writes `.safetensors` files, of whatever origin, whole or not at all.

They are read, not mapped into memory: somebody who shortens a mapped file ends the process that looks at it, and on
Windows nobody can replace it meanwhile.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engine.session import replace_file

LARGEST_HEADER = 1 << 20  # ours have some kilobytes; JSON takes many times its length in memory


def read(path: Path, largest: int) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Metadata and tensors of a file of at most `largest` bytes, read-only. Takes twice as much memory as the file.

    Raises OSError for what cannot be read, and ValueError, which ends a sentence that begins with the file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    with open(path, "rb", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no file that could be read")
        if status.st_size > largest:
            raise ValueError(f"is larger than {largest / 1e6:.0f} MB")
        data = file.read(status.st_size)
    length = int.from_bytes(data[:8], "little")
    if length > LARGEST_HEADER:
        raise ValueError("is no safetensors file: it does not begin like one")
    try:
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
        return metadata, load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"is no whole safetensors file ({str(error)[:100]})") from error


def _without_waiting(path: str, flags: int) -> int:
    """Opening a pipe would wait for ever for somebody who writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def write(path: Path, tensors: Mapping[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Atomic and durable. Raises OSError, and then the old file is still there."""
    from safetensors.numpy import save

    # In the order of the indices: safetensors writes memory as it lies, and a network in channels_last lies otherwise.
    # (ascontiguousarray would make a row of a single number.)
    replace_file(
        path, save({name: np.array(value, order="C") for name, value in tensors.items()}, metadata), durable=True
    )

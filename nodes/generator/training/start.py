"""Before a training: the device, the threads, and a memory allocator that does not give back what it needs again."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import BadInput

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # glibc, malloc.h
KEEP_BYTES = 1 << 30


def device_named(name: str) -> str:
    """cpu, cuda or mps; auto is the best there is. Raises `BadInput`."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there.get(name):
        raise BadInput(f"--device {name} is not to be had here; this torch {torch.__version__} knows "
                       f"{', '.join(device for device in there if there[device])}.")  # fmt: skip
    return name


def begin(threads: int) -> None:
    """threads: 0 takes all processors."""
    import cv2
    import torch

    torch.set_num_threads(threads or os.cpu_count() or 1)
    cv2.setNumThreads(1)
    torch.backends.cudnn.benchmark = True  # all batches are alike: the search for the quickest way pays
    if sys.platform == "linux":
        # A step allocates and frees hundreds of megabytes. By default glibc returns each piece to the kernel, which
        # then has to clear it again: up to half of the time.
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            libc.mallopt(MMAP_THRESHOLD, KEEP_BYTES)
            libc.mallopt(TRIM_THRESHOLD, KEEP_BYTES)


def tensorboard(folder: Path) -> Any:
    """A writer for TensorBoard. Raises `BadInput` where its package is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BadInput("TensorBoard is not installed. Install it with: pip install tensorboard") from error
    return SummaryWriter(folder)

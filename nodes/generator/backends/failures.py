"""What torch raises when a graphics card fails or memory is full, as the errors that end a node's process at once.

Full memory and a failed assertion of a kernel were seen on a card, the other texts were looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import DeviceFailed, OutOfMemory

FULL = ("out of memory", "ALLOC_FAILED", "DefaultCPUAllocator")  # CUDA and Metal; cuBLAS and cuDNN; torch on the CPU
FAILED = ("CUDA error", "cuDNN error", "CUDNN_STATUS", "CUBLAS_STATUS")


@contextmanager
def device_failures() -> Iterator[None]:
    """Around whatever runs on the device, in `setup` and in `step`.

    Raises `OutOfMemory` and `DeviceFailed` in place of torch's RuntimeErrors of that meaning; lets all else through.
    """
    import torch

    try:
        yield
    except RuntimeError as error:
        said = str(error)
        lines = [line for line in said.splitlines() if any(word in line for word in (*FULL, *FAILED))]
        first_line = (lines or said.splitlines() or [""])[0]  # TorchScript puts pages before it
        if isinstance(error, torch.OutOfMemoryError) or any(word in said for word in FULL):
            raise OutOfMemory(f"There is not enough memory for this model: {first_line}") from error
        if isinstance(error, torch.AcceleratorError) or any(word in said for word in FAILED):
            raise DeviceFailed(f"The graphics card failed: {first_line}") from error
        raise

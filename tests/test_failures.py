"""torch's words for a failed graphics card and for full memory end a process with codes of their own."""

from __future__ import annotations

import pytest

from engine.errors import BadInput, DeviceFailed, OutOfMemory
from nodes.generator.backends.failures import device_failures

torch = pytest.importorskip("torch")


def test_memory_that_torch_does_not_get_is_full() -> None:
    said = "There is not enough memory for this model: .*1152921504606846976 bytes"
    with pytest.raises(OutOfMemory, match=said), device_failures():
        torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (torch.OutOfMemoryError("Tried to allocate 2.00 GiB."), OutOfMemory),
        (torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be…"), OutOfMemory),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), OutOfMemory),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), OutOfMemory),
        (torch.AcceleratorError("CUDA error: unspecified launch failure\nCUDA kernel errors might be…"), DeviceFailed),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), DeviceFailed),
    ],
)
def test_what_is_wrong_with_the_device_is_typed(error: Exception, becomes: type[Exception]) -> None:
    with pytest.raises(becomes) as caught, device_failures():
        raise error
    assert caught.value.__cause__ is error and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), ValueError("x"), BadInput("x")],
)
def test_all_else_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, device_failures():
        raise error
    assert caught.value is error

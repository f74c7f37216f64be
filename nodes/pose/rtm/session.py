"""ONNX Runtime on the processor or a card, and what it says when a card fails. Only the processor was tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from engine.errors import BadInput, DeviceFailed, OutOfMemory
from nodes.generator.foreign.network import brief

Device = Literal["auto", "cpu", "cuda", "directml"]

_CPU = "CPUExecutionProvider"
_CARDS = {"cuda": "CUDAExecutionProvider", "directml": "DmlExecutionProvider"}
_PACKAGES = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml"}

# Looked up, none was seen. The numbers are DirectX's: out of memory; device removed, hung, reset, driver error.
_FULL = ("out of memory", "Failed to allocate memory", "ALLOC_FAILED", "8007000E")
_FAILED = (
    "CUDA failure", "CUDA error", "CUDNN failure", "CUBLAS failure", "887A0005", "887A0006", "887A0007", "887A0020",
)  # fmt: skip


def open_session(content: bytes, device: Device, threads: int) -> Any:
    """An InferenceSession. auto takes the first card that this build of ONNX Runtime can use.

    Raises BadInput for a device that cannot be had, and for a bad file whatever ONNX Runtime raises.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that spin while they wait take their time from the other nodes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors: a card's libraries that are missing are told in our words
    there = [name for name, provider in _CARDS.items() if provider in onnxruntime.get_available_providers()]
    wanted = [name for name in there if device in ("auto", name)][:1]
    options.enable_mem_pattern = wanted != ["directml"]  # which must not have it, says its documentation
    session = onnxruntime.InferenceSession(content, options, providers=[*(_CARDS[name] for name in wanted), _CPU])
    if device in _CARDS and session.get_providers()[0] != _CARDS[device]:
        why = "was found and did not start" if wanted else f"is not in this build; pip install {_PACKAGES[device]}"
        raise BadInput(
            f"`device: {device}` cannot be had: ONNX Runtime's part for it {why}. Set `device: auto`, which takes what "
            "there is."
        )
    return session


@contextmanager
def card_failures() -> Iterator[None]:
    """Around whatever runs on a card. Raises `OutOfMemory` and `DeviceFailed` for errors of that meaning."""
    try:
        yield
    except Exception as error:  # ONNX Runtime has kinds of its own, below RuntimeError or not
        said = str(error)
        if any(word in said for word in _FULL):
            raise OutOfMemory(f"There is not enough memory for this model: {brief(error)}") from error
        if any(word in said for word in _FAILED):
            raise DeviceFailed(f"The graphics card failed: {brief(error)}") from error
        raise

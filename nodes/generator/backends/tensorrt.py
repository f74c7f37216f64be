"""TensorRT, through ONNX Runtime's provider. It builds an engine for minutes, once, and keeps it beside the model.

Float16; torch's float16 pictures, pose field and all, are within 1 of 255. Never run here, for want of a graphics card.
"""

from __future__ import annotations

from pathlib import Path

from nodes.generator.backends import onnx_runtime
from nodes.generator.backends.base import BATCHES, missing
from nodes.generator.backends.onnx_runtime import POINTS, OnnxRuntime

PROVIDER = "TensorrtExecutionProvider"

build = onnx_runtime.build


def refusal(device: str) -> str | None:
    if device != "cuda":
        return "no CUDA device"
    if absent := missing("torch", "onnx", "onnxscript", "onnxruntime"):
        return absent
    import onnxruntime

    if PROVIDER not in onnxruntime.get_available_providers():
        return "not installed; pip install onnxruntime-gpu tensorrt"
    return None


def open(artefact: Path, device: str, threads: int) -> OnnxRuntime:
    """Raises RuntimeError where the provider is installed and does not work."""
    smallest, largest = (f"{POINTS}:{batch}x33x4" for batch in (BATCHES[0], BATCHES[-1]))
    options = {
        "trt_fp16_enable": True,
        "trt_engine_cache_enable": True, "trt_engine_cache_path": str(artefact.parent),
        "trt_profile_min_shapes": smallest, "trt_profile_opt_shapes": smallest, "trt_profile_max_shapes": largest,
    }  # fmt: skip
    backend = OnnxRuntime(artefact, threads, "tensorrt", [(PROVIDER, options), "CPUExecutionProvider"])
    if PROVIDER not in backend.providers:
        raise RuntimeError("ONNX Runtime cannot load TensorRT; are its libraries on the path?")
    return backend

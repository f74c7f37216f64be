"""OpenVINO on the CPU, from the same ONNX file, in float32.

Its bfloat16 computes the pose field in 8 bits too: pictures of a trained network came out 48 of 255 off, and 3 with an
exact field. Its 8-bit integers were slower than ONNX Runtime's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nodes.generator.backends import onnx_runtime
from nodes.generator.backends.base import BATCHES, missing, on_cpu

build = onnx_runtime.build


def refusal(device: str) -> str | None:
    return on_cpu(device) or missing("torch", "onnx", "onnxscript", "openvino")


class OpenVino:
    name, batches = "openvino", BATCHES

    def __init__(self, path: Path, threads: int):
        import openvino

        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        self._request = openvino.Core().compile_model(path, "CPU", hints).create_infer_request()

    def run(self, points: np.ndarray, out: np.ndarray) -> None:
        out[:] = self._request.infer({0: points}, share_inputs=True, share_outputs=True)[0]

    def close(self) -> None:
        del self._request


def open(artefact: Path, device: str, threads: int) -> OpenVino:
    return OpenVino(artefact, threads)

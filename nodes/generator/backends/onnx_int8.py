"""ONNX Runtime with 8-bit integers: static quantisation, calibrated with poses that come with the checkpoint.

The first convolution (it sees the pose field) and the last two (they make the pixels) stay float32: with all in 8 bits
the loss can be seen, 36 dB against float32 on a trained network; without those three it cannot, 47 to 49 dB.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from nodes.generator.backends import onnx_runtime
from nodes.generator.backends.base import missing
from nodes.generator.backends.onnx_runtime import POINTS, OnnxRuntime
from nodes.generator.network import checkpoint

CALIBRATION = 32  # poses
KEPT_FIRST, KEPT_LAST = 1, 2  # convolutions


def refusal(device: str) -> str | None:
    return onnx_runtime.refusal(device) or missing("onnx")


def build(source: Path, folder: Path) -> Path:
    from onnxruntime import quantization

    exact = onnx_runtime.build(source, folder)
    path = folder / "performer.int8.onnx"
    if path.exists():
        return path
    poses = checkpoint.read(source).poses
    inputs = iter([{POINTS: pose[None]} for pose in poses[:: -(-len(poses) // CALIBRATION)]])

    class Poses(quantization.CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(inputs, None)

    logging.disable(logging.WARNING)  # it would have the model shaped first; it is
    quantization.quantize_static(
        exact, path, Poses(), quant_format=quantization.QuantFormat.QDQ, op_types_to_quantize=["Conv"],
        activation_type=quantization.QuantType.QUInt8, per_channel=True, nodes_to_exclude=kept_exact(exact),
    )  # fmt: skip
    logging.disable(logging.NOTSET)
    return path


def kept_exact(path: Path) -> list[str]:
    """The names of the convolutions that stay float32."""
    import onnx

    convolutions = [node.name for node in onnx.load(path).graph.node if node.op_type == "Conv"]
    return [*convolutions[:KEPT_FIRST], *convolutions[-KEPT_LAST:]]


def open(artefact: Path, device: str, threads: int) -> OnnxRuntime:
    return OnnxRuntime(artefact, threads, "onnx-int8")

"""ONNX Runtime on the CPU: a third quicker than torch there, and no torch in the node's process."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np

from nodes.generator.backends.base import BATCHES, missing, on_cpu
from nodes.generator.network import checkpoint

OPSET = 18
POINTS, PICTURE = "points", "picture"  # the names of input and output


def refusal(device: str) -> str | None:
    return on_cpu(device) or missing("torch", "onnx", "onnxscript", "onnxruntime")


def build(source: Path, folder: Path) -> Path:
    """One file for every batch size: measured, it is as quick as a file for each, and the same in every bit."""
    import torch

    from nodes.generator.network.picture import Picture

    path = folder / "performer.onnx"
    if path.exists():  # another backend has been here
        return path
    loaded = checkpoint.read(source)
    example = torch.from_numpy(loaded.poses[: BATCHES[1]])  # not one: the exporter would take 1 for a constant
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            Picture(loaded.painter()).eval(), (example,), dynamo=True, opset_version=OPSET, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=BATCHES[-1])},),
            input_names=[POINTS], output_names=[PICTURE],
        )  # fmt: skip
    assert program is not None
    program.save(path, external_data=False)
    return path


class OnnxRuntime:
    batches = BATCHES

    def __init__(self, path: Path, threads: int, name: str = "onnx", providers: list | None = None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that spin while they wait take their time from the other nodes: half the speed on two busy cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.name = name
        self._session = onnxruntime.InferenceSession(path, options, providers=providers or ["CPUExecutionProvider"])
        self.providers = self._session.get_providers()

    def run(self, points: np.ndarray, out: np.ndarray) -> None:
        bound = self._session.io_binding()
        bound.bind_cpu_input(POINTS, points)
        bound.bind_output(PICTURE, "cpu", 0, np.uint8, out.shape, out.ctypes.data)  # no copy
        self._session.run_with_iobinding(bound)

    def close(self) -> None:
        del self._session


def open(artefact: Path, device: str, threads: int) -> OnnxRuntime:
    return OnnxRuntime(artefact, threads)

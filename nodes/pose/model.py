"""Load one .tflite network: into LiteRT on the processor, or into torch on a graphics card."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from engine.errors import BadInput
from nodes.generator.backends.base import missing

Shape = tuple[int, ...]
Device = Literal["auto", "cpu", "cuda"]

_DRIVER = "nvcuda" if os.name == "nt" else "libcuda.so.1"


class Model(Protocol):
    """A network with one picture in, (1, size, size, 3) float32, and several arrays out.

    Outputs are asked for by shape: the names in these files say nothing, and no two shapes are the same.
    """

    def __call__(self, picture: np.ndarray, *wanted: Shape) -> list[np.ndarray]:
        """Run the network; the outputs of the `wanted` shapes, in that order, each without its leading 1."""
        ...


class LiteRT:
    """A network that LiteRT runs."""

    def __init__(self, path: Path, threads: int):
        try:
            # The content and not the path: LiteRT opens files by narrow strings, which fail on Windows for some names.
            self._interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (OSError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"The pose model {path} cannot be loaded ({error}). Delete it and fetch it again."
            ) from error
        (picture,) = self._interpreter.get_input_details()
        self._input: int = picture["index"]
        self._outputs: dict[Shape, int] = {
            tuple(int(n) for n in detail["shape"]): detail["index"] for detail in self._interpreter.get_output_details()
        }

    def __call__(self, picture: np.ndarray, *wanted: Shape) -> list[np.ndarray]:
        self._interpreter.set_tensor(self._input, picture)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(self._outputs[shape])[0] for shape in wanted]


def load(path: Path, threads: int = 1, device: Device = "auto") -> Model:
    """device: auto takes a graphics card that torch can use, else the processor. threads: of the processor.

    Raises BadInput, and `OutOfMemory` or `DeviceFailed`, after which this process can only end.
    """
    refused = "" if device == "cpu" else card_refusal()
    if device == "cpu" or (device == "auto" and refused):
        return LiteRT(path, threads)
    if refused:
        raise BadInput(f"`device: cuda` cannot be had: {refused}. Set `device: auto`, which takes what there is.")
    from nodes.pose.torch_model import TorchModel

    return TorchModel(path, "cuda")


def card_refusal() -> str | None:
    """Why torch cannot use a graphics card here, in a few words; None if it can.

    Looks for the driver first: torch takes a second and 200 MB, too much to learn that there is no card.
    """
    if absent := missing("torch"):
        return f"torch is {absent}"
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return "there is no driver of an NVIDIA card"
    try:
        import torch
    except (ImportError, OSError) as error:
        return f"torch cannot be imported ({error})"
    return None if torch.cuda.is_available() else "torch finds no CUDA graphics card"


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))

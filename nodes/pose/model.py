"""Run one .tflite network with LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from engine.errors import BadInput

Shape = tuple[int, ...]


class Model:
    """A network with one picture in, (1, size, size, 3) float32, and several arrays out.

    Outputs are asked for by shape: the names in these files say nothing, and no two shapes are the same.
    """

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
        """Run the network; the outputs of the `wanted` shapes, in that order, each without its leading 1."""
        self._interpreter.set_tensor(self._input, picture)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(self._outputs[shape])[0] for shape in wanted]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))

"""CUDA graphs: the network in float16, launched as a whole. Some sixty launches are what a small network waits for.

One graph per batch size over buffers that never move; copies go through pinned memory. Plain torch, so it should work
on Windows too; `tests/test_cuda.py` ran it on Linux.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nodes.generator.backends import eager
from nodes.generator.backends.base import BATCHES, missing
from nodes.generator.backends.failures import device_failures
from nodes.generator.backends.pinned import is_registered

if TYPE_CHECKING:
    import torch

    from nodes.generator.network.picture import Picture

WARM_UPS = 3  # runs before a capture: cuDNN chooses its algorithms in them

build = eager.build


def refusal(device: str) -> str | None:
    return missing("torch") or (None if device == "cuda" else "no CUDA device")


class CudaGraph:
    """The network for one batch size, captured. `stream`: where it is captured and runs."""

    def __init__(self, network: Picture, batch: int, stream: torch.cuda.Stream):
        import torch

        self.points = torch.zeros(batch, 33, 4, pin_memory=True)
        self._points = self.points.to("cuda")
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                network(self._points)
        stream.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        # thread_local: another thread goes on painting with the performer before.
        with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
            self._picture = network(self._points)
        self.picture = torch.empty(self._picture.shape, dtype=torch.uint8, pin_memory=True)

    def launch(self, picture: torch.Tensor) -> None:
        """From `points` to `picture`, both in pinned memory, on the current stream; does not wait for it."""
        self._points.copy_(self.points, non_blocking=True)
        self._graph.replay()
        picture.copy_(self._picture, non_blocking=True)


class CudaGraphs:
    name, batches = "cuda-graphs", BATCHES

    def __init__(self, path: Path):
        import torch

        with device_failures(), torch.inference_mode():
            self._network = eager.network(path, "cuda")  # graphs know where its weights lie, and do not keep them there
            self._stream = torch.cuda.Stream()
            self._done = torch.cuda.Event()
            self._graphs = {batch: CudaGraph(self._network, batch, self._stream) for batch in BATCHES}

    def run(self, points: np.ndarray, out: np.ndarray) -> None:
        import torch

        graph = self._graphs[len(points)]
        directly = is_registered(out)  # the slot itself is pinned
        with device_failures(), torch.inference_mode(), torch.cuda.stream(self._stream):
            graph.points.numpy()[:] = points
            graph.launch(torch.from_numpy(out) if directly else graph.picture)
            self._done.record()
            self._done.synchronize()
        if not directly:
            out[:] = graph.picture.numpy()

    def close(self) -> None:
        self._graphs.clear()


def open(artefact: Path, device: str, threads: int) -> CudaGraphs:
    return CudaGraphs(artefact)

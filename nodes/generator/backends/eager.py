"""The reference: the network as torch runs it, operator by operator. Float32, on CUDA float16."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nodes.generator.backends.base import BATCHES, missing
from nodes.generator.backends.failures import device_failures
from nodes.generator.network import checkpoint

if TYPE_CHECKING:
    from nodes.generator.network.picture import Picture


def refusal(device: str) -> str | None:
    """It runs wherever torch does."""
    return missing("torch")


def build(source: Path, folder: Path) -> Path:
    """The checkpoint itself."""
    return source


def network(path: Path, device: str) -> Picture:
    """The network of a checkpoint on its device, in the layout and precision that suit it."""
    import torch

    from nodes.generator.network.picture import Picture

    picture = Picture(checkpoint.read(path).painter()).eval().requires_grad_(False)
    if device == "cuda":
        halve(picture)
    return picture.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def halve(picture: Picture) -> None:
    """Float16 for all but the pose field: a keypoint is finer than that, and so are the field's smallest terms."""
    import torch

    class Halved(torch.nn.Module):
        def __init__(self, field: torch.nn.Module):
            super().__init__()
            self.field = field

        def forward(self, points: torch.Tensor) -> torch.Tensor:
            return self.field(points).half()

    field = picture.painter.field
    picture.painter.field = torch.nn.Identity()  # type: ignore[assignment]
    picture.half()
    picture.painter.field = Halved(field)  # type: ignore[assignment]


class Eager:
    name, batches = "torch", BATCHES

    def __init__(self, path: Path, device: str, threads: int):
        import torch

        torch.set_num_threads(threads)
        with device_failures():
            self._network = network(path, device)
        self._device = device

    def run(self, points: np.ndarray, out: np.ndarray) -> None:
        import torch

        with device_failures(), torch.inference_mode():
            torch.from_numpy(out).copy_(self._network(torch.from_numpy(points).to(self._device)))

    def close(self) -> None:
        del self._network


open = Eager

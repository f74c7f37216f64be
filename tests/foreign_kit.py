"""Small networks that stand in for other people's, and their descriptions. Needs PyTorch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import frame, make

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from nodes.generator.torch import TorchModel  # noqa: E402

SIZE = 32  # of the networks' pictures
EXAMPLE = np.zeros((1, 3, SIZE, SIZE), np.float32)


class Paint(torch.nn.Module):
    """A pix2pix in miniature: a convolution with known weights and a tanh. Red and blue change places."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Conv2d(3, 3, 3, padding=1)
        weights = torch.zeros(3, 3, 3, 3)
        weights[0, 2, 1, 1] = weights[2, 0, 1, 1] = 1
        weights[1, 1, 1, 1] = 0.5
        self.mix.weight = torch.nn.Parameter(weights)
        self.mix.bias = torch.nn.Parameter(torch.tensor([0.0, 0.25, 0.0]))

    def forward(self, x: Any) -> Any:
        return torch.tanh(self.mix(x))


class Same(torch.nn.Module):
    """Answers what it is shown."""

    def forward(self, x: Any) -> Any:
        return x * 1.0


class Moody(torch.nn.Module):
    """Answers what it is shown, unless the corner's blue tells it to misbehave."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mood = int(x[0, 2, 0, 0] * 255 + 0.5)
        if mood == 1:
            return x * float("nan")
        if mood == 2:
            return x[:, :, :8]
        if mood == 3:
            raise RuntimeError("out of order")
        if mood == 4:
            return x + torch.empty(1 << 60)
        return x


class Picky(torch.nn.Module):
    """Has an answer to black only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if float(x.max()) > 0:
            return x * float("nan")
        return x


def script(module: Any, path: Path, example: np.ndarray = EXAMPLE) -> Path:
    """The network as TorchScript: traced, or scripted where it decides for itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        decides = isinstance(module, (Moody, Picky))
        made = torch.jit.script(module) if decides else torch.jit.trace(module, torch.from_numpy(example))
        torch.jit.save(made, str(path))
    return path


def export(module: Any, path: Path, example: np.ndarray = EXAMPLE) -> Path:
    torch.export.save(torch.export.export(module, (torch.from_numpy(example),)), path)
    return path


def onnx(module: Any, path: Path, example: np.ndarray = EXAMPLE) -> Path:
    for needed in ("onnxruntime", "onnxscript"):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.from_numpy(example),), path, dynamo=True, external_data=False, verbose=False
        )  # fmt: skip
    return path


def describe(file: Path, shown: str = "", answered: str = "", more: str = "") -> Path:
    """A description beside `file`; what `shown` and `answered` leave out gets a default."""
    path = file.with_suffix(".yaml")
    defaults = {"size": f"[{SIZE}, {SIZE}]", "range": "[0, 1]"}
    ends = [
        ", ".join([text] * bool(text) + [f"{key}: {defaults[key]}" for key in keys if f"{key}:" not in text])
        for text, keys in ((shown, ("size", "range")), (answered, ("range",)))
    ]
    path.write_text(f"file: {file.name}\n{more}\ninput: {{{ends[0]}}}\noutput: {{{ends[1]}}}\n", "utf-8")
    return path


def node(description: Path, **settings: Any) -> Any:
    return make(TorchModel, **{"model": str(description), "device": "cpu", **settings})


def picture(seed: int = 1, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


def camera(pixels: np.ndarray, **meta: Any) -> Any:
    return frame(pixels, **{"pixel_format": "RGB", **meta})


def painted(description: Path, pixels: np.ndarray, **settings: Any) -> np.ndarray:
    """What the network makes of one picture."""
    made = node(description, **settings)
    made.step(frame=camera(pixels))
    assert made.complaints == []
    return made.frames[-1].array

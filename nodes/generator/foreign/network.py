"""Load a network of one of the three kinds; then it is a function from one array to one array."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.errors import BadInput, EngineError
from nodes.generator.backends.failures import device_failures
from nodes.generator.foreign.model_file import HOW_TO, Kind

Device = Literal["auto", "cpu", "cuda", "mps"]
Network = Callable[[np.ndarray], np.ndarray]

WHAT = {
    "torchscript": "TorchScript", "export": "torch.export", "onnx": "ONNX, all in one file (external_data=False)",
}  # fmt: skip
WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def load(data: bytes, kind: Kind, path: Path, *, device: Device, threads: int, index: int) -> Network:
    """`data`: the content of `path`. threads: 0 leaves their number to the library. index: which output is wanted.

    Raises BadInput where it cannot be loaded. What the network raises when it is called is its own affair, but
    `OutOfMemory` and `DeviceFailed` mean here and there that this process can only end.
    """
    try:
        return _onnx(data, device, threads, index) if kind == "onnx" else _torch(data, kind, device, threads, index)
    except EngineError:
        raise
    except ImportError as error:
        raise BadInput(
            f"{path} needs the Python module {error.name!r}, which is not installed. Install it into this "
            "environment; docs/TORCH.md says how."
        ) from None
    except Exception as error:  # a hostile file may raise anything
        raise BadInput(f"{path} cannot be loaded as {WHAT[kind]} ({brief(error)}). {HOW_TO}") from error


def brief(error: BaseException) -> str:
    """An error as part of a sentence. Some run over pages: the beginning and the end say what it is."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 400 else f"{text[:200]} … {text[-200:]}"


def _torch(data: bytes, kind: Kind, device: Device, threads: int, index: int) -> Network:
    import torch

    target = _torch_device(device)
    if threads:
        torch.set_num_threads(threads)
    with device_failures():
        module = _torchscript(data, target) if kind == "torchscript" else _exported(data, target)

    def network(batch: np.ndarray) -> np.ndarray:
        with device_failures(), torch.inference_mode():
            picture = _chosen(module(torch.from_numpy(batch).to(target)), index)
            if not isinstance(picture, torch.Tensor):
                raise ValueError(f"its output {index} is a {type(picture).__name__}, not a tensor")
            return picture.float().cpu().numpy()

    return network


def _torch_device(device: Device) -> str:
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, found in there.items() if found)
    if not there[device]:
        raise BadInput(f"PyTorch finds no {device} device here. Set `device: auto`, or install a build that knows it.")
    return device


def _torchscript(data: bytes, target: str) -> Any:
    import torch

    with warnings.catch_warnings():  # torch advises against TorchScript; the files that exist stay what they are
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(io.BytesIO(data), map_location=target)


def _exported(data: bytes, target: str) -> Any:
    import torch
    from torch.export.passes import move_to_device_pass

    with _no_pickles():
        program = torch.export.load(io.BytesIO(data))
    return move_to_device_pass(program, target).module()


@contextmanager
def _no_pickles() -> Iterator[None]:
    """torch.export.load unpickles whatever its careful reader refuses; this variable forbids that for the process."""
    before = os.environ.get(WEIGHTS_ONLY)
    os.environ[WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        del os.environ[WEIGHTS_ONLY]
        if before is not None:
            os.environ[WEIGHTS_ONLY] = before


def _onnx(data: bytes, device: Device, threads: int, index: int) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(data, options, providers=_providers(device))
    source = _only([entry.name for entry in session.get_inputs()])
    wanted = _chosen([entry.name for entry in session.get_outputs()], index)

    def network(batch: np.ndarray) -> np.ndarray:
        (picture,) = session.run([wanted], {source: batch})
        if not isinstance(picture, np.ndarray):
            raise ValueError(f"its output {index} is a {type(picture).__name__}, not a tensor")
        return picture

    return network


def _providers(device: Device) -> list[str]:
    import onnxruntime

    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    found = cuda in onnxruntime.get_available_providers()
    if device in ("cuda", "mps") and not (device == "cuda" and found):
        raise BadInput(
            f"This build of ONNX Runtime cannot use {device}. Set `device: auto`, or export for PyTorch instead."
        )
    return [cuda, cpu] if found and device != "cpu" else [cpu]


def _only(names: list[str]) -> str:
    if len(names) != 1:
        raise ValueError(f"it takes {len(names)} inputs ({', '.join(names)}), and there is only one picture to give it")
    return names[0]


def _chosen(outputs: Any, index: int) -> Any:
    several = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    if index >= len(several):
        raise ValueError(f"it has {len(several)} outputs, and the description asks for number {index} from 0")
    return several[index]

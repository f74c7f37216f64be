"""Run one .tflite network with torch, on a graphics card: LiteRT's answers to within rounding.

There it is a CUDA graph, in float32 throughout: a landmark is finer than float16 and TF32. Never run on a card.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from ai_edge_litert.schema_py_generated import ActivationFunctionType

from engine.errors import BadInput
from nodes.generator.backends.failures import device_failures
from nodes.pose import tflite_graph
from nodes.pose.model import Shape
from nodes.pose.tflite_graph import Graph, Op, Pads

WARM_UPS = 3  # runs before a capture: cuDNN chooses its algorithms in them

Run = Callable[..., torch.Tensor]
_ACTIVATIONS: dict[int, Run] = {
    ActivationFunctionType.NONE: lambda x: x,
    ActivationFunctionType.RELU: F.relu,
    ActivationFunctionType.RELU6: F.relu6,
}


class TorchModel:
    """The interface of `model.LiteRT`."""

    def __init__(self, path: Path, device: str):
        """device: "cuda", or "cpu" to compare. Raises BadInput, `OutOfMemory` and `DeviceFailed`."""
        graph = tflite_graph.read(path)
        try:
            self._network = Network(graph).eval().requires_grad_(False)
        except (AttributeError, KeyError) as error:
            raise BadInput(f"The pose model {path} holds an operator that is not known here ({error}).") from error
        self._outputs = {graph.shapes[number]: index for index, number in enumerate(graph.outputs)}
        shape = graph.shapes[graph.inputs[0]]
        with device_failures(), torch.inference_mode():
            self._run = _captured(self._network, shape) if device == "cuda" else self._network

    def __call__(self, picture: np.ndarray, *wanted: Shape) -> list[np.ndarray]:
        """As LiteRT's. What it returns holds until the next call. Raises `OutOfMemory` and `DeviceFailed`."""
        with device_failures(), torch.inference_mode():
            outputs = self._run(torch.from_numpy(picture))
        return [outputs[self._outputs[shape]][0].numpy() for shape in wanted]


def _captured(network: Network, shape: Shape) -> Callable[[torch.Tensor], tuple[torch.Tensor, ...]]:
    """`network` on the card, launched as a whole from and into pinned memory.

    The graph knows where the weights lie and does not keep them there: `network` must live as long.
    """
    torch.backends.cudnn.allow_tf32 = False  # on by default, and three digits less than float32
    network.to("cuda")
    stream, done = torch.cuda.Stream(), torch.cuda.Event(blocking=True)  # blocking: the processor sleeps meanwhile
    given = torch.zeros(shape, pin_memory=True)
    picture = given.to("cuda")
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            network(picture)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        answers = network(picture)
    taken = tuple(torch.empty(answer.shape, pin_memory=True) for answer in answers)

    def run(pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given.copy_(pixels)
        with torch.cuda.stream(stream):
            picture.copy_(given, non_blocking=True)
            graph.replay()
            for answer, to in zip(answers, taken, strict=True):
                to.copy_(answer, non_blocking=True)
            done.record()
        done.synchronize()
        return taken

    return run


class Network(torch.nn.Module):
    """A graph as a module. In: (1, H, W, 3) float32; out: the file's outputs, channels last as they are there.

    Between them channels come first, as torch has it, but lie last in memory. One method for each operator turns its
    description into a function of those of its inputs that are not constants.
    """

    def __init__(self, graph: Graph):
        super().__init__()
        self._graph = graph
        self._plan: list[tuple[Op, Run]] = [(op, getattr(self, f"_{op.name.lower()}")(op)) for op in graph.ops]

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values = {self._graph.inputs[0]: picture.permute(0, 3, 1, 2)}
        for op, run in self._plan:
            values[op.output] = run(*(values[i] for i in op.inputs if i in values))
        return tuple(_as_in_file(values[i]).contiguous() for i in self._graph.outputs)

    def _conv_2d(self, op: Op, order: tuple[int, ...] = (0, 3, 1, 2), depthwise: bool = False) -> Run:
        kernel, bias = f"kernel_{op.output}", f"bias_{op.output}"
        weights = torch.from_numpy(self._graph.constants[op.inputs[1]].transpose(order).copy())
        self.register_buffer(kernel, weights.to(memory_format=torch.channels_last))
        self.register_buffer(bias, torch.from_numpy(self._graph.constants[op.inputs[2]].copy()))
        height, width = weights.shape[2:]
        pads, stride = self._graph.pads(op, (height, width)), (op.options.strideH, op.options.strideW)
        even = pads[0][0] == pads[0][1] and pads[1][0] == pads[1][1]
        inside, outside = ((pads[0][0], pads[1][0]), None) if even else ((0, 0), _torch_pads(pads))
        groups, activation = len(weights) if depthwise else 1, _activation(op)

        def run(x: torch.Tensor) -> torch.Tensor:
            x = F.pad(x, outside) if outside else x
            y = F.conv2d(x, self.get_buffer(kernel), self.get_buffer(bias), stride, inside, 1, groups)
            return activation(y)

        return run

    def _depthwise_conv_2d(self, op: Op) -> Run:
        return self._conv_2d(op, (3, 0, 1, 2), depthwise=True)

    def _add(self, op: Op) -> Run:
        activation = _activation(op)
        return lambda a, b: activation(a + b)

    def _pad(self, op: Op) -> Run:
        _, rows, columns, channels = ((int(a), int(b)) for a, b in self._graph.constants[op.inputs[1]])
        pads = [*_torch_pads((rows, columns)), *channels]
        return lambda x: F.pad(x, pads)

    def _max_pool_2d(self, op: Op) -> Run:
        size, stride = (op.options.filterHeight, op.options.filterWidth), (op.options.strideH, op.options.strideW)
        pads, activation = _torch_pads(self._graph.pads(op, size)), _activation(op)
        return lambda x: activation(F.max_pool2d(F.pad(x, pads, value=float("-inf")), size, stride))

    def _resize_bilinear(self, op: Op) -> Run:
        size, corners = self._graph.shapes[op.output][1:3], op.options.alignCorners
        if not corners and not op.options.halfPixelCenters:
            raise KeyError("RESIZE_BILINEAR from the pixels' corners")
        return lambda x: F.interpolate(x, size=size, mode="bilinear", align_corners=corners)

    def _depth_to_space(self, op: Op) -> Run:
        """Unlike torch's pixel_shuffle: of a pixel's channels the place in the block comes first."""
        n, height, width, channels = self._graph.shapes[op.output]
        block = op.options.blockSize

        def run(x: torch.Tensor) -> torch.Tensor:
            blocks = x.reshape(n, block, block, channels, height // block, width // block)
            return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, channels, height, width)

        return run

    def _reshape(self, op: Op) -> Run:
        shape = self._graph.shapes[op.output]
        return lambda x: _as_in_file(x).reshape(shape)  # never to four dimensions, in these files

    def _concatenation(self, op: Op) -> Run:
        axis = op.options.axis
        return lambda *parts: torch.cat(parts, axis)

    def _logistic(self, op: Op) -> Run:
        return torch.sigmoid


def _as_in_file(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1) if x.dim() == 4 else x


def _torch_pads(pads: Pads) -> list[int]:
    """As F.pad takes them: left, right, top, bottom."""
    return [*pads[1], *pads[0]]


def _activation(op: Op) -> Run:
    return _ACTIVATIONS[op.options.fusedActivationFunction]

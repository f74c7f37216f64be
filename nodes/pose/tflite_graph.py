"""Read the graph of a .tflite file: its operators, in the order in which they run, and its weights as NumPy arrays.

It knows what the pose networks are made of and refuses all else by name. The weights of these files are float16, those
of the detector partly sparse as well; what `DEQUANTIZE` and `DENSIFY` would unpack at every run is unpacked here, once.

Source: the format's schema (tensorflow/lite/schema/schema.fbs), read by the classes that ai-edge-litert ships for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from engine.errors import BadInput

_DTYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT32: np.int32,
}
_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
_UNPACKING = ("DEQUANTIZE", "DENSIFY")

Pads = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Op:
    """One operator. inputs, output: numbers of tensors. options: the schema's, None where it has none."""

    name: str
    inputs: tuple[int, ...]
    output: int
    options: Any


@dataclass(frozen=True)
class Graph:
    """shapes: of every tensor, channels last. constants: the weights, floats as float32. inputs, outputs: numbers of
    tensors."""

    ops: tuple[Op, ...]
    shapes: tuple[tuple[int, ...], ...]
    constants: dict[int, np.ndarray]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def pads(self, op: Op, kernel: tuple[int, int]) -> Pads:
        """What `op`, a convolution or pooling over a `kernel` (height, width), adds at top, bottom and left, right."""
        if op.options.padding == schema.Padding.VALID:
            return (0, 0), (0, 0)
        before, after = self.shapes[op.inputs[0]], self.shapes[op.output]
        strides = op.options.strideH, op.options.strideW
        needed = [max((after[1 + i] - 1) * strides[i] + kernel[i] - before[1 + i], 0) for i in (0, 1)]
        top, left = (n // 2 for n in needed)
        return (top, needed[0] - top), (left, needed[1] - left)


def read(path: Path) -> Graph:
    """Raises BadInput for a file that is not such a network."""
    try:
        return _graph(path.read_bytes())
    except Exception as error:  # a damaged file leads its reader anywhere
        raise BadInput(f"The pose model {path} cannot be read ({error}). Delete it and fetch it again.") from error


def _graph(data: bytes) -> Graph:
    if not schema.Model.ModelBufferHasIdentifier(data, 0):
        raise ValueError("it is no .tflite file")
    model = schema.ModelT.InitFromPackedBuf(data)
    (part,) = model.subgraphs
    names = [_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    constants = {
        number: _constant(tensor, model.buffers[tensor.buffer].data)
        for number, tensor in enumerate(part.tensors)
        if model.buffers[tensor.buffer].data is not None
    }
    ops = []
    for op in part.operators:
        name, inputs, (output,) = names[op.opcodeIndex], tuple(int(i) for i in op.inputs), op.outputs
        if name in _UNPACKING and inputs[0] in constants:
            constants[int(output)] = constants[inputs[0]]
        else:
            ops.append(Op(name, inputs, int(output), op.builtinOptions))
    shapes = tuple(tuple(int(n) for n in tensor.shape) for tensor in part.tensors)
    return Graph(tuple(ops), shapes, constants, tuple(map(int, part.inputs)), tuple(map(int, part.outputs)))


def _constant(tensor: Any, data: np.ndarray) -> np.ndarray:
    values = np.frombuffer(data.tobytes(), _DTYPES[tensor.type])
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    return _dense(values, tensor.shape, tensor.sparsity) if tensor.sparsity else values.reshape(tensor.shape)


def _dense(values: np.ndarray, shape: np.ndarray, sparsity: Any) -> np.ndarray:
    """The whole of a tensor of which only what is not zero was kept.

    It is a tree: a level for each dimension and, innermost, for each dimension of the blocks. A dense level has all its
    children, a sparse one (CSR) names them. `path` collects the way from the root to every leaf, level by level.
    Source: the schema's comments on SparsityParameters.
    """
    path, node = np.zeros((1, 0), np.int64), np.zeros(1, np.int64)
    for level in sparsity.dimMetadata:
        if level.format == schema.DimensionType.DENSE:
            size = level.denseSize
            counts = np.full(len(node), size)
            child = np.tile(np.arange(size), len(node))
            following = (node[:, None] * size + np.arange(size)).ravel()
        else:
            begin, end = (np.asarray(level.arraySegments.values, np.int64)[node + i] for i in (0, 1))
            counts = end - begin
            earlier = np.cumsum(counts) - counts
            following = np.arange(counts.sum()) + np.repeat(begin - earlier, counts)
            child = np.asarray(level.arrayIndices.values, np.int64)[following]
        path, node = np.column_stack([np.repeat(path, counts, axis=0), child]), following
    sizes = np.ones(len(shape), np.int64)
    blocked = [] if sparsity.blockMap is None else sparsity.blockMap
    for i, dimension in enumerate(blocked):
        sizes[dimension] = sparsity.dimMetadata[len(shape) + i].denseSize
    place = np.zeros((len(node), len(shape)), np.int64)
    for level, dimension in enumerate(sparsity.traversalOrder):
        if dimension < len(shape):
            place[:, dimension] += path[:, level] * sizes[dimension]
        else:
            place[:, blocked[dimension - len(shape)]] += path[:, level]
    dense = np.zeros(shape, values.dtype)
    dense[tuple(place.T)] = values[node]
    return dense

"""Small networks that stand in for RTMPose, RTMO and a person detector, and the figures that they see.

A figure is three spots of light, red, green and blue: its head, and its left and its right side. The networks look for
the brightest column and row of each colour, so what must come out is known to a part of a pixel.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from harness import frame
from onnx import helper, numpy_helper

from nodes.layouts import COCO_17
from nodes.pose.rtm.manifest import LAYOUTS

FLOAT = onnx.TensorProto.FLOAT
SPREAD = 6.0  # pixels: the deviation of a spot
MEAN, STD = (np.array(values).reshape(1, 3, 1, 1) for values in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
MARGIN = 16  # pixels of the input from the outer spots to the edge of a detected box
Figure = Sequence[tuple[float, float]]  # x, y of the head, the left and the right side


class Net:
    """Writes a network down, operator by operator: a call gives the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, op: str, *inputs: Any, result: str = "", **attributes: Any) -> str:
        name = result or f"n{len(self.nodes)}"
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        self.nodes.append(helper.make_node(op, names, [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int64)
        self.constants.append(numpy_helper.from_array(array, f"c{len(self.constants)}"))
        return self.constants[-1].name

    def save(self, path: Path, size: Sequence[Any], *outputs: str) -> Path:
        def value(name: str, shape: Any) -> Any:
            return helper.make_tensor_value_info(name, FLOAT, shape)

        graph = helper.make_graph(
            self.nodes, "net", [value("input", [1, 3, size[1], size[0]])], [value(name, None) for name in outputs],
            self.constants,
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        onnx.save(model, path)
        return path


def simcc(path: Path, layout: str = "coco_17", size: Any = (192, 256), *, outputs: Any = None, **about: Any) -> Path:
    """An RTMPose and its manifest: each of its points is where the brightest light of its spot's colour is."""
    net, (width, height) = Net(), outputs or size
    light = net("Div", net("Add", net("Mul", "input", STD), MEAN), 255.0)
    for name, across, shape in (("simcc_x", [2], [1, 3, 1, 2 * width]), ("simcc_y", [3], [1, 3, 2 * height, 1])):
        profile = net("ReduceMax", light, across, keepdims=1)
        how = {"mode": "cubic", "coordinate_transformation_mode": "asymmetric"}  # bin 2 n is pixel n
        bins = net("Reshape", net("Resize", profile, "", "", np.array(shape), **how), np.array([1, 3, -1]))
        net("MatMul", follows(layout), bins, result=name)
    net.save(path, size, "simcc_x", "simcc_y")
    return describe(path, kind="simcc", layout=layout, **about)


def halves(path: Path, kind: str, size: int = 320, layout: str = "coco_17", **about: Any) -> Path:
    """An RTMO or a detector of one person in each half of the picture, with a manifest. What is dark is unsure."""
    net, boxes, people = Net(), [], []
    for begin, end in ((0, size // 2), (size // 2, size)):
        part = net("Slice", "input", np.array([begin]), np.array([end]), np.array([3]))  # B, G, R
        places = []
        for across, first in (([2], begin), ([3], 0)):
            brightest = net("ArgMax", net("ReduceMax", part, across, keepdims=0), axis=2, keepdims=1)
            places.append(net("Add", net("Cast", brightest, to=FLOAT), float(first)))
        spots = net("Concat", *places, axis=2)  # (1, 3, 2)
        sure = net("Div", net("ReduceMax", net("ReduceMax", part, [3], keepdims=0), [2], keepdims=1), 255.0)
        low = net("Sub", net("ReduceMin", spots, [1], keepdims=1), float(MARGIN))
        high = net("Add", net("ReduceMax", spots, [1], keepdims=1), float(MARGIN))
        boxes.append(net("Concat", low, high, net("ReduceMin", sure, [1], keepdims=1), axis=2))
        whole = net("MatMul", follows(layout)[:, ::-1].copy(), net("Concat", spots, sure, axis=2))
        people.append(net("Unsqueeze", whole, [1]))
    if kind == "rtmo":
        net("Concat", *boxes, axis=1, result="dets")
        net("Concat", *people, axis=1, result="keypoints")
        net.save(path, (size, size), "dets", "keypoints")
        return describe(path, kind=kind, layout=layout, **about)
    chair = np.array([[[0.0, 0.0, 50.0, 50.0, 1.0]]])
    net("Concat", chair, *boxes, axis=1, result="dets")
    net("Identity", np.array([[56.0, 0.0, 0.0]]), result="labels")
    net.save(path, (size, size), "dets", "labels")
    return describe(path, kind=kind, **about)


def follows(layout: str) -> np.ndarray:
    """(K, 3): which of red, green and blue each point follows."""
    which = np.zeros((len(LAYOUTS[layout]), 3), np.float32)
    for row, name in enumerate(LAYOUTS[layout]):
        which[row, spot_of(name)] = 1
    return which


def spot_of(name: str) -> int:
    if name in COCO_17[:5]:
        return 0
    side = name.removeprefix("mouth_")
    return 1 if side.startswith("left") else 2 if side.startswith("right") else 0


def describe(path: Path, **about: Any) -> Path:
    path.with_suffix(".json").write_text(json.dumps(about), encoding="utf-8")
    return path


def figure(x: float, y: float, tall: float = 200, wide: float = 80) -> Figure:
    return (x, y - tall / 2), (x + wide / 2, y + tall / 2), (x - wide / 2, y + tall / 2)


def picture(*figures: Figure, size: tuple[int, int] = (640, 480), light: float = 1.0) -> np.ndarray:
    """(height, width, 3) uint8 RGB, black but for the figures."""
    row, column = np.mgrid[0 : size[1], 0 : size[0]]
    pixels = np.zeros((size[1], size[0], 3))
    for one in figures:
        for channel, (x, y) in enumerate(one):
            spot = 255 * light * np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * SPREAD**2))
            pixels[:, :, channel] = np.maximum(pixels[:, :, channel], spot)
    return np.rint(pixels).astype(np.uint8)


def camera(pixels: np.ndarray, number: int = 1) -> Any:
    return frame(pixels, number, capture_ns=number * 33_333_333, pixel_format="RGB")

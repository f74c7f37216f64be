"""One .onnx file of the RTMPose family, loaded: from a picture to arrays of known shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.errors import BadInput, EngineError
from nodes.generator.foreign.network import brief
from nodes.pose.rtm import boxes, manifest
from nodes.pose.rtm.manifest import Kind
from nodes.pose.rtm.session import Device, card_failures, open_session

_NAMES = {"simcc": {"simcc_x", "simcc_y"}, "rtmo": {"dets", "keypoints"}, "detector": {"dets"}}


class Network:
    """about: its manifest. size: width and height of its input. provider: of ONNX Runtime, that runs it.
    remark: a sentence for the log, or ""."""

    def __init__(self, path: Path, kinds: tuple[Kind, ...], device: Device = "auto", threads: int = 1):
        """Raises BadInput where `path` holds none of `kinds`, or another network than its manifest says, and
        `OutOfMemory` or `DeviceFailed`."""
        file = manifest.read(path)
        self.about, self.remark = file.manifest, file.remark
        self._path, self._told_by = path, file.told_by
        if self.about.kind not in kinds:
            raise BadInput(f"{path} is of the kind {self.about.kind}, and what is wanted here is {' or '.join(kinds)}.")
        try:
            with card_failures():
                self._session = open_session(file.content, device, threads)
                self.size = self._input_size()
                self._given = np.zeros((1, 3, *self.size[::-1]), np.float32)
                self._wanted = self._outputs()
                self._check([answer.shape for answer in self._run()])
        except EngineError:
            raise
        except Exception as error:  # whatever a file holds: ONNX Runtime's errors have no common base
            raise BadInput(f"{path} cannot be run as an ONNX network, all in one file ({brief(error)}).") from error
        self.provider = self._session.get_providers()[0]
        rgb, mean, std = self.about.preparation()
        self._order = (0, 1, 2) if rgb else (2, 1, 0)
        self._mean, self._scale = np.array(mean, np.float32), 1 / np.array(std, np.float32)

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """The answers to (height, width, 3) uint8 RGB, each without its leading 1.

        simcc: (K, width × split) and (K, height × split). rtmo: (N, 5) x0, y0, x1, y1, score in pixels of the input,
        and (N, K, 3) x, y, score. detector: see `boxes.detections`.
        Raises `OutOfMemory` and `DeviceFailed`, after which this process can only end.
        """
        for plane, channel, mean, scale in zip(self._given[0], self._order, self._mean, self._scale, strict=True):
            np.subtract(pixels[:, :, channel], mean, out=plane)
            plane *= scale
        with card_failures():
            return [answer[0] for answer in self._run()]

    def _run(self) -> list[np.ndarray]:
        return self._session.run(self._wanted, {self._session.get_inputs()[0].name: self._given})

    def _outputs(self) -> list[str]:
        """Their names in the order of `__call__`: by the names that MMDeploy gives them, else as they stand."""
        there, named = [output.name for output in self._session.get_outputs()], _NAMES[self.about.kind]
        return sorted(there, key=lambda name: (name not in named, name)) if named <= set(there) else there

    def _input_size(self) -> tuple[int, int]:
        inputs = [(one.type, one.shape) for one in self._session.get_inputs()]
        if len(inputs) != 1 or inputs[0][0] != "tensor(float)" or len(inputs[0][1]) != 4:
            raise self._other(f"takes {inputs}, and a pose network takes one float picture, [1, 3, height, width]")
        height, width = inputs[0][1][2:]
        found, said = [side if isinstance(side, int) else None for side in (width, height)], self.about.size
        if said is None and None in found:
            raise self._other("takes pictures of any size. Write `size` into its manifest: [width, height]")
        if said is not None and any(side not in (None, wanted) for side, wanted in zip(found, said, strict=True)):
            raise self._other(f"takes pictures of {width} × {height}, not of {said[0]} × {said[1]}")
        return said or (width, height)

    def _check(self, found: list[tuple[int, ...]]) -> None:
        about, points, (width, height) = self.about, len(self.about.points), self.size
        fits = {
            "simcc": found == [(1, points, round(side * about.split)) for side in self.size],
            "rtmo": len(found) == 2 and found[1] == (1, found[0][1], points, 3) and found[0][2:] == (5,),
            "detector": boxes.is_raw(found[0][1:], self.size)
            or (found[0][2:] == (5,) and found[1:2] in ([], [found[0][:2]])),
        }
        if not fits[about.kind] or found[0][0] != 1:
            what = f"{about.kind} network" + (f" of {about.layout}" if about.layout else "")
            raise self._other(
                f"answers {' and '.join(map(str, found))} to {width} × {height} pixels, which is not what a {what} does"
            )

    def _other(self, what: str) -> BadInput:
        return BadInput(f"{self._path} {what}. It is not what {self._told_by} says. {manifest.HELP}")

"""Poses in a file: one line of JSON for each picture, so that any program can read and write them.

    {"format": "utsushi.poses/1", "points": 33}
    {"time": 0.0333, "canvas": [540, 640], "ids": [1], "people": [[[270.1, 98.5, -40.2, 0.998], …]]}

time: seconds since the first picture. canvas: width and height of the picture that the points refer to. people: one
list of points each: x, y, z in its pixels, and a score of 0 to 1. ids: who is who.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.errors import BadInput
from engine.layout import MAX_PEOPLE

FORMAT = "utsushi.poses/1"
POINTS_MOST = 1000
LINE_MOST = 4_000_000  # bytes
SIDE_MOST = 1 << 16


class Poses(NamedTuple):
    """The people of one picture: (P, K, 4) float32. time: seconds. canvas: (width, height)."""

    time: float
    canvas: tuple[int, int]
    ids: tuple[int, ...]
    people: np.ndarray


def header(points: int) -> str:
    return json.dumps({"format": FORMAT, "points": points}) + "\n"


def line(poses: Poses) -> str:
    """A thousandth of a pixel is less than any estimator knows; a point that is not finite gets the score 0."""
    people = np.where(np.isfinite(poses.people).all(2, keepdims=True), poses.people, 0).astype(np.float64).round(4)
    about = {"time": round(poses.time, 6), "canvas": list(poses.canvas), "ids": list(poses.ids)}
    return json.dumps({**about, "people": people.tolist()}) + "\n"


class PosesFile:
    """A poses file to read. points: of each person. count: how many pictures it holds. Raises BadInput."""

    def __init__(self, path: Path):
        self.path = path
        try:
            with path.open("rb") as file:
                about = json.loads(file.readline(LINE_MOST))
                points = about["points"] if about["format"] == FORMAT else 0
                self.count = sum(1 for text in file if text.strip())
        except FileNotFoundError:
            raise BadInput(f"There is no file {path}. A config with output.poses writes one.") from None
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            points = 0
        if type(points) is not int or not 0 < points <= POINTS_MOST:
            raise BadInput(f"{path} is no poses file: its first line must be like {header(33).strip()}")
        self.points: int = points
        if not self.count:
            raise BadInput(f"{path} holds no poses; the run that wrote it has seen no picture.")

    def read(self) -> Iterator[Poses]:
        """Raises BadInput for a line that cannot be, and for a time that runs backwards."""
        last = 0.0
        with self.path.open("rb") as file:
            file.readline(LINE_MOST)
            for number, text in enumerate(iter(lambda: file.readline(LINE_MOST), b""), 2):
                if not text.strip():
                    continue
                try:
                    poses = self._poses(json.loads(text))
                    if not last <= poses.time < 1e9:
                        raise ValueError("its time is before that of the line above")
                except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                    raise BadInput(f"{self.path}, line {number}: this is no picture's poses ({error}).") from None
                last = poses.time
                yield poses

    def _poses(self, found: dict[str, Any]) -> Poses:
        people = np.asarray(found["people"], np.float32)
        if people.size == 0:
            people = people.reshape(0, self.points, 4)
        width, height = map(int, found["canvas"])
        ids = tuple(map(int, found["ids"]))
        if people.shape[1:] != (self.points, 4) or len(people) > MAX_PEOPLE or len(ids) != len(people):
            raise ValueError(f"{len(ids)} ids, and points of shape {people.shape}")
        if not (0 < width <= SIDE_MOST and 0 < height <= SIDE_MOST and all(0 <= one < 1 << 31 for one in ids)):
            raise ValueError("a canvas or an id that cannot be")
        return Poses(float(found["time"]), (width, height), ids, people)

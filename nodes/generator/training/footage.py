"""What `performer extract` makes of a clip, and training reads: a folder.

footage.json   what it is (`Info`)
clip.mp4       the footage, or its path in footage.json
plate.png      the empty stage, as large as the clip
poses.npz      points (N, 33, 4) float32 in pixels of the clip; found (N,) bool
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import BadInput

INFO, PLATE, POSES = "footage.json", "plate.png", "poses.npz"
HELD_OUT = 0.15  # share of the frames, the last ones: neighbours in time look alike and would tell on each other


class Info(BaseModel):
    """crop: left, top and side of the square stage in the clip, pixels. sha256: of the clip's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["utsushi.footage/1"] = "utsushi.footage/1"
    clip: str
    sha256: str
    frames: int = Field(ge=1)
    fps: float = Field(gt=0)
    crop: tuple[int, int, int]
    performer: str = ""
    licence: str = ""
    consent: str = ""


@dataclass(frozen=True)
class Footage:
    """Red first. frames: (N, S, S, 3) uint8. plate: (S, S, 3) uint8. points: (N, 33, 4) float32 in picture sizes.
    train, held: numbers of frames in which a person was found."""

    info: Info
    frames: np.ndarray
    plate: np.ndarray
    points: np.ndarray
    train: np.ndarray
    held: np.ndarray


def load(folder: Path, size: int, held_out: float = HELD_OUT) -> Footage:
    """Decode everything into memory, scaled to `size`. Raises `BadInput`."""
    info, poses = read_info(folder), _poses(folder)
    left, top, side = info.crop
    plate = cv2.imread(str(folder / PLATE))
    if plate is None or min(plate.shape[0] - top, plate.shape[1] - left) < side:
        raise _bad(folder, f"{PLATE} is missing or smaller than the stage")
    frames = np.empty((info.frames, size, size, 3), np.uint8)
    video = cv2.VideoCapture(str(folder / info.clip))
    count = 0
    while count < info.frames and (read := video.read())[0]:
        frames[count] = _scaled(read[1][top : top + side, left : left + side], size)
        count += 1
    points, found = poses
    if count != info.frames or len(points) != count:
        raise _bad(folder, f"its clip has {count} frames, its poses {len(points)}, and {INFO} says {info.frames}")
    points = points.astype(np.float32)
    points[:, :, :2] -= (left, top)
    points[:, :, :3] /= side
    split = round(count * (1 - held_out))
    numbers = np.flatnonzero(found & np.isfinite(points).all((1, 2)))
    train, held = numbers[numbers < split], numbers[numbers >= split]
    if not len(train):
        raise _bad(folder, "no person was found in any frame to train on")
    return Footage(info, frames, _scaled(plate[top : top + side, left : left + side], size), points, train, held)


def _scaled(picture: np.ndarray, size: int) -> np.ndarray:
    method = cv2.INTER_AREA if len(picture) >= size else cv2.INTER_LINEAR
    return cv2.cvtColor(cv2.resize(picture, (size, size), interpolation=method), cv2.COLOR_BGR2RGB)


def read_info(folder: Path) -> Info:
    """Raises `BadInput`."""
    try:
        return Info.model_validate_json((folder / INFO).read_bytes())
    except OSError as error:
        raise _bad(folder, f"{INFO} cannot be read ({error.strerror})") from error
    except (ValidationError, json.JSONDecodeError) as error:
        raise _bad(folder, f"{INFO} is damaged ({str(error).splitlines()[0]})") from error


def _poses(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(folder / POSES, allow_pickle=False) as file:
            points, found = file["points"], file["found"]
    except (OSError, ValueError, KeyError) as error:
        raise _bad(folder, f"{POSES} cannot be read ({error})") from error
    if points.ndim != 3 or points.shape[1:] != (33, 4) or found.shape != points.shape[:1]:
        raise _bad(folder, f"{POSES} holds something else than (N, 33, 4) points")
    return points, found.astype(bool)


def _bad(folder: Path, what: str) -> BadInput:
    return BadInput(f"{folder} cannot be used as footage: {what}. Make it with: run_engine.py performer extract CLIP")

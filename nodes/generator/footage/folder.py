"""What `performer extract` makes of a clip, and training reads: a folder.

footage.json   what it is (`Info`)
clip.mp4       the footage, or its path in footage.json
plate.png      the empty stage, as large as the clip
poses.npz      points (N, 33, 4) float32 in pixels of the clip; found (N,) bool
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import BadInput

INFO, PLATE, POSES = "footage.json", "plate.png", "poses.npz"
FARTHEST = 16.0  # picture sizes that a point may lie away from the corner; more is no pose of anybody in it
HELD_OUT = 0.15  # share of the frames, the last ones: neighbours in time look alike and would tell on each other

Place = Annotated[int, Field(ge=0, le=1 << 16)]


class Info(BaseModel):
    """crop: left, top and side of the square stage in the clip, pixels. sha256: of the clip's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["utsushi.footage/1"] = "utsushi.footage/1"
    clip: str
    sha256: str
    frames: int = Field(ge=1, le=1 << 24)
    fps: float = Field(gt=0)
    crop: tuple[Place, Place, Annotated[int, Field(ge=1, le=1 << 16)]]
    performer: str = ""
    licence: str = ""
    consent: str = ""


@dataclass(frozen=True)
class Footage:
    """Red first. frames: (N, S, S, 3) uint8. plate: (S, S, 3) uint8. points: (N, 33, 4) float32 in picture sizes.
    train, held: numbers of frames in which a person was found. held_out: the share of all frames that is not for
    training."""

    info: Info
    frames: np.ndarray
    plate: np.ndarray
    points: np.ndarray
    train: np.ndarray
    held: np.ndarray
    held_out: float = HELD_OUT


def load(folder: Path, size: int, held_out: float = HELD_OUT) -> Footage:
    """Decode everything into memory, scaled to `size`. Raises `BadInput`."""
    known = outline(folder, size, held_out)
    try:
        frames = np.empty((known.info.frames, size, size, 3), np.uint8)
    except MemoryError as error:
        gigabytes = known.info.frames * size * size * 3 / 1e9
        raise BadInput(
            f"{folder} takes {gigabytes:.1f} GB of memory at {size} pixels. Use a smaller --size."
        ) from error
    for number, picture in enumerate(pictures(folder, known.info, size)):
        frames[number] = picture
    return replace(known, frames=frames)


def outline(folder: Path, size: int, held_out: float = HELD_OUT) -> Footage:
    """All but the frames, of which there are none: see `pictures`. Raises `BadInput`."""
    info, (points, found) = read_info(folder), _poses(folder)
    if len(points) != info.frames:
        raise _bad(folder, f"its poses are of {len(points)} frames, and {INFO} says {info.frames}")
    left, top, side = info.crop
    plate = cv2.imread(str(folder / PLATE))
    if plate is None or min(plate.shape[0] - top, plate.shape[1] - left) < side:
        raise _bad(folder, f"{PLATE} is missing or smaller than the stage")
    points[:, :, :2] -= (left, top)
    points[:, :, :3] /= side
    split = round(info.frames * (1 - held_out))
    numbers = np.flatnonzero(found & (np.abs(points) < FARTHEST).all((1, 2)))  # what is no number is no pose, either
    train, held = numbers[numbers < split], numbers[numbers >= split]
    if not len(train):
        raise _bad(folder, "no person was found in any frame to train on")
    none = np.empty((0, size, size, 3), np.uint8)
    empty = _scaled(plate[top : top + side, left : left + side], size)
    return Footage(info, none, empty, points, train, held, held_out)


def pictures(folder: Path, info: Info, size: int) -> Iterator[np.ndarray]:
    """All frames in turn, (S, S, 3) uint8, red first. Raises `BadInput`, in the end also for too few frames."""
    left, top, side = info.crop
    video = cv2.VideoCapture(str(folder / info.clip))
    count = 0
    while count < info.frames and (read := video.read())[0]:
        picture = read[1][top : top + side, left : left + side]
        if picture.shape != (side, side, 3):
            raise _bad(folder, f"its clip of {read[1].shape[1]} x {read[1].shape[0]} pixels is smaller than the stage")
        yield _scaled(picture, size)
        count += 1
    video.release()
    if count != info.frames:
        raise _bad(folder, f"its clip {info.clip} has {count} frames, and {INFO} says {info.frames}")


def _scaled(picture: np.ndarray, size: int) -> np.ndarray:
    method = cv2.INTER_AREA if len(picture) >= size else cv2.INTER_LINEAR
    return cv2.cvtColor(cv2.resize(picture, (size, size), interpolation=method), cv2.COLOR_BGR2RGB)


def read_info(folder: Path) -> Info:
    """Raises `BadInput`."""
    try:
        return Info.model_validate_json((folder / INFO).read_bytes())
    except OSError as error:
        raise _bad(folder, f"{INFO} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise _bad(folder, f"{INFO} is damaged ({str(error).splitlines()[0]})") from error


def _poses(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(folder / POSES, allow_pickle=False) as file:
            points, found = file["points"].astype(np.float32), file["found"].astype(bool)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise _bad(folder, f"{POSES} cannot be read ({error})") from error
    if points.ndim != 3 or points.shape[1:] != (33, 4) or found.shape != points.shape[:1]:
        raise _bad(folder, f"{POSES} holds something else than (N, 33, 4) points")
    return points, found


def _bad(folder: Path, what: str) -> BadInput:
    return BadInput(f"{folder} cannot be used as footage: {what}. Make it with: run_engine.py performer extract CLIP")

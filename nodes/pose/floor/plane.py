"""The floor before a camera, as `run_engine.py calibrate` writes it, and the space that stands on it.

Floor space: x right, y up, z towards the camera, in metres, right-handed as in TouchDesigner; the origin is on the
floor, straight below the camera. A person two metres before the camera stands at z = -2; the camera is at (0, height,
0) and looks along -z, tilted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import BadInput
from engine.frame import Lens
from engine.session import replace_file

FORMAT: Final = "utsushi.floor/1"
_SAME_VIEW = 0.01  # of the picture's side: by so much may focal length and centre differ
Row = tuple[float, float, float]
Side = Annotated[int, Field(ge=1, le=1 << 16)]


class Floor(BaseModel):
    """A floor in the space of the camera that saw it.

    plane: the unit normal, which points up, and the camera's height above it: normal · p + height = 0 on the floor.
    rotation: from camera space to floor space. size: width and height of the depth picture that `lens` belongs to.
    when: wall time, ISO 8601. share: of all measured points, how many lie on it. rms_mm: how far those are from it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal["utsushi.floor/1"]
    plane: tuple[float, float, float, Annotated[float, Field(gt=0, le=100)]]
    rotation: tuple[Row, Row, Row]
    lens: Lens
    size: tuple[Side, Side]
    when: str
    share: float = Field(ge=0, le=1)
    rms_mm: float = Field(ge=0)

    @property
    def height(self) -> float:
        return self.plane[3]

    @property
    def tilt(self) -> tuple[float, float]:
        """By how many degrees the camera looks down, and leans to its right: see `tilt_of`."""
        pitch, roll = tilt_of(np.array(self.plane[:3]))
        return float(pitch), float(roll)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(…, 3) metres in camera space → floor space."""
        return points @ np.array(self.rotation).T + (0.0, self.height, 0.0)

    def suits(self, lens: Lens, size: tuple[int, int]) -> bool:
        """Was this floor seen through such a lens? The same view in another resolution is the same lens."""
        seen, here = (np.array(eye[:4]) / (sides * 2) for eye, sides in ((self.lens, self.size), (lens, size)))
        return bool((np.abs(seen - here) < _SAME_VIEW).all())

    def write(self, path: Path) -> None:
        """At once or not at all. Raises OSError."""
        replace_file(path, (json.dumps(self.model_dump() | {"lens": self.lens._asdict()}, indent=1) + "\n").encode())


def rotation_of(normal: np.ndarray) -> tuple[Row, Row, Row]:
    """From camera space to floor space, for a floor's unit normal: the camera's line of sight goes along -z."""
    ahead = np.array((0.0, 0.0, 1.0)) - normal * normal[2]
    back = -ahead / np.linalg.norm(ahead)
    return tuple(tuple(row) for row in np.stack([np.cross(normal, back), normal, back]).tolist())  # type: ignore[return-value]


def tilt_of(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Degrees by which a camera that sees these floors' unit normals, (…, 3), looks down, and by which it is turned
    around its line of sight, clockwise from behind."""
    pitch = np.arcsin(np.clip(-normal[..., 2], -1, 1))
    return np.degrees(pitch), np.degrees(np.arctan2(-normal[..., 0], -normal[..., 1]))


def read(path: Path) -> Floor:
    """Raises BadInput for a file that is missing or holds no floor."""
    again = "Make it with: python3 run_engine.py calibrate"
    try:
        floor = Floor.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(f"There is no floor file {path}. {again}") from None
    except OSError as error:
        raise BadInput(f"The floor file {path} cannot be read: {error.strerror}. {again}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(f"{path} is no floor file ({where}: {first['msg']}). {again}") from None
    except ValueError as error:  # a name that no file can have
        raise BadInput(f"The floor file {str(path)!r} cannot be read: {error}. {again}") from None
    normal = np.array(floor.plane[:3])
    straight = abs(np.linalg.norm(normal) - 1) < 1e-3 and abs(normal[2]) < 0.999
    if not straight or not np.allclose(floor.rotation, rotation_of(normal), atol=1e-3):
        raise BadInput(f"{path} holds a floor that cannot be: its plane and its rotation do not agree. {again}")
    return floor

"""One file, one performer: a `.safetensors` file with the weights, the empty stage and what is known of both.

Tensors: `net.*` float16, the weights of `Painter`; `plate` (size, size, 3) uint8, red first; `poses` (N, 33, 4)
float16, some of those it was trained on, for trying it out. The header's metadata are strings: `format`, and JSON for
the rest (`About`). Nothing in such a file can run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import BadInput
from nodes.generator.network import tensors
from nodes.generator.playing.repertoire import Repertoire

if TYPE_CHECKING:
    from nodes.generator.network.painter import Painter, Shape

FORMAT = "utsushi.performer/1"
ARCHITECTURE = "painter/1"
KEYPOINTS = "blazepose33/1"
LARGEST_BYTES = 256 << 20
POSES = (3, 1024)  # fewest and most
LARGEST_WEIGHT = 1e3  # float16 ends at 65504; a network that comes near it was broken long before


class NetworkAbout(BaseModel):
    """What to build; see `Shape`. The limits keep a hostile file from asking for all the memory there is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str
    size: int = Field(ge=16, le=4096)
    width: int = Field(ge=4, le=512)
    blocks: int = Field(ge=0, le=64)
    grid: int = Field(ge=8, le=128)


class Training(BaseModel):
    """Where the weights come from. data_sha256: of the footage. held_out: share of its frames, the last ones, that was
    not trained on. device: what computed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    steps: int = Field(ge=0)
    minutes: float = Field(ge=0)
    device: str = ""
    torch: str = ""
    preset: str = ""
    data_sha256: str = ""
    held_out: float = Field(default=0.15, ge=0, le=1)


class About(BaseModel):
    """The metadata. metrics: measured on frames that were held out. consent: who agreed to what, in words."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    network: NetworkAbout
    keypoints: str
    repertoire: Repertoire
    training: Training
    metrics: dict[str, float] = Field(default={}, max_length=64)
    performer: str = Field("", max_length=1000)
    licence: str = Field("", max_length=1000)
    consent: str = Field("", max_length=10000)


def about(**values: object) -> About:
    """Raises `BadInput` for what no performer can say of itself, such as a text that is too long."""
    try:
        return About.model_validate(values)
    except ValidationError as error:
        raise BadInput(f"This cannot be written into a performer: {_first(error)}.") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))[:60]}: {first['msg']}"


@dataclass(frozen=True)
class Checkpoint:
    """plate: (size, size, 3) uint8, red first. poses: (N, 33, 4) float32 in picture sizes.
    weights: float16 by the names of `Painter`'s parameters."""

    about: About
    plate: np.ndarray
    poses: np.ndarray
    weights: Mapping[str, np.ndarray]

    @property
    def shape(self) -> Shape:
        from nodes.generator.network.painter import Shape

        return Shape(**self.about.network.model_dump(exclude={"architecture"}))

    def painter(self) -> Painter:
        """The network, float32, on the CPU, ready to run."""
        import torch

        net = _skeleton(self.shape)
        state = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in self.weights.items()}
        net.load_state_dict(state, assign=True)
        return net.eval().requires_grad_(False)


def write(path: Path, about: About, plate: np.ndarray, poses: np.ndarray, net: Painter) -> None:
    """Write atomically: whoever watches the file sees the old one or the new one. Raises `BadInput`."""
    weights = {name: _halves(value.detach().cpu().numpy()) for name, value in net.named_parameters()}
    if name := _unusable(weights):
        raise BadInput(f"{path} was not written: the weights {name!r} are too large, or no numbers at all.")
    found = {**{f"net.{name}": value for name, value in weights.items()}, "plate": plate, "poses": _halves(poses)}
    metadata = {"format": FORMAT, **{key: json.dumps(value) for key, value in about.model_dump().items()}}
    try:
        tensors.write(path, found, metadata)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror or error}. Make room, or choose another file."
        ) from error


def _halves(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.astype(np.float16)


def _unusable(weights: Mapping[str, np.ndarray]) -> str | None:
    """The name of the first that are no float16 numbers which a network can do with."""
    for name, value in weights.items():
        if value.dtype != np.float16 or not (np.abs(value) < LARGEST_WEIGHT).all():
            return name
    return None


def look(path: Path) -> tuple[About, np.ndarray]:
    """The metadata and the plate, for whoever runs the network without torch. Raises `BadInput`."""
    about, found = _opened(path)
    return about, _plate(path, about, found)


def read(path: Path) -> Checkpoint:
    """Raises `BadInput` with a sentence for whatever is wrong with the file; nothing in it is ever executed."""
    about, found = _opened(path)
    plate = _plate(path, about, found)
    poses = found.pop("poses", None)
    if poses is None or poses.shape[1:] != (33, 4) or not POSES[0] <= len(poses) <= POSES[1]:
        raise _refused(path, "has no poses to try it with")
    if poses.dtype != np.float16 or not np.isfinite(poses).all():
        raise _refused(path, "has poses that are no finite float16 numbers")
    weights = {name.removeprefix("net."): value for name, value in found.items()}
    checkpoint = Checkpoint(about, plate, poses.astype(np.float32), weights)
    _require_weights(path, checkpoint)
    return checkpoint


def _opened(path: Path) -> tuple[About, dict[str, np.ndarray]]:
    """The metadata and the tensors."""
    try:
        metadata, found = tensors.read(path, LARGEST_BYTES)
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise _refused(path, str(error)) from error
    return _about(path, metadata), found


def _plate(path: Path, about: About, found: dict[str, np.ndarray]) -> np.ndarray:
    plate, size = found.pop("plate", None), about.network.size
    if plate is None or plate.dtype != np.uint8 or plate.shape != (size, size, 3):
        raise _refused(path, f"has no plate of {size} x {size} pixels")
    return plate


def _about(path: Path, metadata: Mapping[str, str]) -> About:
    if metadata.get("format") != FORMAT:
        found = str(metadata.get("format", "nothing"))[:40]
        raise _refused(path, f"is not a performer that this version knows (its format is {found!r}, not {FORMAT!r})")
    try:
        about = About.model_validate({key: json.loads(text) for key, text in metadata.items() if key != "format"})
    except ValidationError as error:
        raise _refused(path, f"has bad metadata at {_first(error)}") from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise _refused(path, f"has metadata that are not JSON ({error})") from error
    for found, known in ((about.network.architecture, ARCHITECTURE), (about.keypoints, KEYPOINTS)):
        if found != known:
            raise _refused(path, f"needs {found[:40]!r}, and this version knows {known!r}")
    return about


def _require_weights(path: Path, checkpoint: Checkpoint) -> None:
    try:
        wanted = {name: tuple(value.shape) for name, value in _skeleton(checkpoint.shape).named_parameters()}
    except ValueError as error:
        raise _refused(path, f"describes no network that can be built: {error}") from error
    found = {name: value.shape for name, value in checkpoint.weights.items()}
    if found != wanted:
        name = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))[0]
        raise _refused(
            path, f"does not fit its own description at {name[:60]!r}: {found.get(name)} for {wanted.get(name)}"
        )
    if unusable := _unusable(checkpoint.weights):
        raise _refused(path, f"has weights that are no finite float16 numbers in {unusable!r}")


def _skeleton(shape: Shape) -> Painter:
    """The network without memory for its weights."""
    import torch

    from nodes.generator.network.painter import Painter

    with torch.device("meta"):
        return Painter(shape)


def _refused(path: Path, what: str) -> BadInput:
    return BadInput(f"The performer {path} {what}. Choose another file, or make one with: run_engine.py train")

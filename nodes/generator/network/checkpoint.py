"""One file, one performer: a `.safetensors` file with the weights, the empty stage and what is known of both.

Tensors: `net.*` float16, the weights of `Painter`; `plate` (size, size, 3) uint8, red first; `poses` (N, 33, 4)
float16, some of those it was trained on, for trying it out. The header's metadata are strings: `format`, and JSON for
the rest (`About`). Nothing in such a file can run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import BadInput
from nodes.generator.playing.repertoire import Repertoire

if TYPE_CHECKING:
    from nodes.generator.network.painter import Painter, Shape

FORMAT = "utsushi.performer/1"
ARCHITECTURE = "painter/1"
KEYPOINTS = "blazepose33/1"
LARGEST_BYTES = 1 << 30
POSES = (3, 1024)  # fewest and most
LARGEST_WEIGHT = 1e3  # float16 ends at 65504; a network that comes near it was broken long before


class NetworkAbout(BaseModel):
    """What to build; see `Shape`. The limits keep a hostile file from asking for all the memory there is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str
    size: int = Field(ge=16, le=4096)
    width: int = Field(ge=4, le=512)
    blocks: int = Field(ge=0, le=64)
    grid: int = Field(ge=8, le=512)


class Training(BaseModel):
    """Where the weights come from. data_sha256: of the footage. device: what computed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(ge=0)
    minutes: float = Field(ge=0)
    device: str = ""
    torch: str = ""
    preset: str = ""
    data_sha256: str = ""


class About(BaseModel):
    """The metadata. metrics: measured on frames that were held out. consent: who agreed to what, in words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: NetworkAbout
    keypoints: str
    repertoire: Repertoire
    training: Training
    metrics: dict[str, float] = Field(default={}, max_length=64)
    performer: str = Field("", max_length=1000)
    licence: str = Field("", max_length=1000)
    consent: str = Field("", max_length=10000)


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
    from safetensors.numpy import save

    # Contiguous: safetensors writes memory as it lies, and a network in channels_last lies otherwise.
    tensors = {f"net.{name}": _halves(value.detach().cpu().numpy()) for name, value in net.named_parameters()}
    metadata = {"format": FORMAT, **{key: json.dumps(value) for key, value in about.model_dump().items()}}
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(save({**tensors, "plate": plate.copy(), "poses": _halves(poses)}, metadata))
        os.replace(part, path)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror or error}. Choose another file.") from error


def _halves(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float16)


def read(path: Path) -> Checkpoint:
    """Raises `BadInput` with a sentence for whatever is wrong with the file; nothing in it is ever executed."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise _refused(path, f"is larger than {LARGEST_BYTES >> 20} MB: it is no performer")
        with safe_open(path, "np") as file:
            about = _about(path, file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror or error})") from error
    except (SafetensorError, ValueError, TypeError) as error:
        raise _refused(path, f"is not a whole safetensors file ({error})") from error
    plate = tensors.pop("plate", None)
    size = about.network.size
    if plate is None or plate.dtype != np.uint8 or plate.shape != (size, size, 3):
        raise _refused(path, f"has no plate of {size} x {size} pixels")
    poses = tensors.pop("poses", None)
    if poses is None or poses.shape[1:] != (33, 4) or not POSES[0] <= len(poses) <= POSES[1]:
        raise _refused(path, "has no poses to try it with")
    if poses.dtype != np.float16 or not np.isfinite(poses).all():
        raise _refused(path, "has poses that are no finite float16 numbers")
    weights = {name.removeprefix("net."): value for name, value in tensors.items()}
    checkpoint = Checkpoint(about, plate, poses.astype(np.float32), weights)
    _require_weights(path, checkpoint)
    return checkpoint


def _about(path: Path, metadata: Mapping[str, str]) -> About:
    if metadata.get("format") != FORMAT:
        found = str(metadata.get("format", "nothing"))[:40]
        raise _refused(path, f"is not a performer that this version knows (its format is {found!r}, not {FORMAT!r})")
    try:
        about = About.model_validate({key: json.loads(text) for key, text in metadata.items() if key != "format"})
    except ValidationError as error:
        first = error.errors()[0]
        raise _refused(path, f"has bad metadata at {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
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
        raise _refused(path, f"does not fit its own description at {name!r}: {found.get(name)} for {wanted.get(name)}")
    for name, value in checkpoint.weights.items():
        if value.dtype != np.float16 or not (np.abs(value) < LARGEST_WEIGHT).all():
            raise _refused(path, f"has weights that are no finite float16 numbers in {name!r}")


def _skeleton(shape: Shape) -> Painter:
    """The network without memory for its weights."""
    import torch

    from nodes.generator.network.painter import Painter

    with torch.device("meta"):
        return Painter(shape)


def _refused(path: Path, what: str) -> BadInput:
    return BadInput(f"The performer {path} {what}. Choose another file, or make one with: run_engine.py train")

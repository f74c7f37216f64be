"""What an .onnx file of the RTMPose family holds: a manifest says it, a small JSON file. docs/RTMPOSE.md has examples.

It lies beside the file under the same name, or in assets/rtm_models.json, where content and not the name decides.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.config.errors import block, checked, validate
from engine.config.yaml_source import YamlSource
from engine.errors import BadInput, ConfigError
from engine.models import ROOT
from nodes.layouts import COCO_17, COCO_WHOLEBODY_133, HALPE_26

KNOWN = ROOT / "assets" / "rtm_models.json"
HELP = "docs/RTMPOSE.md has manifests to start from."
MAX_BYTES = 1 << 31  # what one ONNX file can hold
LAYOUTS = {"coco_17": COCO_17, "halpe_26": HALPE_26, "coco_wholebody_133": COCO_WHOLEBODY_133}

Kind = Literal["simcc", "rtmo", "detector"]
Side = Annotated[int, Field(ge=32, le=4096)]
PerChannel = tuple[float, float, float]
PerChannelPositive = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]

_IMAGENET: tuple[PerChannel, PerChannel] = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_AS_IT_IS: tuple[PerChannel, PerChannel] = (0, 0, 0), (1, 1, 1)


class Source(BaseModel):
    """Where a file can be had. Nothing fetches it: it is for people to read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    member: str | None = Field(None, description="the file's path inside an archive")


class Manifest(BaseModel):
    """`channels`, `mean` and `std` left out are what the networks of that kind were trained with."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Kind = Field(description="simcc: RTMPose, RTMW, DWPose; rtmo: RTMO; detector: RTMDet, YOLOX")
    layout: Literal["coco_17", "halpe_26", "coco_wholebody_133"] | None = Field(
        None, description="which points it finds; a detector finds none"
    )
    size: tuple[Side, Side] | None = Field(
        None, description="width and height of its input; left out: as the file itself says"
    )
    channels: Literal["rgb", "bgr"] | None = None
    mean: PerChannel | None = Field(None, description="per channel, taken off values of 0 to 255")
    std: PerChannelPositive | None = Field(None, description="per channel, divided by after `mean`")
    split: float = Field(2.0, ge=1, le=8, description="simcc: bins per pixel of its input")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits: nothing else is run")
    license: str = ""
    sources: list[Source] = []

    @model_validator(mode="after")
    def _has_points(self) -> Self:
        if (self.layout is None) != (self.kind == "detector"):
            raise ValueError(f"'layout' must be one of {', '.join(LAYOUTS)}, and left out for a detector")
        return self

    @property
    def points(self) -> tuple[str, ...]:
        """The names of its points; none of a detector's."""
        return LAYOUTS[self.layout] if self.layout else ()

    def preparation(self) -> tuple[bool, PerChannel, PerChannel]:
        """Whether red comes first, and the mean and the deviation of each channel in the network's order."""
        mean, std = _IMAGENET if self.kind == "simcc" else _AS_IT_IS
        return (
            (self.channels or ("rgb" if self.kind == "simcc" else "bgr")) == "rgb",
            self.mean or mean,
            self.std or std,
        )


class ModelFile(NamedTuple):
    """content: of the .onnx file. told_by: the file that the manifest came from. remark: a sentence for the log."""

    path: Path
    content: bytes
    manifest: Manifest
    told_by: Path
    remark: str


def read(path: Path) -> ModelFile:
    """Raises BadInput, a sentence, where the file or its manifest is missing, or they do not belong together."""
    content = _content(path)
    sha256, beside = hashlib.sha256(content).hexdigest(), path.with_suffix(".json")
    if beside.exists():
        manifest = _beside(beside)
        if manifest.sha256 not in (None, sha256):
            raise BadInput(
                f"{path} is not the file that the sha256 of {beside} stands for. Get it again, or, if you trust "
                f"this one, write sha256: {sha256}"
            )
        remark = "" if manifest.sha256 else f"{path} has the sha256 {sha256}. With that in {beside} no other is run."
        return ModelFile(path, content, manifest, beside, remark)
    for entry in json.loads(KNOWN.read_text(encoding="utf-8"))["files"].values():
        if entry["sha256"] == sha256:
            return ModelFile(path, content, validate(Manifest, entry), KNOWN, "")
    raise BadInput(
        f"{beside} is missing, which would say what {path} holds, and with the sha256 {sha256} it is none of those "
        f"that {KNOWN} knows. Write the manifest. {HELP}"
    )


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size if path.is_file() else 0
        if 0 < size <= MAX_BYTES:
            return path.read_bytes()
        wrong = "is empty, too large or no file" if path.exists() else "is not there"
    except (OSError, ValueError) as error:
        wrong = f"cannot be read ({error})"
    raise BadInput(
        f"The pose model {path} {wrong}. It is not part of this program: docs/RTMPOSE.md says where to get it."
    )


def _beside(path: Path) -> Manifest:
    try:
        source = YamlSource(path, HELP)  # JSON is YAML, and its errors say where
        data = block(source, (), source.data, "at least kind and layout")
        source.check()
        manifest = checked(source, (), Manifest, data)
        source.check()
    except ConfigError as error:
        raise BadInput(str(error)) from None
    assert manifest  # what is missing has been complained of
    return manifest

"""The YAML description of somebody else's network: what it is shown, and what its answer means.

    file: painter.onnx
    input: {style: openpose18/1, size: [512, 512], range: [-1, 1]}
    output: {range: [-1, 1]}

docs/TORCH.md says it in full.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.config.errors import block, checked
from engine.config.yaml_source import YamlSource
from engine.errors import BadInput, ConfigError
from nodes.generator.styles.raster import Style

Side = Annotated[int, Field(ge=16, le=8192)]
Layout = Literal["nchw", "nhwc"]
PerChannel = Annotated[list[float], Field(min_length=1, max_length=3)]
PerChannelPositive = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1, max_length=3)]
BLOCKS = ("input", "output")
EXAMPLE = "docs/TORCH.md has descriptions to start from."


class Span(BaseModel):
    """What black and white are as numbers, common to both ends of a network."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    layout: Layout = Field("nchw", description="nchw: 1, channels, height, width; nhwc: 1, height, width, channels")
    range: tuple[float, float] = Field(description="the numbers for black and white: [-1, 1], [0, 1] or [0, 255]")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.range[0] >= self.range[1]:
            raise ValueError(f"'range' must rise from black to white, such as [-1, 1], found {list(self.range)}")
        return self


class Shown(Span):
    """What the network is shown."""

    style: Style | None = Field(None, description="how people are drawn for it; left out: it gets the camera's picture")
    stick_width: int = Field(4, ge=1, le=64, description="half width of the limbs of openpose18, pixels")
    size: tuple[Side, Side] = Field(description="width and height of its input in pixels")
    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    mean: PerChannel | None = Field(None, description="per channel, taken off after `range`")
    std: PerChannelPositive | None = Field(None, description="per channel, divided by after `mean`")
    dtype: Literal["float32", "float16"] = "float32"

    @model_validator(mode="after")
    def _fits_channels(self) -> Self:
        count = 1 if self.channels == "gray" else 3
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != count:
                raise ValueError(f"{name!r} must have {count} values, one per channel of {self.channels!r}")
        return self


class Answered(Span):
    """What the network answers."""

    channels: Literal["rgb", "bgr", "rgba", "gray"] = Field("rgb", description="rgba: colours not premultiplied")
    index: int = Field(0, ge=0, le=63, description="which of its outputs is the picture, from 0")


class _Top(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(min_length=1, description="the network's file, seen from the description's folder")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits: nothing else is run")


class Description(NamedTuple):
    file: Path
    sha256: str | None
    shown: Shown
    answered: Answered


def read(path: Path) -> Description:
    """Raises BadInput with every problem that was found, each as `FILE:LINE:COLUMN: sentence`."""
    if not path.exists():
        raise BadInput(f"There is no model description {path}. {EXAMPLE}")
    try:
        return _read(YamlSource(path, EXAMPLE))
    except ConfigError as error:
        raise BadInput(str(error)) from None


def _read(source: YamlSource) -> Description:
    data: dict[str, Any] = block(source, (), source.data, "file:, input: and output:")
    source.check()
    top = checked(source, (), _Top, {key: data[key] for key in data if key not in BLOCKS}, BLOCKS)
    ends = {name: block(source, (name,), data.get(name), "at least range:") for name in BLOCKS}
    shown = checked(source, ("input",), Shown, ends["input"]) if ends["input"] else None
    answered = checked(source, ("output",), Answered, ends["output"]) if ends["output"] else None
    source.check()
    assert top and shown and answered  # what is missing has been complained of
    return Description(source.path.parent / top.file, top.sha256, shown, answered)

"""The part of a picture in which people are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

Part = Annotated[float, Field(ge=0, le=1)]


def _inside(corners: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x, y, width, height = corners
    # It may reach beyond the picture: whoever moves one slider after the other gets nowhere otherwise.
    if not (width > 0 and height > 0 and x < 1 and y < 1):
        raise ValueError(
            "a region is [x, y, width, height] in parts of the picture, 0 to 1, and must have an area inside it"
        )
    return corners


RegionSetting = Annotated[tuple[Part, Part, Part, Part], AfterValidator(_inside)]
"""How a config says it: left, top, width and height, in parts of the picture."""


@dataclass(frozen=True)
class Region:
    """In parts of the picture, 0..1. The whole picture is no limit at all: people may reach out of it."""

    x: float = 0.0
    y: float = 0.0
    width: float = 1.0
    height: float = 1.0

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, width and height in a picture of `width` × `height`: at least one pixel."""
        left, top = min(round(self.x * width), width - 1), min(round(self.y * height), height - 1)
        right, bottom = round((self.x + self.width) * width), round((self.y + self.height) * height)
        return left, top, max(1, min(right, width) - left), max(1, min(bottom, height) - top)

    def holds(self, x: float, y: float) -> bool:
        """Whether a body whose centre is at x, y (parts of the picture) counts."""
        return self == WHOLE or (self.x <= x <= self.x + self.width and self.y <= y <= self.y + self.height)


WHOLE = Region()

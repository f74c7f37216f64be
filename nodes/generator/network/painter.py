"""The network that paints a performer: 33 keypoints in, RGBA out.

The empty stage ("plate") is no business of the network: it paints the person and their shadow with an alpha, and the
picture is alpha over plate. So the background cannot flicker, and whoever wants the cut-out has it. A small U-Net of
plain 3 × 3 convolutions without normalisation layers and dropout: trained and running network do the same, and it
quantises well. Everything expensive happens on a coarse grid; pixel shuffles (Shi et al. 2016) make pixels of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nodes.generator.network.pose_field import CHANNELS, PoseField

SLOPE = 0.1  # of the leaky ReLUs
OPAQUE = 2.0  # alpha's first bias: from a transparent start no colour would ever get a gradient
COARSEST = 8  # the grid is halved this often in all: its side must be a multiple


@dataclass(frozen=True)
class Shape:
    """What a network looks like. size: of the square picture, pixels. width: channels on the grid.
    blocks: residual blocks at the coarsest level. grid: cells per side of the pose field."""

    size: int
    width: int
    blocks: int
    grid: int

    def __post_init__(self) -> None:
        ratio, rest = divmod(self.size, max(self.grid, 1))
        if rest or self.grid < COARSEST or ratio < 4 or ratio & (ratio - 1) or self.grid % COARSEST:
            raise ValueError(f"a picture of {self.size} pixels cannot stand on a grid of {self.grid} cells")

    @property
    def doublings(self) -> int:
        """How often the grid is doubled until it has the picture's size."""
        return (self.size // self.grid).bit_length() - 1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


PRESETS = {"tiny": (32, 4), "base": (48, 4), "large": (64, 4)}  # width, blocks
FINEST_GRID = 64


def preset(name: str, size: int) -> Shape:
    """A preset by name. Raises KeyError for a name and ValueError for a size that there is not."""
    width, blocks = PRESETS[name]
    return Shape(size, width, blocks, min(FINEST_GRID, size // 4))


def activation() -> nn.Module:
    return nn.LeakyReLU(SLOPE, inplace=True)


def conv(before: int, after: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, size, stride, size // 2)


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.first, self.activation, self.last = conv(channels, channels), activation(), conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(self.activation(self.first(x)))


def doubled(before: int, after: int, size: int) -> nn.Sequential:
    """Twice the side, `after` channels."""
    return nn.Sequential(conv(before, after * 4, size), nn.PixelShuffle(2))


class Painter(nn.Module):
    """(B, 33, 4) keypoints as `PoseField` takes them → (B, 4, size, size): straight red, green, blue, alpha, 0..1."""

    place: Tensor

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        w = shape.width
        a, b, c, d = w, w * 3 // 2, w * 2, w * 3
        self.field = PoseField(shape.grid)
        axis = torch.linspace(-1, 1, shape.grid, device="cpu")  # constants exist even where weights do not yet
        place = torch.stack(torch.meshgrid(axis, axis, indexing="ij"))[None]
        self.register_buffer("place", place, persistent=False)
        self.stem = nn.Sequential(conv(CHANNELS + 2, a), activation(), Residual(a))
        self.down = nn.ModuleList(
            nn.Sequential(conv(before, after, stride=2), activation(), *inner)
            for before, after, inner in ((a, b, [Residual(b)]), (b, c, [Residual(c)]), (c, d, []))
        )
        self.middle = nn.Sequential(*(Residual(d) for _ in range(shape.blocks)))
        self.up = nn.ModuleList(doubled(before, after, 1) for before, after in ((d, c), (c, b), (b, a)))
        self.fuse = nn.ModuleList(nn.Sequential(activation(), Residual(n)) for n in (c, b, a))
        fine = [w, *(max(w >> step, 12) for step in range(1, shape.doublings))]  # channels at each doubling of the grid
        self.finer = nn.ModuleList(
            nn.Sequential(doubled(before, after, 3), activation(), conv(after, after), activation())
            for before, after in zip(fine, fine[1:], strict=False)
        )
        self.last, self.shuffle = conv(fine[-1], 16), nn.PixelShuffle(2)
        if not self.last.weight.is_meta:  # there, weights come from a file, and somebody is waiting for them
            self._begin()

    def _begin(self) -> None:
        """First weights: He et al. 2015, residual branches and the last layer small."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, SLOPE)
                nn.init.constant_(module.bias, 0)  # type: ignore[arg-type]
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, Residual):
                    module.last.weight.mul_(0.1)
            self.last.weight.mul_(0.1)
            self.last.bias[12:] = OPAQUE  # type: ignore[index]

    def forward(self, points: Tensor) -> Tensor:
        return self.paint(self.field(points))

    def paint(self, field: Tensor) -> Tensor:
        """(B, CHANNELS, grid, grid) → as above. Apart from `forward`, so that training may compute it less exactly."""
        x = self.stem(torch.cat([field, self.place.expand(field.shape[0], -1, -1, -1)], 1))
        passed = []
        for down in self.down:
            passed.append(x)
            x = down(x)
        x = self.middle(x)
        for up, fuse in zip(self.up, self.fuse, strict=True):
            x = fuse(up(x) + passed.pop())
        for finer in self.finer:
            x = finer(x)
        return torch.sigmoid(self.shuffle(self.last(x)))

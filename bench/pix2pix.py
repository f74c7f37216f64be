"""The generators of pix2pix, with random weights: what a picture-to-picture network of the usual kind costs.

Written from the papers: the U-Net of Isola et al. 2017 (appendix 6.1) and the residual network of Johnson et al. 2016
as Zhu et al. 2017 use it (appendix 7.2). Pictures in and out are (B, 3, size, size), -1..1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.inner = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU(True),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def resnet(width: int = 64, blocks: int = 9) -> nn.Sequential:
    """c7s1-64, d128, d256, R256 × blocks, u128, u64, c7s1-3."""
    layers: list[nn.Module] = [
        nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU(True),
    ]  # fmt: skip
    for channels in (width, width * 2):
        down = nn.Conv2d(channels, channels * 2, 3, 2, 1)
        layers += [down, nn.InstanceNorm2d(channels * 2), nn.ReLU(True)]
    layers += [Residual(width * 4) for _ in range(blocks)]
    for channels in (width * 4, width * 2):
        up = nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, output_padding=1)
        layers += [up, nn.InstanceNorm2d(channels // 2), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())


class Level(nn.Module):
    """One level of the U-Net: halve, what lies below, double, and beside it the way past."""

    def __init__(self, before: int, after: int, below: nn.Module | None):
        super().__init__()
        self.down = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(before, after, 4, 2, 1, bias=False))
        self.below = below
        if below is not None:
            self.down.append(nn.BatchNorm2d(after))
        up = nn.ConvTranspose2d(after if below is None else after * 2, before, 4, 2, 1, bias=False)
        self.up = nn.Sequential(nn.ReLU(), up, nn.BatchNorm2d(before))

    def forward(self, x: Tensor) -> Tensor:
        deep = self.down(x)
        if self.below is not None:
            deep = self.below(deep)
        return torch.cat([x, self.up(deep)], 1)


def unet(width: int = 64, levels: int = 8) -> nn.Sequential:
    """C64-C128-C256-C512 … C512 down to 1 × 1 for 256 pixels at eight levels, and up again."""
    inner: nn.Module | None = None
    for level in reversed(range(1, levels)):
        inner = Level(width * min(2 ** (level - 1), 8), width * min(2**level, 8), inner)
    assert inner is not None
    first, last = nn.Conv2d(3, width, 4, 2, 1), nn.ConvTranspose2d(width * 2, 3, 4, 2, 1)
    return nn.Sequential(first, inner, nn.ReLU(), last, nn.Tanh())

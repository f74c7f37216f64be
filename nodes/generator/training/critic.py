"""Tells painted from real, patch by patch: the adversary of the last phase of training. Never shipped.

PatchGAN (Isola et al. 2017) at two scales (Wang et al. 2018) with spectral normalisation (Miyato et al. 2018). It sees
crops around a joint together with the pose field there, so that it can tell a hand in the wrong place, too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTH, SCALES, STRIDES = 24, 2, 3


class Patches(nn.Module):
    """(B, channels, h, w) → scores (B, 1, h/8, w/8) and the features on the way."""

    def __init__(self, channels: int):
        super().__init__()
        layers, before = [], channels
        for step in range(STRIDES):
            after = WIDTH << step
            layers.append(self._layer(nn.Conv2d(before, after, 4, 2, 1)))
            before = after
        layers.append(self._layer(nn.Conv2d(before, before, 3, 1, 1)))
        self.layers = nn.ModuleList(layers)
        self.score = spectral_norm(nn.Conv2d(before, 1, 3, 1, 1))

    @staticmethod
    def _layer(conv: nn.Conv2d) -> nn.Sequential:
        return nn.Sequential(spectral_norm(conv), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        seen = []
        for layer in self.layers:
            x = layer(x)
            seen.append(x)
        return self.score(x), seen


class Critic(nn.Module):
    """(B, 3, h, w) picture, 0..1, and (B, C, h', w') field of the same place → scores and features per scale."""

    def __init__(self, field_channels: int):
        super().__init__()
        self.condition = nn.Conv2d(field_channels, 8, 1)
        self.scales = nn.ModuleList(Patches(3 + 8) for _ in range(SCALES))

    def forward(self, picture: Tensor, field: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        condition = F.interpolate(self.condition(field), picture.shape[2:], mode="bilinear", align_corners=False)
        x = torch.cat([picture * 2 - 1, condition], 1)
        scores, seen = [], []
        for scale in self.scales:
            score, features = scale(x)
            scores.append(score)
            seen.append(features)
            x = F.avg_pool2d(x, 2)
        return scores, seen

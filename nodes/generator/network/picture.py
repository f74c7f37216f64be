"""The network as it runs and is exported: keypoints in, bytes out, so that no backend has anything to convert."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nodes.generator.network.painter import Painter


class Picture(nn.Module):
    """(B, 33, 4) float keypoints as `PoseField` takes them → (B, size, size, 4) uint8, RGBA, premultiplied."""

    def __init__(self, painter: Painter):
        super().__init__()
        self.painter = painter

    def forward(self, points: Tensor) -> Tensor:
        rgba = self.painter(points)
        alpha = rgba[:, 3:]
        premultiplied = torch.cat([rgba[:, :3] * alpha, alpha], 1)
        return (premultiplied.permute(0, 2, 3, 1) * 255 + 0.5).to(torch.uint8)

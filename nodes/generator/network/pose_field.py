"""Keypoints → what every place of the picture has to do with every limb, computed inside the network.

A limb is a capsule around two points. For each grid cell and limb the field holds how near the cell is, where it lies
along and across the limb, and how near to the camera the limb is: a texture coordinate, so that a stripe on a
sleeve stays on the sleeve. Distances count in torso lengths, so that size in the picture does not matter. The idea is
that of DensePose (Güler et al. 2018) with nothing but 33 points; a drawn skeleton in its place learns slower.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# BlazePose points at both ends, and the capsule's radius in torso lengths.
LIMBS = (
    (11, 13, 0.13), (13, 15, 0.10), (12, 14, 0.13), (14, 16, 0.10),  # upper arm, forearm
    (15, 19, 0.09), (16, 20, 0.09), (15, 21, 0.07), (16, 22, 0.07), (17, 17, 0.08), (18, 18, 0.08),  # hand, thumb, edge
    (23, 25, 0.19), (25, 27, 0.14), (24, 26, 0.19), (26, 28, 0.14), (29, 31, 0.09), (30, 32, 0.09),  # leg, foot
    (11, 23, 0.20), (12, 24, 0.20), (11, 12, 0.20), (23, 24, 0.20),  # trunk
    (7, 8, 0.25), (0, 0, 0.15), (2, 5, 0.12), (9, 10, 0.10),  # head: ears, nose, eyes, mouth
)  # fmt: skip
SHOULDERS, HIPS = slice(11, 13), slice(23, 25)  # a list of numbers would be copied to the card at every call
SMALLEST_TORSO = 0.04  # of the picture; a body seen from above must not make every limb vanish
SOFTNESS = 4.0  # how fast a capsule fades at its edge
REACH = 1.2  # where it does, in radii
UNSURE, SURE = 0.2, 0.4  # between these scores a point goes from unseen to seen
CHANNELS = 4 * len(LIMBS)


class PoseField(nn.Module):
    """(B, 33, 4) x, y in 0..1 of the picture, z in the same unit, score 0..1 → (B, CHANNELS, grid, grid)."""

    first: Tensor
    second: Tensor
    radius: Tensor
    x: Tensor
    y: Tensor

    def __init__(self, grid: int):
        super().__init__()
        first, second, radius = (torch.tensor(column, device="cpu") for column in zip(*LIMBS, strict=True))
        centres = (torch.arange(grid, device="cpu") + 0.5) / grid
        for name, values in (
            ("first", first), ("second", second), ("radius", radius.view(1, -1, 1, 1)),
            ("x", centres.view(1, 1, 1, grid)), ("y", centres.view(1, 1, grid, 1)),
        ):  # fmt: skip
            self.register_buffer(name, values, persistent=False)

    def forward(self, points: Tensor) -> Tensor:
        a, b = points[:, self.first, :, None, None], points[:, self.second, :, None, None]
        width = self.radius * self._torso(points)
        limb_x, limb_y = b[:, :, 0] - a[:, :, 0], b[:, :, 1] - a[:, :, 1]
        from_x, from_y = self.x - a[:, :, 0], self.y - a[:, :, 1]
        square = limb_x * limb_x + limb_y * limb_y + 1e-6
        along = ((from_x * limb_x + from_y * limb_y) / square).clamp(0, 1)
        off_x, off_y = from_x - along * limb_x, from_y - along * limb_y
        distance = (off_x * off_x + off_y * off_y + 1e-8).sqrt() / width
        across = (from_x * limb_y - from_y * limb_x) / (square.sqrt() * width)
        seen = ((torch.minimum(a[:, :, 3], b[:, :, 3]) - UNSURE) / (SURE - UNSURE)).clamp(0, 1)
        near = torch.sigmoid((REACH - distance) * SOFTNESS) * seen
        depth = (a[:, :, 2] + b[:, :, 2]) / 2
        return torch.cat([near, near * (along * 2 - 1), near * across.clamp(-1.5, 1.5), near * depth], 1)

    def _torso(self, points: Tensor) -> Tensor:
        """(B, 1, 1, 1): from the middle of the shoulders to the middle of the hips."""
        shoulders, hips = points[:, SHOULDERS, :2].mean(1), points[:, HIPS, :2].mean(1)
        return (shoulders - hips).square().sum(1).sqrt().clamp_min(SMALLEST_TORSO).view(-1, 1, 1, 1)

"""How wrong a painted picture is. All pictures are (B, 3, S, S) float32, 0..1; alpha and masks (B, 1, S, S)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Weights.
PICTURE, EDGES, STRUCTURE, STRAIGHT, CERTAIN, CLEAR, MATTE = 2.0, 1.0, 1.5, 1.0, 0.3, 0.1, 1.0
MATTE_UNTIL = 0.1  # of the training: by then alpha knows the body's outline


@dataclass(frozen=True)
class Targets:
    """frame, plate: pictures. weight, matte, certain, clear: see `mattes.masks`."""

    frame: Tensor
    plate: Tensor
    weight: Tensor
    matte: Tensor
    certain: Tensor
    clear: Tensor


def compose(rgba: Tensor, plate: Tensor) -> Tensor:
    """(B, 4, S, S) straight RGBA over the plate."""
    alpha = rgba[:, 3:]
    return alpha * rgba[:, :3] + (1 - alpha) * plate


def painting(rgba: Tensor, targets: Targets, progress: float) -> Tensor:
    """The loss of what was painted, a scalar. progress: 0..1 of the training.

    The composed picture alone would let alpha go to zero wherever the first colour is wrong, and a colour under
    alpha zero never learns; or to one everywhere, and the stage would be painted, too. So the colour is also judged
    uncomposed inside the matte, alpha must be one where a pixel is certainly the person's and zero where it is
    surely the stage's, and at first it follows the matte, by a loss whose gradient does not vanish where alpha is
    quite wrong.
    """
    picture, alpha = compose(rgba, targets.plate), rgba[:, 3:]
    off = picture - targets.frame
    loss = PICTURE * (off.abs() * targets.weight).mean()
    loss = loss + EDGES * _edges(off, targets.weight)
    loss = loss + STRUCTURE * (1 - _structure(picture, targets.frame))
    loss = loss + STRAIGHT * ((rgba[:, :3] - targets.frame).abs() * targets.weight * targets.matte).mean()
    loss = loss + CERTAIN * (F.relu(targets.certain - alpha) * targets.certain).sum() / (targets.certain.sum() + 1)
    if progress < MATTE_UNTIL:
        known = alpha.nan_to_num()  # this loss, and no other, would end the process for NaN, a graphics card's for good
        loss = loss + MATTE * (1 - progress / MATTE_UNTIL) * F.binary_cross_entropy(known, targets.matte)
    return loss + CLEAR * (alpha * targets.clear).mean()


def _edges(off: Tensor, weight: Tensor) -> Tensor:
    """The difference of the pictures' gradients, which is the gradient of their difference."""
    across = (off[..., 1:] - off[..., :-1]).abs() * weight[..., 1:]
    down = (off[..., 1:, :] - off[..., :-1, :]).abs() * weight[..., 1:, :]
    return across.mean() + down.mean()


def _structure(picture: Tensor, frame: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004) of the grey pictures, with a square window because that is quick."""
    x, y = picture.mean(1, keepdim=True), frame.mean(1, keepdim=True)
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    both = _window(x * y) - mean_x * mean_y
    top = (2 * mean_x * mean_y + 1e-4) * (2 * both + 9e-4)
    return (top / ((mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4))).mean()


def _window(values: Tensor) -> Tensor:
    return F.avg_pool2d(values, 7, 2)


def hinge_critic(real: list[Tensor], painted: list[Tensor]) -> Tensor:
    """The critic's loss (Lim and Ye 2017). One tensor of scores per scale."""
    each = [F.relu(1 - r).mean() + F.relu(1 + p).mean() for r, p in zip(real, painted, strict=True)]
    return torch.stack(each).mean()


def hinge_painter(painted: list[Tensor]) -> Tensor:
    """The painter's loss against the critic."""
    return -torch.stack([p.mean() for p in painted]).mean()


def features(real: list[list[Tensor]], painted: list[list[Tensor]]) -> Tensor:
    """How differently the critic sees both (feature matching, Wang et al. 2018)."""
    pairs = [(r, p) for rs, ps in zip(real, painted, strict=True) for r, p in zip(rs, ps, strict=True)]
    return torch.stack([(r.detach() - p).abs().mean() for r, p in pairs]).mean()

"""One step of a diffusion model in the shape of SD-Turbo (Stable Diffusion 2.1), with random weights.

Only what it costs is of interest: the U-Net of Rombach et al. 2022 with the sizes of version 2.1, and a small
autoencoder of plain convolutions in the shape of TAESD in place of the large one. Picture in, picture out, one step,
as the live programs run it. Written for this benchmark; it loads no weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """widths: channels per level. head: channels per attention head. context: of a text token. groups: of the norms."""

    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    head: int = 64
    context: int = 1024
    groups: int = 32
    autoencoder: int = 64

    @property
    def time(self) -> int:
        return self.widths[0] * 4


SMALL = Shape((16, 32, 32), 8, 24, 4, 8)
TOKENS, LATENTS = 77, 4


class Residual(nn.Module):
    def __init__(self, before: int, after: int, shape: Shape):
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(shape.groups, before), nn.SiLU(), nn.Conv2d(before, after, 3, 1, 1))
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(shape.time, after))
        self.last = nn.Sequential(nn.GroupNorm(shape.groups, after), nn.SiLU(), nn.Conv2d(after, after, 3, 1, 1))
        self.past = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, time: Tensor, text: Tensor) -> Tensor:
        return self.past(x) + self.last(self.first(x) + self.time(time)[:, :, None, None])


class Attention(nn.Module):
    def __init__(self, width: int, context: int, head: int):
        super().__init__()
        self.head = head
        self.query = nn.Linear(width, width, bias=False)
        self.key, self.value = nn.Linear(context, width, bias=False), nn.Linear(context, width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        heads = [each.unflatten(-1, (-1, self.head)).transpose(1, 2)
                 for each in (self.query(x), self.key(context), self.value(context))]  # fmt: skip
        return self.out(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    def __init__(self, width: int, shape: Shape):
        super().__init__()
        self.norm, self.enter = nn.GroupNorm(shape.groups, width), nn.Linear(width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own = Attention(width, width, shape.head)
        self.cross = Attention(width, shape.context, shape.head)
        self.gated, self.mixed, self.leave = (
            nn.Linear(width, width * 8), nn.Linear(width * 4, width), nn.Linear(width, width)
        )  # fmt: skip

    def forward(self, x: Tensor, time: Tensor, text: Tensor) -> Tensor:
        tokens = self.enter(self.norm(x).flatten(2).transpose(1, 2))
        normed = self.norms[0](tokens)
        tokens = tokens + self.own(normed, normed)
        tokens = tokens + self.cross(self.norms[1](tokens), text)
        value, gate = self.gated(self.norms[2](tokens)).chunk(2, -1)
        tokens = tokens + self.mixed(value * F.gelu(gate))
        return x + self.leave(tokens).transpose(1, 2).unflatten(2, x.shape[2:])


class Level(nn.ModuleList):
    """Layers that all take the time and the text."""

    def forward(self, x: Tensor, time: Tensor, text: Tensor) -> Tensor:
        for layer in self:
            x = layer(x, time, text)
        return x


class UNet(nn.Module):
    """Two layers per level on the way down, three on the way up; attention on all levels but the coarsest."""

    def __init__(self, shape: Shape):
        super().__init__()
        widths, deepest = shape.widths, len(shape.widths) - 1
        self.embed = nn.Sequential(nn.Linear(widths[0], shape.time), nn.SiLU(), nn.Linear(shape.time, shape.time))
        self.enter = nn.Conv2d(LATENTS, widths[0], 3, 1, 1)

        def layer(before: int, after: int, level: int) -> Level:
            attention = [Transformer(after, shape)] if level < deepest else []
            return Level([Residual(before, after, shape), *attention])

        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        passed, now = [widths[0]], widths[0]
        for level, width in enumerate(widths):
            for _ in range(2):
                self.down.append(layer(now, width, level))
                now = width
                passed.append(now)
            if level < deepest:
                self.down.append(nn.Conv2d(now, now, 3, 2, 1))
                passed.append(now)
        self.middle = Level([Residual(now, now, shape), Transformer(now, shape), Residual(now, now, shape)])
        for level in reversed(range(deepest + 1)):
            for _ in range(3):
                self.up.append(layer(now + passed.pop(), widths[level], level))
                now = widths[level]
            if level:
                self.up.append(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(now, now, 3, 1, 1)))
        self.leave = nn.Sequential(nn.GroupNorm(shape.groups, now), nn.SiLU(), nn.Conv2d(now, LATENTS, 3, 1, 1))

    def forward(self, x: Tensor, time: Tensor, text: Tensor) -> Tensor:
        time, x = self.embed(time), self.enter(x)
        passed = [x]
        for step in self.down:
            x = step(x, time, text) if isinstance(step, Level) else step(x)
            passed.append(x)
        x = self.middle(x, time, text)
        for step in self.up:
            x = step(torch.cat([x, passed.pop()], 1), time, text) if isinstance(step, Level) else step(x)
        return self.leave(x)


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        convs = [nn.Conv2d(width, width, 3, 1, 1) for _ in range(3)]
        self.inner = nn.Sequential(convs[0], nn.ReLU(True), convs[1], nn.ReLU(True), convs[2])

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.inner(x))


def autoencoder(width: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder between pictures and latents of an eighth of their side."""
    encoder = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1), Block(width))
    decoder = nn.Sequential(nn.Conv2d(LATENTS, width, 3, 1, 1), nn.ReLU(True))
    for _ in range(3):
        encoder.extend([nn.Conv2d(width, width, 3, 2, 1, bias=False), *(Block(width) for _ in range(3))])
        decoder.extend([*(Block(width) for _ in range(3)), nn.Upsample(scale_factor=2),
                        nn.Conv2d(width, width, 3, 1, 1, bias=False)])  # fmt: skip
    encoder.append(nn.Conv2d(width, LATENTS, 3, 1, 1))
    return encoder, decoder.extend([Block(width), nn.Conv2d(width, 3, 3, 1, 1)])


class Step(nn.Module):
    """(B, 3, size, size) picture → the same; text and time are fixed, as they are in a running show."""

    text: Tensor
    time: Tensor

    def __init__(self, shape: Shape = Shape()):
        super().__init__()
        self.unet = UNet(shape)
        self.encoder, self.decoder = autoencoder(shape.autoencoder)
        self.register_buffer("text", torch.randn(1, TOKENS, shape.context))
        self.register_buffer("time", torch.randn(1, shape.widths[0]))

    def forward(self, x: Tensor) -> Tensor:
        latents = self.encoder(x)
        return self.decoder(latents - self.unet(latents, self.time, self.text))

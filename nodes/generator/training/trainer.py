"""The step of the training, and all that it remembers.

Batch n depends on the seed and n alone and nothing else here draws random numbers, so a state that was saved and loaded
goes on bit for bit as if it had never stopped.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from engine.errors import BadInput
from nodes.generator.network.painter import Painter, Shape
from nodes.generator.network.pose_field import CHANNELS
from nodes.generator.training import losses
from nodes.generator.training.critic import Critic
from nodes.generator.training.samples import Batch
from nodes.generator.training.schedule import Schedule

FORMAT = "utsushi.training/1"
ADVERSARY, FEATURES = 0.03, 0.4  # weights of the critic's losses
CROP = 128  # pixels at which the critic looks, at most half the picture
LARGEST_GRADIENT = 5.0
BETAS = (0.5, 0.99)


class Trainer:
    """net: what learns. ema: its running mean, which is what is shown and shipped. step: how many were made.
    caution: by how much a roll-back has lowered the rate."""

    def __init__(self, shape: Shape, schedule: Schedule, device: str = "cpu", seed: int = 0):
        torch.manual_seed(seed)
        self.shape, self.schedule, self.device = shape, schedule, device
        self.net = Painter(shape).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.critic = Critic(CHANNELS).to(device)
        self._painters = torch.optim.Adam(self.net.parameters(), schedule.rate, BETAS)
        self._critics = torch.optim.Adam(self.critic.parameters(), schedule.rate, BETAS)
        self.step, self.seconds, self.caution = 0, 0.0, 1.0
        self._good = self.state()

    # --- one step ---

    def train(self, batch: Batch, seconds: float) -> Tensor:
        """One step at `seconds` of training time; the loss, which may be NaN (see `roll_back`)."""
        self.seconds = seconds
        progress = self.schedule.progress(self.step, seconds)
        rate = self.caution * self.schedule.learning_rate(self.step, progress)
        for optimizer in (self._painters, self._critics):
            for group in optimizer.param_groups:
                group["lr"] = rate
        field = self.net.field(batch.points)
        rgba = self._paint(field)
        loss = losses.painting(rgba, batch.targets, progress)
        if share := self.schedule.critic_share(progress):
            loss = loss + share * self._criticism(rgba, field, batch)
        self._painters.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), LARGEST_GRADIENT)
        self._painters.step()
        self.step += 1
        decay = self.schedule.ema_decay(self.step)
        with torch.no_grad():
            for mean, new in zip(self.ema.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)
        return loss.detach()

    def _paint(self, field: Tensor) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device == "cuda"):
            return self.net.paint(field).float()

    def _criticism(self, rgba: Tensor, field: Tensor, batch: Batch) -> Tensor:
        """Teach the critic, then hear it."""
        size = self.shape.size
        crop = min(CROP, size // 2)
        cells = max(1, crop * self.shape.grid // size)
        corners = np.clip(batch.places - crop // 2, 0, size - crop)
        painted = _crops(losses.compose(rgba, batch.targets.plate), corners, crop)
        real = _crops(batch.targets.frame, corners, crop)
        where = _crops(field, corners * self.shape.grid // size, cells)
        seen_real, _ = self.critic(real, where)
        seen_painted, _ = self.critic(painted.detach(), where)
        self._critics.zero_grad(set_to_none=True)
        losses.hinge_critic(seen_real, seen_painted).backward()
        self._critics.step()
        self.critic.requires_grad_(False)
        with torch.no_grad():
            _, features_real = self.critic(real, where)
        verdict, features_painted = self.critic(painted, where)
        self.critic.requires_grad_(True)
        return ADVERSARY * losses.hinge_painter(verdict) + FEATURES * losses.features(features_real, features_painted)

    # --- what it remembers ---

    def state(self) -> dict[str, Tensor]:
        """Every tensor that the next step depends on, copied."""
        parts: dict[str, Any] = {"net": self.net.state_dict(), "ema": self.ema.state_dict()}
        parts |= {"critic": self.critic.state_dict()}
        tensors = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
        for part, optimizer in (("painters", self._painters), ("critics", self._critics)):
            for number, values in optimizer.state_dict()["state"].items():
                tensors |= {f"{part}.{number}.{name}": value for name, value in values.items()}
        return {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state` gave. Raises KeyError or RuntimeError where it is another network's."""
        for part, module in (("net", self.net), ("ema", self.ema), ("critic", self.critic)):
            module.load_state_dict(_of(part, tensors))
        for part, optimizer in (("painters", self._painters), ("critics", self._critics)):
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _of(part, tensors).items():
                number, name = key.split(".")
                state.setdefault(int(number), {})[name] = value.clone()
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

    def mark_good(self) -> None:
        """Remember this state as one to come back to."""
        self._good = self.state()

    def roll_back(self) -> None:
        """After a NaN: back to the last good state, at half the rate. The steps count on, so other batches come."""
        self.restore(self._good)
        self.caution /= 2

    def save(self, path: Path) -> None:
        """Raises `BadInput`."""
        metadata = {"format": FORMAT, "shape": json.dumps(self.shape.as_dict()), "step": str(self.step),
                    "seconds": repr(self.seconds), "caution": repr(self.caution)}  # fmt: skip
        part = path.with_name(path.name + ".part")
        try:
            part.write_bytes(save({name: value.cpu() for name, value in self.state().items()}, metadata))
            os.replace(part, path)
        except OSError as error:
            raise BadInput(
                f"{path} cannot be written: {error.strerror or error}. Free some space, or choose --out."
            ) from error

    def load(self, path: Path) -> None:
        """Go on from a saved state. Raises `BadInput` for a file of something else."""
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if metadata.get("format") != FORMAT or json.loads(metadata["shape"]) != self.shape.as_dict():
                raise ValueError("it belongs to a training of another kind or size")
            self.restore({name: value.to(self.device) for name, value in tensors.items()})
            self.step, self.seconds = int(metadata["step"]), float(metadata["seconds"])
            self.caution = float(metadata["caution"])
        except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
            raise BadInput(f"The training cannot go on from {path}: {error}. Start anew with another --out.") from error
        self.mark_good()

    def begin_from(self, weights: dict[str, Tensor]) -> int:
        """Start from another performer's weights wherever name and shape are the same; returns how many were."""
        own = self.net.state_dict()
        fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
        for module in (self.net, self.ema):
            module.load_state_dict({**own, **{name: value.to(self.device) for name, value in fitting.items()}})
        self.mark_good()
        return len(fitting)


def _of(part: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(part) + 1 :]: value for name, value in tensors.items() if name.startswith(part + ".")}


def _crops(pictures: Tensor, corners: np.ndarray, side: int) -> Tensor:
    return torch.stack([p[:, y : y + side, x : x + side] for p, (x, y) in zip(pictures, corners.tolist(), strict=True)])

"""The step of the training, and all that it remembers.

Batch n depends on the seed and n alone and nothing else here draws random numbers, so a state that was saved and loaded
goes on bit for bit as if it had never stopped.
"""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import BadInput, EngineError
from nodes.generator.network import tensors as files
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
LEAST_CAUTION = 1 / 256
PARTS = ("net", "ema", "critic")  # always there in a saved state; "painters" and "critics" once they have begun
BETAS = (0.5, 0.99)
MOMENTS = ("exp_avg", "exp_avg_sq")  # what Adam remembers of each weight, beside its count of steps


class Trainer:
    """net: what learns. ema: its running mean, which is what is shown and shipped. step: how many were made.
    caution: by how much a roll-back has lowered the rate."""

    def __init__(self, shape: Shape, schedule: Schedule, device: str = "cpu", seed: int = 0, origin: str = ""):
        torch.manual_seed(seed)
        self.shape, self.schedule, self.device, self._origin = shape, schedule, device, origin
        self.net = Painter(shape).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.critic = Critic(CHANNELS).to(device)
        self._painters = torch.optim.Adam(self.net.parameters(), schedule.rate, BETAS)
        self._critics = torch.optim.Adam(self.critic.parameters(), schedule.rate, BETAS)
        self.step, self.seconds, self.caution = 0, 0.0, 1.0
        self._good = self.state()

    # --- one step ---

    def train(self, batch: Batch, seconds: float) -> float:
        """One step at `seconds` of training time; the loss.

        NaN if the loss or its gradient was no number: then nothing was learnt from this batch, and it is time to
        `roll_back`.
        """
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
        length = nn.utils.clip_grad_norm_(self.net.parameters(), LARGEST_GRADIENT)
        self.step += 1
        if not math.isfinite(loss.item() + length.item()):
            return math.nan
        self._painters.step()
        decay = self.schedule.ema_decay(self.step)
        with torch.no_grad():
            for mean, new in zip(self.ema.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)
        return loss.item()

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
        """Take over what `state` gave."""
        for part, module in (("net", self.net), ("ema", self.ema), ("critic", self.critic)):
            module.load_state_dict(_of(part, tensors))
        for part, optimizer in (("painters", self._painters), ("critics", self._critics)):
            weights = optimizer.param_groups[0]["params"]
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _of(part, tensors).items():
                number, name = key.split(".")
                # As Adam makes it: the moments lie in memory as the weight does, and steps are counted on the CPU.
                moment = name in MOMENTS
                kept = torch.empty_like(weights[int(number)]).copy_(value) if moment else value.cpu().clone()
                state.setdefault(int(number), {})[name] = kept
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

    def mark_good(self) -> None:
        """Remember this state as one to come back to."""
        self._good = self.state()

    def roll_back(self) -> None:
        """After a NaN: back to the last good state, at half the rate. The steps count on, so other batches come.

        Raises `EngineError` when that has not helped again and again.
        """
        if self.caution < LEAST_CAUTION:
            raise EngineError("The training breaks again and again: its loss is not a number. Try a lower --rate.")
        self.restore(self._good)
        self.caution /= 2

    def save(self, path: Path) -> None:
        """Raises `BadInput`."""
        metadata = {"format": FORMAT, "shape": json.dumps(self.shape.as_dict()), "step": str(self.step),
                    "seconds": repr(self.seconds), "caution": repr(self.caution), "origin": self._origin}  # fmt: skip
        try:
            files.write(path, {name: value.cpu().numpy() for name, value in self.state().items()}, metadata)
        except OSError as error:
            raise BadInput(
                f"{path} cannot be written: {error.strerror or error}. Make room, or choose another --out."
            ) from error

    def load(self, path: Path) -> None:
        """Go on from a saved state. Raises `BadInput` for a file of something else."""
        shapes = self._shapes()
        largest = 5 * sum(shape.numel() for shape in shapes.values()) + files.LARGEST_HEADER
        try:
            metadata, arrays = files.read(path, largest)
            if metadata.get("format") != FORMAT or json.loads(metadata.get("shape", "{}")) != self.shape.as_dict():
                raise ValueError("belongs to a training of another kind or size")
            if metadata.get("origin", self._origin) != self._origin:
                raise ValueError("belongs to a training on other footage, or with another --held-out")
            _require_fitting(arrays, shapes)
            step, seconds, caution = (float(metadata.get(name, "nan")) for name in ("step", "seconds", "caution"))
            if not (0 <= step < 2**53 and 0 <= seconds < math.inf and 0 < caution <= 1):
                raise ValueError("does not say how far the training was")
        except OSError as error:
            raise BadInput(
                f"There is no training to go on with: {path} cannot be read ({error.strerror or error}). "
                "Leave --resume out, or choose another --out."
            ) from error
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{path} {error}. Start anew with another --out.") from error
        self.restore({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})
        self.step, self.seconds, self.caution = int(step), seconds, caution
        self.mark_good()

    def _shapes(self) -> dict[str, torch.Size]:
        """Of every tensor that a state may hold."""
        parts = (("net", self.net), ("ema", self.ema), ("critic", self.critic))
        shapes = {
            f"{part}.{name}": value.shape for part, module in parts for name, value in module.state_dict().items()
        }
        for part, optimizer in (("painters", self._painters), ("critics", self._critics)):
            for number, weight in enumerate(optimizer.param_groups[0]["params"]):
                shapes |= {f"{part}.{number}.{name}": weight.shape for name in MOMENTS}
                shapes[f"{part}.{number}.step"] = torch.Size()
        return shapes

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


def _require_fitting(arrays: dict[str, np.ndarray], shapes: dict[str, torch.Size]) -> None:
    """Raises ValueError. An optimiser that has made no step yet has nothing to remember."""
    for name, value in arrays.items():
        if name not in shapes or value.shape != shapes[name] or value.dtype != np.float32:
            raise ValueError(f"holds something that no training of this kind has: {name[:60]!r}")
        if not np.isfinite(value).all():
            raise ValueError(f"holds what is not a number in {name!r}")
    begun = {name.split(".")[0] for name in arrays}
    if missing := [name for name in shapes if name not in arrays and name.split(".")[0] in {*begun, *PARTS}]:
        raise ValueError(f"lacks {missing[0]!r}")


def _crops(pictures: Tensor, corners: np.ndarray, side: int) -> Tensor:
    return torch.stack([p[:, y : y + side, x : x + side] for p, (x, y) in zip(pictures, corners.tolist(), strict=True)])

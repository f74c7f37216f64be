"""What happens when in a training, as a share of the whole: by the clock, or by counted steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

WARM_UP_STEPS = 100
DECAY_FROM, LOWEST = 0.3, 0.02  # a half cosine down to this share of the rate
CRITIC_RAMP = 0.05  # from the critic's start until it has its full say
EMA = 0.998


@dataclass(frozen=True)
class Schedule:
    """minutes or steps, whichever is given; with both, whichever is over first. critic_from: share of the training
    after which the critic joins; 1 means never."""

    minutes: float = 0.0
    steps: int = 0
    rate: float = 1e-3
    critic_from: float = 1.0

    def progress(self, step: int, seconds: float) -> float:
        """0..1; 1 is the end."""
        shares = [step / self.steps] if self.steps else []
        shares += [seconds / (60 * self.minutes)] if self.minutes else []
        return min(1.0, max(shares, default=1.0))

    def learning_rate(self, step: int, progress: float) -> float:
        rate = self.rate * min(1.0, (step + 1) / WARM_UP_STEPS)
        if progress <= DECAY_FROM:
            return rate
        fallen = (progress - DECAY_FROM) / (1 - DECAY_FROM)
        return rate * (LOWEST + (1 - LOWEST) * (1 + math.cos(math.pi * fallen)) / 2)

    def critic_share(self, progress: float) -> float:
        """0 before the critic joins, then up to 1."""
        if progress < self.critic_from or self.critic_from >= 1:
            return 0.0
        return min(1.0, (progress - self.critic_from) / CRITIC_RAMP)

    @staticmethod
    def ema_decay(step: int) -> float:
        """A young average forgets faster, or it would remember the first random weights for ever."""
        return min(EMA, (1 + step) / (10 + step))

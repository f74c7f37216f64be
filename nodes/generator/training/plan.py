"""What a training is to be, and what its folder holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodes.generator.network.painter import Shape
from nodes.generator.training.schedule import Schedule

STATE, PERFORMER, GRID, LOG = "state.safetensors", "performer.safetensors", "grid.png", "log.csv"
LOCK = "training.lock"  # held by whoever trains here


@dataclass
class Plan:
    """What the command line asked for. every: seconds between two looks. writer: TensorBoard's, where it is wanted."""

    out: Path
    shape: Shape
    schedule: Schedule
    preset: str = ""
    device: str = "cpu"
    batch: int = 4
    seed: int = 0
    every: float = 60.0
    resume: bool = False
    begin_from: Path | None = None
    writer: Any = None
    about: dict[str, str] = field(default_factory=dict)  # performer, licence, consent

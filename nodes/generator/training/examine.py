"""Measure a finished performer on footage, through any backend: `performer eval`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from engine.errors import BadInput
from engine.session import replace_file
from nodes.generator.backends import choose
from nodes.generator.backends.base import Backend
from nodes.generator.footage import folder as footages
from nodes.generator.network import checkpoint
from nodes.generator.training.evaluate import Pair, Score, score
from nodes.generator.training.grid import columns, write_grid

SMALLEST = 16  # side of a picture to measure on


def examine(
    file: Path, footage: Path, *, whole: bool = False, size: int = 0, backend: str = "torch", grid: Path | None = None
) -> Score:
    """Scores of the held-out frames, or of the whole footage where it is other footage than the performer's own.

    size: at which pictures are compared, scaled down where it is smaller than the performer's. Raises `BadInput`,
    and OSError for what cannot be written.
    """
    performer = checkpoint.read(file)
    own = performer.about.network.size
    if 0 < size < SMALLEST:
        raise BadInput(f"--size {size} is too small to measure on. Use {SMALLEST} or more.")
    if grid and not cv2.haveImageWriter(str(grid)):
        raise BadInput(f"{grid} is no picture's name. Let it end in .png or .jpg.")
    known = footages.outline(footage, own, performer.about.training.held_out)
    numbers = np.concatenate([known.train, known.held]) if whole else known.held
    if not len(numbers):
        raise BadInput(f"{footage} has no held-out frames with a person. Use longer footage, or --whole.")
    runs = choose.load(choose.prepare(file, backend, "cpu", torch.get_num_threads()), 1)
    shown = set(columns(numbers).tolist()) if grid else set()
    kept: dict[int, np.ndarray] = {}

    def pairs() -> Iterator[Pair]:
        wanted = np.isin(np.arange(known.info.frames), numbers)
        for number, frame in enumerate(footages.pictures(footage, known.info, own)):
            if number in shown:
                kept[number] = frame
            if wanted[number]:
                yield _smaller(painted(runs, performer.plate, known.points[number]), size), _smaller(frame, size)

    try:
        found = score(pairs(), _smaller(performer.plate, size), np.diff(numbers) == 1)
    finally:
        runs.close()
    if grid:
        few = replace(known, frames=np.stack(list(kept.values())), points=known.points[list(kept)])
        write_grid(grid, performer.painter(), few, np.arange(len(kept)))
    return found


def painted(runs: Backend, plate: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8: the performer over the plate, as a show paints it. points: (33, 4)."""
    rgba = np.empty((1, *plate.shape[:2], 4), np.uint8)
    runs.run(np.ascontiguousarray(points[None]), rgba)
    through = 1 - rgba[0, :, :, 3:].astype(np.float32) / 255
    return np.clip(np.rint(rgba[0, :, :, :3] + through * plate), 0, 255).astype(np.uint8)


def _smaller(picture: np.ndarray, size: int) -> np.ndarray:
    """size: 0 leaves it as it is."""
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA) if 0 < size < len(picture) else picture


def show(found: Score, target: Path | None) -> None:
    """Print a score, and write it as JSON."""
    print(f"{found.frames} frames: PSNR {found.psnr:.2f} dB, SSIM {found.ssim:.4f}, body {found.body_psnr:.2f} dB, "
          f"flicker {found.flicker:.2f} of 255")  # fmt: skip
    if target:
        replace_file(target, (json.dumps(found._asdict(), indent=2) + "\n").encode())

"""Measure a finished performer on footage, through any backend, and give it its name: `performer eval` and `export`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from engine.errors import BadInput
from engine.session import replace_file
from nodes.generator.backends import choose
from nodes.generator.network import checkpoint
from nodes.generator.training import footage as footages
from nodes.generator.training.evaluate import Score, score
from nodes.generator.training.grid import write_grid


def examine(
    file: Path, footage: Path, *, whole: bool = False, size: int = 0, backend: str = "torch", grid: Path | None = None
) -> Score:
    """Scores of the held-out frames, or of the whole footage where it is other footage than the performer's own.

    size: at which pictures are compared, scaled down where it is smaller than the performer's. Raises `BadInput`.
    """
    performer = checkpoint.read(file)
    own = performer.about.network.size
    loaded = footages.load(footage, own)
    numbers = np.concatenate([loaded.train, loaded.held]) if whole else loaded.held
    if not len(numbers):
        raise BadInput(f"{footage} has no held-out frames with a person. Use longer footage, or --whole.")
    pictures = painted(file, performer, loaded.points[numbers], backend)
    if grid:
        write_grid(grid, performer.painter(), loaded, numbers)
    frames, plate = loaded.frames[numbers], performer.plate
    if size and size < own:
        pictures, frames, (plate,) = (_smaller(each, size) for each in (pictures, frames, plate[None]))
    return score(pictures, frames, plate, np.diff(numbers) == 1)


def painted(file: Path, performer: checkpoint.Checkpoint, points: np.ndarray, backend: str) -> np.ndarray:
    """(N, S, S, 3) uint8: the performer over the plate, as a show paints it."""
    runs = choose.load(choose.prepare(file, backend, "cpu", torch.get_num_threads()))
    size = performer.about.network.size
    rgba, plate = np.empty((1, size, size, 4), np.uint8), performer.plate.astype(np.float32)
    pictures = np.empty((len(points), size, size, 3), np.uint8)
    for number, one in enumerate(points):
        runs.run(np.ascontiguousarray(one[None]), rgba)
        through = 1 - rgba[0, :, :, 3:].astype(np.float32) / 255
        pictures[number] = np.clip(np.rint(rgba[0, :, :, :3] + through * plate), 0, 255)
    runs.close()
    return pictures


def _smaller(pictures: np.ndarray, size: int) -> np.ndarray:
    return np.stack([cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA) for picture in pictures])


def export(run: Path, out: Path, named: dict[str, str], footage: Path | None = None, onnx: Path | None = None) -> None:
    """The performer of a training, with its name, licence and consent; measured in full where footage is given.

    named: performer, licence, consent; what is empty stays as it was. Raises `BadInput`.
    """
    source = run / "performer.safetensors" if run.is_dir() else run
    performer = checkpoint.read(source)
    metrics = performer.about.metrics
    if footage:
        found = examine(source, footage)
        metrics = {name: round(float(value), 4) for name, value in found._asdict().items()}
    given = {name: value for name, value in named.items() if value}
    about = performer.about.model_copy(update={**given, "metrics": metrics})
    checkpoint.write(out, about, performer.plate, performer.poses, performer.painter())
    if onnx:
        built = choose.prepare(out, "onnx", "cpu", 1).artefact
        replace_file(onnx, built.read_bytes())


def show(found: Score, target: Path | None) -> None:
    """Print a score, and write it as JSON."""
    print(f"{found.frames} frames: PSNR {found.psnr:.2f} dB, SSIM {found.ssim:.4f}, body {found.body_psnr:.2f} dB, "
          f"flicker {found.flicker:.2f} of 255")  # fmt: skip
    if target:
        replace_file(target, (json.dumps(found._asdict(), indent=2) + "\n").encode())

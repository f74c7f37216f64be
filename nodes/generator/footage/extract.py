"""`performer extract`: from a clip to a folder that `train` reads, with a report of how good the footage is."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from engine.errors import BadInput
from engine.models import COMMAND
from engine.progress import Progress
from engine.session import replace_file
from nodes.generator.footage import crop as crops
from nodes.generator.footage import plates
from nodes.generator.footage.advice import advice, told
from nodes.generator.footage.clip import Clip
from nodes.generator.footage.filled import filled
from nodes.generator.footage.folder import INFO, PLATE, POSES, Info
from nodes.generator.footage.poses import find_poses
from nodes.generator.footage.quality import SAMPLES, judge
from nodes.generator.footage.report import draw_report

REPORT = "report"
OURS = frozenset(("footage", "clip", "plate", "poses", REPORT))
ROOM_BYTES = 20e6  # for all but the clip's copy
FEWEST = 30  # frames with a person: fewer are no footage

at_once = partial(print, flush=True)


@dataclass(frozen=True)
class Wanted:
    """What the command line asked for. about: performer, licence, consent."""

    clip: Path
    out: Path
    plate: str = "auto"
    crop: str = "auto"
    quality: str = "full"
    threads: int = 1
    about: dict[str, str] = field(default_factory=dict)


def extract(wanted: Wanted, say: Callable[[str], None] = at_once) -> None:
    """Make the footage folder. Raises `BadInput` for what cannot be used; then nothing is left or changed."""
    clip = Clip(wanted.clip)
    size = wanted.clip.stat().st_size
    with filled(wanted.out, OURS, size + int(ROOM_BYTES), replaces=True) as part:
        given = plates.from_file(Path(wanted.plate), clip.size) if _is_file(wanted.plate) else None
        square = None if wanted.crop == "auto" else crops.given(wanted.crop, clip.size)
        say(f"{wanted.clip}: {clip.size[0]} × {clip.size[1]} pixels, {clip.fps:.4g} pictures per second.")
        points, found = _poses(clip, wanted)
        for remark in clip.remarks:
            say(remark)
        _require_somebody(clip, found)
        plate = _plate(clip, given, wanted.plate, points, found)
        say(plate.remark)
        square = square or crops.automatic(points[found], clip.size)
        say(f"The stage is the square of {square[2]} pixels, {square[0]} from the left and {square[1]} from the top.")
        _write(part, wanted, clip, plate.picture, square, points, found)
        progress = Progress("quality", min(found.sum(), SAMPLES))
        judged, curves = judge(clip, plate.picture, square, points, found, plate.never, progress.seen)
        progress.done()
        hints = advice(judged)
        text = told(judged, hints)
        replace_file(part / f"{REPORT}.txt", text.encode())
        replace_file(part / f"{REPORT}.json", (json.dumps({**judged.as_dict(), "advice": hints}) + "\n").encode())
        sheet = draw_report(clip, plate.picture, judged, curves, hints, points, found)
        replace_file(part / f"{REPORT}.png", _png(sheet))
    say(text.rstrip())
    say(f"Wrote {wanted.out}. Look at {wanted.out / (REPORT + '.png')}, then train: "
        f"{COMMAND} performer train {wanted.out} --out TRAINING --minutes 40")  # fmt: skip


def _is_file(plate: str) -> bool:
    """A span is two numbers with a dash; everything else that is not auto is a file's name."""
    return plate != "auto" and (Path(plate).exists() or not plate.replace("-", "").replace(".", "").isdigit())


def _poses(clip: Clip, wanted: Wanted) -> tuple[np.ndarray, np.ndarray]:
    progress = Progress("poses", clip.count)
    points, found = find_poses(
        clip.read_all(), quality=wanted.quality, threads=wanted.threads, seen=progress.seen
    )  # fmt: skip
    progress.done()
    return points, found


def _require_somebody(clip: Clip, found: np.ndarray) -> None:
    if found.sum() < FEWEST:
        raise BadInput(
            f"{clip.path} shows a person in {found.sum()} of {len(found)} pictures; at least {FEWEST} are needed. "
            "Record one person, whole from head to feet, in good light."
        )


def _plate(clip: Clip, given: plates.Plate | None, wanted: str, points: np.ndarray, found: np.ndarray) -> plates.Plate:
    if given:
        return plates.as_in_clip(given, clip, points, found)
    return plates.from_behind(clip, points, found) if wanted == "auto" else plates.from_span(clip, found, wanted)


def _write(
    part: Path,
    wanted: Wanted,
    clip: Clip,
    plate: np.ndarray,
    crop: crops.Crop,
    points: np.ndarray,
    found: np.ndarray,
) -> None:
    name = "clip" + wanted.clip.suffix.lower()
    shutil.copyfile(wanted.clip, part / name)
    with (part / name).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    info = Info(clip=name, sha256=digest, frames=len(found), fps=clip.fps, crop=crop).model_copy(update=wanted.about)
    packed = io.BytesIO()
    np.savez_compressed(packed, points=points, found=found)
    replace_file(part / POSES, packed.getvalue())
    replace_file(part / PLATE, _png(plate))
    replace_file(part / INFO, (info.model_dump_json(indent=2) + "\n").encode())


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 6])[1].tobytes()

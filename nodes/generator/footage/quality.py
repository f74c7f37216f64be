"""How good footage is to train on: what was seen of the performer, how sharp, and in what light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from nodes.generator.footage.clip import Clip
from nodes.generator.footage.crop import Crop, boxes, outside
from nodes.generator.footage.mattes import PRESENT, body, difference
from nodes.generator.playing.repertoire import HIPS, JOINTS, SHOULDERS, angle, arc_of, middle, sure

SAMPLES = 400  # frames that are looked at
SIDE = 256  # of the stage when colours are compared, pixels
SHARP_SIDE = 512  # when sharpness is measured: the same blur counts the same in a small and a large clip
BINS = 36  # of 10 degrees
BEEN = 3  # frames from which a bin counts as seen
BLURRED = 0.4  # of the clip's usual sharpness, below which a frame is blurred
USUAL = 75  # percentile of sharpness: what this camera and light give of a body that hardly moves
LIGHT_LEVELS = 6.0  # of 255, by which the empty stage may come out brighter or darker than the plate
LIGHT_FRAMES = 5  # samples over which that must last
DARK, BRIGHT = 8, 247  # beyond these a body's pixel tells nothing
LEFT_OUT = 1.0  # percent of angles too isolated to count


class Turn(NamedTuple):
    """Of one joint, or of the whole body. extent: degrees of the shortest arc. filled: share of its bins that were
    seen. known: share of the frames in which it was seen. counts: frames per bin of 10 degrees, from -180 on."""

    extent: float
    filled: float
    known: float
    counts: list[int]


@dataclass(frozen=True)
class Quality:
    """Shares are 0..1. light_levels: how far the stage's brightness came from the plate's, of 255, with its sign."""

    frames: int
    seconds: float
    size: tuple[int, int]
    crop: Crop
    plate_never_seen: float
    with_pose: float
    longest_gap_s: float
    longest_gap_at: str
    outside: float
    joints: dict[str, Turn]
    facing: Turn
    walked: float
    sharpness: float
    blurred: float
    light_levels: float
    light_changed_at: str
    restless: float
    too_dark: float
    too_bright: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        turns = {name: turn._asdict() for name, turn in self.joints.items()}
        return {**asdict(self), "joints": turns, "facing": self.facing._asdict()}


class Curves(NamedTuple):
    """Of the frames that were looked at: numbers (M,), sharpness, light in levels, both (M,) float with NaN where it
    could not be told."""

    numbers: np.ndarray
    sharpness: np.ndarray
    light: np.ndarray


def judge(
    clip: Clip,
    plate: np.ndarray,
    crop: Crop,
    points: np.ndarray,
    found: np.ndarray,
    never: float = 0.0,
    seen: Callable[[int], None] = lambda _: None,
) -> tuple[Quality, Curves]:
    """plate: (H, W, 3) uint8 BGR. points: (N, 33, 4) in pixels of the clip. found: (N,) bool, one at least is true.
    never: the share of the plate that is guessed. seen: called with the number of each frame that was looked at."""
    curves, restless, dark, bright = _look(clip, plate, crop, points, found, seen)
    people = points[found]
    known = curves.sharpness[np.isfinite(curves.sharpness)]
    usual = float(np.percentile(known, USUAL)) if len(known) else 0.0
    light, changed = _light(curves)
    gap, gap_at = _longest_gap(found)
    hips = middle(people, HIPS)[:, 0]
    low, high = np.percentile(hips, (1, 99))
    return Quality(
        frames=len(found), seconds=round(len(found) / clip.fps, 1), size=clip.size, crop=crop, plate_never_seen=never,
        with_pose=float(found.mean()), longest_gap_s=round(gap / clip.fps, 1),
        longest_gap_at=clip.clock(gap_at) if gap else "", outside=outside(people, crop),
        joints={name: _joint(people, name) for name in JOINTS}, facing=_turn(facing(people), len(people)),
        walked=float((high - low) / crop[2]), sharpness=usual,
        blurred=float((known < BLURRED * usual).mean()) if len(known) else 0.0,
        light_levels=light, light_changed_at="" if changed is None else clip.clock(changed),
        restless=restless, too_dark=dark, too_bright=bright,
    ), curves  # fmt: skip


def facing(points: np.ndarray) -> np.ndarray:
    """(N,) degrees: 0 towards the camera, 90 the performer's left shoulder nearer, 180 away from it."""
    across = points[:, SHOULDERS[0]] - points[:, SHOULDERS[1]]
    return np.degrees(np.arctan2(-across[:, 2], across[:, 0]))


def _joint(people: np.ndarray, name: str) -> Turn:
    parent, limb = JOINTS[name]
    known = sure(people, tuple({*parent[0], *parent[1], *limb[0], *limb[1]}))
    return _turn(angle(people[known], parent, limb), len(people))


def _turn(angles: np.ndarray, frames: int) -> Turn:
    counts = np.histogram(angles, BINS, (-180, 180))[0]
    extent = arc_of(angles, LEFT_OUT).extent if len(angles) else 0.0
    bins = max(1.0, extent / 360 * BINS)
    filled = float(min(1.0, (counts >= BEEN).sum() / bins))
    return Turn(extent, filled, len(angles) / frames, counts.tolist())


def _longest_gap(found: np.ndarray) -> tuple[int, int]:
    """How many frames in a row have nobody, between two that have somebody; and where that begins."""
    there = np.flatnonzero(found)
    gaps = np.diff(there) - 1
    if not len(gaps) or gaps.max() == 0:
        return 0, 0
    longest = int(np.argmax(gaps))
    return int(gaps[longest]), int(there[longest]) + 1


def _light(curves: Curves) -> tuple[float, int | None]:
    """The largest lasting difference from the plate's brightness, and the first frame of a change that is too large."""
    known = np.isfinite(curves.light)
    levels, numbers = curves.light[known], curves.numbers[known]
    if len(levels) < LIGHT_FRAMES:
        return 0.0, None
    lasting = np.median(np.lib.stride_tricks.sliding_window_view(levels, LIGHT_FRAMES), axis=1)
    beyond = np.flatnonzero(np.abs(lasting) > LIGHT_LEVELS)
    changed = int(numbers[beyond[0] + LIGHT_FRAMES // 2]) if len(beyond) else None
    return float(lasting[np.argmax(np.abs(lasting))]), changed


def _look(
    clip: Clip,
    plate: np.ndarray,
    crop: Crop,
    points: np.ndarray,
    found: np.ndarray,
    seen: Callable[[int], None],
) -> tuple[Curves, float, float, float]:
    """The curves, and shares: of the stage beside the performer that moves; of the body too dark, too bright."""
    there = np.flatnonzero(found)
    numbers = there[np.linspace(0, len(there) - 1, min(SAMPLES, len(there))).round().astype(int)]
    empty = _stage(plate, crop, SIDE)
    around = (boxes(points[numbers]) - (*crop[:2], *crop[:2])) * SIDE / crop[2]
    rows = []
    for index, (number, picture) in enumerate(clip.read(numbers.tolist())):
        small = _stage(picture, crop, SIDE)
        rows.append((number, *_of_frame(small, empty, around[index], _stage(picture, crop, SHARP_SIDE))))
        seen(index)
    table = np.array(rows, float).reshape(-1, 6)
    restless, dark, bright = (float(np.nanmean(column)) if np.isfinite(column).any() else 0.0 for column in table.T[3:])
    return Curves(table[:, 0].astype(int), table[:, 1], table[:, 2]), restless, dark, bright


def _of_frame(
    small: np.ndarray, empty: np.ndarray, box: np.ndarray, large: np.ndarray
) -> tuple[float, float, float, float, float]:
    """sharpness, light, restless, dark, bright of one frame; NaN where it cannot be told."""
    left, top, right, bottom = box.clip(0, SIDE).astype(int)
    beside = np.ones((SIDE, SIDE), bool)
    beside[top:bottom, left:right] = False
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    change = grey[beside].astype(np.int16) - cv2.cvtColor(empty, cv2.COLOR_BGR2GRAY)[beside]
    light = float(np.median(change[::8])) if len(change) else np.nan  # not the mean: shadows fall here, too
    restless = float((np.abs(change - light) > PRESENT).mean()) if len(change) else np.nan
    person = (body(difference(small, empty)) & ~beside).astype(np.uint8)
    values = grey[person > 0]
    if not len(values):
        return np.nan, light, restless, np.nan, np.nan
    laplacian = cv2.Laplacian(cv2.cvtColor(large, cv2.COLOR_BGR2GRAY), cv2.CV_32F)
    inside = cv2.resize(person, (SHARP_SIDE, SHARP_SIDE), interpolation=cv2.INTER_NEAREST)
    sharpness = float(cv2.meanStdDev(laplacian, mask=inside)[1][0, 0]) ** 2
    return sharpness, light, restless, float((values < DARK).mean()), float((values > BRIGHT).mean())


def _stage(picture: np.ndarray, crop: Crop, side: int) -> np.ndarray:
    left, top, old = crop
    method = cv2.INTER_AREA if old >= side else cv2.INTER_LINEAR
    return cv2.resize(picture[top : top + old, left : left + old], (side, side), interpolation=method)

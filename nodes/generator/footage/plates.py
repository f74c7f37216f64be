"""The empty stage of a clip: from a picture, from a span in which nobody is there, or from behind the performer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from engine.errors import BadInput
from nodes.generator.footage.clip import Clip
from nodes.generator.footage.crop import boxes
from nodes.generator.footage.levels import levelled
from nodes.generator.footage.mattes import PRESENT, difference

SAMPLES = 41  # pictures of which the median is taken
SAMPLE_BYTES = 400e6  # that they may fill: of very large pictures there are fewer
LEAST_SAMPLES = 5
CANDIDATES = 2000  # pictures to choose those from
ENOUGH = 15  # pictures in which a place was seen
CELLS = 48  # per side, of the grid on which that is counted
GONE_S, WALKING_S = 1.5, 0.5  # nobody found for so long: the stage is empty, but for so long at either end
STILL_LOOKS, MOST_MOVING = 5, 0.01  # pictures of it compared, and what share may change: people move, stages do not
STRIP = 16  # rows at a time
INPAINT_RADIUS = 5
ANOTHER = 40  # levels by which a plate and the clip's stage differ, half of all places or more, if it is another one
MOST_SCALED = 0.01  # by which the proportions of another size may differ


class Plate(NamedTuple):
    """picture: (H, W, 3) uint8 BGR. never: share of it that no picture showed. remark: where it comes from."""

    picture: np.ndarray
    never: float
    remark: str


def from_file(path: Path, size: tuple[int, int]) -> Plate:
    """Raises `BadInput`."""
    try:
        picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error) as error:
        why = getattr(error, "strerror", None) or "it is empty"
        raise BadInput(f"The plate {path} cannot be read: {why}. Name another, or use --plate auto.") from error
    if picture is None:
        raise BadInput(f"{path} is not a picture. Name another as --plate, or use --plate auto.")
    height, width = picture.shape[:2]
    remark = f"The empty stage is {path}."
    if (width, height) != size:
        if abs(width / height / (size[0] / size[1]) - 1) > MOST_SCALED:
            raise BadInput(
                f"The plate {path} has {width} × {height} pixels and the clip {size[0]} × {size[1]}: it was not taken "
                "in the same way. Use --plate auto, or a span of the clip in which nobody is there, such as 0-3."
            )
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if width > size[0] else cv2.INTER_CUBIC)
        remark = f"The empty stage is {path}, scaled from {width} × {height} pixels."
    return Plate(picture, 0.0, remark)


def from_span(clip: Clip, found: np.ndarray, text: str) -> Plate:
    """text: `start-end` in seconds. found: (N,) bool. Raises `BadInput`."""
    try:
        start, end = (float(word) for word in text.split("-"))
    except ValueError:
        raise BadInput(f"--plate {text} is neither auto, nor a file, nor start-end in seconds, such as 0-3.") from None
    first, after = round(start * clip.fps), min(round(end * clip.fps), len(found))
    if not 0 <= first < after:
        raise BadInput(f"--plate {text} is no span of the clip, which lasts {len(found) / clip.fps:.1f} s.")
    if found[first:after].any():
        at = first + int(np.argmax(found[first:after]))
        raise BadInput(
            f"Somebody is in the picture at {clip.clock(at)}, within --plate {text}. Name a span in which the stage is "
            "empty, or use --plate auto."
        )
    numbers = np.linspace(first, after - 1, min(_most(clip), after - first)).round().astype(int)
    picture, _ = _median(clip, {int(number): None for number in numbers})
    return Plate(picture, 0.0, f"The empty stage is what the clip shows from {start:g} to {end:g} s.")


def from_behind(clip: Clip, points: np.ndarray, found: np.ndarray) -> Plate:
    """Of each pixel the median over pictures in which the performer does not cover it.

    points: (N, 33, 4) in pixels. found: (N,) bool. What was never seen is guessed from around it.
    """
    picture, seen, count = _behind(clip, points, found)
    never = seen == 0
    share = float(never.mean())
    remark = f"The empty stage is the median of {count} pictures, each without the performer."
    if never.any():
        picture = cv2.inpaint(picture, never.astype(np.uint8), INPAINT_RADIUS, cv2.INPAINT_TELEA)
        remark += f" {max(share, 0.001):.1%} of it was always covered, and is guessed from what lies around."
    return Plate(picture, share, remark)


def as_in_clip(plate: Plate, clip: Clip, points: np.ndarray, found: np.ndarray) -> Plate:
    """The same stage at the levels at which the clip shows it; see `levels`. Raises `BadInput` for another stage."""
    picture, seen, _ = _behind(clip, points, found)
    free = seen >= ENOUGH
    apart = float(np.median(difference(plate.picture, picture)[free])) if free.any() else 0.0
    if apart > ANOTHER:
        raise BadInput(
            f"That plate does not show the stage of {clip.path}: they differ by {apart:.0f} of 255. Name another as "
            "--plate, or use --plate auto."
        )
    new, changed = levelled(plate.picture, picture, free)
    if not changed:
        return plate
    remark = f"{plate.remark} It was brought to the clip's levels, by {changed:.1f} of 255 on average."
    return plate._replace(picture=new, remark=remark)


def _behind(clip: Clip, points: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The stage without the performer, (H, W, 3), in how many pictures each pixel was seen, (H, W), and of how many."""
    covered = _covered(points, found, clip)
    chosen = _choose(covered, clip.size, _most(clip))
    return *_median(clip, {int(number): covered[number] for number in chosen}), len(chosen)


def _most(clip: Clip) -> int:
    return max(LEAST_SAMPLES, min(SAMPLES, int(SAMPLE_BYTES / (3 * clip.size[0] * clip.size[1]))))


def _covered(points: np.ndarray, found: np.ndarray, clip: Clip) -> np.ndarray:
    """(N, 4) int: the box that the performer may cover in each frame. Nothing while the stage is surely empty, and all
    of it where nobody was found for a moment only, or something moves."""
    width, height = clip.size
    covered = boxes(points).clip(0, (width, height, width, height)).round().astype(int)
    covered[~found] = (0, 0, width, height)
    edges = np.flatnonzero(np.diff(np.concatenate([[True], found, [True]]).astype(int)))
    for first, after in edges.reshape(-1, 2):
        if (after - first) / clip.fps >= GONE_S:
            walking = round(WALKING_S * clip.fps)
            first, after = first + walking * (first > 0), after - walking * (after < len(found))
            if _is_still(clip, first, after):
                covered[first:after] = 0
    return covered


def _is_still(clip: Clip, first: int, after: int) -> bool:
    numbers = np.linspace(first, after - 1, STILL_LOOKS).round().astype(int)
    looks = [picture for _, picture in clip.read(numbers.tolist())]
    return all((difference(look, looks[0]) > PRESENT).mean() <= MOST_MOVING for look in looks)


def _choose(covered: np.ndarray, size: tuple[int, int], most: int) -> np.ndarray:
    """The numbers of few frames that together show every place often, as far as it was ever seen: each next one is
    that which shows most of what is still wanted."""
    random = np.random.default_rng(0)  # of equals not always the first: the light may change
    numbers = random.permutation(np.linspace(0, len(covered) - 1, min(len(covered), CANDIDATES)).round().astype(int))
    steps = (np.arange(CELLS) + 0.5) / CELLS
    left, top, right, bottom = covered[numbers].T[..., None]
    across = (steps * size[0] >= left) & (steps * size[0] < right)
    down = (steps * size[1] >= top) & (steps * size[1] < bottom)
    shown = ~(down[:, :, None] & across[:, None, :]).reshape(len(numbers), -1)
    wanted = np.full(CELLS * CELLS, ENOUGH)
    chosen: list[int] = []
    while len(chosen) < min(most, len(numbers)):
        gains = (shown & (wanted > 0)).sum(1)
        gains[chosen] = -1
        best = int(np.argmax(gains))
        if gains[best] <= 0 and chosen:
            break
        chosen.append(best)
        wanted -= shown[best]
    return np.sort(numbers[chosen])


def _median(clip: Clip, covered: dict[int, np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
    """The median of some frames, each without its box, (H, W, 3), and in how many each pixel was seen, (H, W)."""
    width, height = clip.size
    pictures, free = [], []
    for number, picture in clip.read(covered):
        pictures.append(picture)
        mask = np.ones((height, width), bool)
        if (box := covered[number]) is not None:
            mask[box[1] : box[3], box[0] : box[2]] = False
        free.append(mask)
    median, seen = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), int)
    for top in range(0, height, STRIP):
        rows = slice(top, top + STRIP)
        shown = np.stack([mask[rows] for mask in free])
        values = np.stack([picture[rows] for picture in pictures]).astype(np.uint16)
        values[~shown] = 256  # sorts behind all others
        seen[rows] = shown.sum(0)
        middle = ((seen[rows] - 1) // 2).clip(0)[None, ..., None]
        at_middle = np.take_along_axis(np.sort(values, axis=0), np.broadcast_to(middle, (1, *values.shape[1:])), 0)[0]
        median[rows] = at_middle.clip(0, 255)
    return median, seen

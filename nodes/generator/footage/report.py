"""One picture of how good footage is, drawn with OpenCV alone."""

from __future__ import annotations

import cv2
import numpy as np

from nodes.generator.footage.advice import LEAST_EXTENT, LEAST_TURNED
from nodes.generator.footage.clip import Clip
from nodes.generator.footage.mattes import PRESENT, difference
from nodes.generator.footage.quality import BINS, BLURRED, LIGHT_LEVELS, Curves, Quality, Turn
from nodes.generator.playing.repertoire import HIPS, LEAST_SCORE, middle
from nodes.generator.styles import blazepose33

WIDTH, EDGE = 1200, 16
TILES, TILE = 6, 188  # the plate and five frames
DIALS, DIAL = 5, 224  # per row; width of one
DIAL_RADIUS, DIAL_HEIGHT = 62, 176
STRIP_HEIGHT, STRIP_LEFT = 54, 150
LINE = 24
PAPER, INK, FAINT, WARM, COOL, BAD = (
    (30, 28, 26), (235, 235, 235), (120, 116, 112), (60, 160, 255), (230, 190, 90), (80, 80, 240)
)  # fmt: skip
FONT = cv2.FontFace("sans")
DIMMED = 0.3  # of the stage around the matte


def draw_report(
    clip: Clip,
    plate: np.ndarray,
    quality: Quality,
    curves: Curves,
    hints: list[str],
    points: np.ndarray,
    found: np.ndarray,
) -> np.ndarray:
    """(H, 1200, 3) uint8 BGR: samples, dials of the joints, curves over time, advice.

    plate: (H, W, 3) uint8 BGR. points: (N, 33, 4) in pixels of the clip. found: (N,) bool.
    """
    lines = hints or ["Nothing is to be wished for: train."]
    parts = [
        _words([f"{quality.frames} pictures, {quality.seconds:.0f} s; a person was found in {quality.with_pose:.1%}"]),
        _samples(clip, plate, quality, points, found),
        _dials(quality),
        _curves(quality, curves, points, found),
        _words(lines),
    ]
    return np.vstack(parts)


def _paper(height: int) -> np.ndarray:
    return np.full((height, WIDTH, 3), PAPER, np.uint8)


def _write(paper: np.ndarray, text: str, at: tuple[int, int], size: int = 16, colour: tuple = INK) -> None:
    cv2.putText(paper, text, at, colour, FONT, size, 400)


def _words(lines: list[str]) -> np.ndarray:
    paper = _paper(LINE * len(lines) + EDGE)
    for number, line in enumerate(lines):
        _write(paper, line, (EDGE, EDGE + 8 + number * LINE), 16)
    return paper


def _samples(clip: Clip, plate: np.ndarray, quality: Quality, points: np.ndarray, found: np.ndarray) -> np.ndarray:
    there = np.flatnonzero(found)
    chosen = there[np.linspace(0, len(there) - 1, TILES + 1).round().astype(int)[1:-1]]
    left, top, side = quality.crop
    empty = plate[top : top + side, left : left + side]
    tiles = [(_tile(empty), "the empty stage")]
    for number, picture in clip.read(chosen.tolist()):
        seen = picture[top : top + side, left : left + side]
        person = points[number].astype(np.float64) - (left, top, 0, 0)
        tiles.append((_drawn(seen, empty, person), clip.clock(number)))
    paper = _paper(TILE + LINE + EDGE)
    for column, (tile, title) in enumerate(tiles):
        x = EDGE + column * (TILE + 8)
        paper[:TILE, x : x + TILE] = tile
        _write(paper, title, (x, TILE + 18), 14, FAINT)
    return paper


def _tile(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA)


def _drawn(picture: np.ndarray, empty: np.ndarray, person: np.ndarray) -> np.ndarray:
    """A frame with its stage dimmed and its pose drawn in."""
    matte = cv2.GaussianBlur((difference(picture, empty) > PRESENT).astype(np.float32), (0, 0), 2)[..., None]
    shown = _tile((picture * (DIMMED + (1 - DIMMED) * matte)).astype(np.uint8))
    scaled = person * (TILE / len(picture), TILE / len(picture), 1, 1)
    canvas = cv2.cvtColor(shown, cv2.COLOR_BGR2RGBA)
    blazepose33.draw(canvas, scaled, LEAST_SCORE)
    return cv2.cvtColor(canvas, cv2.COLOR_RGBA2BGR)


def _dials(quality: Quality) -> np.ndarray:
    """How often each joint stood at which angle: 0 is up, and the picture's clockwise is the dial's."""
    turns = [("facing (camera: up)", quality.facing, LEAST_TURNED)]
    for name, turn in quality.joints.items():
        turns.append((name.replace("_", " "), turn, LEAST_EXTENT[name.split("_")[-1]]))
    rows = -(-len(turns) // DIALS)
    paper = _paper(rows * DIAL_HEIGHT + EDGE)
    for number, (name, turn, least) in enumerate(turns):
        centre = (EDGE + number % DIALS * (WIDTH - 2 * EDGE) // DIALS + DIAL_RADIUS + 4,
                  number // DIALS * DIAL_HEIGHT + DIAL_RADIUS + 8)  # fmt: skip
        _dial(paper, turn, centre)
        beside = (centre[0] + DIAL_RADIUS + 8, centre[1])
        _write(paper, f"{turn.extent:.0f}°", beside, 20, WARM if turn.extent >= least else BAD)
        _write(paper, f"{turn.filled:.0%} filled", (beside[0], beside[1] + 22), 13, FAINT)
        _write(paper, name, (centre[0] - DIAL_RADIUS, centre[1] + DIAL_RADIUS + 22), 15)
    return paper


def _dial(paper: np.ndarray, turn: Turn, centre: tuple[int, int]) -> None:
    cv2.circle(paper, centre, DIAL_RADIUS, FAINT, 1, cv2.LINE_AA)
    cv2.line(paper, (centre[0], centre[1] - DIAL_RADIUS), centre, FAINT, 1, cv2.LINE_AA)
    counts = np.sqrt(np.array(turn.counts) / max(1, *turn.counts))  # by area, so that rare angles are seen, too
    for bin, share in enumerate(counts):
        if share > 0:
            start = bin * 360 / BINS - 180 - 90
            radius = max(3, round(float(share) * DIAL_RADIUS))
            cv2.ellipse(paper, centre, (radius, radius), 0, start, start + 360 / BINS, WARM, -1, cv2.LINE_AA)


def _curves(quality: Quality, curves: Curves, points: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Over the clip's time: whether somebody was found, where on the stage, how sharp, in what light."""
    left, _, side = quality.crop
    place = np.where(found, (middle(points, HIPS)[:, 0] - left) / side, np.nan)
    strips = (
        ("pose found", np.arange(len(found)), found.astype(float), (0.0, 1.0), None),
        ("place, left to right", np.arange(len(found)), place, (0.0, 1.0), None),
        ("sharpness", curves.numbers, curves.sharpness, (0.0, 2 * max(quality.sharpness, 1.0)),
         BLURRED * quality.sharpness),
        ("light, ± 12 of 255", curves.numbers, curves.light, (-2 * LIGHT_LEVELS, 2 * LIGHT_LEVELS), 0.0),
    )  # fmt: skip
    paper = _paper(len(strips) * (STRIP_HEIGHT + 8) + EDGE)
    for row, (name, numbers, values, span, level) in enumerate(strips):
        top = row * (STRIP_HEIGHT + 8)
        _write(paper, name, (EDGE, top + STRIP_HEIGHT // 2 + 6), 14)
        area = paper[top : top + STRIP_HEIGHT, STRIP_LEFT : WIDTH - EDGE]
        area[:] = (44, 42, 40)
        if level is not None:
            cv2.line(area, (0, _row(level, span)), (area.shape[1], _row(level, span)), FAINT, 1)
        _curve(area, numbers / max(1, len(found) - 1), values, span)
    return paper


def _row(value: float, span: tuple[float, float]) -> int:
    share = (value - span[0]) / (span[1] - span[0])
    return int(np.clip((1 - share) * (STRIP_HEIGHT - 5) + 2, 2, STRIP_HEIGHT - 3))


def _curve(area: np.ndarray, times: np.ndarray, values: np.ndarray, span: tuple[float, float]) -> None:
    """times: 0..1. Where a value is not known the line breaks."""
    known = np.isfinite(values)
    for piece in np.split(np.arange(len(values)), np.flatnonzero(np.diff(known.astype(int))) + 1):
        if len(piece) and known[piece[0]]:
            line = [(round(times[n] * (area.shape[1] - 1)), _row(values[n], span)) for n in piece]
            cv2.polylines(area, [np.array(line, np.int32)], False, COOL, 1, cv2.LINE_AA)

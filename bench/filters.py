"""What the filters of a pose node do to its points: how late, how calm, how far beyond.

python bench/filters.py [plot.png]

Two traces. "dance", 60 pictures per second: a point on a body that is 1200 pixels large sways and jumps as a wrist
does, with sharp turns, measured with 3 pixels of noise; what is right is known. "clip", 30 per second: the points that
BlazePose measured on assets/visitor.mp4 (tests/data/pose_reference.npz); a local parabola through 9 pictures, which
looks ahead, passes for right. Prints, in pixels unless it says so:

lag       ms by which the filtered trace is late: the shift that fits it best to what is right
err       mean distance from what is right
jitter    mean change of velocity from picture to picture; that of the right trace is in the heading
rest      standard deviation of a body that stands still
step      ms until 90 % of a jump of 200 pixels
over      how far beyond that jump it goes
us        microseconds for one person's 33 points

The plot shows a part of "dance".
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from nodes.pose.filters import Kind, points_filter  # noqa: E402

SIZE, NOISE = 1200.0, 3.0
KINDS: tuple[Kind, ...] = ("one_euro", "kalman")
CALM = (0.0, 0.25, 0.5, 0.75, 1.0)


class Trace(NamedTuple):
    """measured and right: (N, K, 3) pixels; fps; size of the body in pixels."""

    measured: np.ndarray
    right: np.ndarray
    fps: float
    size: float


def dance(seconds: float = 20, fps: float = 60) -> Trace:
    random, t = np.random.default_rng(0), np.arange(round(seconds * fps)) / fps
    x = 160 * np.sin(2 * np.pi * 0.7 * t) + 60 * np.sin(2 * np.pi * 1.9 * t + 1)
    y = 200 * np.arcsin(np.sin(2 * np.pi * 1.1 * t)) / np.pi  # to and fro, with sharp turns
    moves = 0.5 + 0.5 * np.tanh(8 * np.sin(2 * np.pi * 0.125 * t))  # four seconds of dance, four of rest
    right = np.stack([x * moves, y * moves, 0 * t], 1)[:, None].repeat(33, 1)
    return Trace(right + random.normal(0, NOISE, right.shape) * (1, 1, 10), right, fps, SIZE)


def clip() -> Trace:
    measured = np.load(ROOT / "tests" / "data" / "pose_reference.npz", allow_pickle=False)["raw"][:, :, :3].astype(
        np.float64
    )
    reach = 4
    window = np.arange(-reach, reach + 1)
    parabola = np.linalg.pinv(np.stack([window**0, window, window**2], 1))[0]
    right = np.stack([np.tensordot(parabola, measured[i - reach : i + reach + 1], 1) for i in range(4, 96)])
    return Trace(measured[4:96], right, 30, 560)


def filtered(kind: Kind, calm: float, trace: Trace) -> np.ndarray:
    follow = points_filter(kind)
    times = np.arange(1, len(trace.measured) + 1) * round(1e9 / trace.fps)
    points = zip(trace.measured, times, strict=True)
    return np.array([follow(value, int(now), trace.size, calm) for value, now in points])


def lag_ms(trace: Trace, result: np.ndarray) -> float:
    """Half a second at most; the right trace is shifted by parts of a picture."""
    count = np.arange(len(result), dtype=float)
    shifts = np.arange(0, 0.5 * trace.fps, 0.05)
    errors = []
    for shift in shifts:
        late = [np.interp(count - shift, count, trace.right[:, 0, axis]) for axis in (0, 1)]
        inside = slice(round(0.5 * trace.fps), None)
        errors.append(np.mean((np.stack(late, 1)[inside] - result[inside, 0, :2]) ** 2))
    return float(shifts[int(np.argmin(errors))] / trace.fps * 1000)


def jitter(points: np.ndarray) -> float:
    return float(np.mean(np.abs(np.diff(points[..., :2], 2, axis=0))))


def figures(kind: Kind, calm: float) -> str:
    cells = []
    for trace in (dance(), clip()):
        result = filtered(kind, calm, trace)
        error = np.hypot(*(result - trace.right)[10:, :, :2].transpose(2, 0, 1)).mean()
        cells += [lag_ms(trace, result), error, jitter(result[10:])]
    random = np.random.default_rng(1)
    still = Trace(random.normal(0, NOISE, (600, 33, 3)), np.zeros((600, 33, 3)), 60, SIZE)
    jump = Trace(np.where(np.arange(240) < 120, 0.0, 200.0)[:, None, None].repeat(3, 2), np.zeros(0), 60, SIZE)
    jumped = filtered(kind, calm, jump)[120:, 0, 0]
    before = time.perf_counter()
    rest = filtered(kind, calm, still)[60:, :, :2].std()
    cost = (time.perf_counter() - before) / 600 * 1e6
    reached = np.argmax(jumped >= 180) if jumped.max() >= 180 else np.inf
    cells += [rest, reached / 60 * 1000, max(0.0, jumped.max() - 200), cost]
    return f"| {kind:<8} {calm:4.2f} |" + "".join(f" {cell:6.1f} |" for cell in cells)


def plot(path: Path) -> None:
    """The last turn of the dance and the rest after it: measured grey, right white, 1€ orange, Kalman blue."""
    trace, width, height = dance(), 1600, 700
    part = slice(round(2.6 * trace.fps), round(5.2 * trace.fps))
    canvas = np.full((height, width, 3), 24, np.uint8)
    lines = [(trace.measured, (110, 110, 110)), (trace.right, (255, 255, 255))]
    lines += [
        (filtered(kind, 0.5, trace), colour)
        for kind, colour in zip(KINDS, ((0, 150, 255), (255, 160, 60)), strict=True)
    ]
    for points, colour in lines:
        y = points[part, 0, 1]
        places = np.stack([np.linspace(20, width - 20, len(y)), height / 2 - y * 3], 1)
        cv2.polylines(canvas, [np.rint(places * 16).astype(np.int32)], False, colour, 2, cv2.LINE_AA, 4)
    cv2.imwrite(str(path), canvas)


def main() -> None:
    named = [
        f"{jitter(trace.right[10:]):.1f} right, {jitter(trace.measured[10:]):.1f} measured"
        for trace in (dance(), clip())
    ]
    print(f"jitter: dance {named[0]}; clip {named[1]}")
    heads = ("dance lag", "err", "jitter", "clip lag", "err", "jitter", "rest", "step", "over", "us")
    print("| filter, calm  |" + "".join(f" {head:>6} |" for head in heads))
    for kind in KINDS:
        for calm in CALM:
            print(figures(kind, calm), flush=True)
    if len(sys.argv) > 1:
        plot(Path(sys.argv[1]))


if __name__ == "__main__":
    main()

"""Make bench/pose_reference.npz: where the joints of the person in the four calibrated clips really are.

python bench/pose_reference.py

From the package's own OpenPose results, in the way and with the thresholds of its own demo: each joint is triangulated
from the cameras that agree on it, and followed with a zero-phase Butterworth filter at 6 Hz. The first points are those
of the file that the authors published with the demo (S00_P00_T01_BalancingTrial_0-100_filt_butterworth.trc), to 1 mm.
"""

from __future__ import annotations

import itertools
import json
import sys
import zipfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.pose_files import fetched
from bench.pose_views import View, read_views, reprojections, triangulate

TARGET = Path(__file__).with_suffix(".npz")
TRIAL = "Pose2Sim/S00_Demo_Session/S00_P00_SingleParticipant/S00_P00_T01_BalancingTrial/pose"
JOINTS = (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)  # of BODY_25B: shoulders, elbows, wrists, hips, knees, ankles
FRAMES, FPS = 100, 60
LEAST_SCORE, WORST_PX, MOST_LEFT_OUT, CUTOFF_HZ = 0.3, 15, 2, 6


def openpose(wheel: zipfile.ZipFile) -> np.ndarray:
    """(4 cameras, 100 frames, 12 joints, 3): x, y in pixels, score. Of the people in a picture, the largest."""
    found = np.zeros((4, FRAMES, 25, 3))
    for camera, frame in np.ndindex(4, FRAMES):
        text = wheel.read(f"{TRIAL}/cam0{camera + 1}_json/cam0{camera + 1}.{frame:04d}.json")
        people = [np.array(person["pose_keypoints_2d"]).reshape(25, 3) for person in json.loads(text)["people"]]
        found[camera, frame] = max(people, key=_area)
    return found[:, :, JOINTS]


def _area(person: np.ndarray) -> float:
    return float(np.prod(np.ptp(person[person[:, 2] > 0.2, :2], axis=0)))


def agreed(views: list[View], seen: np.ndarray) -> np.ndarray:
    """(100, 12, 3) metres: of each joint, from as many cameras as agree within WORST_PX."""
    scores = np.where(seen[..., 2] < LEAST_SCORE, 0, seen[..., 2])
    points, error = np.zeros((*seen.shape[1:3], 3)), np.full(seen.shape[1:3], np.inf)
    for left_out in range(MOST_LEFT_OUT + 1):
        open_still = error > WORST_PX
        for cameras in itertools.combinations(range(4), left_out):
            weights = scores.copy()
            weights[list(cameras)] = 0
            used = (weights > 0).sum(0)
            made = triangulate(views, seen[..., :2], weights)
            off = (reprojections(views, made, seen[..., :2]) * (weights > 0)).sum(0) / np.maximum(used, 1)
            better = open_still & (used >= 2) & (off < error)
            points[better], error[better] = made[better], off[better]
    return points


def butterworth(values: np.ndarray) -> np.ndarray:
    """Along the first axis, second order, forward and backward: no delay. The ends are mirrored first."""
    k = np.tan(np.pi * CUTOFF_HZ / FPS)
    norm = 1 / (1 + np.sqrt(2) * k + k * k)
    ahead, back1, back2 = k * k * norm, 2 * (k * k - 1) * norm, (1 - np.sqrt(2) * k + k * k) * norm

    def run(given: np.ndarray) -> np.ndarray:
        out, s1, s2 = np.empty_like(given), given[0] * (1 - ahead), given[0] * (ahead - back2)
        for i, value in enumerate(given):
            out[i] = ahead * value + s1
            s1, s2 = 2 * ahead * value - back1 * out[i] + s2, ahead * value - back2 * out[i]
        return out

    pad = 9
    longer = np.concatenate([2 * values[0] - values[pad:0:-1], values, 2 * values[-1] - values[-2 : -pad - 2 : -1]])
    return run(run(longer)[::-1])[::-1][pad:-pad]


def main() -> None:
    files = fetched(["reference.whl", "calibration.qca.txt"])
    with zipfile.ZipFile(files["reference.whl"]) as wheel:
        seen = openpose(wheel)
    points = butterworth(agreed(read_views(files["calibration.qca.txt"]), seen))
    np.savez_compressed(TARGET, points=points.astype(np.float32))
    print(f"{TARGET}: {points.shape}")


if __name__ == "__main__":
    main()

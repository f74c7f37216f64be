"""How long the pose networks take in each runtime, and how far torch's answers are from LiteRT's.

python bench/pose_runtimes.py

LiteRT and torch on one thread of the processor, and torch on a CUDA graphics card where there is one. Each network sees
a visitor of assets/visitor.mp4. `off by`: the largest difference in pixels of the network's input, of any point.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it when it is loaded
import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from engine.errors import BadInput  # noqa: E402
from engine.models import model_path  # noqa: E402
from nodes.pose.model import LiteRT, Model, card_refusal  # noqa: E402
from nodes.pose.torch_model import TorchModel  # noqa: E402

NETWORKS = {"pose_detection": 224, **{f"pose_landmark_{quality}": 256 for quality in ("lite", "full", "heavy")}}
RUNS, ROUNDS = 20, 5


def visitor(side: int, low: float) -> np.ndarray:
    """(1, side, side, 3) float32, `low` to 1."""
    _, picture = cv2.VideoCapture(str(ROOT / "assets" / "visitor.mp4")).read()
    pixels = cv2.resize(cv2.cvtColor(picture[40:580], cv2.COLOR_BGR2RGB), (side, side), interpolation=cv2.INTER_AREA)
    return pixels[None].astype(np.float32) / 255 * (1 - low) + low


def points(model: Model, name: str, given: np.ndarray) -> np.ndarray:
    """(39, 2) pixels of the input, or all boxes of the detector."""
    if name == "pose_detection":
        return model(given, (1, 2254, 12))[0].copy()
    return model(given, (1, 195))[0].reshape(39, 5)[:, :2].copy()


def milliseconds(model: Model, name: str, given: np.ndarray) -> float:
    points(model, name, given)
    times = []
    for _ in range(RUNS):
        before = time.perf_counter_ns()
        points(model, name, given)
        times.append((time.perf_counter_ns() - before) / 1e6)
    return float(np.median(times))


def main() -> None:
    refused = card_refusal()
    print(f"CUDA: {refused or 'there is a card'}")
    print(f"{'network':<22} {'runtime':<11} {'ms':>7} {'off by':>9}")
    for name, side in NETWORKS.items():
        try:
            path = model_path(f"{name}.tflite")
        except BadInput as error:
            print(error)
            continue
        runtimes: dict[str, Model] = {"LiteRT": LiteRT(path, 1), "torch CPU": TorchModel(path, "cpu")}
        if not refused:
            runtimes["torch CUDA"] = TorchModel(path, "cuda")
        given = visitor(side, -1 if name == "pose_detection" else 0)
        expected = points(runtimes["LiteRT"], name, given)
        rounds = [{label: milliseconds(model, name, given) for label, model in runtimes.items()} for _ in range(ROUNDS)]
        for label, model in runtimes.items():
            off = np.abs(points(model, name, given) - expected).max()
            print(f"{name:<22} {label:<11} {min(one[label] for one in rounds):7.2f} {off:9.5f}", flush=True)


if __name__ == "__main__":
    main()

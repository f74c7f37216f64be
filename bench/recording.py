"""What it takes to record frames without loss and to read them again. See docs/RECORDING.md.

python bench/recording.py [FOLDER] [--seconds 10] [--json FILE]

One process, as the recorder's is; each case writes that many seconds of 30 frames each, as quickly as it can, into a
file in FOLDER, whose disk is what is measured, and reads them. `sync` is how long the disk then still took.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.steps import frame
from nodes.recording.reader import Recording
from nodes.recording.writer import FramesFile

FPS, KINDS = 30, 8  # KINDS: frames of each case that differ


def camera(seed: int) -> np.ndarray:
    """1080p as a camera gives it: a scene and its noise, which no packing makes smaller."""
    dice = np.random.default_rng(seed)
    scene = cv2.resize(dice.integers(40, 200, (9, 16, 3), np.uint8), (1920, 1080), interpolation=cv2.INTER_CUBIC)
    noise = dice.normal(0, 3, scene.shape).astype(np.float32)
    return np.clip(scene + noise, 0, 255).astype(np.uint8)


def figure(seed: int) -> np.ndarray:
    """512 x 512 RGBA, half of it clear."""
    picture = np.zeros((512, 512, 4), np.uint8)
    picture[:, 128:384] = np.random.default_rng(seed).integers(0, 256, (512, 256, 4), np.uint8)
    return picture


def depth(seed: int) -> np.ndarray:
    """1280 x 720 as a depth camera gives it: noise of a few millimetres, and holes."""
    dice = np.random.default_rng(seed)
    picture = (2000 + dice.normal(0, 4, (720, 1280, 1))).astype(np.uint16)
    picture[100:300, 200:500] = 0
    return picture


def keypoints(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((2, 33, 4), np.float32)


CASES: dict[str, tuple[Callable[[int], np.ndarray], bool]] = {
    "1080p BGR, camera": (camera, True),
    "1080p BGR, camera, not packed": (camera, False),
    "720p depth": (depth, True),
    "512 RGBA, figure": (figure, True),
    "keypoints of two people": (keypoints, True),
}


def measure(folder: Path, make: Callable[[int], np.ndarray], compress: bool, seconds: int) -> dict[str, float]:
    kinds = [frame(make(seed), seed + 1) for seed in range(KINDS)]
    path, spent = folder / "bench.mcap", []
    file = FramesFile(path, ["x"], compress)
    begun = time.perf_counter()
    for number in range(seconds * FPS):
        one = time.perf_counter()
        file.write("x", kinds[number % KINDS])
        spent.append((time.perf_counter() - one) * 1e3)
    file.finish()
    wrote = time.perf_counter() - begun
    with path.open("rb+") as again:
        os.fsync(again.fileno())
    synced = time.perf_counter() - begun - wrote
    size, raw = path.stat().st_size / 1e6, seconds * FPS * kinds[0].array.nbytes / 1e6
    begun = time.perf_counter()
    recording = Recording(path)
    count = sum(1 for _ in recording.frames("x"))
    recording.close()
    read = time.perf_counter() - begun
    assert count == seconds * FPS
    path.unlink()
    return {
        "p50_ms": float(np.percentile(spent, 50)), "p99_ms": float(np.percentile(spent, 99)),
        "share_of_30_fps": wrote / seconds, "raw_mb_per_s": raw / wrote, "size": size / raw, "sync_s": synced,
        "read_ms": read / count * 1e3,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(tempfile.gettempdir()))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(
        f"{'case':32} {'ms p50':>7} {'p99':>7} {'of 30 fps':>9} {'MB/s raw':>9} "
        f"{'size':>6} {'sync s':>7} {'read ms':>8}"
    )
    found = {}
    for name, (make, compress) in CASES.items():
        row = found[name] = measure(options.folder, make, compress, options.seconds)
        print(
            f"{name:32} {row['p50_ms']:7.2f} {row['p99_ms']:7.2f} {row['share_of_30_fps']:9.0%} "
            f"{row['raw_mb_per_s']:9.0f} {row['size']:6.0%} {row['sync_s']:7.1f} {row['read_ms']:8.2f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

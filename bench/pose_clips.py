"""How good the poses are, on the calibrated clips of pose2sim's demo. See docs/POSE-QUALITY.md.

python bench/pose_clips.py [--qualities full heavy] [--sheet FILE.png] [--json FILE]

Fetches the clips at the first run (51 MB; bench/pose_files.json has their sha256) and prints four tables: how exact the
points are, whether two people stay two, who is found in the dark, and that nobody is found where nobody is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.pose_files import fetched
from bench.pose_looks import LOOKS, Estimator, dimmed, nobody, video
from bench.pose_sheet import Sheet
from bench.pose_views import read_views, reprojections, triangulate
from bench.steps import ROOT

FRAMES, CAMERAS = 100, (1, 2, 3, 4)
JOINTS = [11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]  # of BlazePose: the twelve of bench/pose_reference.py
BONES = [(0, 2), (1, 3), (2, 4), (3, 5), (6, 8), (7, 9), (8, 10), (9, 11)]  # upper and lower arms and legs
FILTERS = ("none", "one_euro")
TRIES = 30
GAINS = (1.0, 0.3, 0.08, 0.03)
SHORT, LONG = 5, 10  # how often one picture is shown: each part that the detector searches gets its turn


def points_of(quality: str, kind: str, files: dict[str, Path]) -> np.ndarray:
    """(4, 100, 12, 2) pixels, NaN where nobody was found."""
    found = np.full((len(CAMERAS), FRAMES, len(JOINTS), 2), np.nan)
    for camera in CAMERAS:
        estimate = Estimator(quality=quality, filter=kind)
        for number, picture in enumerate(video(files[f"one{camera}.mp4"])):
            progress(f"{quality}, {kind}: camera {camera}, picture {number + 1} of {FRAMES}")
            people = estimate(picture).array
            if len(people):
                found[camera - 1, number] = people[0, JOINTS, :2]
    return found


def exactness(found: np.ndarray, files: dict[str, Path]) -> dict[str, float]:
    views = read_views(files["calibration.qca.txt"])
    reference = np.load(ROOT / "bench" / "pose_reference.npz", allow_pickle=False)["points"].astype(float)
    missed = np.isnan(found[..., 0, 0])
    truth = np.stack([view.project(reference) for view in views])
    off = np.linalg.norm(found - truth, axis=-1)
    torso = np.linalg.norm(truth[:, :, :2].mean(2) - truth[:, :, 6:8].mean(2), axis=-1)
    points = triangulate(views, np.nan_to_num(found), np.repeat(~missed[..., None], len(JOINTS), 2) + 1e-9)
    apart = np.linalg.norm(points - reference, axis=-1) * 1000
    lengths = np.stack([np.linalg.norm(points[:, a] - points[:, b], axis=-1) for a, b in BONES])
    agree = reprojections(views, points, found)
    shake = np.linalg.norm(np.diff(found, 2, axis=1), axis=-1)
    return {
        "2d_median_px": float(np.nanmedian(off)),
        "2d_p90_px": float(np.nanpercentile(off, 90)),
        "pck_percent": 100 * float((off < 0.2 * torso[..., None]).mean()),
        "views_median_px": float(np.nanmedian(agree)),
        "views_p90_px": float(np.nanpercentile(agree, 90)),
        "3d_median_mm": float(np.median(apart)),
        "3d_p90_mm": float(np.percentile(apart, 90)),
        "bones_percent": 100 * float((lengths.std(1) / lengths.mean(1)).mean()),
        "jitter_px": float(np.nanmedian(shake)),
        "jitter_mm": 1000 * float(np.median(np.linalg.norm(np.diff(points, 2, axis=0), axis=-1))),
        "missed": int(missed.sum()),
    }


def two_people(camera: int, files: dict[str, Path]) -> dict[str, Any]:
    """Two people: in how many pictures both are, under how many ids, and the farthest that an id jumped."""
    estimate, both, ids, jump = Estimator(people=2), 0, set(), 0.0
    last: dict[int, np.ndarray] = {}
    for number, picture in enumerate(video(files[f"two{camera}.mp4"])):
        progress(f"two people: camera {camera}, picture {number + 1} of {FRAMES}")
        people = estimate(picture)
        both += len(people.ids) == 2
        ids |= set(people.ids)
        hips = dict(zip(people.ids, people.array[:, [23, 24], :2].mean(1), strict=True))
        heights = dict(zip(people.ids, np.ptp(people.array[:, :, 1], axis=1), strict=True))
        jumps = [np.linalg.norm(hips[one] - last[one]) / heights[one] for one in hips if one in last]
        jump, last = max([jump, *jumps]), hips
    return {"both": both, "ids": len(ids), "jump": float(jump)}


def somebody(estimate: Estimator, look: Callable[[], np.ndarray], times: int) -> bool:
    """Whether anybody is found in a picture that is shown so many times, each time with noise of its own."""
    estimate.forget()
    return any(estimate(look()).ids for _ in range(times))


def progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{what:<76}", end="\r", file=sys.stderr, flush=True)


def exactness_table(qualities: list[str], files: dict[str, Path], results: dict[str, Any]) -> None:
    print("| network, filter | 2D px median / p90 | PCK@0.2 | 4 views px | 3D mm | bones | jitter px / mm | missed |")
    print("|---|---|---|---|---|---|---|---|")
    for quality in qualities:
        for kind in FILTERS:
            row = results[f"{quality}, {kind}"] = exactness(points_of(quality, kind, files), files)
            cells = [
                f"{quality}, {kind}",
                f"{row['2d_median_px']:.1f} / {row['2d_p90_px']:.0f}",
                f"{row['pck_percent']:.1f} %",
                f"{row['views_median_px']:.1f} / {row['views_p90_px']:.0f}",
                f"{row['3d_median_mm']:.0f} / {row['3d_p90_mm']:.0f}",
                f"{row['bones_percent']:.1f} %",
                f"{row['jitter_px']:.2f} / {row['jitter_mm']:.1f}",
                f"{row['missed']} of {FRAMES * len(CAMERAS)}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)


def people_table(files: dict[str, Path], results: dict[str, Any]) -> None:
    print("\n| two people | both found | ids | an id's longest jump, body heights |\n|---|---|---|---|")
    for camera in CAMERAS:
        row = results[f"two people, camera {camera}"] = two_people(camera, files)
        print(f"| camera {camera} | {row['both']} of {FRAMES} | {row['ids']} | {row['jump']:.2f} |", flush=True)


def dark_table(files: dict[str, Path], results: dict[str, Any]) -> None:
    clips = {"visitor.mp4": ROOT / "assets" / "visitor.mp4", "camera 1": files["one1.mp4"]}
    print(f"\n| of {TRIES} pictures of | level off, found | level auto, found |\n|---|---|---|")
    for clip, path in clips.items():
        pictures = [picture for _, picture in zip(range(TRIES), video(path), strict=False)]
        for look, change in LOOKS.items():
            row: dict[str, int] = {}
            for level in ("off", "auto"):
                progress(f"{clip}, {look}, level {level}")
                estimate = Estimator(level=level)
                row[level] = sum(somebody(estimate, partial(change, picture), SHORT) for picture in pictures)
            results[f"{clip}, {look}"] = row
            print(f"| {clip}, {look} | {row['off']} | {row['auto']} |", flush=True)


def empty_table(files: dict[str, Path], results: dict[str, Any]) -> None:
    progress("emptying the rooms")
    groups = nobody(files)
    print(f"\n| nobody there, each shown {LONG} times | pictures | {' | '.join(f'light {gain}' for gain in GAINS)} |")
    print(f"|---|---|{'---|' * len(GAINS)}")
    for group, pictures in groups.items():
        row: dict[str, int] = {}
        for gain in GAINS:
            estimate = Estimator(people=3)
            row[str(gain)] = 0
            for number, picture in enumerate(pictures):
                progress(f"nobody, light {gain}, {group}: picture {number + 1} of {len(pictures)}")
                row[str(gain)] += somebody(estimate, partial(dimmed, picture, gain), LONG)
        results[f"nobody, {group}"] = {"pictures": len(pictures), **row}
        print(f"| {group} | {len(pictures)} | {' | '.join(str(count) for count in row.values())} |", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--qualities", nargs="+", default=["full", "heavy"], choices=["lite", "full", "heavy"])
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="write drawn poses of every clip there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    clips = [f"{what}{camera}.mp4" for what in ("one", "two") for camera in CAMERAS]
    files = fetched([*clips, "calibration.qca.txt", "room3.png"])
    results: dict[str, Any] = {}
    exactness_table(options.qualities, files, results)
    people_table(files, results)
    dark_table(files, results)
    empty_table(files, results)
    if options.sheet:
        sheet = Sheet()
        for clip in clips:
            estimate = Estimator(people=2 if clip.startswith("two") else 1, mask=True)
            for number, picture in enumerate(video(files[clip])):
                people = estimate(picture)
                if number in (20, 80):
                    sheet.add(picture, people, estimate.mask, f"{clip[:-4]}, picture {number}")
        sheet.save(options.sheet)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

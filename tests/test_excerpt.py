"""A part of a video: which pictures it holds, and that it ends, loops and breaks off as a whole one does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from camera_kit import camera_fixture, numbered, numbers, step_for_frames, video  # noqa: F401

from engine.errors import BadInput
from nodes.camera import playback

FPS = 25


def played(node: Any) -> list[int]:
    while not node.ended:
        node.step()
    return numbers(node)


@pytest.mark.parametrize(
    "part, pictures",
    [
        ({"start": 0.4}, range(11, 31)),
        ({"seconds": 0.2}, range(1, 6)),
        ({"start": 0.2, "seconds": 0.4}, range(6, 16)),
        ({"start": 1.0, "seconds": 60}, range(26, 31)),
        ({"seconds": 0.001}, range(1, 2)),
    ],
)
def test_the_pictures_of_a_part(tmp_path: Path, camera: Any, part: dict[str, float], pictures: range) -> None:
    node = camera(video(tmp_path / "a.mp4", 30, FPS), offline=True, **part)
    assert node.source.total == len(pictures)
    assert played(node) == list(pictures)


def test_of_numbered_pictures_too(tmp_path: Path, camera: Any) -> None:
    for number in range(1, 10):
        cv2.imwrite(str(tmp_path / f"img_{number}.png"), numbered(number))
    assert played(camera(tmp_path / "img_%d.png", offline=True, start=0.1, seconds=0.1)) == [4, 5, 6]


def test_a_part_loops(tmp_path: Path, camera: Any) -> None:
    node = camera(video(tmp_path / "a.mp4", 30, FPS), loop=True, start=0.4, seconds=0.12, fps=1000)
    step_for_frames(node, 6)
    assert set(numbers(node)) <= {11, 12, 13} and len(set(numbers(node))) > 1


def test_a_start_beyond_the_end(tmp_path: Path, camera: Any) -> None:
    with pytest.raises(BadInput, match="is over before 5 s"):
        camera(video(tmp_path / "a.mp4", 30, FPS), start=5)


@pytest.mark.parametrize("slow_ns", [0, 500_000_000])
def test_offline_times_are_the_videos_however_slow_the_reading(
    tmp_path: Path, camera: Any, monkeypatch: pytest.MonkeyPatch, slow_ns: int
) -> None:
    now = [0]
    monkeypatch.setattr(playback, "now_ns", lambda: now[0])
    node = camera(video(tmp_path / "a.mp4", 10, FPS), offline=True, start=0.2)
    while not node.ended:
        now[0] += slow_ns
        node.step()
    assert np.diff([frame.capture_ns for frame in node.frames]).tolist() == [10**9 // FPS] * 4

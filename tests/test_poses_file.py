"""Poses in a file: what output.poses writes, pose.file gives again, at its times."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import frame, make

from engine.errors import BadInput, EngineError
from nodes.output.poses import PosesWriter
from nodes.pose.file import FromFile
from nodes.poses_file import FORMAT, PosesFile, header

SECOND = 1_000_000_000
RNG = np.random.default_rng(4)


def keypoints(count: int, time_s: float, canvas: tuple[int, int] = (540, 640), **meta: Any) -> Any:
    points = (RNG.random((count, 33, 4)) * (540, 640, 300, 1)).astype(np.float32)
    about = {"pixel_format": "KEYPOINTS", "canvas": canvas, "ids": tuple(range(5, 5 + count)), **meta}
    return frame(points, capture_ns=7 * SECOND + round(time_s * SECOND), **about)


def write(path: Path, frames: list[Any], offline: bool = True) -> None:
    node = make(PosesWriter, offline=offline, path=str(path))
    for one in frames:
        node.step(one)
    if offline:
        node.finish()
    node.close()


def play(path: Path, steps: int = 100, **settings: Any) -> Any:
    node = make(FromFile, path=str(path), setup=False, **settings)
    node.offline, node.expected = True, []
    node.expect = node.expected.append
    node.setup()
    for _ in range(steps):
        if not node.ended:
            node.step()
    return node


def test_what_was_written_is_played_again(tmp_path: Path) -> None:
    path = tmp_path / "poses.jsonl"
    frames = [keypoints(1, 0), keypoints(0, 0.04), keypoints(2, 0.1), keypoints(1, 0.5, (64, 48))]
    write(path, frames)
    assert list(tmp_path.iterdir()) == [path]
    node = play(path)
    assert node.expected == [4] and node.ended and len(node.frames) == 4
    for before, after in zip(frames, node.frames, strict=True):
        assert after.array.dtype == np.float32 and after.shape == before.shape
        np.testing.assert_allclose(after.array, before.array, atol=1e-4)
        assert (after.ids, after.canvas, after.pixel_format) == (before.ids, before.canvas, "KEYPOINTS")
    times = np.diff([one.capture_ns for one in node.frames]) / SECOND
    np.testing.assert_allclose(times, [0.04, 0.06, 0.4], atol=1e-5)


def test_any_program_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "poses.jsonl"
    write(path, [keypoints(1, 0), keypoints(1, 0.25)])
    first, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert first == {"format": FORMAT, "points": 33}
    assert [line["time"] for line in lines] == [0, 0.25] and lines[1]["canvas"] == [540, 640]
    assert np.shape(lines[0]["people"]) == (1, 33, 4) and lines[0]["ids"] == [5]


def test_points_that_are_not_finite_count_for_nothing(tmp_path: Path) -> None:
    one = keypoints(1, 0)
    one.array[0, 3, 1] = np.nan
    one.array[0, 4, 2] = np.inf
    write(tmp_path / "poses.jsonl", [one])
    (found,) = PosesFile(tmp_path / "poses.jsonl").read()
    assert not found.people[0, 3:5].any() and found.people[0, 5].all()


def test_an_offline_run_that_was_stopped_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "poses.jsonl"
    path.write_text("earlier", encoding="utf-8")
    node = make(PosesWriter, offline=True, path=str(path))
    node.step(keypoints(1, 0))
    node.close()
    assert path.read_text(encoding="utf-8") == "earlier" and list(tmp_path.iterdir()) == [path]


def test_a_live_run_is_complete_when_it_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "poses.jsonl"
    write(path, [keypoints(1, 0)], offline=False)
    assert PosesFile(path).count == 1


def test_no_picture_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "poses.jsonl", [])
    assert list(tmp_path.iterdir()) == [] and "No picture came" in caplog.text


def test_pictures_are_no_poses(tmp_path: Path) -> None:
    node = make(PosesWriter, path=str(tmp_path / "poses.jsonl"))
    with pytest.raises(EngineError, match="connect the input to a pose node"):
        node.step(frame(np.zeros((4, 4, 3), np.uint8)))
    node.close()


@pytest.mark.parametrize("where", ["", "none/poses.jsonl"])
def test_places_that_cannot_be_written_to(tmp_path: Path, where: str) -> None:
    with pytest.raises(BadInput, match="is a folder|Make the folder"):
        make(PosesWriter, path=str(tmp_path / where))


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    node = make(PosesWriter, path=str(tmp_path / "poses.jsonl"))
    node.file.close()
    node.file = open("/dev/full", "w", encoding="utf-8", buffering=1)  # noqa: SIM115
    with pytest.raises(EngineError, match="Free some space"):
        node.step(keypoints(1, 0))


GOOD = '{"time": 0, "canvas": [4, 4], "ids": [], "people": []}\n'


@pytest.mark.parametrize(
    "text",
    ["", "\n", "{}", "[]", "3", "\xff",
     '{"format": "other"}', header(0), header(10**9), header(33), header(33) + "\n\n",
     '{"format": "utsushi.poses/1", "points": "33"}\n' + GOOD, "[" * 10_000],
)  # fmt: skip
def test_files_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "poses.jsonl"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(BadInput, match="is no poses file|holds no poses"):
        make(FromFile, path=str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no file"):
        make(FromFile, path=str(tmp_path / "poses.jsonl"))


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", "{}", GOOD.replace("[4, 4]", "[4]"), GOOD.replace("[4, 4]", "[0, 4]"), GOOD.replace("0,", "NaN,", 1),
        GOOD.replace("0,", "-1,", 1), GOOD.replace('"ids": []', '"ids": [1]'), GOOD.replace("0,", '"x",', 1),
        GOOD.replace('[], "people": []', '[1], "people": [[[1, 2, 3, 1]]]'), "[" * 10_000,
        GOOD.replace('[], "people": []', f'[-1], "people": [{[[1, 2, 3, 1]] * 33}]'),
        GOOD.replace('[], "people": []', f'{[1] * 99}, "people": {[[[1, 2, 3, 1]] * 33] * 99}'),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "poses.jsonl"
    path.write_text(header(33) + GOOD + line + "\n", encoding="utf-8")
    node = make(FromFile, offline=True, path=str(path))
    node.step()
    with pytest.raises(BadInput, match="poses.jsonl, line 3"):
        node.step()


def test_time_does_not_run_backwards(tmp_path: Path) -> None:
    path = tmp_path / "poses.jsonl"
    path.write_text(header(33) + GOOD.replace("0,", "2,", 1) + GOOD.replace("0,", "1,", 1), encoding="utf-8")
    with pytest.raises(BadInput, match="line 3: .*before that of the line above"):
        play(path)


def test_live_it_keeps_its_times_and_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "poses.jsonl"
    write(path, [keypoints(1, 0), keypoints(1, 0.02), keypoints(1, 0.04)])
    node = make(FromFile, path=str(path), loop=True)
    while len(node.frames) < 7:
        node.step()
    times = [one.capture_ns for one in node.frames]
    assert times == sorted(times) and not node.ended
    assert all(one.publish_ns >= one.capture_ns for one in node.frames), "never before its time"
    np.testing.assert_allclose(np.diff(times[:3]) / SECOND, [0.02, 0.02], atol=1e-5)

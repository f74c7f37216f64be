"""`run_engine.py recording`: what it says of a file, and the sheets of pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("mcap", reason="recording frames needs the optional package mcap")
pytest.importorskip("lz4", reason="recording frames needs the optional package lz4")

from recording_kit import at, depth, keypoints, picture, write

from engine.errors import BadInput
from nodes.recording.command import main
from nodes.recording.reader import Recording
from nodes.recording.sheet import BAR, SIZE, sheet, thumbnail


def test_it_says_what_came_and_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seqs = [*range(1, 11), *range(14, 31)]  # three were left out, which makes a gap of four periods
    path = write(
        tmp_path / "f.mcap",
        [pair for seq in seqs for pair in (("image", picture(seq)), ("kp", keypoints(seq)))] + [("depth", depth(31))],
    )
    assert main(["recording", str(path), "--picture", str(tmp_path / "sheets")]) == 0
    head, _, image, _, kp, *_ = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{path}: 2026-09-") and ", 1.0 s, " in head and "never" not in head
    assert image.split() == ["image", "48x64x3", "uint8", "BGR", "27", "26.90", "133", "ms", "3"]
    assert kp.split() == ["kp", "2x33x4", "float32", "KEYPOINTS", "27", "26.90", "133", "ms", "3"]
    sizes = {one.name: cv2.imread(str(one)).shape for one in (tmp_path / "sheets").iterdir()}
    full = (4 * (SIZE[1] + BAR), 4 * SIZE[0], 3)
    assert sizes == {"f-image.png": full, "f-kp.png": full, "f-depth.png": (SIZE[1] + BAR, SIZE[0], 3)}


def test_it_says_that_a_file_was_cut_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.mcap", [("image", picture(1))], whole=False)
    write(tmp_path / "b.mcap", [("image", picture(2))])
    assert main(["recording", str(tmp_path)]) == 0
    first, second = (line for line in capsys.readouterr().out.splitlines() if ".mcap" in line)
    assert "never completed" in first and "never" not in second


def test_what_cannot_be_read_is_an_error_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recording", str(tmp_path / "none.mcap")]) == 10
    assert "There is no recording" in capsys.readouterr().err
    path = write(tmp_path / "f.mcap", [("image", picture(1))])
    (tmp_path / "file").write_text("")
    assert main(["recording", str(path), "--picture", str(tmp_path / "file")]) == 1
    assert "Name another folder" in capsys.readouterr().err


def test_any_frame_is_reached_by_its_number(tmp_path: Path) -> None:
    path = write(tmp_path / "f.mcap", [("image", picture(seq)) for seq in range(1, 31)])
    recording = Recording(path)
    assert [recording.frame("image", number).seq for number in (29, 0, 13, 6, 7)] == [30, 1, 14, 7, 8]
    with pytest.raises(BadInput, match="no such frame"):
        recording.frame("image", 30)
    recording.close()


def test_thumbnails_show_colours_depths_and_points() -> None:
    red = at(1, np.full((40, 40, 3), (0, 0, 255), np.uint8), pixel_format="BGR")
    tile = thumbnail(red)
    assert tile[120, 160].tolist() == [0, 0, 255] and tile[120, 5].tolist() == [0, 0, 0]
    near_left = np.repeat(np.linspace(500, 4000, 64, dtype=np.uint16)[None, :, None], 48, 0)
    near_left[:5] = 0
    tile = thumbnail(at(1, near_left, pixel_format="DEPTH"))
    assert tile[120, 20, 2] > 100 > tile[120, 20, 0] and tile[120, 300, 2] < 100 and not tile[5].any()
    points = np.zeros((1, 1, 4), np.float32)
    points[0, 0] = 32, 12, 0, 1
    tile = thumbnail(at(1, points, pixel_format="KEYPOINTS", canvas=(64, 48)))
    ys, xs = np.nonzero(tile[..., 2] > 200)
    assert abs(xs.mean() - 160) < 2 and abs(ys.mean() - 62) < 2


@pytest.mark.parametrize(
    "array, pixel_format",
    [
        (np.zeros((0, 0, 3), np.uint8), "BGR"), (np.zeros((), np.float64), "NONE"),
        (np.zeros((4, 4, 1), np.uint16), "DEPTH"), (np.full((2, 3, 4), np.nan, np.float32), "KEYPOINTS"),
        (np.full((2, 3, 4), 3e38, np.float32), "WORLD"), (np.zeros((0, 33, 4), np.float32), "KEYPOINTS"),
        (np.zeros(5, np.float32), "DEPTH"), (np.zeros((2, 2, 4), bool), "WORLD"),
    ],
)  # fmt: skip
def test_anything_makes_a_thumbnail(array: np.ndarray, pixel_format: str) -> None:
    assert sheet([at(1, array, pixel_format=pixel_format)], ["it"]).shape == (SIZE[1] + BAR, SIZE[0], 3)


def test_a_file_that_cannot_be_read_hides_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mcap").write_bytes(b"no")
    write(tmp_path / "b.mcap", [("image", picture(1))])
    assert main(["recording", str(tmp_path)]) == 10
    printed = capsys.readouterr()
    assert "a.mcap" in printed.err and "b.mcap" in printed.out

"""The command line's own checks, and the picture that --snapshot writes."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import harness
import numpy as np
import pytest

from engine import main, session
from engine.errors import BadInput, Exit


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e9", "soon", ""])
def test_a_number_of_seconds_that_cannot_be_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main([f"--seconds={seconds}"])
    assert caught.value.code == Exit.USAGE and "is not a number of seconds" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", [0.5, 86400.0])
def test_any_number_of_seconds_that_can_be_is_taken(seconds: float) -> None:
    assert main.command_parser().parse_args(["--seconds", str(seconds)]).seconds == seconds


def test_a_target_is_tried_before_the_show_and_left_as_it_was(tmp_path: Path) -> None:
    session.require_writable(None)
    session.require_writable(tmp_path / "new.json")
    (tmp_path / "old.json").write_text("old")
    session.require_writable(tmp_path / "old.json")
    assert os.listdir(tmp_path) == ["old.json"] and (tmp_path / "old.json").read_text() == "old"
    with pytest.raises(BadInput, match="is a folder or a device. Choose another"):
        session.require_writable(tmp_path)
    with pytest.raises(BadInput, match="cannot be written: .* Choose another"):
        session.require_writable(tmp_path / "no" / "folder" / "figures.json")


@pytest.mark.parametrize("row_order", ["TOP_DOWN", "BOTTOM_UP"])
@pytest.mark.parametrize("pixel_format", ["RGB", "BGR", "RGBA", "BGRA"])
def test_a_snapshot_is_upright_and_in_its_own_colours(tmp_path: Path, pixel_format: str, row_order: str) -> None:
    red, blue = [pixel_format.index(letter) for letter in "RB"]
    picture = np.full((4, 4, len(pixel_format)), 255, np.uint8)
    picture[..., :3] = 0
    picture[:2, :, red] = picture[2:, :, blue] = 200  # red above, blue below
    if row_order == "BOTTOM_UP":
        picture = np.ascontiguousarray(picture[::-1])
    path = tmp_path / "picture.png"
    main._write_picture(path, harness.frame(picture, pixel_format=pixel_format, row_order=row_order))
    found = cv2.imread(str(path))
    assert found is not None and found[0, 0].tolist() == [0, 0, 200] and found[3, 3].tolist() == [200, 0, 0]
    assert os.listdir(tmp_path) == ["picture.png"]


def test_without_a_picture_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main._write_picture(tmp_path / "picture.png", None)
    assert "no picture" in capsys.readouterr().err and not os.listdir(tmp_path)

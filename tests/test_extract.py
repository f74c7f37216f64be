"""`performer extract`: what it makes of good clips and odd ones, and what it says of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import namedtuple
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from camera_kit import nothing_hangs_fixture as nothing_hangs_fixture
from footage_kit import SIZE, STAGE, body, dance, walk, with_body, write_clip

from engine.errors import BadInput, Exit
from engine.models import FOLDER
from nodes.generator.footage import crop, extract, folder, plates, quality
from nodes.generator.footage.advice import advice
from nodes.generator.footage.clip import Clip
from nodes.generator.footage.extract import Wanted
from nodes.generator.training import commands

pytestmark = pytest.mark.usefixtures("nothing_hangs")

WALK = walk()
ALL = np.ones(len(WALK), bool)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "walk.mp4", map(with_body, WALK))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands in for BlazePose; `points` and `found` may be replaced by those of another clip."""
    poses = {"points": WALK, "found": ALL}

    def find(pictures: Any, **_: Any) -> tuple[np.ndarray, np.ndarray]:
        count = sum(1 for _ in pictures)
        return poses["points"][:count].copy(), poses["found"][:count].copy()

    monkeypatch.setattr(extract, "find_poses", find)
    return poses


def run(clip: Path, out: Path, **settings: Any) -> list[str]:
    said: list[str] = []
    extract.extract(Wanted(clip, out, **settings), said.append)
    return said


def nothing_left(folder: Path) -> bool:
    return not [entry for entry in folder.iterdir() if entry.name != "walk.mp4"]


# --- the whole, with BlazePose ---


@pytest.mark.skipif(not (FOLDER / "pose_landmark_lite.tflite").exists(), reason="the pose models are not fetched")
def test_footage_can_be_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    clip, truth = dance(tmp_path / "dance.mp4")
    out = tmp_path / "footage"
    words = ["--quality", "lite", "--crop", "0,0,256", "--performer", "nobody", "--licence", "CC0-1.0"]
    assert commands.main(["performer", "extract", str(clip), "--out", str(out), *words]) == Exit.OK
    loaded = folder.load(out, 64)
    assert len(loaded.train) + len(loaded.held) >= 38
    assert np.median(np.abs(loaded.points[:, :, :2] * 256 - truth[:, :, :2])) < 5
    assert loaded.info.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert (loaded.info.performer, loaded.info.licence, loaded.info.fps) == ("nobody", "CC0-1.0", 10)
    assert cv2.imread(str(out / "report.png")).shape[1] == 1200
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["frames"] == 40 and report["with_pose"] > 0.9 and "left_elbow" in report["joints"]
    assert (out / "report.txt").read_text(encoding="utf-8") in capsys.readouterr().out


# --- the empty stage ---


def test_the_stage_is_found_behind_who_walks(walked: Path) -> None:
    plate = plates.from_behind(Clip(walked), WALK, ALL)
    assert plate.never == 0 and np.abs(plate.picture.astype(int) - STAGE).max() < 20


def test_what_was_always_covered_is_guessed_and_said(tmp_path: Path) -> None:
    points = np.repeat(body(64)[None], 20, 0)
    clip = write_clip(tmp_path / "still.mp4", map(with_body, points))
    plate = plates.from_behind(Clip(clip), points, np.ones(20, bool))
    assert 0.1 < plate.never < 0.5 and "always covered" in plate.remark
    left, top, right, bottom = crop.boxes(points)[0].astype(int)
    assert plate.picture[top:bottom, left:right].std() < STAGE.std() * 1.5  # no speckles of the figure


def test_an_empty_stage_in_the_clip_is_used(tmp_path: Path) -> None:
    points, there = np.concatenate([np.zeros((30, 33, 4), np.float32), np.repeat(body(64)[None], 30, 0)]), np.arange(60)
    clip = write_clip(tmp_path / "enters.mp4", (STAGE if n < 30 else with_body(points[n]) for n in there))
    plate = plates.from_behind(Clip(clip), points, there >= 30)
    assert plate.never == 0 and np.abs(plate.picture.astype(int) - STAGE).max() < 20


def test_a_moment_without_a_pose_is_no_empty_stage(tmp_path: Path) -> None:
    points = np.repeat(body(64)[None], 30, 0)
    clip = write_clip(tmp_path / "missed.mp4", map(with_body, points))
    found = np.ones(30, bool)
    found[10:15] = False  # half a second
    assert plates.from_behind(Clip(clip), points, found).never > 0.1


def test_somebody_who_moves_but_is_not_found_is_no_empty_stage(walked: Path) -> None:
    found = ALL.copy()
    found[20:40] = False  # two seconds
    plate = plates.from_behind(Clip(walked), WALK, found)
    assert plate.never == 0 and np.abs(plate.picture.astype(int) - STAGE).max() < 20


def test_the_stage_of_a_span(walked: Path) -> None:
    clip, found = Clip(walked), np.arange(60) >= 20
    plate = plates.from_span(clip, found, "0-2")
    assert plate.picture.shape == (SIZE, SIZE, 3) and "from 0 to 2 s" in plate.remark
    for text, why in (("0-3", "at 0:02"), ("7-20", "lasts 6.0 s"), ("3-1", "no span"), ("x", "neither auto")):
        with pytest.raises(BadInput, match=why):
            plates.from_span(clip, found, text)


def test_the_stage_of_a_file(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "large.png"), cv2.resize(STAGE, (256, 256)))
    assert "scaled" in plates.from_file(tmp_path / "large.png", (SIZE, SIZE)).remark
    cv2.imwrite(str(tmp_path / "wide.png"), cv2.resize(STAGE, (256, 128)))
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, why in (
        ("wide.png", "not taken in the same way"),
        ("text.png", "is not a picture"),
        ("empty.png", "."),
        ("no.png", "cannot be read"),
    ):
        with pytest.raises(BadInput, match=why):
            plates.from_file(tmp_path / name, (SIZE, SIZE))


# --- the square ---


def test_the_square_holds_the_person_always() -> None:
    points = walk(50, 300, 500) + (0, 100, 0, 0)
    left, top, side = crop.automatic(points, (1280, 720))
    boxes = crop.boxes(points)
    assert side % 2 == 0 and side < 500 and crop.outside(points, (left, top, side)) == 0
    assert (boxes[:, 0] >= left - 2).all() and (boxes[:, 2] <= left + side + 2).all()


def test_the_square_is_the_whole_height_for_who_walks_far() -> None:
    points = walk(50, 100, 1200) + (0, 300, 0, 0)
    assert crop.automatic(points, (1281, 721))[2] == 720
    assert crop.outside(points, crop.automatic(points, (1281, 721))) > 0.2


def test_the_square_of_a_person_who_fills_the_picture() -> None:
    assert crop.automatic(walk(20, 250, 260), (512, 512))[2] < 200
    large = np.stack([body(256, 256, 420)] * 5)
    assert crop.automatic(large, (512, 512)) == (0, 0, 512)


@pytest.mark.parametrize("text", ["0,0", "a,b,c", "0,0,63", "0,0,129", "-2,0,64", "100,0,64", "0,100,64", "0,0,1000"])
def test_a_square_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        crop.given(text, (SIZE, SIZE))


# --- odd clips ---


def test_a_varying_rate_is_said(tmp_path: Path, found: dict) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "uneven.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        at = 0
        for number, points in enumerate(WALK):
            frame = av.VideoFrame.from_ndarray(with_body(points), "bgr24")
            frame.pts, frame.time_base, at = at, Fraction(1, 1000), at + (20 if number % 2 else 100)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    said = run(tmp_path / "uneven.mp4", tmp_path / "out")
    assert any("unevenly, 10 to 50 per second" in sentence for sentence in said)
    assert folder.load(tmp_path / "out", 64).info.frames == 60


def test_a_clip_that_lies_on_its_side_is_upright(tmp_path: Path, found: dict) -> None:
    clip = write_clip(tmp_path / "phone.mp4", (np.rot90(with_body(points)) for points in WALK))
    upright = np.array([1, 0, 0, 0, 1, 0, 0, 0, 1 << 14]) * 65536
    turned = np.array([0, 1, 0, -1, 0, 0, 0, 0, 1 << 14]) * 65536
    stored = clip.read_bytes()
    matrix = upright.astype(">i4").tobytes()
    place = stored.index(matrix, stored.index(b"tkhd"))
    clip.write_bytes(stored[:place] + turned.astype(">i4").tobytes() + stored[place + len(matrix) :])
    said = run(clip, tmp_path / "out")
    assert any("used upright" in sentence for sentence in said)
    plate = cv2.imread(str(tmp_path / "out" / "plate.png"))
    assert np.abs(plate.astype(int) - STAGE).max() < 25
    folder.load(tmp_path / "out", 64)


def test_a_clip_that_breaks_off_is_used_as_far_as_it_goes(tmp_path: Path, walked: Path, found: dict) -> None:
    stored = walked.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(stored[: len(stored) * 3 // 4])
    said = run(tmp_path / "cut.mp4", tmp_path / "out")
    loaded = folder.load(tmp_path / "out", 64)
    assert 30 <= loaded.info.frames < 60 and len(loaded.frames) == loaded.info.frames
    assert any("breaks off" in sentence for sentence in said)


def test_other_formats_and_odd_sizes(tmp_path: Path, found: dict) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "odd.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (SIZE - 1, SIZE - 3))
    for points in WALK:
        writer.write(with_body(points)[:-3, :-1])
    writer.release()
    run(tmp_path / "odd.avi", tmp_path / "out", crop="auto")
    loaded = folder.load(tmp_path / "out", 64)
    assert loaded.info.clip == "clip.avi" and loaded.info.crop[2] % 2 == 0


def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, walked: Path, found: dict) -> None:
    (tmp_path / "text.mp4").write_text("no video", encoding="utf-8")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name in ("text.mp4", "empty.mp4", "none.mp4", "."):
        with pytest.raises(BadInput):
            run(tmp_path / name, tmp_path / "out")
    found["found"] = np.zeros(60, bool)
    with pytest.raises(BadInput, match="a person in 0 of 60 pictures"):
        run(walked, tmp_path / "out")
    found["found"] = np.arange(60) < 29
    with pytest.raises(BadInput, match="a person in 29 of 60 pictures; at least 30"):
        run(walked, tmp_path / "out")
    found["found"] = ALL
    cv2.imwrite(str(tmp_path / "red.png"), np.full((128, 128, 3), (0, 0, 255), np.uint8))
    with pytest.raises(BadInput, match="does not show the stage"):
        run(walked, tmp_path / "out", plate=str(tmp_path / "red.png"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["empty.mp4", "red.png", "text.mp4"]


# --- the folder ---


def test_another_folder_is_never_overwritten(tmp_path: Path, walked: Path, found: dict) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(BadInput, match="holds something else \\(thesis.txt\\)"):
        run(walked, out)
    assert [entry.name for entry in out.iterdir()] == ["thesis.txt"]
    with pytest.raises(BadInput, match="is a file"):
        run(walked, out / "thesis.txt")


def test_footage_is_replaced_even_by_its_own_clip(tmp_path: Path, walked: Path, found: dict) -> None:
    out = tmp_path / "out"
    run(walked, out)
    plate = out / "plate.png"
    run(out / "clip.mp4", out, plate=str(plate), crop="0,0,64")
    assert folder.load(out, 64).info.crop == (0, 0, 64) and [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_run_that_fails_leaves_the_old_footage(tmp_path: Path, walked: Path, found: dict) -> None:
    out = tmp_path / "out"
    run(walked, out)
    with pytest.raises(BadInput, match="no square"):
        run(walked, out, crop="0,0,4096")
    folder.load(out, 64)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_the_old_footage_is_put_back_where_the_new_cannot_be(
    tmp_path: Path, walked: Path, found: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rename = tmp_path / "out", Path.rename
    run(walked, out)

    def refused(self: Path, target: Path) -> Path:
        if self.name.endswith(".part"):
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(BadInput, match="Permission denied"):
        run(walked, out)
    folder.load(out, 64)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_ctrl_c_leaves_nothing(tmp_path: Path, walked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(pictures: Any, **_: Any) -> None:
        next(iter(pictures))
        raise KeyboardInterrupt

    monkeypatch.setattr(extract, "find_poses", interrupted)
    assert commands.main(["performer", "extract", str(walked), "--out", str(tmp_path / "out")]) == 130
    assert nothing_left(tmp_path)


def test_a_full_disk_is_said_before_anything_is_done(
    tmp_path: Path, walked: Path, found: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(BadInput, match="1 MB are free"):
        run(walked, tmp_path / "out")
    assert nothing_left(tmp_path)


# --- how good it is ---


def judged(tmp_path: Path, pictures: Any, points: np.ndarray, found: np.ndarray | None = None) -> quality.Quality:
    clip = Clip(write_clip(tmp_path / "judged.mp4", pictures))
    found = np.ones(len(points), bool) if found is None else found
    return quality.judge(clip, STAGE, (0, 0, SIZE), points, found)[0]


def test_good_footage_gets_no_complaint_about_light_and_sharpness(tmp_path: Path) -> None:
    result = judged(tmp_path, map(with_body, WALK), WALK)
    assert abs(result.light_levels) < 3 and result.restless < 0.02 and result.blurred < 0.05 and result.walked > 0.5
    assert not [hint for hint in advice(result) if "light" in hint or "sharp" in hint or "blurred" in hint]


def test_a_change_of_the_light_is_noticed_and_when(tmp_path: Path) -> None:
    brighter = (
        cv2.add(with_body(points), (15.0,) * 4) if n >= 40 else with_body(points) for n, points in enumerate(WALK)
    )
    result = judged(tmp_path, brighter, WALK)
    assert result.light_levels == pytest.approx(15, abs=2) and result.light_changed_at == "0:04"
    assert any("The light changed at 0:04" in hint and "brighter" in hint for hint in advice(result))


def test_blur_is_noticed(tmp_path: Path) -> None:
    blurred = (cv2.GaussianBlur(with_body(p), (0, 0), 3) if n % 2 else with_body(p) for n, p in enumerate(WALK))
    result = judged(tmp_path, blurred, WALK)
    assert result.blurred == pytest.approx(0.5, abs=0.1)
    assert any("are blurred" in hint for hint in advice(result))


def test_a_camera_that_moved_is_noticed(tmp_path: Path) -> None:
    moved = (np.roll(with_body(points), 5, (0, 1)) for points in WALK)
    assert any("the camera moved" in hint for hint in advice(judged(tmp_path, moved, WALK)))


def test_lost_poses_are_told(tmp_path: Path) -> None:
    found = ALL.copy()
    found[20:40] = False
    result = judged(tmp_path, map(with_body, WALK), WALK, found)
    assert (result.with_pose, result.longest_gap_s, result.longest_gap_at) == (pytest.approx(40 / 60), 2.0, "0:02")
    assert any("Nobody was found in 33%" in hint for hint in advice(result))


def test_who_stands_still_is_asked_to_move(tmp_path: Path) -> None:
    points = np.repeat(body(64)[None], 30, 0)
    hints = " ".join(advice(judged(tmp_path, map(with_body, points), points)))
    for asked in ("Turn around more", "Raise the arms more", "Bend the knees more", "Walk about more", "are short"):
        assert asked in hints


def test_joints_are_counted_by_angle(tmp_path: Path) -> None:
    points = np.repeat(body(64)[None], 36, 0)
    shoulder, reach = points[0, 11, :2], 12
    angles = np.radians(np.arange(0, 180, 5))
    points[:, 13, :2] = shoulder + reach * np.stack([np.cos(angles), np.sin(angles)], 1)
    result = judged(tmp_path, map(with_body, points), points)
    assert result.joints["left_shoulder"].extent == pytest.approx(175, abs=6)
    assert sum(result.joints["left_shoulder"].counts) == 36 and result.joints["right_shoulder"].extent < 5


def test_facing_tells_sides_apart() -> None:
    points = np.zeros((3, 33, 4), np.float32)
    points[0, 11, 0], points[1, 11, 2], points[2, 12, 0] = 1, -1, 1
    assert np.abs(quality.facing(points)).tolist() == [0, 90, 180] and quality.facing(points)[1] > 0

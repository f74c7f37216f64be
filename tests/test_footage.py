"""Footage as training reads it, damaged footage, and how a performer is measured on it."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from training_kit import SIDE, SMALL, one_thread_fixture, plan, write_footage  # noqa: F401

from engine.errors import BadInput, Exit
from nodes.generator.footage import folder as footages
from nodes.generator.footage.mattes import body, difference, masks
from nodes.generator.network import checkpoint
from nodes.generator.network.painter import Painter
from nodes.generator.training import examine as examining
from nodes.generator.training import train
from nodes.generator.training.commands import main
from nodes.generator.training.evaluate import Score, evaluate, paint, psnr, score, ssim
from nodes.generator.training.examine import examine, show
from nodes.generator.training.export import export
from nodes.generator.training.grid import COLUMNS, columns, write_grid
from nodes.generator.training.look import pairs


@pytest.fixture(scope="module", name="folder")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_footage(tmp_path_factory.mktemp("footage") / "dance", 20)


@pytest.fixture(scope="module", name="trained")
def trained_fixture(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of a few steps: what it paints is a bad picture, but no even one."""
    out = tmp_path_factory.mktemp("trained")
    train.run(plan(out, 10, about={"licence": "CC0"}), footages.load(folder, SMALL.size, held_out=0.4), lambda _: None)
    return out


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))


# --- footage ---


def test_what_is_read(folder: Path) -> None:
    found = footages.load(folder, 32)
    assert found.frames.shape == (20, 32, 32, 3)
    assert found.plate.shape == (32, 32, 3)
    assert list(found.train) == list(range(17))
    assert list(found.held) == [17, 18, 19]
    shoulder = found.points[0, 11, :2]
    assert 0.2 < shoulder.min() <= shoulder.max() < 0.8
    assert difference(found.frames[0], found.plate)[tuple((shoulder[::-1] * 32).astype(int))] > 24  # somebody is there
    reds = found.frames[..., 0].astype(int) - found.frames[..., 2]
    assert reds.max() > 100  # the dancer's shirt is orange


def test_a_crop_is_cut_and_points_with_it(folder: Path, tmp_path: Path) -> None:
    info = json.loads((folder / "footage.json").read_text())
    other = write_footage(tmp_path / "cut", 3, crop=[8, 16, 32])
    whole, cut = footages.load(folder, SIDE), footages.load(other, 32)
    np.testing.assert_array_equal(cut.frames[0], whole.frames[0][16:48, 8:40])
    np.testing.assert_allclose(cut.points[0, :, :2] * 32 + (8, 16), whole.points[0, :, :2] * SIDE, atol=1e-3)
    assert info["crop"] == [0, 0, SIDE]


def rewritten(**values: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / "footage.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def poses(**arrays: np.ndarray) -> Callable[[Path], object]:
    return lambda folder: np.savez(folder / "poses.npz", **arrays)


def cut_short(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:200])


def enlarged(folder: Path) -> None:
    """All but the clip."""
    rewritten(crop=[0, 0, 80])(folder)
    cv2.imwrite(str(folder / "plate.png"), np.ones((80, 80, 3)))


def bare(folder: Path) -> None:
    with open(folder / "poses.npz", "wb") as file:
        np.save(file, POINTS)


POINTS, FOUND = np.zeros((4, 33, 4), np.float32), np.ones(4, bool)
DAMAGED = {
    "no description": (lambda folder: (folder / "footage.json").unlink(), "footage.json cannot be read"),
    "no JSON": (lambda folder: (folder / "footage.json").write_text("{"), "footage.json is damaged"),
    "another format": (rewritten(format="utsushi.footage/2"), "footage.json is damaged"),
    "a crop outside": (rewritten(crop=[-5, 0, 32]), "footage.json is damaged"),
    "a crop of nothing": (rewritten(crop=[0, 0, 0]), "footage.json is damaged"),
    "a crop beyond the plate": (rewritten(crop=[40, 40, 40]), "smaller than the stage"),
    "frames without end": (rewritten(frames=1 << 60), "footage.json is damaged"),
    "more frames than poses": (rewritten(frames=1 << 22), "its poses are of 4 frames"),
    "no plate": (lambda folder: (folder / "plate.png").unlink(), "plate.png is missing"),
    "half a plate": (cut_short("plate.png"), "plate.png is missing"),
    "no clip": (lambda folder: (folder / "clip.avi").unlink(), "has 0 frames, and footage.json says 4"),
    "half a clip": (cut_short("clip.avi"), "has 0 frames, and footage.json says 4"),
    "a clip of another size": (enlarged, "smaller than the stage"),
    "no poses": (lambda folder: (folder / "poses.npz").unlink(), "poses.npz cannot be read"),
    "half the poses": (cut_short("poses.npz"), "poses.npz cannot be read"),
    "empty poses": (lambda folder: (folder / "poses.npz").write_bytes(b""), "poses.npz cannot be read"),
    "an array for poses": (bare, "poses.npz cannot be read"),
    "objects": (poses(points=np.array([{}], object), found=FOUND), "poses.npz cannot be read"),
    "words": (poses(points=np.array(["left"]), found=FOUND), "poses.npz cannot be read"),
    "no answer": (poses(points=POINTS), "poses.npz cannot be read"),
    "other points": (poses(points=POINTS[:, :17], found=FOUND), "something else than"),
    "fewer answers": (poses(points=POINTS, found=FOUND[:3]), "something else than"),
    "nobody": (poses(points=POINTS, found=~FOUND), "no person was found"),
    "nobody real": (poses(points=POINTS + np.nan, found=FOUND), "no person was found"),
    "nobody near": (poses(points=POINTS + 1e30, found=FOUND), "no person was found"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_footage_is_a_sentence(tmp_path: Path, what: str) -> None:
    folder = write_footage(tmp_path / "dance", 4)
    change, sentence = DAMAGED[what]
    change(folder)
    with pytest.raises(BadInput, match=sentence) as refusal:
        footages.load(folder, 32)
    assert str(folder) in str(refusal.value)


# --- figures ---


def test_psnr_and_ssim_of_what_is_known() -> None:
    picture = np.random.default_rng(0).integers(0, 240, (32, 32, 3), np.uint8)
    assert psnr(picture, picture) == 99
    assert psnr(picture, picture + 10) == pytest.approx(20 * np.log10(25.5))
    assert ssim(picture, picture) == pytest.approx(1)
    assert ssim(picture, 255 - picture) < 0


def test_a_score_is_what_a_slow_reference_says() -> None:
    random = np.random.default_rng(1)
    plate = np.zeros((32, 32, 3), np.uint8)
    frames, pictures = random.integers(0, 256, (2, 5, 32, 32, 3), np.uint8)
    frames[3] = plate  # nobody
    found = score(zip(pictures, frames, strict=True), plate, [True, False, True, True])
    bodies = [body(difference(frame, plate)) for frame in frames]
    flickers = []
    for after in (1, 4):  # 2 does not follow 1, and nobody is in 3
        moves = [abs(p[after].astype(int) - p[after - 1]) for p in (pictures, frames)]
        flickers.append(abs(moves[0] - moves[1])[bodies[after]].mean())
    assert found.flicker == pytest.approx(np.mean(flickers))
    assert found.psnr == pytest.approx(np.mean([psnr(p, f) for p, f in zip(pictures, frames, strict=True)]))
    bodily = [psnr(pictures[n][bodies[n]], frames[n][bodies[n]]) for n in (0, 1, 2, 4)]
    assert found.body_psnr == pytest.approx(np.mean(bodily))
    assert found.frames == 5


def test_a_score_keeps_no_pictures() -> None:
    plate = np.zeros((256, 256, 3), np.uint8)

    def endless(count: int):
        for _ in range(count):
            yield np.ones_like(plate), np.full_like(plate, 90)

    tracemalloc.start()
    score(endless(200), plate, [True] * 199)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 256 * 256 * 3 * 4  # some pictures of floats, not 400


@pytest.mark.parametrize("count", [1, 2, 5, 24, 48, 360])
def test_a_look_measures_pairs(count: int) -> None:
    numbers = np.delete(np.arange(100, 100 + count + 1), count // 2)  # one is missing
    few = pairs(numbers)
    assert set(few) <= set(numbers)
    assert 1 <= len(few) <= 48
    assert count < 4 or (np.diff(few) == 1).any()


def test_masks_know_where_somebody_is(folder: Path) -> None:
    found = footages.load(folder, SIDE)
    weight, matte, certain, clear = masks(found.frames[0], found.plate, found.points[0])
    assert all(mask.dtype == np.float32 and mask.shape == (SIDE, SIDE) for mask in (weight, matte, certain, clear))
    shirt = tuple((found.points[0, 11:13, :2].mean(0)[::-1] * SIDE).astype(int) + (2, 0))
    assert weight[shirt] > 2.5
    assert matte[shirt] > 0.9
    assert certain[shirt] == 1
    assert clear[shirt] == 0
    assert weight.min() == pytest.approx(1)
    assert certain.mean() < 0.5


# --- finished performers ---


def test_eval_measures_what_was_held_out(folder: Path, trained: Path, tmp_path: Path) -> None:
    file = trained / "performer.safetensors"
    known = footages.load(folder, SMALL.size, 0.4)
    expected = evaluate(checkpoint.read(file).painter(), known, known.held)
    found = examine(file, folder, grid=tmp_path / "grid.png")
    assert found.frames == len(known.held) == 8  # as the file says, not as this version usually does
    assert found == pytest.approx(expected, abs=0.05)
    assert cv2.imread(str(tmp_path / "grid.png")).shape == (4 * 256, COLUMNS * 256, 3)
    assert examine(file, folder, whole=True).frames == 20
    assert examine(file, folder, size=16).psnr > found.psnr  # blurred pictures are more alike
    assert examine(file, folder, size=1000) == found


def test_a_place_that_cannot_be_written_is_said_before_measuring(
    folder: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(examining, "examine", lambda *_, **__: pytest.fail("it was measured"))
    words = ["performer", "eval", str(trained / "performer.safetensors"), str(folder)]
    for option, place in (("--json", tmp_path), ("--grid", tmp_path / "nowhere" / "grid.png")):
        assert main([*words, option, str(place)]) == Exit.BAD_INPUT
        assert "Choose another file" in capsys.readouterr().err


def test_export_names_and_measures(folder: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "named.safetensors"
    export(trained, out, {"performer": "Ada", "licence": "", "consent": "yes"}, folder)
    about = checkpoint.read(out).about
    assert (about.performer, about.licence, about.consent) == ("Ada", "CC0", "yes")
    assert about.metrics["frames"] == 8
    points = torch.zeros(1, 33, 4)
    before = checkpoint.read(trained / "performer.safetensors")
    assert torch.equal(checkpoint.read(out).painter()(points), before.painter()(points))
    with pytest.raises(BadInput, match="performer: String should have at most 1000"):
        export(trained, out, {"performer": "A" * 1001})
    assert checkpoint.read(out).about == about


def test_export_mixes_in_another_performer(folder: Path, trained: Path, tmp_path: Path) -> None:
    own = trained / "performer.safetensors"
    shape = checkpoint.read(own).shape
    other, out = tmp_path / "other.safetensors", tmp_path / "mixed.safetensors"
    before = checkpoint.read(own)
    torch.manual_seed(99)
    checkpoint.write(other, before.about, before.plate, before.poses, Painter(shape))
    export(trained, out, {}, mix=other, share=0.25)
    name = "last.weight"
    expected = 0.75 * before.weights[name].astype(np.float32) + 0.25 * checkpoint.read(other).weights[name]
    assert np.allclose(checkpoint.read(out).weights[name], expected, atol=1e-3)
    assert not np.allclose(checkpoint.read(out).weights[name], before.weights[name], atol=1e-3)
    larger = replace(shape, width=shape.width + 4)
    about = before.about.model_copy(update={"network": before.about.network.model_copy(update={"width": larger.width})})
    checkpoint.write(other, about, before.plate, before.poses, Painter(larger))
    with pytest.raises(BadInput, match="another size"):
        export(trained, out, {}, mix=other, share=0.25)


@pytest.mark.parametrize(
    ("out", "onnx", "sentence"),
    [
        ("state.safetensors", None, "holds something else than a performer, and stays"),
        ("ada.txt", None, "Let it end in .safetensors"),
        ("ada.safetensors", "ada.safetensors", "Let it end in .onnx"),
        ("ada.safetensors", "nowhere/ada.onnx", "cannot be written"),
    ],
)
def test_export_writes_over_nothing_else(
    trained: Path, tmp_path: Path, out: str, onnx: str | None, sentence: str
) -> None:
    state = tmp_path / "state.safetensors"
    state.write_bytes(b"all that a training knows")
    with pytest.raises(BadInput, match=sentence):
        export(trained, tmp_path / out, {}, onnx=tmp_path / onnx if onnx else None)
    assert state.read_bytes() == b"all that a training knows" and list(tmp_path.iterdir()) == [state]


def test_what_cannot_be_measured_or_written_is_a_sentence(folder: Path, trained: Path, tmp_path: Path) -> None:
    file = trained / "performer.safetensors"
    with pytest.raises(BadInput, match="is no picture's name"):
        examine(file, folder, grid=tmp_path / "grid.txt")
    with pytest.raises(BadInput, match="--size 10 is too small"):
        examine(file, folder, size=10)
    with pytest.raises(BadInput, match="no held-out frames with a person"):
        examine(file, write_footage(tmp_path / "short", 4, [1, 1, 0, 0]))
    with pytest.raises(BadInput, match="There is no backend 'magic'"):
        examine(file, folder, backend="magic")
    with pytest.raises(OSError, match="No such file"):
        show(Score(1, 1, 1, 1, 1), tmp_path / "nowhere" / "score.json")


def test_a_grid_has_a_column_for_each_of_few_frames(folder: Path, trained: Path, tmp_path: Path) -> None:
    known = footages.load(folder, SMALL.size)
    network = checkpoint.read(trained / "performer.safetensors").painter()
    write_grid(tmp_path / "grid.jpg", network, known, known.held)
    assert cv2.imread(str(tmp_path / "grid.jpg")).shape == (4 * 256, 3 * 256, 3)
    assert list(columns(np.arange(100)))[::7] == [0, 99]
    pictures, alphas = paint(network, known.points[:3], known.plate)
    assert pictures.shape == (3, SMALL.size, SMALL.size, 3)
    assert alphas.shape == (3, SMALL.size, SMALL.size)

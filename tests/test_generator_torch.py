"""generator.torch: other people's networks of three kinds, what they are shown, and what happens when they fail."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_kit import (
    SIZE,
    Moody,
    Paint,
    Picky,
    Same,
    camera,
    describe,
    export,
    node,
    onnx,
    painted,
    picture,
    script,
    torch,
)
from harness import Garbage, make
from people import draw, keypoints, poses, standing

from engine import config
from engine.errors import BadInput, OutOfMemory
from engine.frame import Flags
from engine.process import ROOT
from nodes.generator.figure import Figure
from nodes.generator.torch import TorchModel

KINDS = {"torchscript": (script, "pt"), "export": (export, "pt2"), "onnx": (onnx, "onnx")}


@pytest.fixture(scope="module")
def painters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Paint as a description per kind."""
    folder = tmp_path_factory.mktemp("painters")
    wide = "range: [-1, 1]"
    return {
        kind: describe(save(Paint().eval(), folder / f"{kind}.{suffix}"), wide, wide)
        for kind, (save, suffix) in KINDS.items()
    }


@pytest.fixture
def same(tmp_path: Path) -> Path:
    return script(Same(), tmp_path / "same.pt")


# --- three kinds ---


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_paints_what_its_weights_say(painters: dict[str, Path], kind: str) -> None:
    shown = picture()
    red, green, blue = (shown[..., channel] / 127.5 - 1 for channel in range(3))
    expected = np.tanh(np.stack([blue, green / 2 + 0.25, red], -1)) * 127.5 + 127.5
    made = painted(painters[kind], shown)
    assert np.abs(made[..., :3] - expected).max() <= 0.51
    assert (made[..., 3] == 255).all()


def test_all_kinds_paint_the_same_picture(painters: dict[str, Path]) -> None:
    made = [painted(description, picture(2)).astype(int) for description in painters.values()]
    assert len(made) == 3 and max(np.abs(made[0] - other).max() for other in made[1:]) <= 1


def test_the_chosen_output_is_the_picture(tmp_path: Path) -> None:
    class Two(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.mean(), 1 - x

    file, shown = script(Two(), tmp_path / "two.pt"), picture()
    assert np.array_equal(painted(describe(file, "", "index: 1"), shown)[..., :3], 255 - shown)
    with pytest.raises(BadInput, match=r"cannot be used as .*two.yaml describes it: it answers float32 \(\)"):
        node(describe(file))
    with pytest.raises(BadInput, match="it has 2 outputs, and the description asks for number 2 from 0"):
        node(describe(file, "", "index: 2"))


def test_threads_are_handed_on(same: Path) -> None:
    before = torch.get_num_threads()
    try:
        node(describe(same), threads=3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("kind", KINDS)
def test_a_device_that_is_not_there_is_a_sentence(painters: dict[str, Path], kind: str) -> None:
    with pytest.raises(BadInput, match=r"(finds no cuda device|cannot use cuda).*Set `device: auto`"):
        node(painters[kind], device="cuda")


# --- what it is shown ---


@pytest.mark.parametrize("style", ["openpose18/1", "vid2vid25/1", "blazepose33/1", "body/1"])
def test_keypoints_are_drawn_in_the_style_of_the_description(same: Path, style: str) -> None:
    made = node(describe(same, f"style: {style}, size: [96, 64]"))
    people = keypoints(poses(2), pixel_format="KEYPOINTS", ids=(4, 9))
    made.step(frame=people)
    figure = make(Figure, size=(96, 64), style=style, threshold=0.3, trail=0.0, background=(0, 0, 0, 255))
    figure.step(keypoints=people)
    assert np.array_equal(made.frames[0].array, figure.frames[0].array)
    assert made.frames[0].array[..., :3].any()
    assert made.frames[0].ids == (4, 9)


def test_the_threshold_the_mirror_and_the_fit_change_live(same: Path) -> None:
    made = node(describe(same, "style: openpose18/1, size: [96, 64]"))
    plain = {"threshold": 0.3, "mirror": False, "fit": "contain"}
    for change in ({}, {"threshold": 1.0}, {"mirror": True}, {"fit": "cover"}, {}):
        made.config = made.config.model_copy(update=plain | change)
        made.configured()
        made.step(frame=keypoints(poses(1), pixel_format="KEYPOINTS"))
    first, none, mirrored, cover, again = (shown.array[..., :3] for shown in made.frames)
    assert np.array_equal(first, again) and not none.any()
    assert (first != mirrored).any() and (first != cover).any() and (mirrored != cover).any()


def test_a_wider_stick_is_drawn_where_the_network_was_trained_on_it(same: Path) -> None:
    def ink(shown: str) -> int:
        made = node(describe(same, f"style: openpose18/1, size: [128, 128]{shown}"))
        made.step(frame=keypoints(standing()[None], pixel_format="KEYPOINTS"))
        return int(made.frames[0].array[..., :3].any(2).sum())

    assert ink(", stick_width: 8") > 1.3 * ink("") == 1.3 * ink(", stick_width: 4")


def test_a_picture_is_fitted_and_mirrored(same: Path) -> None:
    wide = np.zeros((SIZE, 2 * SIZE, 3), np.uint8)
    wide[:, :SIZE] = (200, 0, 0)
    contained = painted(describe(same), wide)
    assert not contained[: SIZE // 4, :, :3].any() and contained[SIZE // 4 + 1, 2, :3].tolist() == [200, 0, 0]
    covered = painted(describe(same), wide, fit="cover")
    assert (covered[:, : SIZE // 2 - 1, 0] == 200).all() and not covered[:, SIZE // 2 + 1 :, 0].any()
    assert np.array_equal(painted(describe(same), wide, fit="cover", mirror=True), covered[:, ::-1])


@pytest.mark.parametrize("pixel_format", ["RGB", "BGR", "RGBA", "BGRA", "GRAY"])
def test_any_camera_picture_is_shown_as_it_looks(same: Path, pixel_format: str) -> None:
    level = {"R": 200, "G": 10, "B": 30, "A": 255}
    colour = [90] if pixel_format == "GRAY" else [level[letter] for letter in pixel_format]
    made = node(describe(same))
    made.step(frame=camera(np.full((SIZE, SIZE, len(colour)), colour, np.uint8), pixel_format=pixel_format))
    assert made.frames[0].array[5, 5, :3].tolist() == ([90] * 3 if pixel_format == "GRAY" else [200, 10, 30])


def test_the_wrong_kind_of_input_is_a_sentence_and_the_next_frame_is_painted(same: Path) -> None:
    people = keypoints(standing()[None], pixel_format="KEYPOINTS")
    for shown, wrong, right, sentence in (
        ("", people, camera(picture()), "shown pictures, not keypoints: connect its input to a camera"),
        ("style: body/1", camera(picture()), people, "style body/1: connect its input to a pose node"),
    ):
        made = node(describe(same, shown))
        made.step(frame=wrong)
        assert len(made.complaints) == 1 and sentence in made.complaints[0] and made.frames == []
        made.step(frame=right)
        assert made.complaints == [] and len(made.frames) == 1


@pytest.mark.parametrize("shape", [(1, 17, 4), (33, 4), (0,)])
def test_keypoints_of_another_layout_are_a_sentence(same: Path, shape: tuple[int, ...]) -> None:
    made = node(describe(same, "style: body/1"))
    made.step(frame=keypoints(np.zeros(shape, np.float32), pixel_format="KEYPOINTS", ids=()))
    assert "keypoints of shape (people, 33, 4) are needed" in made.complaints[0] and made.frames == []


# --- what it publishes ---


def test_the_frame_says_what_it_is(same: Path) -> None:
    made = node(describe(same))
    source = camera(picture())
    made.step(frame=source)
    (published,) = made.frames
    assert (published.shape, published.dtype) == ((SIZE, SIZE, 4), np.uint8)
    assert (published.pixel_format, published.row_order, published.canvas) == ("RGBA", "TOP_DOWN", (SIZE, SIZE))
    assert (published.sources, published.capture_ns) == ((source.source,), source.capture_ns)
    assert published.flags == Flags(0)


@pytest.mark.parametrize("size", [None, (64, 48), (16, 16)])
def test_every_byte_of_the_slot_is_written(tmp_path: Path, size: tuple[int, int] | None) -> None:
    description = describe(script(Moody(), tmp_path / "moody.pt"))

    for mood in (0, 1):  # a picture, and none
        made = []
        for value in (0, 255):
            painter = node(description, size=size)
            painter.outs = {"image": Garbage(value)}
            painter.step(frame=camera(moody(mood)))
            made.append(painter.out.frames[0].array)
        assert made[0].shape[1::-1] == (size or (SIZE, SIZE))
        assert np.array_equal(made[0], made[1])


def test_a_network_may_answer_in_another_size(tmp_path: Path) -> None:
    file = script(torch.nn.Upsample(scale_factor=2), tmp_path / "up.pt")
    shown = picture()
    expected = shown.repeat(2, 0).repeat(2, 1)
    assert np.array_equal(painted(describe(file), shown)[..., :3], expected)
    small = painted(describe(file), shown, size=(SIZE, SIZE))
    assert np.array_equal(small[..., :3], shown)


# --- when it fails ---


def moody(mood: int) -> np.ndarray:
    shown = picture() // 2
    shown[0, 0, 2] = mood
    return shown


@pytest.mark.parametrize(
    ("mood", "why"),
    [
        (1, "not finite"),
        (2, r"its picture was \(32, 32, 3\) at the start and is \(8, 32, 3\) now"),
        (3, "out of order"),
    ],
)
def test_a_failure_shows_the_flagged_input_and_the_next_picture_is_well_again(
    tmp_path: Path, mood: int, why: str
) -> None:
    made = node(describe(script(Moody(), tmp_path / "moody.pt")))
    for now in (0, mood, mood, 0):
        made.step(frame=camera(moody(now)))
        if now:
            assert re.search(why, made.complaints[-1])
    assert made.complaints == []
    assert [shown.flags for shown in made.frames] == [0, Flags.DEGRADED, Flags.DEGRADED, 0]
    for shown, now in zip(made.frames, (0, mood, mood, 0), strict=True):
        assert np.array_equal(shown.array[..., :3], moody(now))


def test_memory_that_is_full_ends_the_process_and_the_next_runs_on_the_processor(tmp_path: Path) -> None:
    made = node(describe(script(Moody(), tmp_path / "moody.pt")))
    with pytest.raises(OutOfMemory, match="There is not enough memory for this model: .*allocate 4611686018427387904"):
        made.step(frame=camera(moody(4)))
    assert made.frames == [] and made.profiles == ({"device": "cpu"},)


def test_a_failure_with_keypoints_shows_the_figure(tmp_path: Path) -> None:
    made = node(describe(script(Picky(), tmp_path / "picky.pt"), "style: openpose18/1, size: [96, 64]"))
    made.step(frame=keypoints(standing()[None], pixel_format="KEYPOINTS"))
    assert made.frames[0].flags == Flags.DEGRADED
    expected = draw(standing()[None], size=(96, 64), style="openpose18/1", threshold=0.3)
    assert np.array_equal(made.frames[0].array, expected)


@pytest.mark.parametrize(
    ("shown", "answered", "why"),
    [
        ("", "channels: gray", r"answers float32 \(1, 3, 32, 32\), where the description says \(1, 1, height, width\)"),
        ("", "layout: nhwc", r"where the description says \(1, height, width, 3\)"),
        ("channels: gray", "", r"answers float32 \(1, 1, 32, 32\)"),
        ("dtype: float16", "", "expected scalar type Half but found Float"),
    ],
)
def test_a_description_that_does_not_fit_is_told_at_the_start(
    tmp_path: Path, shown: str, answered: str, why: str
) -> None:
    module = Paint() if "dtype" in shown else Same()
    with pytest.raises(BadInput, match=rf"cannot be used as .*net.yaml describes it: .*{why}"):
        node(describe(script(module, tmp_path / "net.pt"), shown, answered))


# --- in an engine ---


def test_the_config_knows_it_and_its_live_settings(tmp_path: Path) -> None:
    path = tmp_path / "show.yaml"
    path.write_text(
        "nodes:\n  camera: {type: camera.pattern, size: [64, 64]}\n"
        "  painter: {type: generator.torch, input: camera, model: m.yaml, device: cpu}\n"
        "  output: {type: output.touchdesigner, input: painter}\n",
        "utf-8",
    )
    (painter,) = (spec for spec in config.load(path).nodes if spec.name == "painter")
    assert painter.node_class is TorchModel and set(painter.inputs) == {"frame"}
    assert set(config.live_fields(TorchModel)) == {"threshold", "fit", "mirror"}


def test_checking_a_config_loads_none_of_the_heavy_libraries() -> None:
    program = "import sys, nodes.generator.torch; print(sorted({'torch', 'cv2', 'onnxruntime'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_library_is_named(same: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BadInput, match="needs the Python module 'torch', which is not installed"):
        node(describe(same))

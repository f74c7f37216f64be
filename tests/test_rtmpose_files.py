"""The files of pose.rtmpose: each that is missing, damaged or another than its manifest says gets a sentence."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import make
from rtm_kit import Net, describe, halves, simcc

from engine.errors import BadInput, DeviceFailed, OutOfMemory
from engine.models import model_path
from nodes.pose.rtm import manifest
from nodes.pose.rtm.manifest import Manifest
from nodes.pose.rtm.network import Network
from nodes.pose.rtm.session import card_failures, open_session
from nodes.pose.rtmpose import RtmPose

POSE: tuple[manifest.Kind, ...] = ("simcc", "rtmo")


@pytest.fixture(name="model")
def model_fixture(tmp_path: Path) -> Path:
    return simcc(tmp_path / "pose.onnx")


def refused(path: Path, kinds: tuple[manifest.Kind, ...] = POSE, **how: Any) -> str:
    with pytest.raises(BadInput) as caught:
        Network(path, kinds, **how)
    return str(caught.value)


# --- manifests ---


def test_the_shortest_manifest_says_kind_and_layout(model: Path) -> None:
    network = Network(model, POSE)
    assert json.loads(model.with_suffix(".json").read_text()) == {"kind": "simcc", "layout": "coco_17"}
    assert network.size == (192, 256)
    assert network.about.preparation()[0] is True
    assert network.remark.startswith(f"{model} has the sha256 {hashlib.sha256(model.read_bytes()).hexdigest()}")


def test_what_the_kinds_were_trained_with_is_the_default() -> None:
    simcc_rgb, simcc_mean, simcc_std = Manifest(kind="simcc", layout="coco_17").preparation()
    assert (simcc_rgb, simcc_mean, simcc_std) == (True, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    for other in (Manifest(kind="rtmo", layout="coco_17"), Manifest(kind="detector")):
        assert other.preparation() == (False, (0, 0, 0), (1, 1, 1))
    rtmdet = Manifest(kind="detector", channels="bgr", mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395))
    assert rtmdet.preparation() == (False, (103.53, 116.28, 123.675), (57.375, 57.12, 58.395))


def test_a_file_without_a_manifest_is_known_by_its_content(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.with_suffix(".json").unlink()
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    said = refused(model)
    assert "pose.json is missing" in said and sha256 in said and "docs/RTMPOSE.md" in said
    known = tmp_path / "known.json"
    known.write_text(json.dumps({"files": {"any": {"kind": "simcc", "layout": "coco_17", "sha256": sha256}}}))
    monkeypatch.setattr(manifest, "KNOWN", known)
    assert Network(model, POSE).remark == ""


def test_only_the_file_that_the_sha256_stands_for_is_run(model: Path) -> None:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    describe(model, kind="simcc", layout="coco_17", sha256=sha256)
    assert Network(model, POSE).remark == ""
    describe(model, kind="simcc", layout="coco_17", sha256="0" * 64)
    assert f"is not the file that the sha256 of {model.with_suffix('.json')} stands for" in (said := refused(model))
    assert sha256 in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("[1]", "must be a block"),
        ('{"kind": "simcc"', "pose.json:1:"),
        ('{"layout": "coco_17"}', "'kind'"),
        ('{"kind": "heatmap", "layout": "coco_17"}', "'kind'"),
        ('{"kind": "simcc"}', "'layout' must be one of coco_17, halpe_26, coco_wholebody_133"),
        ('{"kind": "detector", "layout": "coco_17"}', "left out for a detector"),
        ('{"kind": "simcc", "layout": "coco_18"}', "'layout'"),
        ('{"kind": "simcc", "layout": "coco_17", "size": [0, 10]}', "size"),
        ('{"kind": "simcc", "layout": "coco_17", "std": [1, 0, 1]}', "std"),
        ('{"kind": "simcc", "layout": "coco_17", "splitt": 2}', "did you mean 'split'"),
        ('{"kind": "simcc", "layout": "coco_17", "sha256": "abc"}', "sha256"),
    ],
)
def test_a_manifest_that_cannot_be_is_told_with_its_place(model: Path, text: str, said: str) -> None:
    model.with_suffix(".json").write_text(text)
    assert said in refused(model)


def test_the_known_models_have_manifests_that_can_be() -> None:
    files = json.loads(manifest.KNOWN.read_text(encoding="utf-8"))["files"]
    made = {name: Manifest.model_validate(entry) for name, entry in files.items()}
    assert {about.kind for about in made.values()} == {"simcc", "detector"}
    assert all(about.sha256 and about.size and about.license and about.sources for about in made.values())
    assert len({about.sha256 for about in made.values()}) == len(made)


# --- networks that are others than their manifests say ---


def test_another_layout_is_told_by_the_shapes(model: Path) -> None:
    describe(model, kind="simcc", layout="halpe_26")
    said = refused(model)
    assert "answers (1, 17, 384) and (1, 17, 512) to 192 × 256 pixels" in said
    assert "not what a simcc network of halpe_26 does" in said


def test_another_split_and_another_kind_are_told(model: Path) -> None:
    describe(model, kind="simcc", layout="coco_17", split=3)
    assert "answers (1, 17, 384)" in refused(model)
    describe(model, kind="rtmo", layout="coco_17")
    assert "not what a rtmo network of coco_17 does" in refused(model)
    describe(model, kind="detector")
    assert "not what a detector network does" in refused(model, ("detector",))


def test_bins_for_another_size_are_told(tmp_path: Path) -> None:
    assert "answers (1, 17, 384) and (1, 17, 384)" in refused(simcc(tmp_path / "odd.onnx", outputs=(192, 192)))


def test_another_size_than_the_file_s_is_told(model: Path) -> None:
    describe(model, kind="simcc", layout="coco_17", size=[288, 384])
    assert "takes pictures of 192 × 256, not of 288 × 384" in refused(model)


def test_a_network_of_any_size_needs_one(tmp_path: Path) -> None:
    path = simcc(tmp_path / "any.onnx", size=("width", "height"), outputs=(192, 256))
    assert "takes pictures of any size. Write `size` into its manifest" in refused(path)
    describe(path, kind="simcc", layout="coco_17", size=[192, 256])
    assert Network(path, POSE).size == (192, 256)


def test_a_detector_is_no_pose_network_and_the_other_way_round(tmp_path: Path, model: Path) -> None:
    people = halves(tmp_path / "people.onnx", "detector")
    assert "people.onnx is of the kind detector, and what is wanted here is simcc or rtmo" in refused(people)
    assert "pose.onnx is of the kind simcc, and what is wanted here is detector" in refused(model, ("detector",))


@pytest.mark.parametrize("labels", [(1, 9), (1, 4, 2), ()])
def test_a_detector_that_does_not_say_of_each_box_what_it_is_is_told(tmp_path: Path, labels: tuple[int, ...]) -> None:
    net, path = Net(), tmp_path / "people.onnx"
    net("Identity", np.zeros((1, 4, 5)), result="dets")
    net("Identity", np.zeros(labels), result="labels")
    describe(net.save(path, (320, 320), "dets", "labels"), kind="detector")
    assert f"answers (1, 4, 5) and {labels} to 320 × 320 pixels" in refused(path, ("detector",))


def test_rtmo_needs_no_detector(tmp_path: Path) -> None:
    rtmo, people = halves(tmp_path / "rtmo.onnx", "rtmo"), halves(tmp_path / "people.onnx", "detector")
    with pytest.raises(BadInput, match="rtmo.onnx finds people by itself. Leave `detector` out."):
        make(RtmPose, model=str(rtmo), detector=str(people))


# --- files that are none ---


def test_a_missing_file_is_told_with_where_to_get_it(tmp_path: Path) -> None:
    assert "none.onnx is not there. It is not part of this program: docs/RTMPOSE.md" in refused(tmp_path / "none.onnx")
    assert "is empty, too large or no file" in refused(tmp_path)


@pytest.mark.parametrize(
    "content", [b"not a network", b"\x80\x04pickle", b"version https://git-lfs.github.com/spec/v1"]
)
def test_a_file_that_is_no_network_is_told(model: Path, content: bytes) -> None:
    model.write_bytes(content)
    assert "pose.onnx cannot be run as an ONNX network" in refused(model)


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
def test_a_cut_file_is_told(model: Path, part: float) -> None:
    content = model.read_bytes()
    model.write_bytes(content[: int(len(content) * part)])
    assert "pose.onnx" in refused(model)


# --- devices ---


@pytest.mark.parametrize(("device", "package"), [("cuda", "onnxruntime-gpu"), ("directml", "onnxruntime-directml")])
def test_a_device_that_this_build_lacks_is_told(model: Path, device: Any, package: str) -> None:
    import onnxruntime

    if len(onnxruntime.get_available_providers()) > 2:
        pytest.skip(f"this ONNX Runtime can do more: {onnxruntime.get_available_providers()}")
    assert f"`device: {device}` cannot be had" in (said := refused(model, device=device))
    assert f"pip install {package}" in said
    assert Network(model, POSE, "auto").provider == Network(model, POSE, "cpu").provider == "CPUExecutionProvider"


@pytest.mark.parametrize(
    ("device", "there", "tried"),
    [
        ("auto", ["CUDAExecutionProvider", "DmlExecutionProvider"], "CUDAExecutionProvider"),
        ("auto", ["DmlExecutionProvider"], "DmlExecutionProvider"),
        ("directml", ["CUDAExecutionProvider", "DmlExecutionProvider"], "DmlExecutionProvider"),
        ("cpu", ["CUDAExecutionProvider", "DmlExecutionProvider"], "CPUExecutionProvider"),
    ],
)
def test_a_device_is_tried_before_the_processor(
    device: Any, there: list[str], tried: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    asked: list[list[str]] = []

    class Session:
        def __init__(self, _: bytes, options: Any, providers: list[str]) -> None:
            asked.append(providers)
            assert options.enable_mem_pattern == ("DmlExecutionProvider" not in providers)

        def get_providers(self) -> list[str]:
            return asked[-1]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*there, "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    open_session(b"", device, 1)
    assert asked[0][0] == tried and asked[0][-1] == "CPUExecutionProvider"


def test_a_card_that_was_found_and_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    class Session:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    open_session(b"", "auto", 1)
    with pytest.raises(BadInput, match="was found and did not start. Set `device: auto`"):
        open_session(b"", "cuda", 1)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 8388608000",
            OutOfMemory,
        ),
        ("CUDA failure 2: out of memory ; GPU=0", OutOfMemory),
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", DeviceFailed),
        ("onnxruntime::DmlExecutionProvider 887A0005 The GPU device instance has been suspended", DeviceFailed),
        ("Non-zero status code returned while running Conv node", RuntimeError),
    ],
)
def test_a_card_that_fails_ends_the_process_by_its_name(said: str, kind: type[Exception]) -> None:
    with pytest.raises(kind), card_failures():
        raise RuntimeError(said)


def test_the_processor_takes_over_from_a_card_that_failed() -> None:
    assert RtmPose.profiles == ({"device": "cpu"},)


# --- BlazePose's detector in place of one of the family's ---


def test_blazepose_s_detector_finds_people_where_none_is_named(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    try:
        model_path("pose_detection.tflite")
    except BadInput as missing:
        pytest.skip(str(missing))
    import cv2
    from harness import frame

    capture = cv2.VideoCapture(str(Path(__file__).parents[1] / "assets" / "visitor.mp4"))
    _, visitor = capture.read()
    with caplog.at_level(logging.INFO):
        node = make(RtmPose, model=str(model), min_tracking=0)
    assert f"{model} runs on CPUExecutionProvider." in caplog.text
    node.step(image=frame(visitor, pixel_format="BGR"))
    (box,) = node._estimator._boxes(node._picture(frame(visitor, pixel_format="BGR")), 0.5)
    height, width = visitor.shape[:2]
    middle = (box[:2] + box[2:]) / 2
    assert np.abs(middle - [width / 2, height / 2]).max() < 0.2 * height
    assert 0.6 * height < box[3] - box[1] < 1.6 * height
    assert node.frames[-1].shape == (1, 33, 4)

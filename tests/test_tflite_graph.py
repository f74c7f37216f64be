"""The pose networks in torch answer what they answer in LiteRT."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from harness import frame, make

from engine.errors import BadInput
from engine.models import model_path
from nodes.pose import model, tflite_graph
from nodes.pose.blazepose import BlazePose
from nodes.pose.model import LiteRT, Model, card_refusal, load

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from nodes.pose.torch_model import TorchModel  # noqa: E402

CLIP = Path(__file__).parents[1] / "assets" / "visitor.mp4"
LANDMARKS, WORLD, HEAT, MASK = (1, 195), (1, 117), (1, 64, 64, 39), (1, 256, 256, 1)
CLOSE: dict[tuple[int, ...], Any] = {
    LANDMARKS: np.tile([2e-3, 2e-3, 1e-2, 5e-3, 5e-3], 39),  # pixels of 256; z is a large number there
    WORLD: 1e-4, HEAT: 3e-3, MASK: 1, (1, 1): 1e-5, (1, 2254, 12): 2e-3, (1, 2254, 1): 2e-3,
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads of torch on busy cores wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clip() -> list[np.ndarray]:
    capture, pictures = cv2.VideoCapture(str(CLIP)), []
    while len(pictures) < 30 and (read := capture.read())[0]:
        pictures.append(read[1])
    return pictures


def path_of(name: str) -> Path:
    try:
        return model_path(f"{name}.tflite")
    except BadInput as missing:
        pytest.skip(str(missing))


def shown(picture: np.ndarray, side: int) -> np.ndarray:
    """(1, side, side, 3) float32 0..1: the person of the clip, whole and upright."""
    pixels = cv2.resize(cv2.cvtColor(picture[40:580], cv2.COLOR_BGR2RGB), (side, side), interpolation=cv2.INTER_AREA)
    return pixels[None].astype(np.float32) / 255


@pytest.mark.parametrize("name", ["pose_detection", *(f"pose_landmark_{q}" for q in ("lite", "full", "heavy"))])
def test_each_output_is_litert_s(name: str, clip: list[np.ndarray]) -> None:
    path = path_of(name)
    in_torch, in_litert = TorchModel(path, "cpu"), LiteRT(path, 1)
    detects = name == "pose_detection"
    wanted = ((1, 2254, 12), (1, 2254, 1)) if detects else (LANDMARKS, (1, 1), HEAT, WORLD, MASK)
    for picture in (clip[0], clip[20]):
        given = shown(picture, 224) * 2 - 1 if detects else shown(picture, 256)
        for shape, found, expected in zip(wanted, in_torch(given, *wanted), in_litert(given, *wanted), strict=True):
            assert (found.shape, found.dtype) == (expected.shape, np.float32)
            assert np.ptp(expected) > 0 or shape == (1, 1)
            worst = np.abs(found - expected) / CLOSE[shape]
            assert worst.max() <= 1, (shape, worst.max())


def test_the_node_publishes_the_same_people(clip: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pose_detection", "pose_landmark_full"):
        path_of(name)

    def published(load: Callable[..., Model]) -> np.ndarray:
        monkeypatch.setattr(model, "load", load)
        node: Any = make(BlazePose)
        for number, picture in enumerate(clip):
            node.step(image=frame(picture, number + 1, capture_ns=(number + 1) * 33_333_333, pixel_format="BGR"))
        assert [one.ids for one in node.frames] == [(1,)] * len(clip)
        return np.concatenate([one.array for one in node.frames])

    in_torch = published(lambda path, *_: TorchModel(path, "cpu"))
    in_litert = published(lambda path, *_: LiteRT(path, 1))
    # Each picture's rounding decides where the next one's square lies, and now and then which cell of a heat map.
    apart = np.percentile(np.abs(in_torch - in_litert), 95, axis=(0, 1))
    assert (apart < [0.5, 0.5, 10, 0.01]).all(), apart  # pixels of 540 × 640


# --- where it runs ---


def test_without_a_card_auto_is_the_processor_and_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    path = path_of("pose_landmark_lite")
    monkeypatch.setattr(model, "card_refusal", lambda: "there is no driver of an NVIDIA card")
    assert isinstance(load(path, device="auto"), LiteRT)
    with pytest.raises(BadInput, match="`device: cuda` cannot be had: there is no driver .* Set `device: auto`"):
        load(path, device="cuda")


def test_with_a_card_auto_takes_it_and_cpu_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked = path_of("pose_landmark_lite"), []
    monkeypatch.setattr(model, "card_refusal", lambda: None)
    monkeypatch.setattr("nodes.pose.torch_model.TorchModel", lambda _, device: asked.append(device))
    load(path, device="auto")
    assert asked == ["cuda"]
    assert isinstance(load(path, device="cpu"), LiteRT)
    assert asked == ["cuda"]


def test_why_there_is_no_card_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "_DRIVER", "no_such_driver")
    assert card_refusal() == "there is no driver of an NVIDIA card"
    monkeypatch.setattr(model, "_DRIVER", None)  # this program itself: as if there were one
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert card_refusal() == "torch finds no CUDA graphics card"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert card_refusal() is None


def test_a_card_that_fails_comes_back_as_the_processor() -> None:
    assert BlazePose.profiles == ({"device": "cpu"},)


def test_full_memory_and_a_lost_card_end_the_process_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.errors import DeviceFailed, OutOfMemory

    network = TorchModel(path_of("pose_landmark_lite"), "cpu")

    for said, kind in (("CUDA out of memory. Tried", OutOfMemory), ("CUDA error: device is lost", DeviceFailed)):
        monkeypatch.setattr(network, "_run", Mock(side_effect=RuntimeError(said)))
        with pytest.raises(kind):
            network(np.zeros((1, 256, 256, 3), np.float32), LANDMARKS)


# --- files that are none ---


@pytest.mark.parametrize("cut", [0, 3, 1000, 100_000])
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "pose.tflite"
    path.write_bytes(path_of("pose_landmark_lite").read_bytes()[:cut])
    with pytest.raises(BadInput, match=r"pose\.tflite cannot be read .* Delete it and fetch it again"):
        tflite_graph.read(path)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pose.tflite"
    path.write_text(json.dumps(list(range(1000))))
    with pytest.raises(BadInput, match=r"it is no \.tflite file"):
        TorchModel(path, "cpu")


def test_an_operator_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("nodes.pose.torch_model.Network._max_pool_2d")
    with pytest.raises(BadInput, match="an operator that is not known here .*max_pool_2d"):
        TorchModel(path_of("pose_landmark_lite"), "cpu")


# --- sparse weights ---


def test_sparse_weights_are_unpacked_in_blocks_and_any_order() -> None:
    from types import SimpleNamespace as Some

    def dense(size: int) -> Some:
        return Some(format=0, denseSize=size)

    def sparse(segments: list[int], indices: list[int]) -> Some:
        return Some(format=1, arraySegments=Some(values=segments), arrayIndices=Some(values=indices))

    # The schema's own example: a 4 × 4 matrix in 2 × 2 blocks, rows of blocks dense and columns of blocks sparse.
    whole = np.array([[1, 0, 2, 3], [0, 4, 0, 0], [0, 0, 5, 0], [0, 0, 0, 6]], np.float32)
    kept = np.array([1, 0, 0, 4, 2, 3, 0, 0, 5, 0, 0, 6], np.float32)
    levels = [dense(2), sparse([0, 2, 3], [0, 1, 1]), dense(2), dense(2)]
    about = Some(traversalOrder=[0, 1, 2, 3], blockMap=[0, 1], dimMetadata=levels)
    assert np.array_equal(tflite_graph._dense(kept, np.array([4, 4]), about), whole)
    # Without blocks, columns first.
    kept = np.array([1, 4, 2, 5, 3, 6], np.float32)
    levels = [dense(4), sparse([0, 1, 2, 4, 6], [0, 1, 0, 2, 0, 3])]
    about = Some(traversalOrder=[1, 0], blockMap=None, dimMetadata=levels)
    assert np.array_equal(tflite_graph._dense(kept, np.array([4, 4]), about), whole)

"""What only a CUDA graphics card can show: its backends, its memory, training on it, poses found by it."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from harness import frame, make
from performer_kit import SIZE, people, write_performer

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("there is no CUDA graphics card here", allow_module_level=True)

from training_kit import plan, write_footage  # noqa: E402

from engine.errors import BadInput, OutOfMemory  # noqa: E402
from engine.models import model_path  # noqa: E402
from engine.shm import Segment  # noqa: E402
from nodes.generator.backends import choose, pinned  # noqa: E402
from nodes.generator.backends.base import BATCHES, kind  # noqa: E402
from nodes.generator.backends.eager import Eager  # noqa: E402
from nodes.generator.backends.failures import device_failures  # noqa: E402
from nodes.generator.backends.prepare import LARGEST_DIFFERENCE, deviation, pictures  # noqa: E402
from nodes.generator.footage import folder  # noqa: E402
from nodes.generator.training import train  # noqa: E402
from nodes.generator.training.plan import STATE  # noqa: E402
from nodes.pose.blazepose import BlazePose  # noqa: E402
from nodes.pose.model import LiteRT  # noqa: E402
from nodes.pose.torch_model import TorchModel  # noqa: E402

ON_CARD = ("torch", "cuda-graphs")


@pytest.fixture(name="performer", scope="module")
def performer_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_performer(tmp_path_factory.mktemp("cuda") / "performer.safetensors")


@pytest.mark.parametrize("name", ON_CARD)
def test_the_card_paints_what_the_processor_paints(name: str, performer: Path) -> None:
    reference = pictures(Eager(performer, "cpu", 1), people(4), SIZE)
    found = pictures(kind(name).open(performer, "cuda", 1), people(4), SIZE)
    assert reference.std() > 20
    assert deviation(found, reference)[0] <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("batch", BATCHES)
def test_graphs_paint_each_of_several_people(batch: int, performer: Path) -> None:
    backend = kind("cuda-graphs").open(performer, "cuda", 1)
    out = np.zeros((batch, SIZE, SIZE, 4), np.uint8)
    for seed in (3, 4):  # a graph whose input did not arrive would paint the same again
        backend.run(people(batch, seed), out)
        assert deviation(out, pictures(backend, people(batch, seed), SIZE))[0] <= 1
    backend.close()


def test_graphs_are_captured_while_another_thread_paints(performer: Path) -> None:
    playing, out = kind("cuda-graphs").open(performer, "cuda", 1), np.empty((1, SIZE, SIZE, 4), np.uint8)
    expected = pictures(playing, people(1), SIZE)
    opened: list[object] = []
    loader = threading.Thread(target=lambda: opened.append(kind("cuda-graphs").open(performer, "cuda", 1)))
    loader.start()
    rounds = 0
    while loader.is_alive() or not rounds:
        out[:] = 0
        playing.run(people(1), out)
        assert np.array_equal(out, expected)
        rounds += 1
    loader.join()
    assert len(opened) == 1


def test_auto_takes_the_card(performer: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    prepared = choose.prepare(performer)
    assert prepared.device == "cuda"
    assert prepared.backend in ON_CARD
    assert prepared.difference <= LARGEST_DIFFERENCE
    assert choose.load(prepared).name == prepared.backend


def test_the_ring_is_pinned_where_a_child_found_that_it_works(performer: Path) -> None:
    verdict = pinned.probe()
    assert verdict.sentence
    if not verdict.good:
        pytest.skip(verdict.sentence)
    segment = Segment.create(f"utsu_cuda_{np.random.default_rng().integers(1 << 30):x}", 1 << 20, session=0)
    undo = pinned.register(segment.data)
    try:
        backend = kind("cuda-graphs").open(performer, "cuda", 1)
        slot = segment.data[4096 : 4096 + SIZE * SIZE * 4].reshape(1, SIZE, SIZE, 4)
        assert pinned.is_registered(slot)
        backend.run(people(1), slot)
        assert np.array_equal(slot, pictures(backend, people(1), SIZE))
    finally:
        undo()
        segment.unlink()


def test_full_memory_is_said_as_such() -> None:
    with pytest.raises(OutOfMemory, match="not enough memory"), device_failures():
        torch.empty(1 << 50, dtype=torch.uint8, device="cuda")


def test_training_on_the_card_learns_and_goes_on(tmp_path: Path) -> None:
    footage = folder.load(write_footage(tmp_path / "footage"), 32, 0.2)
    said: list[str] = []
    first = train.run(plan(tmp_path / "out", 20, device="cuda"), footage, said.append)
    more = train.run(plan(tmp_path / "out", 200, device="cuda", resume=True), footage, said.append)
    assert (tmp_path / "out" / STATE).exists()
    assert first is not None and more is not None
    assert more.psnr > first.psnr
    assert "Going on from step 20" in " ".join(said)


@pytest.mark.parametrize("name", ["pose_detection", "pose_landmark_lite", "pose_landmark_full", "pose_landmark_heavy"])
def test_a_pose_network_answers_on_the_card_as_in_litert(name: str) -> None:
    try:
        path = model_path(f"{name}.tflite")
    except BadInput as missing:
        pytest.skip(str(missing))
    on_card, in_litert = TorchModel(path, "cuda"), LiteRT(path, 1)
    side, random = 224 if name == "pose_detection" else 256, np.random.default_rng(5)
    wanted = ((1, 2254, 12), (1, 2254, 1)) if side == 224 else ((1, 195), (1, 1), (1, 64, 64, 39), (1, 117))
    for _ in range(3):  # a graph whose input did not arrive would answer the same again
        noise = cv2.GaussianBlur(random.uniform(0, 1, (side, side, 3)).astype(np.float32), (0, 0), 8)
        given = cv2.normalize(noise, None, 0, 1, cv2.NORM_MINMAX)[None]
        for found, expected in zip(on_card(given, *wanted), in_litert(given, *wanted), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=0.01)


def test_the_processor_and_the_card_find_the_same_poses() -> None:
    """Frame by frame on the clip, through the whole node."""
    capture, pictures = cv2.VideoCapture(str(Path(__file__).parents[1] / "assets" / "visitor.mp4")), []
    while len(pictures) < 30 and (read := capture.read())[0]:
        pictures.append(read[1])

    def published(device: str) -> np.ndarray:
        node = make(BlazePose, device=device)
        for number, picture in enumerate(pictures):
            node.step(image=frame(picture, number + 1, capture_ns=(number + 1) * 33_333_333, pixel_format="BGR"))
        return np.concatenate([one.array for one in node.frames])

    apart = np.percentile(np.abs(published("cuda") - published("cpu")), 95, axis=(0, 1))
    assert (apart < [0.5, 0.5, 10, 0.01]).all(), apart

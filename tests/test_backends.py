"""Every backend paints what torch paints on the CPU, into memory that is given to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from performer_kit import SIZE, people, write_performer

from nodes.generator.backends import onnx_int8
from nodes.generator.backends.base import BATCHES, MODULES, Backend, kind
from nodes.generator.backends.eager import Eager, halve
from nodes.generator.backends.prepare import LARGEST_DIFFERENCE, LEAST_DECIBELS, deviation, pictures
from nodes.generator.network import checkpoint

torch = pytest.importorskip("torch")


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything is built, once: the ONNX file is shared."""
    return tmp_path_factory.mktemp("backends")


@pytest.fixture(name="performer", scope="module")
def performer_fixture(folder: Path) -> Path:
    return write_performer(folder / "performer.safetensors")


@pytest.fixture(name="opened", scope="module")
def opened_fixture(folder: Path, performer: Path) -> Iterator[Callable[[str], Backend]]:
    """Open a backend by name, or skip with its own words."""
    backends: dict[str, Backend] = {}

    def opened(name: str) -> Backend:
        if why := kind(name).refusal("cpu"):
            pytest.skip(f"{name}: {why}")
        if name not in backends:
            backends[name] = kind(name).open(kind(name).build(performer, folder), "cpu", 1)
        return backends[name]

    yield opened
    for backend in backends.values():
        backend.close()


def alone(backend: Backend, points: np.ndarray) -> np.ndarray:
    return pictures(backend, points, SIZE)


@pytest.fixture(name="reference", scope="module")
def reference_fixture(performer: Path) -> np.ndarray:
    return alone(Eager(performer, "cpu", 1), people(4))


def test_the_network_of_these_tests_paints_pictures_that_differ(reference: np.ndarray) -> None:
    assert reference.std() > 20
    assert deviation(reference[0], reference[1])[0] > 50


def test_eager_is_the_network(performer: Path, reference: np.ndarray) -> None:
    rgba = checkpoint.read(performer).painter()(torch.from_numpy(people(4))).permute(0, 2, 3, 1).numpy()
    premultiplied = np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], -1)
    assert deviation(np.rint(premultiplied * 255).astype(np.uint8), reference)[0] <= 1


@pytest.mark.parametrize("name", MODULES)
def test_a_backend_paints_what_torch_paints(name: str, opened: Any, reference: np.ndarray) -> None:
    difference, decibels = deviation(alone(opened(name), people(4)), reference)
    if name == "onnx-int8":
        assert decibels >= LEAST_DECIBELS
    else:
        assert difference <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("name", MODULES)
def test_people_in_one_go_are_painted_as_each_alone(name: str, opened: Any) -> None:
    backend, points = opened(name), people(4)
    assert backend.name == name and backend.batches == BATCHES
    single = alone(backend, points)
    for batch in BATCHES:
        out = np.full((batch, SIZE, SIZE, 4), 77, np.uint8)
        backend.run(points[:batch], out)
        assert deviation(out, single[:batch])[0] <= 1


@pytest.mark.parametrize("name", MODULES)
def test_every_byte_of_the_given_memory_is_written_and_none_beside_it(name: str, opened: Any) -> None:
    memory = np.full((3, SIZE, SIZE, 4), 77, np.uint8)
    other = np.full_like(memory, 200)
    for each in (memory, other):
        opened(name).run(people(1), each[1:2])
    assert np.array_equal(memory[1], other[1])
    assert (memory[[0, 2]] == 77).all() and (other[[0, 2]] == 200).all()


@pytest.mark.parametrize("name", MODULES)
def test_people_who_are_nowhere_leave_no_error(name: str, opened: Any) -> None:
    out = np.full((1, SIZE, SIZE, 4), 77, np.uint8)
    opened(name).run(np.zeros((1, 33, 4), np.float32), out)
    assert not (out == 77).all()


def test_the_first_and_the_last_two_convolutions_stay_exact(folder: Path, opened: Any) -> None:
    opened("onnx-int8")
    import onnx

    nodes = onnx.load(folder / "performer.int8.onnx").graph.node
    makers = {output: node.op_type for node in nodes for output in node.output}
    quantised = [makers.get(node.input[1]) == "DequantizeLinear" for node in nodes if node.op_type == "Conv"]
    assert quantised == [False, *[True] * (len(quantised) - 3), False, False] and len(quantised) > 10
    assert len(onnx_int8.kept_exact(folder / "performer.onnx")) == 3


def test_weights_are_quantised_per_channel(folder: Path, opened: Any) -> None:
    opened("onnx-int8")
    import onnx

    scales = [
        tensor.dims[0] for tensor in onnx.load(folder / "performer.int8.onnx").graph.initializer
        if tensor.name.endswith("weight_scale")
    ]  # fmt: skip
    assert scales and min(scales) > 1


def test_float16_on_a_card_leaves_the_pose_field_exact(performer: Path, reference: np.ndarray) -> None:
    """What CUDA runs, on the CPU: there is no graphics card here."""
    from nodes.generator.network.picture import Picture

    picture = Picture(checkpoint.read(performer).painter())
    exact = picture.painter.field(torch.from_numpy(people(4)))
    halve(picture)
    assert {weight.dtype for weight in picture.parameters()} == {torch.float16}
    assert torch.equal(picture.painter.field(torch.from_numpy(people(4))), exact.half())
    with torch.inference_mode():
        found = picture(torch.from_numpy(people(4))).numpy()
    assert deviation(found, reference)[0] <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("name", ["cuda-graphs", "tensorrt"])
@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_what_needs_cuda_says_so(name: str, device: str) -> None:
    assert kind(name).refusal(device) == "no CUDA device"


@pytest.mark.parametrize("name", ["onnx", "onnx-int8", "openvino"])
def test_what_needs_the_cpu_says_so(name: str) -> None:
    assert kind(name).refusal("cuda") == "it runs on the CPU, and the device is cuda"


@pytest.mark.parametrize(
    ("name", "package"),
    [("torch", "torch"), ("onnx", "onnxruntime"), ("onnx-int8", "onnx"), ("openvino", "openvino")],
)
def test_what_is_not_installed_says_how_to_install_it(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nodes.generator.backends import base

    monkeypatch.setattr(base, "find_spec", lambda wanted: None if wanted == package else object())
    assert kind(name).refusal("cpu") == f"not installed; pip install {package}"


def test_cuda_graphs_paint_what_torch_paints_on_the_card(performer: Path, reference: np.ndarray) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA graphics card here")
    for name in ("torch", "cuda-graphs"):
        backend = kind(name).open(performer, "cuda", 1)
        assert deviation(alone(backend, people(4)), reference)[0] <= LARGEST_DIFFERENCE
        for batch in BATCHES:
            out = np.empty((batch, SIZE, SIZE, 4), np.uint8)
            backend.run(people(4)[:batch], out)
            assert deviation(out, reference[:batch])[0] <= LARGEST_DIFFERENCE

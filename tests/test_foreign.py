"""Other people's model files: what is refused and how it is said, and how pictures become arrays and come back."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_kit import SIZE, Paint, Same, describe, export, node, onnx, painted, picture, script, torch

from engine.errors import BadInput
from nodes.generator.foreign import description
from nodes.generator.foreign.codec import Decoder, Encoder
from nodes.generator.foreign.description import Answered, Shown

WHOLE = "file: a.onnx\ninput: {size: [64, 32], range: [-1, 1]}\noutput: {range: [0, 255]}\n"


def read(folder: Path, text: str) -> description.Description:
    path = folder / "net.yaml"
    path.write_text(text, "utf-8")
    return description.read(path)


# --- descriptions ---


def test_a_short_description_says_all_that_is_needed(tmp_path: Path) -> None:
    about = read(tmp_path, WHOLE)
    assert about.file == tmp_path / "a.onnx" and about.sha256 is None
    assert (about.shown.style, about.shown.layout, about.shown.channels) == (None, "nchw", "rgb")
    assert (about.shown.size, about.shown.range, about.answered.range) == ((64, 32), (-1, 1), (0, 255))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("file:", "fiel:", r":1:1: unknown setting 'fiel'; did you mean 'file'\?"),
        ("size:", "sise:", r":2:9: unknown setting 'sise'; did you mean 'size'\?"),
        ("output: {", "output: {rage: 3, ", r":3:10: unknown setting 'rage'; did you mean 'range'\?"),
        ("output: {range: [0, 255]}", "", r":1:1: 'output' must be a block of `name: value` lines with at least"),
        ("size: [64, 32], ", "", r":2:1: the setting 'size' is missing \(width and height of its input in pixels\)"),
        ("[64, 32]", "[64, 3]", r":2:20: 'size' must be greater than or equal to 16, found 3"),
        ("[-1, 1]", "[1, -1]", r"'range' must rise from black to white, such as \[-1, 1\], found \[1.0, -1.0\]"),
        ("[-1, 1]", "[0, .inf]", r"'range' must be a"),
        ("size:", "style: openpose18/2, size:", r":2:16: 'style' must be 'openpose18/1', "),
        ("size:", "layout: chw, size:", r":2:17: 'layout' must be 'nchw' or 'nhwc', found the text 'chw'"),
        ("size:", "mean: [0.5], size:", r"'mean' must have 3 values, one per channel of 'rgb'"),
        ("size:", "std: [1, 0, 1], size:", r":2:18: 'std' must be greater than 0, found 0"),
        ("file: a.onnx", "file: a.onnx\nsha256: abc", r":2:9: 'sha256' cannot be 'abc' \(64 hexadecimal digits"),
        (WHOLE, "- 1", "must be a block of `name: value` lines with file:, input: and output:"),
        (WHOLE, "# nothing", r"the file is empty. docs/TORCH.md has descriptions to start from"),
        (WHOLE, "file: *a", "anchors"),
        (WHOLE, "\t{", "net.yaml:1:1"),
    ],
)
def test_a_bad_description_is_told_with_its_place(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read(tmp_path, WHOLE.replace(old, new, 1))


def test_all_problems_of_a_description_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as told:
        read(tmp_path, WHOLE.replace("file", "fill").replace("size", "sise").replace("[0, 255]", "none"))
    assert all(word in str(told.value) for word in ("'fill'", "'sise'", "'size' is missing", "output", "net.yaml:3:"))


def test_a_missing_description_is_a_sentence(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.yaml", "There is no model description"), (tmp_path, "a folder or a device")):
        with pytest.raises(BadInput, match=why):
            node(path)


# --- files ---


def refused(file: Path, sentence: str, more: str = "") -> None:
    with pytest.raises(BadInput, match=sentence):
        node(describe(file, more=more))


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_pickle_is_refused_with_the_way_out(tmp_path: Path, legacy: bool, whole: bool) -> None:
    file = tmp_path / "net.pth"
    saved = Paint() if whole else Paint().state_dict()
    torch.save(saved, file, _use_new_zipfile_serialization=not legacy)
    refused(file, r"net.pth is a pickle.*never opened.*export that network. docs/TORCH.md")


def test_safetensors_are_told_to_be_weights_only(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    file.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0")
    refused(file, "is a safetensors file: it holds weights without their network")


def test_what_is_no_network_is_told(tmp_path: Path) -> None:
    refused(tmp_path / "none.pt", "There is no file .*none.pt")
    (tmp_path / "empty.pt").touch()
    refused(tmp_path / "empty.pt", "is empty")
    (tmp_path / "folder.onnx").mkdir()
    refused(tmp_path / "folder.onnx", "is a folder or a device")
    with zipfile.ZipFile(tmp_path / "photos.pt", "w") as archive:
        archive.writestr("photos/1.jpg", b"x")
    refused(tmp_path / "photos.pt", "is an archive without a network")


@pytest.mark.parametrize(("save", "suffix"), [(script, "pt"), (export, "pt2"), (onnx, "onnx")])
def test_a_damaged_file_is_a_sentence(tmp_path: Path, save: Any, suffix: str) -> None:
    """Cut anywhere, or overwritten with noise in the middle; never a crash, never another exception."""
    whole = save(Paint().eval(), tmp_path / f"whole.{suffix}").read_bytes()
    random = np.random.default_rng(5)
    file = tmp_path / f"net.{suffix}"
    for length in random.integers(1, len(whole), 10).tolist():
        file.write_bytes(whole[:length])
        refused(file, r"net\..* (is damaged|cannot be loaded|cannot be used)")
    for _ in range(10):
        at = int(random.integers(0, len(whole) - 400))
        file.write_bytes(whole[:at] + random.bytes(400) + whole[at + 400 :])
        try:
            node(describe(file))
        except BadInput as error:
            assert str(error).startswith(str(tmp_path))


def test_noise_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    for seed in range(20):
        file.write_bytes(np.random.default_rng(seed).bytes(2000))
        refused(file, r"net.onnx (cannot be loaded as ONNX|is )")


def test_only_the_file_with_the_right_sha256_is_run(tmp_path: Path) -> None:
    file = script(Same(), tmp_path / "net.pt")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert node(describe(file, more=f"sha256: {digest}"))
    refused(file, f"is not the file that the description's sha256.*write sha256: {digest}", f"sha256: {'a' * 64}")


def test_an_onnx_network_with_its_weights_elsewhere_is_refused(tmp_path: Path) -> None:
    onnx(Paint(), tmp_path / "net.onnx")
    import onnx as onnx_package

    model = onnx_package.load(tmp_path / "net.onnx")
    onnx_package.save(
        model, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0
    )  # fmt: skip
    refused(tmp_path / "net.onnx", r"cannot be loaded as ONNX, all in one file \(external_data=False\)")


def test_a_network_with_two_inputs_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    helper = pytest.importorskip("onnx", reason="onnx is not installed").helper
    picture_of = [helper.make_tensor_value_info(name, 1, [1, 3, SIZE, SIZE]) for name in "abc"]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "g", picture_of[:2], picture_of[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "net.onnx", r"it takes 2 inputs \(a, b\), and there is only one picture")


# --- hostile files ---


class Bomb:
    """A pickle that leaves a mark where it was opened."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def rewritten(file: Path, changes: dict[str, bytes]) -> None:
    """Replace, or add, entries of an archive by the end of their names."""
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(entries)).partition("/")[0]
    entries |= {f"{root}/{name}": data for name, data in changes.items()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def test_a_pickle_among_the_sample_inputs_of_an_exported_network_is_not_opened(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    file = export(Same(), tmp_path / "net.pt2")
    rewritten(file, {"data/sample_inputs/model.pt": pickle.dumps(((Bomb(mark),), {}), protocol=2)})
    refused(file, "cannot be loaded as torch.export")
    assert not mark.exists() and "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.parametrize(
    ("entry", "what"), [("constants/opaque_obj_0", "pickled objects"), ("aotinductor/model/a.so", "machine code")]
)
def test_an_exported_network_with_more_than_a_network_is_refused(tmp_path: Path, entry: str, what: str) -> None:
    file = export(Same(), tmp_path / "net.pt2")
    rewritten(file, {f"data/{entry}": b"x"})
    refused(file, f"carries {what} beside the network")


def test_a_pickle_inside_torchscript_is_not_opened(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    file = script(Same(), tmp_path / "net.pt")
    for entry in ("data.pkl", "constants.pkl"):
        rewritten(file, {entry: pickle.dumps(Bomb(mark), protocol=2)})
        refused(file, "cannot be loaded as TorchScript")
    assert not mark.exists()


# --- pictures and arrays ---


def rgba(seed: int = 3) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 4), np.uint8)
    pixels[..., 3] = 255
    return pixels


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize("span", [(-1, 1), (0, 1), (0, 255)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_network_sees_the_numbers_that_the_description_says(
    layout: str, channels: str, span: tuple[int, int], dtype: str
) -> None:
    shown = Shown(size=(30, 20), range=span, layout=layout, channels=channels, dtype=dtype)
    pixels = rgba()
    batch = Encoder(shown)(pixels)
    assert batch.shape == ((1, 3, 20, 30) if layout == "nchw" else (1, 20, 30, 3)) and batch.dtype == dtype
    seen = batch[0, :, 7, 11] if layout == "nchw" else batch[0, 7, 11]
    colour = pixels[7, 11, :3] if channels == "rgb" else pixels[7, 11, 2::-1]
    assert seen == pytest.approx(span[0] + colour / 255 * (span[1] - span[0]), abs=1e-3 * (span[1] - span[0]))
    answered = Answered(range=span, layout=layout, channels=channels)
    back = np.zeros_like(pixels)
    Decoder(answered).write(Decoder(answered).pixels(batch), back)
    assert np.array_equal(back, pixels)


def test_mean_and_std_come_after_the_range_and_in_the_order_of_the_channels() -> None:
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.25, 2]
    pixels = rgba()
    batch = Encoder(Shown(size=(30, 20), range=(0, 1), channels="bgr", mean=mean, std=std))(pixels)
    assert batch[0, :, 3, 4] == pytest.approx((pixels[3, 4, 2::-1] / 255 - mean) / std, abs=1e-5)


def test_gray_is_one_channel_in_and_three_equal_ones_out() -> None:
    batch = Encoder(Shown(size=(30, 20), range=(0, 1), channels="gray"))(rgba())
    assert batch.shape == (1, 1, 20, 30)
    luma = rgba()[..., :3] @ [0.299, 0.587, 0.114]
    assert batch[0, 0] * 255 == pytest.approx(luma, abs=1)
    decoder, out = Decoder(Answered(range=(0, 1), channels="gray")), np.zeros((20, 30, 4), np.uint8)
    decoder.write(decoder.pixels(batch), out)
    assert out[..., :3] == pytest.approx(np.repeat(luma[..., None], 3, 2), abs=1.01) and (out[..., 3] == 255).all()


def test_alpha_is_premultiplied() -> None:
    decoder, out = Decoder(Answered(range=(-1, 1), channels="rgba")), np.zeros((1, 2, 4), np.uint8)
    answer = np.array([[1, 1], [0, -1], [-1, 1], [-0.5, -1]], np.float32).reshape(1, 4, 1, 2)
    decoder.write(decoder.pixels(answer), out)
    assert out[0].tolist() == [[64, 32, 0, 64], [0, 0, 0, 0]]


def test_values_beyond_the_range_count_as_its_end() -> None:
    decoder, out = Decoder(Answered(range=(0, 1))), np.zeros((1, 1, 4), np.uint8)
    decoder.write(decoder.pixels(np.array([-5, 0.5, 9e9], np.float32).reshape(3, 1, 1)), out)
    assert out[0, 0].tolist() == [0, 128, 255, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_spoils_a_picture(value: float) -> None:
    answer = np.zeros((1, 3, 8, 8), np.float32)
    answer[0, 1, 2, 3] = value
    with pytest.raises(ValueError, match="not finite"):
        Decoder(Answered(range=(0, 1))).pixels(answer)


def test_the_identity_gives_the_picture_back_and_channels_can_be_swapped(tmp_path: Path) -> None:
    file, shown = script(Same(), tmp_path / "net.pt"), picture()
    for ends in ("range: [-1, 1]", "range: [0, 255]", "layout: nhwc"):
        example = np.zeros((1, SIZE, SIZE, 3) if "nhwc" in ends else (1, 3, SIZE, SIZE), np.float32)
        script(Same(), file, example)
        assert np.array_equal(painted(describe(file, ends, ends), shown)[..., :3], shown)
    assert np.array_equal(painted(describe(file, "channels: bgr"), shown)[..., :3], shown[..., ::-1])
    assert np.array_equal(painted(describe(file, "", "channels: bgr"), shown)[..., :3], shown[..., ::-1])

"""A performer's file: whole or a sentence, whatever somebody has put into it."""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from performer_kit import people, write_performer
from safetensors.numpy import load, save

from engine.errors import BadInput
from nodes.generator.network import checkpoint
from nodes.generator.network.painter import Painter, Shape

Tensors, Metadata = dict[str, np.ndarray], dict[str, str]


@pytest.fixture(scope="module", name="good")
def good_fixture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_performer(tmp_path_factory.mktemp("performer") / "good.safetensors").read_bytes()


@pytest.fixture(name="path")
def path_fixture(tmp_path: Path) -> Path:
    return tmp_path / "performer.safetensors"


def taken_apart(good: bytes) -> tuple[Tensors, Metadata]:
    length = int.from_bytes(good[:8], "little")
    return {**load(good)}, json.loads(good[8 : 8 + length])["__metadata__"]


def refuse(path: Path, match: str = ".") -> None:
    with pytest.raises(BadInput, match=match) as refusal:
        checkpoint.read(path)
    assert len(str(refusal.value)) < 500


def test_what_is_written_is_read(path: Path) -> None:
    torch.manual_seed(4)
    shape = Shape(size=32, width=8, blocks=1, grid=8)
    network = Painter(shape).to(memory_format=torch.channels_last).requires_grad_(False)  # as training has it
    about = checkpoint.read(write_performer(path)).about.model_copy(update={
        "network": checkpoint.NetworkAbout(architecture=checkpoint.ARCHITECTURE, **shape.as_dict()),
        "licence": "CC0-1.0", "consent": "Yes.\n« Ja »", "metrics": {"psnr": 27.5},
    })  # fmt: skip
    plate = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    checkpoint.write(path, about, plate, people(5), network)
    found = checkpoint.read(path)
    assert found.about == about
    assert found.shape == shape
    np.testing.assert_array_equal(found.plate, plate)
    np.testing.assert_allclose(found.poses, people(5), atol=1e-3)
    points = torch.from_numpy(people(2))
    torch.testing.assert_close(found.painter()(points), network(points), atol=2e-3, rtol=0)
    assert os.listdir(path.parent) == [path.name]


def changed(**values: Any) -> Callable[[Tensors, Metadata], None]:
    """Other metadata: a value's JSON, or text as it is to stand there."""

    def change(_: Tensors, metadata: Metadata) -> None:
        metadata.update(
            {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
        )

    return change


def inside(name: str, **values: Any) -> Callable[[Tensors, Metadata], None]:
    def change(_: Tensors, metadata: Metadata) -> None:
        metadata[name] = json.dumps({**json.loads(metadata[name]), **values})

    return change


def tensor(name: str, value: Callable[[np.ndarray], np.ndarray] | None) -> Callable[[Tensors, Metadata], None]:
    def change(tensors: Tensors, _: Metadata) -> None:
        before = tensors.pop(name, np.zeros(1, np.float16))
        if value:
            tensors[name] = value(before)

    return change


def filled(number: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda before: np.full_like(before, number)


HUGE = {"size": 4096, "width": 512, "blocks": 64, "grid": 128}
HOSTILE = {
    "another format": (changed(format="utsushi.performer/2"), "its format is 'utsushi.performer/2'"),
    "no format": (lambda _, metadata: metadata.pop("format"), "its format is 'nothing'"),
    "another kind": (changed(format="utsushi.training/1"), "not a performer that this version knows"),
    "no JSON": (changed(training="{"), "not JSON"),
    "deep JSON": (changed(training="[" * 100_000), "not JSON"),
    "a long number": (changed(training="9" * 5000), "not JSON"),
    "a list": (changed(network=[1]), "bad metadata at network"),
    "an unknown key": (changed(surprise=1), "bad metadata at surprise"),
    "an unknown key inside": (inside("network", dropout=1), "bad metadata at network.dropout"),
    "no network": (lambda _, metadata: metadata.pop("network"), "bad metadata at network"),
    "no metrics but NaN": (changed(metrics='{"psnr": NaN}'), "bad metadata at metrics.psnr"),
    "endless minutes": (inside("training", minutes=float("inf")), "bad metadata at training.minutes"),
    "negative steps": (inside("training", steps=-1), "bad metadata at training.steps"),
    "a float too large": (inside("training", minutes=10**400), "metadata"),
    "NaN on the stage": (inside("repertoire", height=float("nan")), "bad metadata at repertoire.height"),
    "nobody so tall": (inside("repertoire", height=-1), "bad metadata at repertoire.height"),
    "a long text": (changed(performer=json.dumps("x" * 2000)), "bad metadata at performer"),
    "many metrics": (changed(metrics={str(n): 0 for n in range(100)}), "bad metadata at metrics"),
    "a newer architecture": (inside("network", architecture="painter/2"), "needs 'painter/2'"),
    "other keypoints": (changed(keypoints='"openpose18/1"'), "needs 'openpose18/1'"),
    "too large a size": (inside("network", size=1 << 20), "bad metadata at network.size"),
    "as large as may be": (inside("network", **HUGE), "has no plate of 4096 x 4096"),
    "wider than its weights": (inside("network", width=512), "does not fit its own description"),
    "deeper than its weights": (inside("network", blocks=64), "does not fit its own description"),
    "a grid that does not fit": (inside("network", grid=24), "describes no network"),
    "no plate": (tensor("plate", None), "no plate of 64 x 64"),
    "a plate of floats": (tensor("plate", lambda p: p.astype(np.float32)), "no plate of 64 x 64"),
    "a smaller plate": (tensor("plate", lambda p: p[:32]), "no plate of 64 x 64"),
    "no poses": (tensor("poses", None), "no poses to try"),
    "too few poses": (tensor("poses", lambda p: p[:2]), "no poses to try"),
    "too many poses": (tensor("poses", lambda p: np.repeat(p, 100, 0)), "no poses to try"),
    "a number for poses": (tensor("poses", lambda _: np.array(1, np.float16)), "no poses to try"),
    "poses of NaN": (tensor("poses", filled(np.nan)), "no finite float16"),
    "no weight": (tensor("net.last.bias", None), "does not fit its own description at 'last.bias'"),
    "a weight of another shape": (tensor("net.last.bias", lambda w: w[:3]), "does not fit its own description"),
    "one weight too many": (tensor("net.spy", filled(0)), "does not fit its own description at 'spy'"),
    "something else": (tensor("spy", filled(0)), "does not fit its own description at 'spy'"),
    "weights of NaN": (tensor("net.last.bias", filled(np.nan)), "no finite float16 numbers in 'last.bias'"),
    "endless weights": (tensor("net.last.bias", filled(np.inf)), "no finite float16 numbers"),
    "broken weights": (tensor("net.last.bias", filled(2000)), "no finite float16 numbers"),
    "weights of float32": (tensor("net.last.bias", lambda w: w.astype(np.float32)), "no finite float16 numbers"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_wrong_is_a_sentence(good: bytes, path: Path, what: str) -> None:
    tensors, metadata = taken_apart(good)
    change, sentence = HOSTILE[what]
    change(tensors, metadata)
    path.write_bytes(save(tensors, metadata))
    refuse(path, sentence)


def with_header(good: bytes, change: Callable[[dict], Any]) -> bytes:
    length = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + length])
    text = json.dumps(change(header) or header).encode()
    return len(text).to_bytes(8, "little") + text + good[8 + length :]


LIES = {
    "a shape of terabytes": lambda header: header["plate"].update(shape=[1 << 20, 1 << 20, 3]),
    "a shape beyond all numbers": lambda header: header["plate"].update(shape=[1 << 62, 1 << 62]),
    "a negative shape": lambda header: header["plate"].update(shape=[-64, -64, 3]),
    "bytes of another": lambda header: header["plate"].update(data_offsets=[0, 12288]),
    "bytes beyond the end": lambda header: header["plate"].update(data_offsets=[1 << 40, (1 << 40) + 12288]),
    "an unknown type": lambda header: header["plate"].update(dtype="F8_E4M3"),
    "bfloat16": lambda header: header["poses"].update(dtype="BF16"),
    "a type of nowhere": lambda header: header["plate"].update(dtype="PICKLE"),
    "metadata that are a list": lambda header: header.update(__metadata__=["format"]),
    "metadata that are numbers": lambda header: header.update(__metadata__={"format": 1}),
    "a list for a header": lambda header: [header],
    "a tensor that is none": lambda header: header.update(plate=1),
}


@pytest.mark.parametrize("what", LIES)
def test_a_header_that_lies_is_a_sentence(good: bytes, path: Path, what: str) -> None:
    path.write_bytes(with_header(good, LIES[what]))
    refuse(path)


def test_a_name_that_stands_there_twice_is_no_way_in(good: bytes, path: Path) -> None:
    length = int.from_bytes(good[:8], "little")
    text = good[8 : 8 + length].rstrip()
    twice = text[:-1] + b',"plate":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    path.write_bytes(len(twice).to_bytes(8, "little") + twice + good[8 + length :])
    refuse(path)


def test_half_a_file_is_a_sentence(good: bytes, path: Path) -> None:
    lengths = [*range(0, 20), *range(20, len(good), len(good) // 60), len(good) - 1]
    for length in lengths:
        path.write_bytes(good[:length])
        refuse(path)
    path.write_bytes(good + b"\0")
    refuse(path)


def test_flipped_bits_never_crash(good: bytes, path: Path) -> None:
    random = np.random.default_rng(0)
    header = int.from_bytes(good[:8], "little") + 8
    refused = 0
    for trial in range(300):
        data = bytearray(good)
        data[random.integers(0, header if trial % 2 else len(good))] ^= 1 << random.integers(8)
        path.write_bytes(data)
        try:
            checkpoint.read(path)
        except BadInput:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("length", [0, 1 << 19, 1 << 40, 1 << 63, (1 << 64) - 1])
def test_a_header_of_any_length_takes_no_memory(path: Path, length: int) -> None:
    path.write_bytes(length.to_bytes(8, "little") + b"{" * (2 << 20))
    tracemalloc.start()
    refuse(path, "safetensors")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_a_file_of_gigabytes_is_not_read(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(8 << 30)  # takes no room on the disk
    tracemalloc.start()
    refuse(path, "is larger than 268 MB")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


def test_what_is_no_file_is_a_sentence(path: Path) -> None:
    refuse(path, "cannot be read")
    refuse(path.parent, "cannot be read|no file")
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)  # nobody will ever write into it
        refuse(path, "no file that could be read")


def test_a_broken_network_is_not_written(good: bytes, path: Path) -> None:
    path.write_bytes(good)
    found = checkpoint.read(path)
    for number in (float("nan"), 1e6):
        network = found.painter()
        network.last.bias[0] = number
        with pytest.raises(BadInput, match=r"weights 'last\.bias' are too large"):
            checkpoint.write(path, found.about, found.plate, found.poses, network)
    assert path.read_bytes() == good


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    good: bytes, path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path.write_bytes(good)
    found = checkpoint.read(path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(BadInput, match="No space left on device"):
            checkpoint.write(path, found.about, found.plate, found.poses, found.painter())
    assert path.read_bytes() == good
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets nobody shorten a file that is open")
def test_a_file_may_be_shortened_while_it_is_in_use(good: bytes, path: Path) -> None:
    """A mapped file would end the process here."""
    path.write_bytes(good)
    found = checkpoint.read(path)
    os.truncate(path, 10)
    assert np.isfinite(found.painter()(torch.from_numpy(people(1))).numpy()).all()


def test_whoever_watches_sees_whole_files_only(good: bytes, path: Path) -> None:
    path.write_bytes(good)
    found = checkpoint.read(path)
    networks = [found.painter(), found.painter()]
    networks[1].last.bias.fill_(0.5)
    over, seen, failures = threading.Event(), set(), []

    def watch() -> None:
        while not over.is_set():
            try:
                seen.add(float(checkpoint.read(path).weights["last.bias"][0]))
            except BadInput as error:
                failures.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(60):
        checkpoint.write(path, found.about, found.plate, found.poses, networks[number % 2])
    over.set()
    watcher.join()
    assert not failures
    assert len(seen) == 2


def test_what_a_performer_cannot_say_is_a_sentence() -> None:
    with pytest.raises(BadInput, match="cannot be written into a performer: network"):
        checkpoint.about(performer="x")

"""NDI for real: a receiver in another process gets the very picture, over this machine's loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from harness import frame, make

from engine.errors import BadInput
from nodes.output.ndi import Ndi

RECEIVER = Path(__file__).with_name("ndi_receiver.py")


def picture(width, height):
    """No two quarters are alike, and neither are two channels; smooth, because NDI halves the colour's width."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    red, blue = 220 * x / width + 20, 220 * y / height + 20
    return np.stack([red, np.full_like(red, 90), blue, 255 - red], axis=2).astype(np.uint8)


@pytest.fixture
def ndi():
    pytest.importorskip("cyndilib", reason="NDI needs the optional package cyndilib")
    nodes = []

    def ndi(**settings):
        nodes.append(make(Ndi, **settings))
        return nodes[-1]

    yield ndi
    for node in nodes:
        node.close()


def receive(name, count, path):
    return subprocess.Popen(
        [sys.executable, str(RECEIVER), name, str(count), str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_a_receiver_gets_the_very_pictures_and_follows_the_size(ndi, tmp_path):
    name, path = f"utsushi-{os.getpid()}", tmp_path / "got.npz"
    node = ndi(name=name)
    sent = [picture(128, 96), picture(65, 49)]
    receiver = receive(name, len(sent), path)
    seen: set[float] = set()
    try:
        for seq in range(1, 4000):  # a watchdog: the receiver gives up by itself before that
            first_is_there = path.exists()
            node.step(frame(sent[first_is_there], seq, pixel_format="RGBA"))
            seen.add(node.metrics["receivers"])
            if receiver.poll() is not None:
                break
            time.sleep(0.02)
        assert receiver.wait(10) == 0, receiver.stdout.read().decode()
    finally:
        receiver.kill()
        receiver.wait()
        receiver.stdout.close()
    with np.load(path) as got:
        for array, expected in zip(got.values(), sent, strict=True):
            height, width = expected.shape[:2]
            assert array.shape == (height + height % 2, width + width % 2, 4)
            difference = np.abs(array[:height, :width].astype(int) - expected)
            assert difference.mean() < 3 and difference.max() < 24
            assert difference[..., 3].max() <= 1
    assert seen >= {0, 1} and not node.complaints


def test_it_never_waits_for_a_receiver(ndi):
    node = ndi(name="utsushi-alone", fps=1)
    began = time.monotonic()
    for seq in range(1, 20):
        node.step(frame(picture(64, 48), seq))
    assert time.monotonic() - began < 10, "a sender with a clock would have taken 19 s"
    assert node.metrics == {"receivers": 0}


def test_what_ndi_refuses_is_a_sentence_and_tried_again(ndi, monkeypatch):
    node = ndi(name="utsushi-refused")

    class Refusing:
        def set_video_frame(self, frame): ...
        def close(self): ...
        def open(self):
            raise MemoryError

    sender, node._sink._sender = node._sink._sender, Refusing()
    node.step(frame(picture(64, 48)))
    assert "NDI cannot send as “utsushi-refused” (MemoryError)" in node.complaints[0]
    node._sink._sender, node._retry_ns = sender, 0
    node.step(frame(picture(64, 48)))
    assert node.complaints == []


def test_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cyndilib.sender", None)
    with pytest.raises(BadInput, match="python -m pip install cyndilib"):
        make(Ndi)

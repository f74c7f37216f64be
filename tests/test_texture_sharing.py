"""Spout and Syphon, which no machine here can run: stand-ins for their packages check every call as documented.

SpoutGL 0.1.1 takes arguments by position only (pybind11 without names); syphon-python 0.2.0 as its sources say.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from harness import frame, make

from engine.errors import BadInput
from nodes.output.spout import Spout
from nodes.output.syphon import Syphon

RGB = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
RGBA = np.dstack([RGB, np.full((48, 64), 255, np.uint8)])


class SpoutSender:
    """What SpoutGL.SpoutSender does, as far as it can be told from its sources."""

    def __init__(self):
        self.context = self.released = False
        self.name, self.sent = "", []
        self.takes = True

    def createOpenGL(self, /):
        self.context = True
        return True

    def setSenderName(self, name, /):
        assert isinstance(name, str) and name.isascii() and len(name) < 256
        self.name = name

    def sendImage(self, pixels, width, height, gl_format, invert, host_fbo, /):
        assert self.context, "no OpenGL context is current"
        view = memoryview(pixels)
        assert view.c_contiguous and view.nbytes >= width * height * 4
        assert gl_format == 0x1908 and type(invert) is bool and host_fbo == 0
        self.sent.append((np.frombuffer(view, np.uint8).reshape(height, width, 4).copy(), invert))
        return self.takes

    def releaseSender(self, /):
        assert self.context, "Spout frees its textures with the context they were made in"
        self.released = True

    def closeOpenGL(self, /):
        assert self.released
        self.context = False
        return True


@pytest.fixture
def spout(monkeypatch):
    """Settings -> (node, the senders that it has made)."""
    senders = []

    def make_sender():
        senders.append(SpoutSender())
        return senders[-1]

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "SpoutGL", SimpleNamespace(SpoutSender=make_sender))
    return lambda **settings: (make(Spout, **settings), senders)


def test_spout_sends_upright_rgba_and_keeps_its_sender_when_the_size_changes(spout):
    node, senders = spout(name="Figure")
    node.step(frame(RGB[::-1, :, ::-1], 1, pixel_format="BGR", row_order="BOTTOM_UP"))
    node.step(frame(RGB[:24], 2, pixel_format="RGB"))
    node.close()
    (sender,) = senders
    assert sender.name == "Figure" and sender.released and not sender.context
    assert [invert for _, invert in sender.sent] == [False, False]
    assert (sender.sent[0][0] == RGBA).all() and (sender.sent[1][0] == RGBA[:24]).all()


def test_spout_can_be_told_to_invert(spout):
    node, senders = spout(invert=True)
    node.step(frame(RGB))
    assert senders[0].sent[0][1] is True


def test_spout_without_a_context_says_so_and_tries_again(spout, monkeypatch):
    node, senders = spout()
    monkeypatch.setattr(SpoutSender, "createOpenGL", lambda self: False)
    monkeypatch.setattr(SpoutSender, "releaseSender", lambda self: None)
    monkeypatch.setattr(SpoutSender, "closeOpenGL", lambda self: True)
    node.step(frame(RGB))
    assert "no OpenGL context" in node.complaints[0]
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "win32")
    node._retry_ns = 0
    node.step(frame(RGB))
    assert node.complaints == [] and len(senders) == 2


def test_a_picture_that_spout_does_not_take_is_a_sentence(spout):
    node, senders = spout()
    node.step(frame(RGB))
    senders[0].takes = False
    node.step(frame(RGB))
    assert "same graphics card" in node.complaints[0] and senders[0].released


class MetalServer:
    def __init__(self, name, device=None, command_queue=None, *, is_private=False):
        self.name, self.device, self.stopped, self.published = name, "the device", False, []
        self.has_clients = True

    def publish_frame_texture(
        self, texture, region=None, size=None, is_flipped=False, command_buffer=None, auto_commit=True
    ):
        assert not self.stopped and self.pool.depth == 1 and type(is_flipped) is bool
        self.published.append((texture.image, is_flipped))

    def stop(self):
        self.stopped = True


class Directory:
    run_loop_interval = 1.0
    turns = 0

    def update_run_loop(self):
        assert self.run_loop_interval <= 0.001, "it would wait for a second"
        Directory.turns += 1

    def close(self): ...


@pytest.fixture
def syphon(monkeypatch):
    servers = []
    MetalServer.pool = SimpleNamespace(depth=0)
    Directory.turns = 0

    def server(*args, **kwargs):
        servers.append(MetalServer(*args, **kwargs))
        return servers[-1]

    @contextmanager
    def autorelease_pool():
        MetalServer.pool.depth += 1
        yield
        MetalServer.pool.depth -= 1

    def create_mtl_texture(device, width, height, pixel_format="RGBA8Unorm"):
        assert device == "the device" and pixel_format == "RGBA8Unorm"
        return SimpleNamespace(width=lambda: width, height=lambda: height, image=None)

    def copy_image_to_mtl_texture(image, texture):
        assert image.shape == (texture.height(), texture.width(), 4)
        texture.image = np.frombuffer(image.tobytes(), np.uint8).reshape(image.shape)

    modules = {
        "syphon": {"SyphonMetalServer": server, "SyphonServerDirectory": Directory},
        "syphon.utils": {},
        "syphon.utils.raw": {"create_mtl_texture": create_mtl_texture},
        "syphon.utils.numpy": {"copy_image_to_mtl_texture": copy_image_to_mtl_texture},
        "objc": {"autorelease_pool": autorelease_pool},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "platform", "darwin")
    return lambda **settings: (make(Syphon, **settings), servers)


def test_syphon_publishes_rgba_and_keeps_its_server_when_the_size_changes(syphon):
    node, servers = syphon(name="Figure")
    node.step(frame(RGB[..., ::-1], 1, pixel_format="BGR"))
    node.step(frame(RGB[:24], 2, pixel_format="RGB"))
    node.close()
    (server,) = servers
    assert server.name == "Figure" and server.stopped and Directory.turns == 2
    assert (server.published[0][0] == RGBA).all() and (server.published[1][0] == RGBA[:24]).all()
    assert [flipped for _, flipped in server.published] == [True, True]
    assert node.metrics == {"receivers": 1}


def test_syphon_can_be_told_not_to_flip(syphon):
    node, servers = syphon(flipped=False)
    node.step(frame(RGB))
    assert servers[0].published[0][1] is False


def test_a_mac_without_metal_is_a_sentence(syphon, monkeypatch):
    def no_metal(name):
        raise RuntimeError("No Metal device is available")

    node, _ = syphon()
    monkeypatch.setattr(sys.modules["syphon"], "SyphonMetalServer", no_metal)
    node.step(frame(RGB))
    assert "No Metal device is available" in node.complaints[0]


@pytest.mark.parametrize(
    ("node", "platform", "package"), [(Spout, "win32", "SpoutGL"), (Syphon, "darwin", "syphon-python")]
)
def test_package_is_missing(node, platform, package, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    for module in ("SpoutGL", "syphon"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadInput, match=f"python -m pip install {package}"):
        make(node)


@pytest.mark.parametrize("node", [Spout, Syphon])
def test_on_another_system_it_names_what_runs_there(node, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(BadInput, match="output.ndi, which runs everywhere"):
        make(node)

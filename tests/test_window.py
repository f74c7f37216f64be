"""The desktop preview: with stand-ins for OpenCV's window functions, and on a real X server where Xvfb is at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from harness import frame, make

from nodes.output import desktop
from nodes.output import window as window_module
from nodes.output.window import Window

RGB = np.random.default_rng(1).integers(0, 256, (90, 160, 3), np.uint8)
FULL, TITLE = cv2.WND_PROP_FULLSCREEN, "Utsushi: node"


class Windows:
    """OpenCV's window functions, as Qt behaves: asking after a window that is gone raises cv2.error."""

    def __init__(self, monkeypatch):
        self.open: dict[str, np.ndarray | None] = {}
        self.keys: list[int] = []
        self.properties: dict[int, float] = {}
        self.opened = 0
        for name in ("namedWindow", "resizeWindow", "imshow", "waitKey", "destroyWindow"):
            monkeypatch.setattr(cv2, name, getattr(self, name))
        monkeypatch.setattr(cv2, "getWindowProperty", self.getWindowProperty)
        monkeypatch.setattr(cv2, "setWindowProperty", self.setWindowProperty)
        monkeypatch.setattr(desktop, "display_problem", lambda: "")

    def namedWindow(self, title, flags=0):
        assert title not in self.open and flags & cv2.WINDOW_KEEPRATIO == cv2.WINDOW_KEEPRATIO
        self.open[title] = None
        self.opened += 1

    def resizeWindow(self, title, width, height):
        assert title in self.open

    def imshow(self, title, picture):
        assert title in self.open, "OpenCV would open a second, plain window"
        assert picture.dtype == np.uint8 and picture.shape[2] == 3
        self.open[title] = picture.copy()

    def waitKey(self, delay=0):
        assert delay == 1, "0 waits for ever"
        key = self.keys.pop(0) if self.keys else -1
        if key == "closed":
            self.open.clear()
            return -1
        return key if isinstance(key, int) else ord(key)

    def getWindowProperty(self, title, prop):
        if title not in self.open:
            raise cv2.error("NULL guiReceiver (please create a window)")
        return 1.0

    def setWindowProperty(self, title, prop, value):
        assert title in self.open
        self.properties[prop] = value

    def destroyWindow(self, title):
        del self.open[title]


@pytest.fixture
def windows(monkeypatch):
    return Windows(monkeypatch)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(ns=10**10)
    monkeypatch.setattr(window_module, "now_ns", lambda: clock.ns)
    return clock


def press(node, windows, *keys, seq=50):
    for number, key in enumerate(keys):
        windows.keys.append(key)
        node.step(frame(RGB, seq + number, pixel_format="RGB"))


def below_the_text(picture):
    return picture[40:]


def test_it_shows_every_new_picture_upright_in_its_colours(windows):
    node = make(Window)
    node.step(frame(RGB[::-1].copy(), 1, pixel_format="RGB", row_order="BOTTOM_UP"))
    assert (below_the_text(windows.open[TITLE]) == below_the_text(RGB[..., ::-1])).all()
    node.step(frame(RGB[..., ::-1].copy() // 2, 2, pixel_format="BGR"))
    assert (below_the_text(windows.open[TITLE]) == below_the_text(RGB[..., ::-1] // 2)).all()
    node.close()
    assert windows.open == {} and windows.opened == 1


def test_h_hides_the_text_and_shows_it_again(windows):
    node = make(Window)
    press(node, windows, -1, "h")
    assert (windows.open[TITLE] != RGB[..., ::-1]).any()
    press(node, windows, -1, seq=60)
    assert (windows.open[TITLE] == RGB[..., ::-1]).all()
    press(node, windows, "H", -1, seq=70)
    assert (windows.open[TITLE] != RGB[..., ::-1]).any()


def test_f_is_full_screen_and_esc_leaves_it_but_never_the_window(windows):
    node = make(Window)
    press(node, windows, 27)
    assert FULL not in windows.properties
    press(node, windows, "f")
    assert windows.properties[FULL] == cv2.WINDOW_FULLSCREEN
    press(node, windows, 27)
    assert windows.properties[FULL] == cv2.WINDOW_NORMAL and windows.open


def test_closing_the_window_does_not_end_the_show(windows, caplog):
    caplog.set_level("INFO")
    node = make(Window)
    press(node, windows, -1, "closed", -1, -1)
    assert windows.open == {} and windows.opened == 1 and "the show goes on" in caplog.text
    assert not node.complaints
    node.configured()  # `shown` was set to true again
    press(node, windows, -1)
    assert windows.opened == 2 and windows.open


def test_it_can_be_hidden_and_shown_while_it_runs(windows):
    node = make(Window)
    press(node, windows, -1)
    for shown in (False, True):
        node.config = node.config.model_copy(update={"shown": shown})
        node.configured()
        press(node, windows, -1)
        assert bool(windows.open) == shown


def test_the_same_picture_is_drawn_again_for_its_text_only(windows, clock):
    node = make(Window)
    image = frame(RGB, 1, capture_ns=clock.ns)
    drawn = 0
    for _ in range(20):
        node.step(image)
        if windows.open[TITLE] is not None:
            drawn += 1
            windows.open[TITLE] = None
        clock.ns += 100_000_000
    assert drawn == 4
    assert "no new picture for 2 s" in node.text(image, clock.ns)[0]


def test_the_text_names_who_does_not_run(windows, clock):
    node = make(Window)
    node.health = lambda: [
        SimpleNamespace(name="camera", phase="DEGRADED", text="camera 0 is not there"),
        SimpleNamespace(name="pose", phase="RUNNING", text=""),
        SimpleNamespace(name="generator", phase="STARTING", text=""),
    ]
    for seq in range(1, 31):
        clock.ns += 20_000_000
        image = frame(RGB, seq, capture_ns=clock.ns - 5_000_000)
        node.step(image)
    first, *others = node.text(image, clock.ns)
    assert first.startswith("160 x 90 · 50 fps · 5 ms old")
    assert others == ["camera: camera 0 is not there", "generator: starting"]


def test_it_looks_after_the_window_while_no_picture_comes(windows):
    node = make(Window)
    node.step(None)
    assert windows.opened == 0
    press(node, windows, -1)
    windows.keys.append("closed")
    node.step(None)
    node.step(None)
    assert windows.open == {} and windows.opened == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a machine without a desktop: Linux only")
@pytest.mark.parametrize(("display", "says"), [("", "DISPLAY is not set"), (":8639", "':8639'")])
def test_without_a_desktop_it_says_so_and_goes_on(monkeypatch, display, says):
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    node = make(Window)
    node.step(frame(RGB))
    assert "cannot open a window" in node.complaints[0] and says in node.complaints[0]
    node.close()


def test_opencv_without_windows_is_a_sentence(windows, monkeypatch):
    def headless(*arguments):
        raise cv2.error("The function is not implemented")

    monkeypatch.setattr(cv2, "namedWindow", headless)
    node = make(Window)
    node.step(frame(RGB))
    assert "opencv-python-headless" in node.complaints[0]


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="a real X server to draw on: install Xvfb")
def test_on_a_real_x_server_the_picture_is_on_the_screen(tmp_path):
    readable, writable = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writable), "-screen", "0", "640x480x24", "-fbdir", str(tmp_path)],
        pass_fds=[writable], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writable)
    program = textwrap.dedent(
        """
        import sys, time
        import numpy as np
        from harness import frame, make
        from nodes.output.window import Window
        node = make(Window)
        picture = np.empty((200, 300, 3), np.uint8)
        picture[:100], picture[100:] = (250, 30, 30), (30, 30, 250)
        for seq in range(1, 30):
            node.step(frame(picture, seq, pixel_format="RGB"))
            time.sleep(0.02)
        assert not node.complaints, node.complaints
        print("shown", flush=True)
        sys.stdin.read()
        node.close()
        """
    )
    try:
        with os.fdopen(readable) as pipe:
            display = f":{pipe.readline().strip()}"
        here = Path(__file__).parent
        shower = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "DISPLAY": display, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])},
        )  # fmt: skip
        try:
            assert shower.stdout.readline() == "shown\n"
            screen = xwd((tmp_path / "Xvfb_screen0").read_bytes())
        finally:
            shower.communicate(timeout=20)
        assert shower.returncode == 0
    finally:
        server.terminate()
        server.wait()
    reds, blues = ((np.abs(screen.astype(int) - colour) <= 2).all(axis=2) for colour in ((250, 30, 30), (30, 30, 250)))
    assert reds.sum() > 25_000 and blues.sum() == 30_000
    assert np.argwhere(reds)[:, 0].max() + 1 == np.argwhere(blues)[:, 0].min()


def xwd(data):
    """An X window dump of 32 bits per pixel as (H, W, 3) uint8 RGB."""
    header = np.frombuffer(data, ">u4", 25)
    start, width, height, stride, colours = header[0], header[4], header[5], header[12], header[19]
    pixels = np.frombuffer(data, np.uint8, stride * height, start + colours * 12)
    return pixels.reshape(height, stride)[:, : width * 4].reshape(height, width, 4)[..., 2::-1]

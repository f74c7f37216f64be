"""camera.realsense with a camera: librealsense's software device in a socket, and everything that happens to cables."""

from __future__ import annotations

import re
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from harness import make
from realsense_kit import SERIAL, SMALL, SoftCamera, quick, rs, socket_fixture  # noqa: F401

from engine.errors import BadInput
from nodes.camera.librealsense import devices, recording, sdk
from nodes.camera.realsense import RealSense


def soft(**about):
    return SoftCamera(quick, SMALL, **about)


@pytest.fixture(name="start")
def start_fixture():
    nodes = []

    def start(**settings):
        nodes.append(make(RealSense, **{"size": SMALL, "read_timeout": 0.6, **settings}))
        return nodes[-1]

    yield start
    for node in nodes:
        node.close()


def step_until(node, done, seconds=20):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited in vain; complaints: {node.complaints}"
        node.step()


def some_more(node, count=3):
    wanted = len(node.frames) + count
    step_until(node, lambda: len(node.frames) >= wanted)


# --- as it should be ---


def test_a_camera_gives_pairs_with_the_time_of_their_capture(socket, start):
    socket.plug(soft())
    node = start(serial=SERIAL)
    some_more(node, 8)
    assert node.complaints == []
    for image, depth in zip(node.frames, node.outs["depth"].frames, strict=True):
        assert (int(depth.array[0, 0, 0]) - 1000) % 200 == image.array[0, 0, 0]
        assert image.capture_ns == depth.capture_ns <= image.publish_ns
    captured = [image.capture_ns for image in node.frames]
    assert captured == sorted(set(captured))


def test_infrared_pictures_come_from_a_camera_that_has_them(socket, start):
    socket.plug(soft(infrared=True))
    node = start(infrared=True)
    some_more(node)
    assert node.frames[0].shape == (240, 320, 3) and node.complaints == []


def test_what_is_recorded_can_be_played(socket, start, tmp_path):
    socket.plug(soft())
    node = start(record=str(tmp_path / "takes"))
    some_more(node, 8)
    node.close()
    (take,) = (tmp_path / "takes").glob("realsense-*.db3")
    played = make(RealSense, recording=str(take), offline=True)
    while not played.ended:
        played.step()
    played.close()
    shown = [int(frame.array[0, 0, 0]) for frame in played.frames]
    assert {int(frame.array[0, 0, 0]) for frame in node.frames} <= set(shown)
    assert shown == list(range(shown[0], shown[0] + len(shown)))


# --- faults ---


def test_without_a_camera_no_pipeline_is_started(socket, start, monkeypatch):
    """Which would block this process for 15 s."""
    monkeypatch.setattr(rs, "pipeline", lambda *_: pytest.fail("a pipeline was made"))
    with pytest.raises(BadInput, match="No RealSense camera is connected"):
        start()


def test_another_camera_is_not_taken(socket, start):
    socket.plug(soft())
    with pytest.raises(BadInput, match=f"12345 is not connected; there are: Synthetic D435 .{SERIAL}"):
        start(serial="12345")


@pytest.mark.parametrize("settings", [{"required": False}, {}])
def test_a_camera_that_comes_later_is_taken_then(socket, monkeypatch, start, settings):
    if not settings:  # required, but it was there when the process before this one ran
        monkeypatch.setattr(RealSense, "has_run", True)
    node = start(**settings)
    assert "No RealSense camera" in node.complaints[0]
    socket.plug(soft())
    step_until(node, lambda: node.frames and not node.complaints)


def test_an_unplugged_camera_is_named_and_taken_again(socket, start):
    socket.plug(soft())
    node = start()
    some_more(node)
    socket.plugged = False
    step_until(node, lambda: node.complaints)
    assert re.match(r"Synthetic D435 \(0+1\) was unplugged", node.complaints[0])
    step_until(node, lambda: len(node.complaints) > 1)
    assert "No RealSense camera is connected" in node.complaints[1]
    socket.plugged = True
    step_until(node, lambda: not node.complaints)
    some_more(node)


def test_a_camera_that_falls_silent_is_started_anew(socket, start):
    socket.plug(soft())
    node = start()
    some_more(node)
    socket.faulty = ("depth", "colour")
    step_until(node, lambda: node.complaints)
    assert "is connected but gives no pictures" in node.complaints[0]
    socket.faulty = ()
    step_until(node, lambda: not node.complaints)
    some_more(node)


def test_pictures_without_depth_are_counted_and_named(socket, start):
    socket.plug(soft())
    node = start()
    some_more(node)
    socket.faulty = ("depth",)
    step_until(node, lambda: node.complaints)
    assert "no depths that were taken at the same time" in node.complaints[0]
    assert node.metrics["mismatched"] > 2
    socket.faulty = ()
    step_until(node, lambda: not node.complaints)


@pytest.mark.parametrize("grey,words", [(90, "the same picture"), (3, "black pictures")])
def test_a_camera_that_stands_still_or_is_covered_is_started_anew(socket, start, grey, words):
    still = np.full((240, 320, 3), grey, np.uint8), np.full((240, 320), 1000, np.uint16)
    camera = socket.plug(SoftCamera(lambda k: still, SMALL))
    node = start(frozen_after=0.3)
    step_until(node, lambda: node.complaints)
    assert words in node.complaints[0]
    camera.scene = lambda k: quick(k + 100)
    step_until(node, lambda: not node.complaints)
    some_more(node)


def test_a_silent_camera_leaves_no_empty_recordings(socket, start, tmp_path):
    socket.plug(soft())
    socket.faulty = ("depth", "colour")
    node = start(record=str(tmp_path), required=False, read_timeout=0.3)
    step_until(node, lambda: node.feed._fruitless >= 2)
    node.close()
    assert list(tmp_path.iterdir()) == []


def test_usb_2_is_named_and_what_works_is_taken(socket, start):
    socket.plug(soft(usb_type_descriptor="2.1"))
    node = start(size=(848, 480), fps=60)
    some_more(node)
    (said,) = node.complaints
    assert "through USB 2" in said and "320 × 240 at 30 pictures per second instead of 848 × 480 at 60" in said
    assert node.frames[0].shape == (240, 320, 3)


def test_a_camera_that_does_not_start_is_said_to_be_in_use(socket, start, monkeypatch):
    def busy(config):
        raise RuntimeError("Device or resource busy")

    socket.plug(soft())
    pipeline = SimpleNamespace(start=busy)
    monkeypatch.setattr("nodes.camera.librealsense.live.request", lambda *_: (pipeline, rs.config(), ""))
    with pytest.raises(BadInput, match=r"cannot be started \(Device or resource busy\)\. Close what else uses it"):
        start()


def test_a_stream_that_the_camera_lacks_is_a_sentence(socket, start):
    socket.plug(soft())
    with pytest.raises(BadInput, match="offers no infrared pictures with depths"):
        start(infrared=True)


def test_options_are_set_and_wrong_ones_named(socket, start):
    camera = soft()
    span = rs.option_range()
    span.min, span.max, span.step, span.default = 1, 100, 1, 33
    camera._colour.add_option(rs.option.exposure, span)
    socket.plug(camera)
    node = start(picture_options={"exposure": 40})
    some_more(node)
    assert camera._colour.get_option(rs.option.exposure) == 40
    node.close()
    with pytest.raises(BadInput, match=r"no option 'sharpnes'. Check `picture_options`; there are: .*exposure"):
        start(picture_options={"sharpnes": 1})
    with pytest.raises(BadInput, match=r"refuses exposure: 4000 .* It takes 1 to 100 in steps of 1"):
        start(picture_options={"exposure": 4000})


# --- recording ---


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "a.db3").write_bytes(b"x")
    (tmp_path / "a-2.db3").write_bytes(b"x")
    assert recording.new_file(tmp_path / "a.db3") == tmp_path / "a-3.db3"


def test_a_full_disk_ends_the_recording_and_not_the_show(socket, start, tmp_path, monkeypatch):
    socket.plug(soft())
    node = start(record=str(tmp_path / "a.db3"))
    some_more(node)
    monkeypatch.setattr(recording, "LEAST_FREE", 1 << 62)
    step_until(node, lambda: node.complaints)
    assert "no longer recorded" in node.complaints[0]
    some_more(node, 5)
    node.close()
    with pytest.raises(BadInput, match="no room to record"):
        start(record=str(tmp_path / "b.db3"))


def test_where_nothing_can_be_written_is_a_sentence(socket, start, tmp_path):
    (tmp_path / "file").touch()
    socket.plug(soft())
    with pytest.raises(BadInput, match="Cannot record into"):
        start(record=str(tmp_path / "file" / "takes"))


# --- the package, and the list of devices ---


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(BadInput, match=r'pip install "pyrealsense2>=2.59"'):
        make(RealSense)
    assert devices.found() == []


def test_an_old_package_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrealsense2", SimpleNamespace(__version__="2.55.1"))
    with pytest.raises(BadInput, match="2.55.1 is too old"):
        sdk.load()


def test_devices_are_listed_with_their_formats_and_a_picture(socket):
    socket.plug(soft(usb_type_descriptor="2.1", physical_port="1-2"))
    (device,) = devices.found()
    assert (device.kind, device.name, device.identity, device.usb) == ("realsense", "Synthetic D435", SERIAL, "2.1")
    assert device.path == "1-2" and "USB 2" in device.remark
    assert device.formats == ((320, 240, 30, "RGB8"), (320, 240, 30, "Z16"))
    picture = device.snapshot()
    assert picture.shape == (240, 320, 3) and np.ptp(picture) == 0

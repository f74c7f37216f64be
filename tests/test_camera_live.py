"""Streams and cameras: a real one over HTTP, a stand-in for a device, and what happens when they go wrong."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest
from camera_kit import (  # noqa: F401
    Camera,
    camera_fixture,
    grab_threads,
    nothing_hangs_fixture,
    number_in,
    numbered,
    numbers,
    server_fixture,
    step_for_frames,
    step_until,
    video,
)
from devices_kit import FakeCapture, device_fixture, machine_fixture  # noqa: F401
from harness import make

from engine.errors import BadInput, EngineError
from nodes.camera import capture, live
from nodes.camera.opencv import OpenCV
from nodes.camera.rate import Rate
from nodes.camera.watchdog import GRID, Watchdog

pytestmark = pytest.mark.usefixtures("nothing_hangs")
SECOND = 10**9


# --- streams ---


def test_a_stream_gives_pictures_in_order(server, camera):
    node = camera(server.address)
    step_for_frames(node, 20)
    seen = numbers(node)
    assert seen == sorted(set(seen))
    assert all(a.capture_ns < b.capture_ns <= b.publish_ns for a, b in zip(node.frames, node.frames[1:], strict=False))


def test_latency_does_not_grow_with_a_slow_reader(server, camera):
    node = camera(server.address)
    behind = []
    for _ in range(15):
        time.sleep(0.15)  # seven pictures are sent meanwhile
        seen = len(node.frames)
        step_for_frames(node, seen + 1)
        behind.append(server.number - number_in(node.frames[-1].array))
    assert behind[-1] < 10, behind  # were they queued, it would be about ninety behind


def test_a_stream_that_stands_still_is_opened_again(server, camera):
    node = camera(server.address, frozen_after=0.5)
    step_for_frames(node, 3)
    server.mode = "frozen"
    step_until(node, lambda: node.complaints)
    assert "the same picture" in node.complaints[0]
    step_until(node, lambda: server.visits > 1)
    assert node.complaints  # opened again, it still stands still
    server.mode = "moving"
    step_until(node, lambda: not node.complaints)


def test_a_stream_that_falls_silent_is_opened_again(server, camera):
    node = camera(server.address, read_timeout=0.4)
    step_for_frames(node, 3)
    server.mode = "silent"
    step_until(node, lambda: node.complaints)
    assert "pictures" in node.complaints[0] and "network" in node.complaints[0]
    step_until(node, lambda: server.visits > 1)
    server.mode = "moving"
    step_until(node, lambda: not node.complaints)


def test_a_stream_that_goes_may_come_back(server, camera):
    node = camera(server.address, read_timeout=0.5, open_timeout=0.5)
    step_for_frames(node, 3)
    server.stop()
    step_until(node, lambda: node.complaints and "No video comes from" in node.complaints[-1])
    seen, again = len(node.frames), Camera(server.port)
    try:
        step_until(node, lambda: not node.complaints and len(node.frames) > seen)
    finally:
        again.stop()


def test_what_is_not_required_may_come_later(camera):
    first = Camera()
    first.stop()
    node = camera(first.address, required=False)
    assert "No video comes from" in node.complaints[0] and node.frames == []
    later = Camera(first.port)
    try:
        step_until(node, lambda: not node.complaints and node.frames)
    finally:
        later.stop()


@pytest.mark.parametrize("page", ["nothing", "silence"])
def test_an_address_without_video_is_bad_input(server, page):
    server.mode = "silent"
    with pytest.raises(BadInput, match="No video comes from"):
        make(OpenCV, source=server.address.replace("video", page), open_timeout=0.5, read_timeout=0.5)


def test_a_recording_is_not_taken_for_a_stream(server, tmp_path):
    server.recording = video(tmp_path / "a.mp4").read_bytes()
    with pytest.raises(BadInput, match="a recording of 12 pictures"):
        make(OpenCV, source=server.address.replace("video", "recording.mp4"))


def test_a_password_is_never_shown():
    with pytest.raises(BadInput) as error:
        make(OpenCV, source="http://visitor:s3cret@127.0.0.1:9/video")
    assert "s3cret" not in str(error.value) and "127.0.0.1:9" in str(error.value)


def test_an_offline_run_refuses_what_cannot_wait(server):
    with pytest.raises(BadInput, match="is live"):
        make(OpenCV, source=server.address, offline=True)
    assert server.visits == 0


# --- cameras: a capture that a test can hold ---


def test_a_picture_goes_with_the_time_it_was_grabbed(device, camera, monkeypatch):
    grabbed = {}

    def now_ns():
        now = time.perf_counter_ns()
        grabbed.setdefault(device().number if FakeCapture.made else 0, []).append(now)
        return now

    monkeypatch.setattr(live, "now_ns", now_ns)
    node = camera(0)
    step_for_frames(node, 10)
    for frame in node.frames:
        assert frame.capture_ns in grabbed[number_in(frame.array)]


def test_a_hanging_camera_neither_blocks_a_step_nor_stays_unnoticed(device, camera):
    node = camera(0, read_timeout=0.2, open_timeout=0.2)
    step_for_frames(node, 2)
    device().hanging = True
    step_until(node, lambda: node.complaints)
    assert "stopped giving pictures" in node.complaints[0]
    with pytest.raises(EngineError, match="has not answered"):
        step_until(node, lambda: False)
    node.close()  # returns although the thread is still held
    assert len(grab_threads()) == 1
    device().freed.set()


@pytest.mark.parametrize("kind", [cv2.error, OSError, TypeError])
def test_an_error_of_any_kind_is_told_and_mended(device, camera, kind):
    node = camera(0)
    step_for_frames(node, 2)
    first = device()
    first.error = kind("the driver is confused")
    step_until(node, lambda: node.complaints)
    assert "the driver is confused" in node.complaints[0]
    step_until(node, lambda: not node.complaints)
    assert first.released and len(FakeCapture.made) == 2


def test_a_camera_that_hangs_while_it_is_opened_is_bad_input(device, monkeypatch):
    held = threading.Event()
    monkeypatch.setattr(capture.cv2, "VideoCapture", lambda *_: held.wait() and FakeCapture(0, cv2.CAP_DSHOW))
    with pytest.raises(BadInput, match="does not answer"):
        make(OpenCV, source=0, read_timeout=0.05, open_timeout=0.05)
    held.set()


def test_a_camera_is_let_go_when_it_is_lost_and_when_the_node_closes(device, camera):
    node = camera(0)
    first = device()
    step_for_frames(node, 2)
    first.freed.set()
    first.hanging = True  # from now on grab() gives False, as after unplugging
    step_until(node, lambda: len(FakeCapture.made) == 2)
    seen = len(node.frames)
    step_for_frames(node, seen + 2)
    assert first.released and node.complaints == []
    node.close()
    assert device().released and grab_threads() == []


# --- the watchdog ---


def alarms(dog, picture, seconds):
    return [second for second in seconds if dog.see(picture, (320, 240), second * SECOND)]


def test_watchdog_asks_often_for_a_still_picture_and_forgets_at_the_first_new_one():
    dog = Watchdog("camera 0", 5.0)
    assert alarms(dog, numbered(5), range(0, 13)) == [5, 7, 9, 11] and "camera 0 gives the same picture" in dog.trouble
    assert alarms(dog, numbered(6), [40]) == [] and dog.trouble is None
    assert alarms(dog, numbered(6), range(41, 48)) == [45, 47]


def test_watchdog_asks_ever_less_often_in_the_dark():
    dog, dark = Watchdog("camera 0", 2.0), np.zeros((240, 320, 3), np.uint8)
    assert alarms(dog, dark, range(0, 250)) == [2, 6, 14, 30, 62, 122, 182, 242]


def test_watchdog_tells_a_black_picture_even_with_noise():
    dog, noise = Watchdog("camera 0", 2.0), np.random.default_rng(1)
    for second in range(4):
        dog.see(noise.integers(0, 12, (240, 320, 3), np.uint8), (320, 240), second * SECOND)
    assert "black" in dog.trouble


def test_watchdog_does_not_mind_a_hot_spot_in_the_dark():
    dog, dark = Watchdog("camera 0", 2.0), np.zeros((480, 640, 3), np.uint8)
    dark[::GRID, ::GRID][7, 7] = 255
    for second in range(4):
        dog.see(dark, (640, 480), second * SECOND)
    assert "black" in dog.trouble
    dark[100:140, 100:140] = 90  # somebody in a dark room
    for second in range(4, 8):
        dog.see(dark, (640, 480), second * SECOND)
    assert "same picture" in dog.trouble


def test_watchdog_names_another_size_until_the_first_one_is_back():
    dog = Watchdog("camera 0", 2.0)
    dog.see(numbered(1), (320, 240), 0)
    assert dog.trouble is None and not dog.see(numbered(2), (640, 480), 1)
    assert "640 x 480, no longer of 320 x 240" in dog.trouble and dog.size == (320, 240)
    dog.see(numbered(3), (320, 240), 2)
    assert dog.trouble is None


def test_watchdog_can_be_turned_off():
    dog = Watchdog("camera 0", 0)
    assert not any(dog.see(numbered(5), (320, 240), second * SECOND) for second in range(100)) and dog.trouble is None


# --- the rate ---


def taken(rate: Rate, times: list[int]) -> list[bool]:
    return [rate.take(time) for time in times]


@pytest.mark.parametrize(("given", "one_in"), [(20, 1), (30, 1), (35, 1), (45, 2), (60, 2), (90, 3), (1000, 34)])
def test_a_camera_that_is_too_quick_is_thinned_evenly(given, one_in):
    rate = Rate("camera 0", 30)
    every = taken(rate, [SECOND * number // given for number in range(1, 6 * given)])[4 * given :]
    places = np.flatnonzero(every)
    assert set(np.diff(places)) == {one_in}
    assert sum(every) / len(every) == pytest.approx(1 / one_in, rel=0.1)
    assert bool(rate.trouble) == (one_in > 1)
    assert one_in == 1 or f"gives {given} pictures per second, not 30 as asked; one in {one_in}" in rate.trouble


def test_a_burst_is_no_rate():
    rate = Rate("camera 0", 30)
    steady = [SECOND * number // 30 for number in range(1, 400)]
    late = [max(time, 3 * SECOND) if time > 2 * SECOND else time for time in steady]  # the network stood still
    assert all(taken(rate, late)) and rate.trouble is None


def test_a_camera_that_slows_down_again_is_taken_whole():
    rate = Rate("camera 0", 30)
    taken(rate, [SECOND * number // 90 for number in range(1, 400)])
    assert rate.trouble
    after = [5 * SECOND + SECOND * number // 30 for number in range(100)]
    assert all(taken(rate, after)[60:]) and rate.trouble is None


def test_without_a_rate_that_was_asked_for_all_is_taken():
    rate = Rate("camera 0", None)
    assert all(taken(rate, [SECOND * number // 500 for number in range(1, 2000)])) and rate.trouble is None

"""Video files and picture sequences: real ones, made here, and what is said when they cannot be played."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from camera_kit import (  # noqa: F401
    camera_fixture,
    grab_threads,
    nothing_hangs_fixture,
    number_in,
    numbered,
    numbers,
    step_for_frames,
    step_until,
    video,
)
from harness import make
from pydantic import ValidationError

from engine.errors import BadInput
from nodes.camera import backoff, playback, plugged
from nodes.camera.capture import Retriever, fit, open_file
from nodes.camera.opencv import OpenCV

pytestmark = pytest.mark.usefixtures("nothing_hangs")
MS, SECOND = 10**6, 10**9


@pytest.fixture
def clock(monkeypatch):
    """A clock that only sleeping moves, so that playback is exact on any machine."""
    clock = SimpleNamespace(ns=5 * SECOND, slept=[])

    def sleep(seconds):
        clock.slept.append(seconds)
        clock.ns += round(seconds * 1e9)

    monkeypatch.setattr(playback, "now_ns", lambda: clock.ns)
    monkeypatch.setattr(playback, "time", SimpleNamespace(sleep=sleep))
    return clock


def pictures(folder, numbers, name="img_{}.png"):
    for number in numbers:
        cv2.imwrite(str(folder / name.format(number)), numbered(number))


# --- files: each picture, in order ---


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_offline_gives_each_picture_exactly_once(tmp_path, camera, clock, suffix):
    node = camera(video(tmp_path / f"a{suffix}", 60), offline=True, loop=True)  # a loop would never end: ignored
    while not node.ended:
        node.step()
        clock.ns += 130 * MS  # nobody is that quick, and nothing is left out for it
    assert numbers(node) == list(range(1, 61)) and clock.slept == []


def test_offline_tells_how_many_there_will_be(tmp_path, monkeypatch):
    totals = []
    monkeypatch.setattr(OpenCV, "expect", lambda self, total: totals.append(total))
    make(OpenCV, source=str(video(tmp_path / "a.mp4", 60)), offline=True).close()
    assert totals == [60]


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".ts"])
def test_a_loop_has_no_seam(tmp_path, camera, clock, suffix):
    node = camera(video(tmp_path / f"a{suffix}"), loop=True)
    step_for_frames(node, 40)
    assert numbers(node) == [1 + i % 12 for i in range(40)]
    assert set(np.diff([frame.capture_ns for frame in node.frames])) == {40 * MS}
    assert node.complaints == []


def test_a_file_that_is_not_looped_ends_after_its_last_picture(tmp_path, camera, clock):
    node = camera(video(tmp_path / "a.mp4"))
    while not node.ended:
        node.step()
    assert numbers(node) == list(range(1, 13))


def test_fps_overrides_the_rate_of_the_file(tmp_path, camera, clock):
    node = camera(video(tmp_path / "a.mp4"), fps=50)
    step_for_frames(node, 5)
    assert {b.capture_ns - a.capture_ns for a, b in zip(node.frames, node.frames[1:], strict=False)} == {20 * MS}


def test_late_playback_leaves_pictures_out_to_keep_time(tmp_path, camera, clock):
    node = camera(video(tmp_path / "a.mp4"))
    step_for_frames(node, 2)
    clock.ns += 130 * MS  # number 3 was due 90 ms ago, 4 50 ms, 5 10 ms
    step_for_frames(node, 4)
    assert numbers(node) == [1, 2, 5, 6]
    assert np.diff([frame.capture_ns for frame in node.frames]).tolist() == [40 * MS, 120 * MS, 40 * MS]


def test_after_a_long_stall_playback_goes_on_where_it_was(tmp_path, camera, clock):
    node = camera(video(tmp_path / "a.mp4"))
    step_for_frames(node, 2)
    clock.ns += 3600 * SECOND  # the laptop was closed
    resumed = clock.ns
    step_for_frames(node, 4)
    assert numbers(node) == [1, 2, 3, 4]
    assert [frame.capture_ns - resumed for frame in node.frames[2:]] == [0, 40 * MS]


def test_a_step_does_not_wait_for_a_picture_that_is_far_off(tmp_path, camera, clock):
    node = camera(video(tmp_path / "a.mp4"), fps=0.1)
    step_for_frames(node, 1)
    for _ in range(5):
        node.step()
    assert len(node.frames) == 1 and max(clock.slept) <= 0.2


# --- files: size ---


def test_pictures_are_decoded_in_place(tmp_path):
    source = open_file(video(tmp_path / "a.mp4"))
    returned = []

    class Spy:
        def retrieve(self, target):
            done, picture = source.retrieve(target)
            returned.append(picture is target)
            return done, picture

    slot = np.full((240, 320, 3), 77, np.uint8)
    source.grab()
    assert Retriever().into(Spy(), slot) and returned == [True] and number_in(slot) == 1


def test_a_picture_of_another_size_does_not_leave_the_slot_as_it_was(tmp_path):
    source, retriever = open_file(video(tmp_path / "a.mp4")), Retriever()
    for number, size in enumerate([(120, 160), (240, 320), (240, 320), (480, 640)], 1):
        slot = np.full((*size, 3), 77, np.uint8)
        source.grab()
        assert retriever.into(source, slot)
        assert number_in(cv2.resize(slot, (320, 240))) == number


def test_size_scales_and_cuts_evenly(tmp_path, camera):
    node = camera(video(tmp_path / "a.mp4"), size=(120, 120), offline=True)
    node.step()
    assert node.frames[0].shape == (120, 120, 3) and node.frames[0].pixel_format == "BGR"
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = 255
    square = np.full((50, 50, 3), 77, np.uint8)
    fit(wide, square)
    assert (square == 255).all()  # the middle third, and nothing beside it


# --- picture sequences ---


@pytest.mark.parametrize("pattern", ["img_%d.png", "img_*.png", "img_*"])
def test_a_sequence_is_in_the_order_of_its_numbers(tmp_path, camera, pattern):
    pictures(tmp_path, [2, 10, 9, 1, 100])  # neither complete nor padded
    (tmp_path / "img_old.txt").write_text("not a picture", encoding="utf-8")
    node = camera(tmp_path / pattern, offline=True)
    while not node.ended:
        node.step()
    assert numbers(node) == [1, 2, 9, 10, 100]


def test_a_sequence_loops_at_the_rate_asked_for(tmp_path, camera, clock):
    pictures(tmp_path, range(1, 4))
    node = camera(tmp_path / "img_%04d.png", fps=10, loop=True)
    step_for_frames(node, 7)
    assert numbers(node) == [1, 2, 3, 1, 2, 3, 1]
    assert set(np.diff([frame.capture_ns for frame in node.frames])) == {100 * MS}


def test_one_picture_is_a_sequence_of_one(tmp_path, camera, clock):
    pictures(tmp_path, [7], "still {}.png")
    node = camera(tmp_path / "still 7.png", loop=True)
    step_for_frames(node, 3)
    assert numbers(node) == [7, 7, 7]


# --- files that break ---


def truncated(path, count=75):
    """What a broken copy leaves of a video: its head, which says how long it is, and half of the pictures."""
    whole = video(path, count)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return whole


def test_live_a_truncated_video_is_told_and_starts_again(tmp_path, camera, clock):
    node = camera(truncated(tmp_path / "a.avi"), loop=True)
    step_until(node, lambda: node.complaints)
    assert "breaks off" in node.complaints[0] and "of 3.0 seconds" in node.complaints[0]
    first_round = len(node.frames)
    step_for_frames(node, first_round + 3)
    assert numbers(node)[-3:] == [1, 2, 3]
    last, again = node.frames[first_round - 1 : first_round + 1]
    assert again.capture_ns - last.capture_ns >= backoff.FIRST_NS
    assert node.complaints  # it will break again: this is not mended before playback gets further


def test_live_a_mended_sequence_is_recovered_from(tmp_path, camera, clock):
    pictures(tmp_path, range(1, 5))
    (tmp_path / "img_3.png").write_bytes(b"half a copy")
    node = camera(tmp_path / "img_%d.png", loop=True)
    step_until(node, lambda: node.complaints)
    assert "img_3.png cannot be read" in node.complaints[0]
    pictures(tmp_path, [3])
    step_until(node, lambda: not node.complaints)
    assert numbers(node)[-4:] == [1, 2, 1, 2] or numbers(node)[-3:] == [1, 2, 3]


def test_live_a_file_that_vanishes_may_come_back(tmp_path, camera, clock):
    pictures(tmp_path, range(1, 3))
    node = camera(tmp_path / "img_%d.png", loop=True)
    step_for_frames(node, 2)
    (tmp_path / "img_1.png").unlink()
    step_until(node, lambda: node.complaints)
    seen = len(node.frames)
    pictures(tmp_path, [1])
    step_for_frames(node, seen + 2)
    assert numbers(node)[seen:] == [1, 2] and node.complaints == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let a file be replaced while it is open.")
@pytest.mark.parametrize("start", [0, 0.08])
def test_live_a_replaced_video_is_taken_at_its_next_start(tmp_path, camera, clock, start):
    node = camera(video(tmp_path / "a.mp4"), loop=True, start=start)
    step_for_frames(node, 3)
    video(tmp_path / "b.mp4", 8, fps=50, size=(640, 480)).replace(tmp_path / "a.mp4")
    before, after = 12 - round(start * 25), 8 - round(start * 50)
    step_for_frames(node, before + 2 * after)
    assert [frame.shape for frame in node.frames] == [(240, 320, 3)] * before + [(480, 640, 3)] * 2 * after
    assert numbers(node)[before:] == 2 * list(range(9 - after, 9)) and node.complaints == []
    steps = np.diff([frame.capture_ns for frame in node.frames])
    assert set(steps[: before - 1]) == {40 * MS} and set(steps[before:]) == {20 * MS}


def test_offline_a_truncated_video_is_an_error(tmp_path, camera):
    node = camera(truncated(tmp_path / "a.avi"), offline=True)
    with pytest.raises(BadInput, match="breaks off"):
        for _ in range(100):
            node.step()
    assert not node.ended and len(node.frames) > 20


def test_waits_between_tries_grow_up_to_a_limit():
    waits = backoff.Backoff()
    assert [waits.next_ns() / SECOND for _ in range(7)] == [0.25, 0.5, 1, 2, 4, 5, 5]
    waits.reset()
    assert waits.next_ns() == backoff.FIRST_NS
    of_sources = backoff.Backoff(backoff.OF_SOURCES_NS)
    assert [of_sources.next_ns() / SECOND for _ in range(4)] == [0.25, 0.5, 1, 1]


# --- what cannot be opened: one sentence each ---


def bad_sources(folder):
    (folder / "empty.mp4").touch()
    (folder / "garbage.mp4").write_bytes(np.random.default_rng(1).bytes(20000))
    (folder / "garbage.png").write_bytes(b"\x89PNG and no more")
    whole = video(folder / "whole.mp4")
    (folder / "headless.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])  # its index was at the end
    return {
        str(folder / "missing.mp4"): "There is no file",
        str(folder): "is a folder",
        str(folder / "empty.mp4"): "is empty",
        str(folder / "garbage.mp4"): "is not a video",
        str(folder / "headless.mp4"): "is not a video",
        str(folder / "garbage.png"): "is not a picture",
        str(folder / "shot_%04d.png"): "No picture is called",
        str(folder / "*.jpg"): "No picture is called",
        str(folder / ("long" * 100)): "Cannot use",
        "http://127.0.0.1:9/video": "No video comes from http://127.0.0.1:9/video",
        "file:///somewhere/a.mp4": "is no address of a stream",
    }


@pytest.mark.parametrize("index", range(11))
def test_what_cannot_be_opened_is_said_in_one_sentence(tmp_path, index, capfd):
    source, sentence = list(bad_sources(tmp_path).items())[index]
    with pytest.raises(BadInput) as error:
        make(OpenCV, source=source)
    assert sentence in str(error.value) and str(error.value).endswith((".", "*.png"))
    assert capfd.readouterr() == ("", "")  # neither OpenCV nor FFmpeg adds anything
    assert grab_threads() == []


def test_a_camera_that_is_not_there():
    with pytest.raises(BadInput, match="camera 99"):
        make(OpenCV, source=99)


def test_a_camera_by_its_path_may_be_plugged_in_later(camera, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    node = camera("/dev/v4l/by-id/nothing", required=False)
    assert "There is no /dev/v4l/by-id/nothing" in node.complaints[0]


def test_linux_says_which_cameras_there_are_and_who_may_use_them(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(plugged.Path, "glob", lambda self, pattern: [plugged.Path("/dev/video2")])
    with pytest.raises(BadInput, match="There are: 2"):
        make(OpenCV, source=999)
    monkeypatch.setattr(plugged.os, "access", lambda *_: False)
    with pytest.raises(BadInput, match="usermod -aG video"):
        plugged.Plugged(str(tmp_path), plugged.DeviceSettings()).open()


@pytest.mark.parametrize(
    "settings", [{"source": -1}, {"source": ""}, {"source": 0, "fps": 0}, {"source": 0, "size": (8, 8)}]
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ValidationError):
        make(OpenCV, **settings)

"""camera.realsense with recordings: exact pixels, every pair once, and a sentence for every file that is none."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import numpy as np
import pytest
from harness import make
from realsense_kit import SMALL, Disc, grey, lens_of, made_fixture, make_recording, quick  # noqa: F401

from engine.clock import now_ns
from engine.errors import BadInput
from nodes.camera.realsense import RealSense
from nodes.camera.turn import Turn

DATA = Path(__file__).parent / "data"
PERIOD_NS = 10**9 / 30


@pytest.fixture(name="play")
def play_fixture():
    """Makes a node for a recording, plays it to its end, and closes it."""
    nodes = []

    def play(recording, offline=True, **settings):
        nodes.append(make(RealSense, recording=str(recording), offline=offline, **settings))
        deadline = time.monotonic() + 20
        while not nodes[-1].ended:
            assert time.monotonic() < deadline
            nodes[-1].step()
        return nodes[-1]

    yield play
    for node in nodes:
        node.close()


def depths(node):
    return [frame.array[..., 0] for frame in node.outs["depth"].frames]


# --- what comes out ---


def test_colour_and_depth_are_those_that_were_filmed_to_the_bit(play, made):
    node = play(made)
    scene = Disc(size=SMALL)
    assert len(node.frames) == len(depths(node)) == 20
    for k, (image, depth) in enumerate(zip(node.frames, depths(node), strict=True)):
        bgr, metres = scene(k)
        assert np.array_equal(image.array, bgr) and np.array_equal(depth, metres), k
    assert node.complaints == [] and node.metrics == {}


def test_both_streams_say_the_same_moment_and_lens(play, made):
    node = play(made)
    images, deep = node.frames, node.outs["depth"].frames
    assert [image.capture_ns for image in images] == [depth.capture_ns for depth in deep]
    apart = np.diff([image.capture_ns for image in images])
    assert np.allclose(apart, PERIOD_NS, atol=1000)  # by the hardware's stamps, however quickly it was read
    assert all(image.lens == lens_of(SMALL) for image in images)
    assert all(depth.lens._replace(metres=0) == lens_of(SMALL) for depth in deep)
    assert all(depth.lens.metres == pytest.approx(0.001) for depth in deep)
    assert (images[0].pixel_format, deep[0].pixel_format, deep[0].dtype) == ("BGR", "DEPTH", np.uint16)
    assert images[0].shape == (240, 320, 3) and deep[0].shape == (240, 320, 1)


def test_the_left_infrared_picture_has_its_depth_in_place(play, made):
    node = play(made, infrared=True)
    scene = Disc(size=SMALL)
    for k, (image, depth) in enumerate(zip(node.frames, depths(node), strict=True)):
        bgr, metres = scene(k)
        assert np.array_equal(image.array, np.repeat(grey(bgr)[..., None], 3, 2)) and np.array_equal(depth, metres), k


def test_depth_is_moved_to_the_colour_pictures_pixels(play, tmp_path):
    path = make_recording(tmp_path / "apart.db3", 10, size=SMALL, baseline=0.05)
    node = play(path)
    scene = Disc(size=SMALL, baseline=0.05)
    for k, depth in enumerate(depths(node)):
        rows, columns = np.nonzero((depth > 1000) & (depth < 2000))
        assert columns.mean() == pytest.approx(scene.pixel(k)[0], abs=1.0)  # 6.4 pixels to the side in its own
        assert rows.mean() == pytest.approx(scene.pixel(k)[1], abs=1.0)


def test_units_are_the_cameras(play, tmp_path):
    path = make_recording(tmp_path / "fine.db3", 10, size=SMALL, metres=0.0005)
    node = play(path)
    depth = node.outs["depth"].frames[0]
    seen = Disc(size=SMALL).seen(0)
    assert depth.array[..., 0][seen].mean() * depth.lens.metres == pytest.approx(1.5, rel=1e-6)


def test_without_depth_there_is_one_stream(play, made):
    node = play(made, depth=False)
    assert list(node.outs) == ["image"] and len(node.frames) == 20


@pytest.mark.parametrize("rotate,mirror", [(90, False), (180, True), (270, True)])
def test_a_camera_that_hangs_otherwise_is_set_right_with_its_depth_and_lens(play, made, rotate, mirror):
    node = play(made, rotate=rotate, mirror=mirror)
    bgr, metres = Disc(size=SMALL)(7)
    turn = Turn(rotate, mirror)
    picture, depth = np.empty(turn.shape(bgr.shape), np.uint8), np.empty(turn.shape(metres.shape), np.uint16)
    turn.into(bgr, picture)
    turn.into(metres, depth)
    assert np.array_equal(node.frames[7].array, picture) and np.array_equal(depths(node)[7], depth)
    assert node.frames[7].lens == turn.lens(lens_of(SMALL), SMALL)


# --- filters ---


def test_what_lies_outside_the_limits_is_unknown(play, made):
    node = play(made, nearest=1.0, farthest=2.0)
    assert set(np.unique(depths(node)[5])) == {0, 1500}


def test_limits_change_while_it_runs(made):
    node = make(RealSense, recording=str(made), offline=True)
    while len(node.frames) < 3:
        node.step()
    node.config = node.Config(recording=str(made), farthest=2.0)
    node.configured()
    while not node.ended:
        node.step()
    node.close()
    assert 3000 in depths(node)[0] and 3000 not in depths(node)[-1] and 1500 in depths(node)[-1]


@pytest.mark.parametrize("infrared", [False, True])
def test_coarser_depths_stay_in_their_place(play, made, infrared):
    node = play(made, decimate=3, infrared=infrared)
    depth, seen = depths(node)[5], Disc(size=SMALL).seen(5)
    assert depth.shape == seen.shape
    assert np.mean((depth == 1500) == seen) > 0.98


def test_holes_are_filled_after_smoothing_but_what_is_too_far_stays_away(play, tmp_path):
    def scene(k):
        picture, depth = Disc(size=SMALL)(k)
        depth[::7, ::5] = 0
        return picture, depth

    path = make_recording(tmp_path / "holes.db3", 10, size=SMALL, scene=scene)
    raw = play(path)
    filled = play(path, spatial=True, temporal=True, holes="left", farthest=2.0)
    seen = Disc(size=SMALL, radius=0.2).seen(4)  # within the disc
    assert (depths(raw)[4][seen] == 0).mean() > 0.02 and (depths(filled)[4][seen] == 0).mean() == 0
    assert depths(filled)[4][:, -20:].max() == 0  # the wall, to the right of the disc
    assert abs(depths(filled)[4][seen].astype(int) - 1500).max() <= 15


# --- pairs ---


def test_pictures_whose_depth_was_taken_at_another_time_are_dropped_and_counted(play, tmp_path):
    # Number 7's depths are 20 ms late, half a period is 16.7 ms; and 8 would be near enough to have them.
    lost = {8: ("colour",), 12: ("depth",), 15: ("colour",), 18: ("depth",)}
    path = make_recording(tmp_path / "late.db3", 24, size=SMALL, scene=quick, late_ms={7: 20.0}, lost=lost)
    node = play(path)
    shown = [int(image.array[0, 0, 0]) for image in node.frames]
    assert shown == sorted(set(range(24)) - {7, *lost})
    assert [int(depth[0, 0]) - 1000 for depth in depths(node)] == shown
    assert node.metrics["mismatched"] == 3  # 7, 12 and 18


# --- time ---


def test_a_recording_plays_in_real_time(made):
    began_ns = now_ns()
    node = make(RealSense, recording=str(made))
    while not node.ended:
        node.step()
    took_ns = node.frames[-1].publish_ns - began_ns
    node.close()
    captured = np.array([frame.capture_ns for frame in node.frames])
    assert len(captured) > 5
    assert took_ns > 0.8 * 19 * PERIOD_NS  # no machine is so quick that it takes less time than it was filmed in
    assert all(frame.capture_ns <= frame.publish_ns for frame in node.frames)
    assert np.all(np.diff(captured) > 0)


def test_fast_and_offline_give_every_pair_once_in_order(play, made):
    scene = Disc(size=SMALL)
    for settings in ({"offline": True}, {"offline": False, "fast": True}):
        node = play(made, **settings)
        assert [frame.array[0, 0, 0] for frame in node.frames] == [scene(k)[0][0, 0, 0] for k in range(20)]


def test_a_recording_can_be_played_again_and_again(made):
    node = make(RealSense, recording=str(made), fast=True, loop=True)
    while len(node.frames) < 50:
        node.step()
    assert not node.ended
    node.close()
    captured = [frame.capture_ns for frame in node.frames]
    assert captured == sorted(captured) and captured[-1] <= now_ns()


def test_an_offline_run_does_not_loop(play, made):
    assert len(play(made, loop=True).frames) == 20


# --- what cannot be played ---


def refused(**settings):
    with pytest.raises(BadInput) as error:
        make(RealSense, **settings)
    return str(error.value)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9])
def test_a_truncated_recording_is_a_sentence(made, tmp_path, share):
    whole = made.read_bytes()
    broken = tmp_path / "broken.db3"
    broken.write_bytes(whole[: int(len(whole) * share)])
    assert "damaged or incomplete" in refused(recording=str(broken))


def test_a_bag_of_an_older_sdk_is_played(play, tmp_path):
    bag, size = tmp_path / "old.bag", (80, 60)
    bag.write_bytes(gzip.decompress((DATA / "realsense_2_56.bag.gz").read_bytes()))
    node = play(bag)
    assert len(node.frames) == 5
    for k, (image, depth) in enumerate(zip(node.frames, depths(node), strict=True)):
        bgr, units = Disc(size=size)(k)
        assert np.array_equal(image.array, bgr) and np.array_equal(depth, units), k


def test_a_damaged_bag_is_a_sentence_and_not_a_wrong_ending(tmp_path):
    bag = tmp_path / "old.bag"
    bag.write_bytes(b"#ROSBAG V2.0\n" + bytes(1000))
    assert "damaged or incomplete" in refused(recording=str(bag))


@pytest.mark.parametrize("name,words", [
    ("none.db3", "no file"), ("empty.db3", "is empty"), ("a.mp4", "no RealSense"), ("folder", "one of its recordings"),
    ("x" * 300, "Cannot use"),
])  # fmt: skip
def test_what_is_no_recording_is_a_sentence(tmp_path, name, words):
    (tmp_path / "empty.db3").touch()
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    said = refused(recording=str(tmp_path / name))
    assert words in said and "`source`" not in said


def test_a_recording_that_lacks_what_is_wanted_says_what_it_holds(tmp_path):
    path = make_recording(tmp_path / "a.db3", 3, size=SMALL, scene=quick)
    said = refused(recording=str(path), infrared=True)
    assert "left infrared" in said and "Color, Depth" in said and "infrared: false" in said


def test_a_recording_without_pictures_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("nodes.camera.librealsense.playback.GAP_S", 0.3)
    path = make_recording(tmp_path / "a.db3", 1, size=SMALL, scene=quick)
    assert "less than two" in refused(recording=str(path), fast=True)


def test_an_offline_run_refuses_a_camera():
    assert "cannot wait" in refused(offline=True)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="recorded again"):
        RealSense.Config(recording="a.db3", record="b")
    with pytest.raises(ValueError, match="farthest"):
        RealSense.Config(nearest=2.0, farthest=1.0)


def test_the_end_is_told_from_a_gap(made, tmp_path, monkeypatch):
    """A player that gives nothing although it has not stopped is waited for."""
    monkeypatch.setattr("nodes.camera.librealsense.playback.GAP_S", 0.2)
    node, opened = make(RealSense, recording=str(made), setup=False), []
    connect = node._recording
    node._recording = lambda: opened.append(connect()) or opened[-1]
    node.setup()
    player = opened[0]._player
    player.pause()
    deadline = time.monotonic() + 20
    while not node.complaints:
        assert time.monotonic() < deadline
        node.step()
    assert "has a gap" in node.complaints[0] and not node.ended
    player.resume()
    while not node.ended:
        assert time.monotonic() < deadline
        node.step()
    assert node.complaints == []
    node.close()

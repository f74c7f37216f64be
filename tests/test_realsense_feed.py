"""The parts of camera.realsense that need no SDK: the thread that keeps a camera going, its clock, pairs and modes."""

from __future__ import annotations

import faulthandler
import threading
import time
from types import SimpleNamespace

import pytest

from engine.errors import BadInput, Unrecoverable
from nodes.camera.librealsense import clock as clocks
from nodes.camera.librealsense import feed as feeds
from nodes.camera.librealsense.clock import DeviceClock
from nodes.camera.librealsense.connection import Pair, StartFailed
from nodes.camera.librealsense.feed import Feed
from nodes.camera.librealsense.modes import Wanted, request

MS = 10**6


@pytest.fixture(autouse=True)
def nothing_hangs(monkeypatch):
    monkeypatch.setattr("nodes.camera.backoff.FIRST_NS", 10 * MS)
    faulthandler.dump_traceback_later(60, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


class Fake:
    """A connection that gives what is put into it; a BaseException is raised, an Event is waited for."""

    name, remark, lasting, ended, mismatched = "the camera", "", False, False, 0

    def __init__(self, *given, why="", stops=None):
        self.given, self.why, self.stops, self.stopped = list(given), why, stops, 0

    def next(self, wait_s):
        if not self.given:
            time.sleep(0.001)
            return None
        one = self.given.pop(0)
        if isinstance(one, Exception):
            raise one
        if isinstance(one, threading.Event):
            one.wait()
            return None
        return Pair(one, 0)

    def silent(self, seconds):
        return "" if self.given else self.why

    def stop(self):
        self.stopped += 1
        if self.stops:
            self.stops.wait()


@pytest.fixture(name="feed")
def feed_fixture():
    feeds = []

    def make(*connections, every=False, reset=None, mend=True):
        coming = list(connections)

        def connect():
            one = coming.pop(0) if len(coming) > 1 else coming[0]
            if isinstance(one, Exception):
                raise one
            return one

        feeds.append(Feed(connect, every, reset, mend))
        return feeds[-1]

    yield make
    for feed in feeds:
        feed.close()


def until(done):
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.001)


# --- the feed ---


def test_a_late_reader_gets_the_newest_pair(feed):
    camera = Fake(*range(1, 9))
    made = feed(camera)
    until(lambda: not camera.given)
    until(lambda: made._pair and made._pair.frames == 8)
    assert made.next(1).frames == 8 and made.next(0.01) is None


def test_every_pair_waits_for_its_reader(feed):
    made = feed(Fake(*range(1, 9)), every=True)
    assert [made.next(5).frames for _ in range(8)] == list(range(1, 9))


def test_the_last_pair_is_still_given_when_it_has_ended(feed):
    camera = Fake(1)
    made = feed(camera)
    until(lambda: made._pair)
    camera.ended = True
    until(lambda: camera.stopped)
    assert not made.ended and made.next(1).frames == 1 and made.ended


def test_a_remark_stays_while_pictures_come(feed):
    camera = Fake(1)
    camera.remark = "It is slow."
    made = feed(camera)
    assert made.first_trouble() is None and made.trouble == "It is slow."


@pytest.mark.parametrize("broken", [RuntimeError("xioctl failed"), BadInput("It is gone."), TypeError("no tuple")])
def test_whatever_fails_the_camera_is_stopped_and_started_again(feed, broken):
    first, second = Fake(1, broken), Fake(2)
    made = feed(first, second, every=True)
    assert made.next(5).frames == 1
    until(lambda: made.trouble)
    assert str(broken) in made.trouble
    assert made.next(5).frames == 2 and first.stopped == 1
    until(lambda: made.trouble is None)


def test_what_must_be_whole_is_not_begun_anew(feed):
    first = Fake(1, RuntimeError("the file is damaged"))
    made = feed(first, Fake(2), every=True, mend=False)
    assert made.next(5).frames == 1
    with pytest.raises(BadInput, match="the file is damaged"):
        until(lambda: made.next(0.01))
    assert not made.ended


def test_mismatched_pictures_are_counted_over_all_connections(feed):
    first, second = Fake(1, why="It is silent."), Fake(2)
    first.mismatched, second.mismatched = 3, 4
    made = feed(first, second)
    until(lambda: made.mismatched == 7)


def test_a_fruitless_camera_is_reset_but_an_absent_one_is_not(feed):
    resets = []

    def reset():
        resets.append(1)
        return "It is being reset."

    absent = feed(*[BadInput("It is not connected.")] * 4, Fake(1), reset=reset)
    assert absent.next(10).frames == 1 and not resets
    refusing = feed(*[StartFailed("It is busy.")] * feeds.FRUITLESS, Fake(1), reset=reset)
    assert refusing.next(10).frames == 1 and len(resets) == 1
    silent = feed(*[Fake(why="It is silent.") for _ in range(feeds.FRUITLESS)], Fake(1), reset=reset)
    assert silent.next(10).frames == 1 and len(resets) == 2


@pytest.mark.parametrize("where", ["next", "stop"])
def test_a_call_that_hangs_ends_the_process_with_a_sentence(feed, monkeypatch, where):
    monkeypatch.setattr(feeds, "STOP_S", 0.2)
    monkeypatch.setattr(feeds, "LONGEST_JOIN_S", 0.1)
    for_ever = threading.Event()
    camera = Fake(1, for_ever) if where == "next" else Fake(1, why="It is silent.", stops=for_ever)
    made = feed(camera, every=True)
    assert made.next(5).frames == 1
    with pytest.raises(Unrecoverable, match="The RealSense SDK hangs while it (waits for pictures|stops the camera)"):
        until(lambda: made.next(0.01))
    made.close()  # which must not hang either
    for_ever.set()


def test_a_camera_that_hangs_at_the_first_start_is_a_sentence(monkeypatch):
    monkeypatch.setattr(feeds, "START_S", 0.2)
    monkeypatch.setattr(feeds, "LONGEST_JOIN_S", 0.1)
    for_ever = threading.Event()
    made = Feed(lambda: for_ever.wait() and Fake(1), every=False)
    assert "hangs while it starts the camera" in made.first_trouble()
    made.close()
    for_ever.set()


# --- the clock ---


def test_stamps_of_the_cameras_own_clock_do_not_jitter():
    clock = DeviceClock(wall=False)
    late_ms = [5, 2, 9, 2, 40, 3]
    came = [clock.capture_ns(7000 + 33 * k, False, 10**12 + (33 * k + late) * MS) for k, late in enumerate(late_ms)]
    spans = [(b - a) / MS for a, b in zip(came[1:], came[2:], strict=False)]
    assert spans == pytest.approx([33] * 4, abs=0.02)  # from the quickest arrival on
    assert all(captured <= 10**12 + (33 * k + late_ms[k]) * MS for k, captured in enumerate(came))


def test_a_drifting_clock_is_followed():
    clock = DeviceClock(wall=False)
    for k in range(30 * 600):  # ten minutes; the camera's clock is slow by 50 ppm
        arrived = 10**12 + k * 33_333_333
        captured = clock.capture_ns(k * 33.333333 * (1 - 50e-6), False, arrived)
    assert arrived - captured < MS


@pytest.mark.parametrize("jump_ms", [-4_294_967, 60_000])  # 32 bits of microseconds wrap; a recording begins anew
def test_a_clock_that_jumps_is_taken_anew(jump_ms):
    clock, before = DeviceClock(wall=False), 0
    for k in range(20):
        arrived = 10**12 + 33 * k * MS
        captured = clock.capture_ns(5_000_000 + 33 * k + (jump_ms if k >= 10 else 0), False, arrived)
        assert before < captured <= arrived and arrived - captured < 2 * MS
        before = captured


def test_stamps_on_the_wall_clock_count_exposure_and_usb_in(monkeypatch):
    monkeypatch.setattr(clocks, "now_ns", lambda: 10**12)
    monkeypatch.setattr(clocks, "wall_ns", lambda: 1_700 * 10**15)
    clock = DeviceClock(wall=True)
    assert clock.capture_ns(1_700 * 10**9 - 25, True, 10**12) == pytest.approx(10**12 - 25 * MS, abs=1000)
    # The wall clock was set by an hour: what it says is no longer believed.
    monkeypatch.setattr(clocks, "now_ns", lambda: 10**12 + 33 * MS)
    monkeypatch.setattr(clocks, "wall_ns", lambda: 1_700 * 10**15 + 3600 * 10**9)
    assert 0 <= 10**12 + 33 * MS - clock.capture_ns(1_700 * 10**9 + 8, True, 10**12 + 33 * MS) <= 26 * MS


def test_a_recordings_wall_clock_is_that_of_another_day():
    clock = DeviceClock(wall=False)
    assert clock.capture_ns(1_600_000_000_000, True, 10**12) == 10**12


# --- modes: a camera with many, on USB 2 ---


class Modes:
    """Stands in for pyrealsense2: a D435's modes on USB 2, of which not all go together."""

    stream = SimpleNamespace(color="color", depth="depth", infrared="infrared")
    format = SimpleNamespace(bgr8="bgr8", yuyv="yuyv", z16="z16")
    camera_info = SimpleNamespace(serial_number="serial", name="name")
    offered = {
        "depth": [(1280, 720, 6), (640, 480, 15), (640, 480, 6), (480, 270, 30), (480, 270, 60)],
        "color": [(1280, 720, 6), (640, 480, 15), (640, 480, 6), (424, 240, 30), (424, 240, 60)],
    }

    def __init__(self, too_much=()):
        self.too_much, self.asked = set(too_much), []

    def pipeline(self, context):
        return "pipeline"

    pipeline_wrapper = pipeline

    def config(self):
        streams = {}

        def enable(kind, index, width, height, layout, fps):
            streams[kind] = (width, height, fps)

        def can_resolve(_):
            self.asked.append(streams)
            return streams["color"] not in self.too_much

        return SimpleNamespace(
            enable_device=lambda serial: None, enable_stream=enable, can_resolve=can_resolve, streams=streams
        )

    def device(self):
        def profile(kind, mode):
            width, height, fps = mode
            video = SimpleNamespace(width=lambda: width, height=lambda: height)
            return SimpleNamespace(
                stream_type=lambda: kind,
                stream_index=lambda: 0,
                fps=lambda: fps,
                format=lambda: SimpleNamespace(name="z16" if kind == "depth" else "bgr8"),
                as_video_stream_profile=lambda: video,
            )

        profiles = [profile(kind, mode) for kind, offered in self.offered.items() for mode in offered]
        return SimpleNamespace(
            query_sensors=lambda: [SimpleNamespace(get_stream_profiles=lambda: profiles)],
            supports=lambda _: True,
            get_info=lambda what: what,
        )


@pytest.mark.parametrize(
    "size,fps,too_much,taken",
    [
        ((640, 480), 15, [], (640, 480, 15)),  # just what is wanted
        ((848, 480), 30, [], (424, 240, 30)),
        ((640, 480), 60, [(424, 240, 60)], (424, 240, 30)),  # the nearest that works
    ],
)
def test_the_nearest_mode_that_works_is_taken(monkeypatch, size, fps, too_much, taken):
    rs = Modes(too_much)
    monkeypatch.setattr("nodes.camera.librealsense.sdk.load", lambda: rs)
    _, config, compromise = request(rs, None, rs.device(), Wanted(size, fps, depth=True, infrared=False))
    assert config.streams["color"] == taken
    assert config.streams["depth"][2] == taken[2]  # one rate
    assert (compromise == "") == (taken == (*size, fps))
    assert compromise == "" or f"{taken[0]} × {taken[1]} at {taken[2]} pictures" in compromise


def test_a_camera_that_can_do_nothing_of_it_is_a_sentence(monkeypatch):
    rs = Modes(Modes.offered["color"])
    monkeypatch.setattr("nodes.camera.librealsense.sdk.load", lambda: rs)
    with pytest.raises(BadInput, match="offers no colour pictures with depths"):
        request(rs, None, rs.device(), Wanted((640, 480), 30, depth=True, infrared=False))

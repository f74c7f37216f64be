"""Cameras that fail for real under a running engine: each fault is named, survived, and over when the source is back.

docs/CAMERA-FAULTS.md has the table, and how long it takes; here is what must hold on any machine.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_kit import Engine, end, until
from fault_kit import OF_A_PICTURE, OF_A_SERVER, TRUNCATED, UNPLUGGED, Fault, Screen, go_through, nodes
from fault_sources import Reel, device_path, http_camera, pipe_camera, rtsp_camera, without_rtsp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="stops processes and makes devices by Linux's means")
QUICK = "read_timeout: 0.8, frozen_after: 0.6, fps: 25"
PERIOD_MS = 40
NO_RTSP = without_rtsp()


class Show:
    """One engine with all the cameras, so that what happens to one also meets the others."""

    def __init__(self, folder: Path):
        self.net, self.rtsp, self.reel = http_camera(), rtsp_camera(), Reel(folder / "reel.avi")
        self.plug = pipe_camera(device_path())  # not there yet
        self.sources = {"net": self.net, "reel": self.reel} | ({} if NO_RTSP else {"rtsp": self.rtsp})
        for source in self.sources.values():
            source.start()
        settings = {name: f'source: "{source.address}", {QUICK}' for name, source in self.sources.items()}
        settings["reel"] += ", loop: true"
        settings["plug"] = f"source: {device_path()}, backend: any, required: false, {QUICK}"
        self.engine = Engine(folder, nodes(settings))
        self.screens: dict[str, Screen] = {}

    def screen(self, camera: str) -> Screen:
        if camera not in self.screens:
            self.screens[camera] = Screen(self.engine, camera, getattr(self, camera))
        return self.screens[camera]

    def close(self) -> None:
        end(self.engine)
        for source in (*self.sources.values(), self.plug):
            source.kill()


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    show = Show(tmp_path_factory.mktemp("show"))
    try:
        yield show
        assert show.engine.stop() == 0
    finally:
        show.close()


def survive(show: Show, camera: str, fault: Fault) -> None:
    screen = show.screen(camera)
    until(show.engine.pids, 30, show.engine)
    screen.until(screen.well)
    pids, restarts = show.engine.pids(), screen.node["restarts"]
    outcome = go_through(screen, fault)
    assert re.search(fault.says, outcome.sentence) and outcome.sentence.endswith((".", "?"))
    assert (show.engine.pids(), screen.node["restarts"]) == (pids, restarts), "the engine had to help"
    assert screen.sizes == {(240, 320, 3)}, "what comes after a camera relies on its size"
    # What has piled up would be there for ever; a busy machine would not.
    usual_ms = outcome.before_ms + 3 * PERIOD_MS
    screen.until(lambda: outcome.after_ms < usual_ms or screen.latency_ms() < usual_ms)


# --- the first test starts the engine: a camera that is not there yet ---


def test_a_device_that_is_missing_at_start_may_appear_later(show: Show) -> None:
    screen = show.screen("plug")
    screen.until(lambda: screen.degraded() and screen.newest.publish_ns)
    assert "There is no" in screen.node.text and screen.newest.stamp is None, "the card is on"
    show.plug.start()
    screen.until(screen.well)
    assert screen.node["restarts"] == 0


def test_a_device_may_go_and_come_back(show: Show) -> None:
    survive(show, "plug", UNPLUGGED)


@pytest.mark.parametrize("fault", [*OF_A_SERVER, *OF_A_PICTURE], ids=lambda fault: fault.name)
def test_a_camera_over_http_is_survived(show: Show, fault: Fault) -> None:
    survive(show, "net", fault)


@pytest.mark.skipif(bool(NO_RTSP), reason=NO_RTSP)
@pytest.mark.parametrize("fault", OF_A_SERVER, ids=lambda fault: fault.name)
def test_a_camera_over_rtsp_is_survived(show: Show, fault: Fault) -> None:
    survive(show, "rtsp", fault)


def test_a_file_that_breaks_off_is_played_again_and_its_successor_taken(show: Show) -> None:
    survive(show, "reel", TRUNCATED)


def test_a_node_that_dies_while_its_camera_is_away_waits_for_it(show: Show) -> None:
    """Its new process takes a required camera for one that may come back: it must not die of that, again and again."""
    screen = show.screen("net")
    screen.until(screen.well)
    restarts, pid = screen.node["restarts"], screen.node["pid"]
    show.net.kill()
    os.kill(pid, signal.SIGKILL)
    screen.until(lambda: screen.node["pid"] != pid and screen.degraded() and "No video comes" in screen.node.text)
    show.net.start()
    screen.until(screen.well)
    assert screen.node["restarts"] == restarts + 1

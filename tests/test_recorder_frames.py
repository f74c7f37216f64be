"""The recorder with `format: frames`: several streams at once, rotation, a kill, a full disk, and what it misses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from engine_kit import until
from harness import make

from engine.errors import BadInput, EngineError
from nodes.output import recorder as recorder_module
from nodes.output.recorder import Recorder

pytest.importorskip("mcap", reason="recording frames needs the optional package mcap")
pytest.importorskip("lz4", reason="recording frames needs the optional package lz4")

from recording_kit import SECOND, assert_same, at, depth, keypoints, picture

from nodes.recording.reader import Recording
from nodes.recording.series import Series

ORIGINALS = {"image": picture, "depth": depth, "kp": keypoints}
Usage = namedtuple("Usage", "total used free")
Make = Callable[..., Any]


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Make]:
    nodes = []

    def recorder(**settings: Any) -> Any:
        given = {"folder": str(tmp_path / "takes"), "free_gb": 0.1, "reads": list(ORIGINALS), **settings}
        nodes.append(make(Recorder, format="frames", **given))
        return nodes[-1]

    yield recorder
    for node in nodes:
        node.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The recorder's clock: `clock.ns` is what it reads."""
    clock = SimpleNamespace(ns=SECOND)
    monkeypatch.setattr(recorder_module, "now_ns", lambda: clock.ns)
    return clock


def takes(folder: Path) -> list[Path]:
    return sorted((folder / "takes").glob("*.mcap"), key=lambda path: (len(path.name), path.name))


def numbers(path: Path, name: str = "image") -> list[int]:
    """The seqs of a stream, every frame of which is as it was recorded."""
    recording, found = Recording(path), []
    for frame in recording.frames(name):
        assert_same(frame, ORIGINALS[name](frame.seq))
        found.append(frame.seq)
    recording.close()
    return found


def record(node: Any, seqs: Any, *names: str) -> None:
    for seq in seqs:
        node.step(**{name: ORIGINALS[name](seq) for name in names or ORIGINALS})


@pytest.mark.parametrize("compress", [True, False])
def test_every_stream_is_recorded_to_the_bit(recorder: Make, tmp_path: Path, compress: bool) -> None:
    node = recorder(compress=compress)
    record(node, range(1, 31))
    record(node, [31, 32], "kp")
    record(node, [31], "image", "depth")
    node.close()
    (path,) = takes(tmp_path)
    assert [numbers(path, name) for name in ORIGINALS] == [
        [*range(1, 32)], [*range(1, 32)], [*range(1, 33)],
    ] and not node.complaints  # fmt: skip
    assert list(Series(path).ports) == list(ORIGINALS)


def test_files_roll_by_time_and_by_size_and_lose_nothing(recorder: Make, tmp_path: Path) -> None:
    node = recorder(seconds=0.5, megabytes=0.15)
    record(node, range(1, 40), "kp")  # by time
    record(node, range(40, 80), "kp", "image")  # by size
    node.close()
    paths = takes(tmp_path)
    assert 4 < len(paths) < 12 and max(path.stat().st_size for path in paths) < 250_000
    for name, first in (("kp", 1), ("image", 40)):
        found = list(Series(tmp_path / "takes").read(name))
        assert [frame.seq for frame in found] == [*range(first, 80)]
        for frame in found:
            assert_same(frame, ORIGINALS[name](frame.seq))


def test_it_is_switched_on_and_off_while_it_runs(recorder: Make, tmp_path: Path) -> None:
    node = recorder(recording=False)
    for on, seqs in ((False, [1]), (True, [2, 3]), (False, [4]), (True, [5])):
        node.config = node.config.model_copy(update={"recording": on})
        node.configured()
        record(node, seqs)
    node.close()
    assert [numbers(path) for path in takes(tmp_path)] == [[2, 3], [5]] and "left_out" not in node.metrics


def test_frames_that_it_was_too_slow_for_are_counted_and_said(recorder: Make, clock: SimpleNamespace) -> None:
    node = recorder()
    record(node, [1, 2, 5])
    assert node.metrics["left_out"] == 6  # 3 and 4 of three streams
    assert "frames were left out of the recording" in node.complaints[-1]
    clock.ns += 4 * SECOND
    record(node, [6])
    assert node.complaints
    clock.ns += 2 * SECOND
    record(node, [7])
    assert not node.complaints and node.metrics["left_out"] == 6


def test_frames_that_died_with_their_writer_were_not_left_out(recorder: Make) -> None:
    node = recorder()
    node.step(image=picture(1))
    node.step(image=picture(4, ordinal=2, epoch=2))
    assert "left_out" not in node.metrics and not node.complaints


def test_it_stops_well_before_the_disk_is_full_and_goes_on_when_there_is_room(
    recorder: Make, tmp_path: Path, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [8e9]
    monkeypatch.setattr(recorder_module.shutil, "disk_usage", lambda folder: Usage(10e9, 0, free[0]))
    node = recorder(free_gb=5)
    record(node, range(1, 4))
    free[0] = 4e9
    clock.ns += 2 * SECOND
    record(node, range(4, 7))
    assert "only 5 GB may be left free" in node.complaints[0] and len(node.complaints) == 1
    free[0] = 8e9
    clock.ns += 2 * SECOND
    record(node, range(7, 10))
    assert not node.complaints and "left_out" not in node.metrics
    node.close()
    assert [numbers(path) for path in takes(tmp_path)] == [[1, 2, 3], [7, 8, 9]]


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on file sizes is POSIX")
@pytest.mark.parametrize("room, kept", [(30, 0), (4096, 0), (100_000, 7), (200_000, 14)])
def test_a_write_that_fails_costs_the_files_end_and_no_more(
    recorder: Make, tmp_path: Path, clock: SimpleNamespace, room: int, kept: int
) -> None:
    import resource

    node = recorder(compress=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    seen: set[str] = set()
    try:
        for seq in range(1, 40):
            record(node, [seq], "image")
            seen.update(node.complaints)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    clock.ns += 10 * SECOND
    record(node, [40], "image")
    node.close()
    assert len(seen) == 1 and "Cannot record into" in seen.pop() and not node.complaints
    *failed, whole = takes(tmp_path)
    assert [numbers(path) for path in failed] == [[*range(1, kept + 1)]] * bool(kept) and numbers(whole) == [40]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_what_was_recorded_survives_kill_9(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, sys
        from harness import make
        from test_recorder_frames import ORIGINALS, Recorder, record
        node = make(Recorder, format="frames", folder=sys.argv[1], free_gb=0.1, reads=list(ORIGINALS))
        record(node, range(1, 101))
        os.kill(os.getpid(), 9)
        """
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "takes")], env={**os.environ, "PYTHONPATH": path}, timeout=60
    )
    assert result.returncode == -signal.SIGKILL
    (take,) = takes(tmp_path)
    for name in ORIGINALS:
        found = numbers(take, name)
        assert found == [*range(1, len(found) + 1)] and len(found) >= 96  # 64 kB wait to be written: four of each
    assert Series(take).cut_off == [take]


def test_what_cannot_be_recorded_is_said_and_the_rest_is_recorded(
    recorder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nodes.output import recorder_frames

    monkeypatch.setattr(recorder_frames, "RECORD_MOST", 100_000)
    node = recorder()
    node.step(image=at(1, np.zeros((400, 400, 3), np.uint8)), kp=keypoints(1))
    assert "480000 bytes is too large to record; image" in node.complaints[0]
    record(node, [2], "kp")
    assert node.complaints
    node.close()
    assert numbers(*takes(tmp_path), "kp") == [1, 2]


def test_offline_a_frame_that_cannot_be_recorded_ends_the_run(recorder: Make, tmp_path: Path) -> None:
    (tmp_path / "takes").write_bytes(b"a file")
    with pytest.raises(EngineError, match="Cannot record into"):
        record(recorder(offline=True), [1])


def test_an_mp4_of_several_streams_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="recording video needs the optional package av")
    with pytest.raises(BadInput, match=r"reads image, depth\. Record them with format: frames"):
        make(Recorder, folder=str(tmp_path), reads=["image", "depth"])


def test_in_an_engine_it_records_until_the_engine_stops(launch: Make, tmp_path: Path) -> None:
    engine = launch(
        "  left: {type: camera.pattern, fps: 30, size: [64, 48]}\n"
        "  right: {type: camera.pattern, fps: 15, size: [80, 48]}\n"
        "  take: {type: output.recorder, format: frames, inputs: {r: right, l: left},"
        f" folder: {tmp_path / 'takes'}, free_gb: 0.1}}\n"
    )
    until(lambda: engine.node(1)["steps"] >= 15, 30, engine)
    assert engine.stop() == 0, engine.output
    (path,) = takes(tmp_path)
    recording = Recording(path)
    assert recording.whole and list(recording.streams) == ["r", "l"]
    right, left = (list(recording.frames(name)) for name in "rl")
    recording.close()
    assert right[0].shape == (48, 80, 3) and len(left) > len(right) >= 10
    for frames in (left, right):
        assert [frame.seq for frame in frames] == [*range(frames[0].seq, frames[0].seq + len(frames))]

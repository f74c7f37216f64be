"""The recorder: what it wrote is read back, and every time stamp is the picture's capture time to the microsecond."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from engine_kit import until
from harness import frame, make
from pydantic import ValidationError
from test_video import number_of, numbered

from engine.errors import BadInput
from nodes.output import recorder as recorder_module
from nodes.output.recorder import Recorder

av = pytest.importorskip("av", reason="recording needs the optional package av")
START_NS, SECOND = 5_000_000_123_456, 1_000_000_000
WALL_NS = 1_790_000_000 * SECOND
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def recorder(tmp_path):
    nodes = []

    def recorder(**settings):
        nodes.append(make(Recorder, **{"folder": str(tmp_path / "films"), "free_gb": 0.1, "crf": 28, **settings}))
        return nodes[-1]

    yield recorder
    for node in nodes:
        node.close()


@pytest.fixture
def clock(monkeypatch):
    """The recorder's clock: `clock.ns` is what it reads."""
    clock = type("Clock", (), {"ns": SECOND})
    monkeypatch.setattr(recorder_module, "now_ns", lambda: clock.ns)
    return clock


def films(folder):
    return sorted((folder / "films").glob("*.mp4"), key=lambda path: (len(path.name), path.name))


def read(path):
    """[(microseconds since the first picture, the picture's number)] as decoded."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        unit = stream.time_base * 1_000_000
        return [(frame.pts * unit, number_of(frame.to_ndarray(format="rgb24"))) for frame in container.decode(stream)]


def record_one(node, array, seq):
    node.step(image=frame(array, seq, capture_ns=START_NS + seq * SECOND // 20, capture_wall_ns=WALL_NS))


def record(node, times_ns, first=1, **about):
    """Give the pictures `first`, `first` + 1, … captured at these times."""
    for seq, capture_ns in enumerate(times_ns, first):
        node.step(image=frame(numbered(seq % 256), seq, capture_ns=capture_ns, capture_wall_ns=WALL_NS, **about))


def uneven(count, seed=1):
    """Capture times at no rate at all: 0.3 ms to 120 ms apart, and once six seconds of nothing."""
    steps = np.random.default_rng(seed).integers(300_000, 120_000_000, count)
    steps[count // 2] = 6 * SECOND
    return [START_NS + int(t) for t in np.cumsum(steps)]


def test_every_time_stamp_is_exact(recorder, tmp_path):
    node, times = recorder(), uneven(200)
    record(node, times)
    node.close()
    (path,) = films(tmp_path)
    expected = [(t // 1000 - times[0] // 1000, number) for number, t in enumerate(times, 1)]
    assert read(path) == expected and not node.complaints


def test_pictures_that_are_no_newer_are_left_out(recorder, tmp_path):
    node = recorder()
    times = [START_NS + ms * 1_000_000 for ms in (0, 40, 40, 20, 80)]
    record(node, [*times, times[-1] + 500])
    node.close()
    (path,) = films(tmp_path)
    assert read(path) == [(0, 1), (40_000, 2), (80_000, 5)] and node.metrics["left_out"] == 3


def test_a_key_frame_comes_every_second(recorder, tmp_path):
    node = recorder()
    times = [START_NS + i * SECOND // 25 for i in range(100)]
    for seq, capture_ns in enumerate(times, 1):
        node.step(image=frame(numbered(1), seq, capture_ns=capture_ns))
    node.close()
    (path,) = films(tmp_path)
    with av.open(str(path)) as container:
        assert [i for i, picture in enumerate(container.decode(video=0)) if picture.key_frame] == [0, 25, 50, 75]


def test_files_roll_by_time_and_lose_nothing(recorder, tmp_path):
    node, times = recorder(seconds=2), uneven(200)
    record(node, times)
    node.close()
    paths = films(tmp_path)
    parts = [read(path) for path in paths]
    assert [number for part in parts for _, number in part] == list(range(1, 201))
    for part in parts:
        first = times[part[0][1] - 1] // 1000
        assert [stamp for stamp, _ in part] == [times[number - 1] // 1000 - first for _, number in part]
        assert part[-1][0] < 2_000_000
    assert len(parts) > 4


def test_files_roll_by_size(recorder, tmp_path):
    node = recorder(megabytes=0.3, crf=10)
    noise = np.random.default_rng(1).integers(0, 256, (8, 96, 128, 3), np.uint8)
    for seq in range(1, 101):
        node.step(image=frame(noise[seq % 8], seq, capture_ns=START_NS + seq * SECOND // 30))
    node.close()
    sizes = [path.stat().st_size for path in films(tmp_path)]
    assert len(sizes) > 2 and max(sizes) < 450_000
    assert sum(len(read(path)) for path in films(tmp_path)) == 100


def test_another_size_of_picture_begins_another_file(recorder, tmp_path):
    node = recorder()
    for seq, height in enumerate((48, 48, 47, 96, 96), 1):
        node.step(image=frame(numbered(seq, height), seq, capture_ns=START_NS + seq * SECOND))
    node.close()
    assert [[n for _, n in read(path)] for path in films(tmp_path)] == [[1, 2, 3], [4, 5]]


def test_names_tell_the_wall_time_and_nothing_is_overwritten(recorder, tmp_path):
    node = recorder(name="show")
    stem = time.strftime("show_%Y-%m-%d_%H-%M-%S", time.localtime(WALL_NS / SECOND))
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / f"{stem}.mp4").write_bytes(b"an earlier film")
    record(node, [START_NS])
    node.finish()
    record(node, [START_NS + SECOND], first=2)
    node.close()
    assert [p.name for p in films(tmp_path)] == [f"{stem}.mp4", f"{stem}_2.mp4", f"{stem}_3.mp4"]
    assert (tmp_path / "films" / f"{stem}.mp4").read_bytes() == b"an earlier film"
    with av.open(str(films(tmp_path)[1])) as container:
        assert container.metadata["comment"] == "first picture: 2026-09-21T14:13:20+00:00"


def test_it_is_switched_on_and_off_while_it_runs(recorder, tmp_path):
    node = recorder(recording=False)

    def switch(on):
        node.config = node.config.model_copy(update={"recording": on})
        node.configured()

    record(node, [START_NS])
    assert films(tmp_path) == []
    for on, seq in ((True, 2), (False, 3), (True, 4)):
        switch(on)
        record(node, [START_NS + seq * SECOND], first=seq)
    switch(False)
    assert [read(path) for path in films(tmp_path)] == [[(0, 2)], [(0, 4)]]


def test_it_stops_well_before_the_disk_is_full_and_goes_on_when_there_is_room(recorder, tmp_path, clock, monkeypatch):
    free = [8e9]
    monkeypatch.setattr(recorder_module.shutil, "disk_usage", lambda folder: Usage(10e9, 0, free[0]))
    node = recorder(free_gb=5)
    complaints = {}
    for seq in range(1, 101):  # ten seconds
        clock.ns += SECOND // 10
        free[0] = {31: 4.9e9, 61: 5.2e9, 81: 5.6e9}.get(seq, free[0])
        record(node, [START_NS + seq * SECOND // 10], first=seq)
        complaints[seq] = list(node.complaints)
    node.close()
    first, second = ([number for _, number in read(path)] for path in films(tmp_path))
    assert first[0] == 1 and 30 <= first[-1] <= 41
    assert 81 <= second[0] <= 92 and second[-1] == 100
    assert not complaints[30] and not complaints[100]
    assert "only 5 GB may be left free" in complaints[50][0] and "at 5.5 GB" in complaints[70][0]


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on file sizes is POSIX")
def test_a_write_that_fails_costs_a_file_and_no_more(recorder, tmp_path, clock):
    import resource

    node = recorder(crf=0)
    noise = np.random.default_rng(1).integers(0, 256, (10, 240, 320, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    seen = set()
    try:
        for seq in range(1, 121):
            clock.ns += SECOND // 20
            record_one(node, noise[seq % 10], seq)
            seen.update(node.complaints)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    clock.ns += 10 * SECOND
    record(node, [START_NS + 60 * SECOND], first=121)
    assert len(seen) == 1 and "Cannot record into" in seen.pop() and not node.complaints
    node.close()
    assert len(films(tmp_path)) > 2 and read(films(tmp_path)[-1]) == [(0, 121)]


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on file sizes is POSIX")
@pytest.mark.parametrize("room, kept", [(30, False), (4096, False), (20_000, False), (100_000, True)])
def test_a_disk_that_is_full_within_a_second_leaves_no_file_without_a_picture(recorder, tmp_path, clock, room, kept):
    import resource

    node = recorder()
    noise = np.random.default_rng(1).integers(0, 256, (10, 240, 320, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    seen = set()
    try:
        for seq in range(1, 101):
            clock.ns += SECOND // 20
            record_one(node, noise[seq % 10], seq)
            seen.update(node.complaints)
        node.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(seen) == 1 and "Cannot record into" in seen.pop() and bool(films(tmp_path)) == kept
    for path in films(tmp_path):
        with av.open(str(path)) as container:
            assert next(container.decode(video=0)).width == 320


def test_a_folder_that_cannot_be_made_is_waited_for(recorder, tmp_path, clock):
    node = recorder()
    (tmp_path / "films").write_bytes(b"a file")
    record(node, [START_NS])
    assert "Cannot record into" in node.complaints[0]
    (tmp_path / "films").unlink()
    clock.ns += SECOND
    record(node, [START_NS + SECOND], first=2)
    node.close()
    assert not node.complaints and read(*films(tmp_path)) == [(0, 2)]


def test_what_is_no_picture_is_left_out(recorder, tmp_path):
    node = recorder()
    node.step(image=frame(np.zeros((2, 33, 4), np.float32)))
    assert "takes pictures" in node.complaints[0]
    record(node, [START_NS])
    assert not node.complaints


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_what_was_recorded_survives_kill_9(tmp_path):
    program = textwrap.dedent(
        """
        import os, sys
        from harness import make
        from test_recorder import Recorder, record, uneven
        node = make(Recorder, folder=sys.argv[1], free_gb=0.1)
        record(node, uneven(200))
        os.kill(os.getpid(), 9)
        """
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "films")], env={**os.environ, "PYTHONPATH": path}, timeout=60
    )
    assert result.returncode == -signal.SIGKILL
    times = uneven(200)
    stamps = [(t // 1000 - times[0] // 1000, number) for number, t in enumerate(times, 1)]
    (film,) = films(tmp_path)
    got = read(film)
    assert got == stamps[: len(got)]
    # What is lost: the pictures since the last key frame, one second, and those that the encoder still held.
    assert stamps[-1][0] - got[-1][0] < 2_500_000


def test_package_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(BadInput, match="python -m pip install av"):
        make(Recorder, folder=str(tmp_path))


def test_an_offline_run_has_no_times_to_keep(tmp_path):
    with pytest.raises(BadInput, match=r"Use output\.video"):
        make(Recorder, offline=True, folder=str(tmp_path))


@pytest.mark.parametrize("wrong", [{"name": "../up"}, {"name": ""}, {"seconds": 0}, {"free_gb": 0}, {"folder": ""}])
def test_config_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Recorder.Config(**wrong)


def test_in_an_engine_it_records_until_the_engine_stops(launch, tmp_path):
    engine = launch(
        "  camera: {type: camera.pattern, fps: 30}\n"
        f"  film: {{type: output.recorder, input: camera, folder: {tmp_path / 'films'}, free_gb: 0.1}}\n"
    )
    until(lambda: engine.node(1)["steps"] >= 30, 30, engine)
    assert engine.stop() == 0, engine.output
    (film,) = films(tmp_path)
    with av.open(str(film)) as container:
        stamps = [picture.pts for picture in container.decode(video=0)]
    assert len(stamps) >= 30 and stamps[0] == 0 and stamps == sorted(set(stamps))

"""The benchmark's transports: small frames through real processes, and what the report makes of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import links, measure, report, transports, wakes
from bench.copies import copy_times
from bench.measure import Run, Stamp

SHAPE = (16, 24, 4)
MAKERS = {**transports.light_links(SHAPE), **transports.busy_links(SHAPE)}


@pytest.mark.parametrize("name", MAKERS)
def test_frames_arrive_as_they_were_sent(name: str) -> None:
    if name == report.RIVAL:
        pytest.importorskip("iceoryx2", reason="iceoryx2 is not installed")
    result = measure.run({name: MAKERS[name](2)}, 2, fps=200, seconds=0.1)[name]
    assert len(result.latencies_ns) + result.dropped == 2 * 20
    assert len(result.latencies_ns) >= 10
    assert min(result.latencies_ns) > 0
    assert result.wrong == 0


def test_links_run_side_by_side_and_leave_nothing_behind() -> None:
    name = f"utsu_tb{os.getpid()}"
    pair = {"a": links.RingLink(name, SHAPE, 1), "b": links.RingLink(name + "p", SHAPE, 1, wakes.Polling())}
    found = measure.run(pair, 1, fps=100, seconds=0.1)
    assert list(found) == ["a", "b"] and all(each.latencies_ns for each in found.values())
    if sys.platform == "linux":
        assert not list(Path("/dev/shm").glob(name + "*"))


class BrokenLink(links.RingLink):
    def reader(self, index: int) -> links.RingLinkReader:
        os._exit(3)


def test_a_process_that_dies_is_told() -> None:
    link = BrokenLink(f"utsu_td{os.getpid()}", SHAPE, 1)
    with pytest.raises(RuntimeError, match="'broken' died"):
        measure.run({"broken": link}, 1, fps=100, seconds=0.1)


def test_a_stamp_tells_a_torn_frame() -> None:
    frame, stamp = np.zeros(SHAPE, np.uint8), Stamp()
    stamp.number, stamp.begun_ns = 5, 77
    stamp.write(frame)
    seen = Stamp()
    seen.read(frame)
    assert (seen.number, seen.begun_ns, seen.whole) == (5, 77, True)
    frame[-1, -1] += 1
    seen.read(frame)
    assert not seen.whole


def test_copies_are_timed_on_both_sides() -> None:
    through, bare = copy_times(f"utsu_tc{os.getpid()}", SHAPE, rounds=2)
    assert len(through) == len(bare) == 2 and min(through + bare) > 0


def runs(latency_us: int, cpu: float) -> list[Run]:
    return [Run([latency_us * 1000] * 10, cpu)] * 2


def test_the_report_compares_and_judges(tmp_path: Path) -> None:
    pytest.importorskip("iceoryx2", reason="iceoryx2 is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    hop = {report.OURS: runs(100, 0.01), report.RIVAL: runs(200, 0.02)}
    fan_out = {report.OURS: runs(100, 0.03), report.RIVAL: runs(200, 0.02)}
    settings = {"width": 24, "height": 16, "fps": 60.0, "seconds": 1.0}
    found = report.results(hop, fan_out, ([120.0], [100.0]), settings)
    assert [bar["value"] for bar in found["bars"]] == pytest.approx([0.5, 1.5, 1.2])
    assert [bar["pass"] for bar in found["bars"]] == [True, False, True]
    told = report.text(found)
    assert told.count("PASS") == 2 and told.count("FAIL") == 1
    report.plot(found, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("wrong", [["--size", "10"], ["--size", "1x1"], ["--fps", "0"], ["--seconds", "nan"]])
def test_options_that_make_no_sense_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        transports.main(wrong)
    assert refused.value.code == 2 and f"'{wrong[1]}' is not a" in capsys.readouterr().err

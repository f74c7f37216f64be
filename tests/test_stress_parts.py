"""The parts of `stress`: each of them must see what it is there to see. No engine runs in here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from engine.clock import now_ns
from engine.errors import BadInput, ConfigError, Exit
from engine.process import ROOT
from engine.stress import books, budgets, graph, main, measure, page, pattern, promises
from engine.stress.checker import Checker
from engine.stress.tally import BYTES, Tally
from nodes.stress.source import Source

SHAPE = (6, 8, 4)


def picture(number: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    array = np.empty(shape, np.uint8)
    pattern.draw(array, number)
    return array


# --- the picture ---


@pytest.mark.parametrize("number", [0, 1, 2, 10**6, 2**63, 2**64 - 1])
def test_a_picture_tells_its_number(number: int) -> None:
    assert pattern.number_of(picture(number)) == number


def test_every_seam_of_every_two_pictures_is_seen() -> None:
    old, new = picture(41).reshape(-1), picture(42).reshape(-1)
    for seam in range(1, old.size):
        mixed = np.concatenate([new[:seam], old[seam:]]).reshape(SHAPE)
        assert pattern.number_of(mixed) is None, seam


def test_every_changed_byte_and_every_swapped_row_is_seen() -> None:
    for index in range(picture(7).size):
        array = picture(7)
        array.flat[index] ^= 0x10
        assert pattern.number_of(array) is None, index
    array = picture(7)
    array[[0, 1]] = array[[1, 0]]
    assert pattern.number_of(array) is None


@pytest.mark.parametrize("size", [(3, 4), (0, 4), (4, 0), (20_000, 4), (-2, 4)])
def test_a_size_that_no_picture_can_have_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(BadInput, match="cannot be made"):
        pattern.require_size(*size)


# --- the tally ---

KILLED = """
import sys
from pathlib import Path
from engine.stress.tally import Tally
tally = Tally(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    tally.counts = dict.fromkeys(tally.counts, tally.counts["seen"] + 1)
    tally.store()
"""


def test_a_kill_at_any_moment_leaves_counts_that_belong_together(tmp_path: Path) -> None:
    last = 0
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "t")], stdout=subprocess.PIPE, cwd=ROOT)
        assert writer.stdout is not None and writer.stdout.readline()
        watcher = Tally(tmp_path / "t")
        while watcher.read()["seen"] < last + 50:
            pass
        writer.kill()
        writer.communicate()
        counts = set(Tally(tmp_path / "t").read().values())
        assert len(counts) == 1
        last = counts.pop()
    assert os.path.getsize(tmp_path / "t") == BYTES


def test_a_source_that_died_with_its_last_frame_still_tells_that_it_is_done(tmp_path: Path) -> None:
    source = Source()
    source.config = Source.Config(tally=str(tmp_path / "t"), frames=10)
    source.outs = {"image": SimpleNamespace(published=10)}  # type: ignore[dict-item]
    source.setup()
    source.tally.counts |= {"begun": 10, "done": 9, "number": 9}
    source.step()
    told = Tally(tmp_path / "t").read()
    assert (told["number"], told["begun"], told["done"]) == (10, 10, 9)


# --- the checker ---


class Frames:
    """Frames of one stream into one checker."""

    def __init__(self, folder: Path):
        self.checker = Checker(Tally(folder / "tally"))

    def see(self, *numbers: int, original: bool = True, lost: int = 0) -> dict[str, int]:
        for number in numbers:
            self.checker.see(picture(number), number + lost, number, now_ns(), original)
        return self.counts()

    def counts(self) -> dict[str, int]:
        return {key: value for key, value in self.checker.tally.read().items() if key in books.COUNTED}


def expected(**different: int) -> dict[str, int]:
    return {**dict.fromkeys(books.COUNTED, 0), **different}


def test_frames_in_order_are_seen_and_gaps_are_counted_by_their_cause(tmp_path: Path) -> None:
    frames = Frames(tmp_path)
    frames.see(1, 2, 3)
    assert frames.see(6) == expected(seen=4, missed=2, seq=6, ordinal=6)
    assert frames.see(7, lost=2) == expected(seen=5, missed=2, lost=2, seq=9, ordinal=7)


def test_a_successor_goes_on_from_what_the_dead_one_has_counted(tmp_path: Path) -> None:
    Frames(tmp_path).see(1, 2)
    assert Frames(tmp_path).see(3) == expected(seen=3, seq=3, ordinal=3)
    assert Frames(tmp_path).see(3)["repeated"] == 1


def test_a_torn_picture_is_seen(tmp_path: Path) -> None:
    frames = Frames(tmp_path)
    torn = picture(1)
    torn[3:] = picture(2)[3:]
    frames.checker.see(torn, 1, 1, now_ns(), True)
    assert frames.counts() == expected(seen=1, torn=1, seq=1, ordinal=1)


def test_a_whole_picture_under_another_ones_metadata_counts_as_torn(tmp_path: Path) -> None:
    frames = Frames(tmp_path)
    frames.checker.see(picture(5), 1, 1, now_ns(), True)
    assert frames.counts()["torn"] == 1


def test_a_repeated_frame_and_a_repeated_picture_are_seen(tmp_path: Path) -> None:
    frames = Frames(tmp_path)
    assert frames.see(1, 2, 2)["repeated"] == 1
    frames.checker.see(picture(2), 3, 3, now_ns(), False)  # a new frame with the old picture
    assert frames.counts()["repeated"] == 2


def test_frames_and_pictures_and_counts_that_go_back_are_seen(tmp_path: Path) -> None:
    frames = Frames(tmp_path)
    assert frames.see(5, 4)["back"] == 1
    frames.checker.see(picture(3), 6, 6, now_ns(), False)  # a new frame with an older picture
    frames.checker.see(picture(7), 7, 9, now_ns(), False)  # more frames than numbers
    assert frames.counts()["back"] == 3 and frames.counts()["torn"] == 0


# --- the books ---

READER = books.Reader(
    "a", "b", "every", published=100, received=80, skipped=0, overrun=20, lost=3, torn_retries=0,
    own={"seen": 80, "torn": 0, "repeated": 0, "back": 0, "missed": 20, "lost": 3, "seq": 103, "ordinal": 100},
)  # fmt: skip


def own(**different: int) -> dict[str, int]:
    assert READER.own is not None
    return {**READER.own, **different}


def test_books_that_balance_are_not_complained_of() -> None:
    assert books.check_reader(READER, 103, 0) == []


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"received": 81}, "101 are accounted for"),
        ({"overrun": 19}, "99 are accounted for"),
        ({"lost": 2}, "102 are accounted for"),
        ({"published": 101}, "101 frames were published"),
        ({"own": own(seen=79)}, "79 were looked at"),
        ({"own": own(seen=81)}, "81 were looked at"),
        ({"own": own(missed=19)}, "its own count of the gaps is 19"),
        ({"own": own(lost=4)}, "its own count is 4"),
        ({"own": own(torn=1)}, "1 torn"),
        ({"own": own(repeated=2)}, "2 repeated"),
        ({"own": own(back=1)}, "out of order"),
    ],
)
def test_every_count_that_is_wrong_is_complained_of(change: dict, sentence: str) -> None:
    wrong = books.check_reader(replace(READER, **change), 103, 0)
    assert any(sentence in one for one in wrong), wrong


def test_one_frame_may_die_with_each_reader_and_no_more() -> None:
    died = replace(READER, own=own(seen=79, missed=21))
    assert books.check_reader(died, 103, 1) == []
    assert books.check_reader(died, 103, 0)
    with_the_last = replace(READER, own=own(seen=79, seq=102, ordinal=99))
    assert books.check_reader(with_the_last, 103, 1) == []


@pytest.mark.parametrize("begun, done, numbers, restarts, good", [
    (100, 100, 103, 0, True), (101, 100, 103, 1, True), (101, 100, 103, 0, False), (99, 99, 103, 0, False),
    (105, 101, 103, 9, False), (100, 100, 99, 0, False),
])  # fmt: skip
def test_a_writer_is_held_to_what_it_began_and_finished(
    begun: int, done: int, numbers: int, restarts: int, good: bool
) -> None:
    assert (not books.check_writer(books.Writer("a", "b", 100, numbers, begun, done), restarts)) is good


def test_a_touchdesigner_readers_own_count_is_held_against_what_it_saw(tmp_path: Path) -> None:
    frames = Frames(tmp_path)
    frames.see(11, 12, 15, original=False)
    counts = {**frames.checker.tally.read(), "skipped": 2, "polls": 30}
    good = books.viewer("a", "td", counts, 15, 15, numbered=True)
    assert good.wrong == [] and (good.before, good.received, good.skipped) == (10, 3, 2)
    assert books.viewer("a", "td", {**counts, "skipped": 1}, 15, 15, numbered=True).wrong
    assert books.viewer("a", "td", counts, 16, 16, numbered=True).wrong  # it has not seen the last one
    assert books.viewer("a", "td", {**counts, "skipped": 9}, 0, 0, numbered=False).wrong


# --- slopes and budgets ---


def samples(values: np.ndarray) -> list[dict]:
    return [{"at_s": float(i), "memory_mb": float(v), "whole": True} for i, v in enumerate(values)]


def test_a_leak_in_noise_is_found_and_noise_alone_is_not_called_one() -> None:
    noise = np.random.default_rng(1).normal(0, 5, 600)
    leak, flat = (measure.growth(samples(500 + noise + rate * np.arange(600)), "memory_mb") for rate in (0.2, 0))
    assert leak is not None and flat is not None
    assert leak["least"] > 0.1 and leak["growth"] == pytest.approx(0.2 * 380 / 580, rel=0.1)
    assert flat["least"] < 0.02 and abs(flat["growth"]) < 0.02
    verdicts = [budgets.judge({"memory_growth": one})[2]["verdict"] for one in (leak, flat)]
    assert verdicts == [budgets.MISSED, budgets.MET]


def test_what_grows_while_it_warms_up_is_no_leak_and_a_short_run_is_not_judged() -> None:
    warm = np.concatenate([np.linspace(100, 500, 150), np.full(450, 500.0)])
    found = measure.growth(samples(warm), "memory_mb")
    assert found is not None and found["growth"] == pytest.approx(0, abs=1e-6)
    assert measure.growth(samples(warm[:20]), "memory_mb") is None


@pytest.mark.parametrize("freedom, quantile", [(6, 3.143), (10, 2.764), (18, 2.552), (1000, 2.330)])
def test_students_t_as_in_the_tables(freedom: int, quantile: float) -> None:
    assert measure.student_quantile(0.99, freedom) == pytest.approx(quantile, rel=0.01)


def test_every_budget_is_a_ratio_with_a_sentence_and_each_can_be_missed() -> None:
    table = yaml.safe_load(budgets.FILE.read_text(encoding="utf-8"))
    assert all(set(row) <= {"limit", "what", "at_least"} and row["what"] for row in table.values())
    for value, verdict in ((0, budgets.MET), (1e9, budgets.MISSED)):
        found = budgets.judge(dict.fromkeys(table, value))
        for row in found:
            other = budgets.MET if verdict == budgets.MISSED else budgets.MISSED
            assert row["verdict"] == (other if table[row["name"]].get("at_least") else verdict), row["name"]
    assert {row["verdict"] for row in budgets.judge({})} == {budgets.NOT_JUDGED}


def test_only_the_pace_beside_a_slow_or_stopped_reader_is_held_against_the_calm_one() -> None:
    paces = [100, 100, 100, 100, 60, 60, 10, 100]  # frames in each second: 4 and 5 beside a slow reader, 6 in a restart
    took = [
        {"at_s": float(i), "steps": {"source": sum(paces[:i])}, "whole": i not in (6, 7)} for i in range(len(paces) + 1)
    ]
    slow = {"kind": "slow reader", "target": "reader-1", "at_s": 4.0, "ended_s": 6.0}
    assert budgets.writer_pace(took, [slow], "source", {"reader-1"}) == pytest.approx(0.6)
    assert budgets.writer_pace(took, [{**slow, "kind": "kill"}], "source", {"reader-1"}) is None
    assert budgets.writer_pace(took, [{**slow, "target": "tail"}], "source", {"reader-1"}) is None


# --- the graph, the command line, the verdict ---


def test_an_own_config_keeps_its_nodes_and_gets_a_numbered_stream_and_a_name_of_its_own(tmp_path: Path) -> None:
    config = graph.beside("stress-1", tmp_path, ROOT / "configs" / "synthetic.yaml")
    names = [spec.name for spec in config.nodes]
    assert {"stress-source", "stress-reader"} < set(names) and len(names) > 3
    assert config.engine.name == "stress-1" and config.engine.port == 0


@pytest.mark.parametrize(
    "text, error",
    [
        ("engine: {mode: offline}\nnodes:\n  a: {type: camera.pattern, frames: 3}\n", BadInput),
        ("nodes:\n  stress-source: {type: camera.pattern}\n", BadInput),
        ("nodes:\n  a: {type: camera.patern}\n", ConfigError),
    ],
)
def test_an_own_config_that_cannot_be_stressed_is_refused(tmp_path: Path, text: str, error: type) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(error) as caught:
        graph.beside("stress-1", tmp_path, path)
    assert "own.yaml" in str(caught.value)


@pytest.mark.parametrize("words", [
    ["--size", "64"], ["--size", "63x64"], ["--fps", "-1"], ["--seconds", "0"], ["--readers", "27"], ["--chaos", "no"],
    ["--config", "nowhere.yaml"], ["--config", "configs/demo.yaml", "--frames", "9"], ["--json", "/nowhere/at/all"],
])  # fmt: skip
def test_a_bad_command_line_is_refused_with_a_sentence(words: list[str], capsys: pytest.CaptureFixture) -> None:
    try:
        code: Any = main.main(["stress", *words])
    except SystemExit as ended:
        code = ended.code
    assert code in (Exit.USAGE, Exit.BAD_INPUT)
    assert re.search("error: .{20}", capsys.readouterr().err)


def test_a_run_whose_folder_vanishes_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def run(options: Any, command: list[str], folder: Path) -> None:
        folder.rmdir()
        Tally(folder / "visit.tally")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(main, "run", run)
    assert main.main(["stress"]) == Exit.FAILED
    assert re.search("visit.tally: .+ cannot go on without its folder", capsys.readouterr().err)


FAULT = {"kind": "kill", "target": "a", "at_s": 0.5, "ended_s": 1.0, "restarts": 1, "back_s": 0.5, "limit_s": 60.0,
         "up_s": 0.4, "note": "<hostile>"}  # fmt: skip


def a_report(**different: Any) -> dict[str, Any]:
    """What a run returns, as little of it as there can be."""
    sample = {"memory_mb": 100.0, "descriptors": 9, "shared_mb": 1.0, "whole": True}
    report: dict[str, Any] = {
        "command": "python3 run_engine.py stress", "seed": 1, "wall_ns": 0, "seconds": 2.0, "chaos_s": 1.0,
        "machine": {"system": "<system>", "processors": 2, "python": "3", "numpy": "2"},
        "samples": [{"at_s": float(i), "steps": {"a": 10 * i}, "restarts": {"a": i // 2}, **sample} for i in range(3)],
        "faults": [FAULT],
        "restarts": {"a": 1}, "down": [], "writers": books.as_dicts([books.Writer("s", "a", 100, 103, 100, 100)]),
        "readers": books.as_dicts([READER]), "totals": books.totals([READER]), "rejected": 5, "visits": 1,
        "hops": {"s → b": {"since": "since publication", "count": 3, "p50": 0.2, "p95": 0.4, "p99": 1.0, "max": 1.2,
                           "bins": [[0.2, 2], [1.0, 1]]}},
        "viewers": [{"stream": "s", "polls": 100, "empty": 0, "seen": 9}], "left_behind": [], "engine_exit": 0,
        "orphans": {"outlived": 0, "started_again_s": 3.0, "exit": 0, "left": []},
        "budgets": budgets.judge({"writer_pace": 1.0}), **different,
    }  # fmt: skip
    report["promises"] = promises.judge(report)
    report["exit"], report["sentence"] = main.verdict(report)
    return report


def test_a_good_run_keeps_its_promises() -> None:
    report = a_report()
    assert {p["name"]: p["verdict"] for p in report["promises"] if p["verdict"] != promises.KEPT} == {"P8": "not tried"}
    assert report["exit"] == Exit.OK


TORN = replace(READER, own=own(torn=1), wrong=["1 torn"])


@pytest.mark.parametrize(
    "different, name, code",
    [
        ({"totals": {"seen": 9, "torn": 1, "repeated": 0, "back": 0}, "readers": books.as_dicts([TORN])}, "P1", 5),
        ({"totals": {"seen": 9, "torn": 0, "repeated": 0, "back": 1}}, "P2", 5),
        ({"budgets": budgets.judge({"writer_pace": 0.2})}, "P3", 6),
        ({"readers": books.as_dicts([TORN])}, "P4", 5),
        ({"restarts": {"a": 2}}, "P5", 6),
        ({"down": ["a"]}, "P5", 6),
        ({"viewers": [{"stream": "s", "polls": 100, "empty": 1, "seen": 9}]}, "P6", 6),
        ({"left_behind": ["utsu_x_dir"]}, "P7", 6),
        ({"budgets": budgets.judge({"memory_growth": {"growth": 1, "least": 0.9, "most": 1.1}})}, "P8", 6),
        ({"readers": books.as_dicts([replace(READER, name="visit 1", wrong=["it never got a picture"])])}, "P9", 5),
        ({"faults": [{**FAULT, "kind": "TouchDesigner"}]}, "P9", 6),
        ({"budgets": budgets.judge({"start_up": 1e6})}, "", 6),
        ({"engine_exit": 1}, "P7", 6),
    ],
)
def test_whatever_is_broken_is_named_and_ends_with_its_code(different: dict, name: str, code: int) -> None:
    report = a_report(**different)
    assert not name or name in [p["name"] for p in report["promises"] if p["verdict"] == promises.BROKEN]
    assert report["exit"] == code and report["sentence"].endswith(".")


# --- the page ---


class Strict(HTMLParser):
    """Counts what is open, and collects what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    report = json.loads(json.dumps(a_report()))  # as it comes back from --json
    text = page.html(report)
    strict = Strict()
    strict.feed(text)
    assert strict.open == [] and strict.fetched == [] and "<script" not in text
    assert "<hostile>" not in text and "&lt;hostile&gt;" in text and "&lt;system&gt;" in text
    assert text.count("<svg") == 7 and "prefers-color-scheme: dark" in text
    assert "nan" not in re.sub("<style>.*</style>", "", text, flags=re.S).lower()


def test_the_page_of_a_run_without_faults_leaves_out_the_time_line() -> None:
    text = page.html(a_report(faults=[], restarts={"a": 0}, orphans=None, visits=0))
    assert "Faults and restarts" not in text and "not tried" in text

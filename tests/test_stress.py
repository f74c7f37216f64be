"""`run_engine.py stress` with the real engine: a good one passes, and every lie is seen."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import Exit
from engine.process import ROOT
from engine.stress import graph, main, promises, runner
from engine.stress.leftovers import leftovers

GOOD = (Exit.OK, Exit.OVER_BUDGET)  # how much a run costs is not for a test to say, on a machine that others use
FAULTS = ROOT / "tests" / "faults"


@pytest.fixture
def stress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Runs the command; returns its exit code and its report."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(runner, "IDLE_S", 0.2)

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        target = tmp_path / "report.json"
        code = main.main(["stress", "--size", "64x64", "--json", str(target), *words])
        return code, json.loads(target.read_text(encoding="utf-8"))

    return run


@pytest.fixture
def lying(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a node that does not keep the rules (tests/faults/nodes/lie) in the place of one of ours."""
    monkeypatch.syspath_prepend(str(FAULTS))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(FAULTS)]))

    def lie(node: str, how: str) -> None:
        written = graph._written

        def with_a_liar(name: str, folder: Path, nodes: dict[str, Any]) -> Any:
            kind = nodes[node]["type"].removeprefix("stress.")
            nodes[node] |= {"type": f"lie.{kind}", "how": how}
            return written(name, folder, nodes)

        monkeypatch.setattr(graph, "_written", with_a_liar)

    return lie


def wrong(report: dict[str, Any], stream: str, name: str) -> str:
    """What is complained of in the books of one reader, or one writer."""
    readers = [r for r in report["readers"] if (r["stream"], r["name"]) == (stream, name)]
    writers = [w for w in report["writers"] if (w["stream"], w["node"]) == (stream, name)]
    (books,) = readers or writers
    return "; ".join(books["wrong"])


def test_a_good_engine_passes_and_leaves_nothing(
    stress: Callable, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    page = tmp_path / "report.html"
    code, report = stress("--seconds", "3", "--fps", "100", "--readers", "3", "--html", str(page))
    assert code in GOOD and promises.complaints(report) == []
    assert code == report["exit"]
    assert report["totals"]["seen"] > 100 and not any(report["totals"][key] for key in ("torn", "repeated", "back"))
    assert {(r["name"], r["policy"]) for r in report["readers"]} == {
        ("reader-1", "every"), ("reader-2", "latest"), ("reader-3", "every"), ("relay", "every"), ("tail", "every"),
        ("TouchDesigner", "TouchDesigner"),
    }  # fmt: skip
    assert all(r["received"] > 0 for r in report["readers"])
    assert {"source → reader-1", "relay → tail", "source → TouchDesigner"} <= set(report["hops"])
    assert len(report["budgets"]) == 9 and report["idle_cpu"].keys() == {"supervisor", *report["restarts"]}
    assert report["left_behind"] == [] and leftovers("stress-") == []
    assert "<svg" in page.read_text(encoding="utf-8")
    said = capsys.readouterr().out
    assert f"seed {report['seed']}" in said and "balance" in said and "P4 kept" in said
    assert not list(tmp_path.glob("utsushi-stress-*")) or code != Exit.OK


def test_frames_end_the_run_exactly(stress: Callable) -> None:
    code, report = stress("--frames", "3000", "--seconds", "60", "--fps", "0")
    assert code in GOOD and promises.complaints(report) == []
    assert next(w["published"] for w in report["writers"] if w["stream"] == "source") == 3000
    assert report["seconds"] < 60


def test_the_books_balance_after_faults(stress: Callable) -> None:
    code, report = stress("--seconds", "6", "--chaos", "0.5", "--seed", "36")  # it deals a kill first, and a stop last
    assert code in GOOD and promises.complaints(report) == [], report["sentence"]
    kinds = [fault["kind"] for fault in report["faults"]]
    assert kinds[0] == "kill" and len(set(kinds[:6])) == len(kinds[:6])
    assert sum(report["restarts"].values()) >= 1
    assert "bad messages" not in kinds or report["rejected"] > 0
    kept = {p["name"]: p["verdict"] for p in report["promises"]}
    assert {kept[name] for name in ("P1", "P2", "P4", "P5", "P6", "P7")} == {promises.KEPT}, report["promises"]
    assert kept["P9"] == (promises.KEPT if report["visits"] else promises.NOT_TRIED)


def test_an_own_config_is_judged_with_a_numbered_stream_beside_it(stress: Callable, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "nodes:\n  camera: {type: camera.pattern, size: [32, 32]}\n  mirror: {type: filter.mirror, input: camera}\n"
        "  output: {type: output.touchdesigner, input: mirror, size: [32, 32]}\n"
    )
    code, report = stress("--config", str(own), "--seconds", "3")
    assert code in GOOD and promises.complaints(report) == []
    assert {w["stream"] for w in report["writers"]} == {"camera", "mirror", "output", "stress-source"}
    viewers = {r["stream"]: r for r in report["readers"] if r["policy"] == "TouchDesigner"}
    assert set(viewers) == {"output", "stress-source"} and all(v["received"] > 0 for v in viewers.values())
    assert {"capture → mirror", "stress-source → stress-reader"} <= set(report["hops"])


TORN = {"source": "torn"}
CROOKED = {"source": "forgets", "relay": "repeats", "reader-1": "goes_back"}
TWISTED = {"relay": "goes_back", "reader-1": "repeats", "reader-2": "forgets"}


@pytest.mark.parametrize(
    "liars, seen",
    [
        (TORN, {("source", "reader-1"): "torn", ("source", "relay"): "torn", ("source", "TouchDesigner"): "torn"}),
        (CROOKED, {("source", "source"): "count as published", ("relay", "tail"): "repeated",
                   ("source", "reader-1"): "came out of order"}),
        (TWISTED, {("relay", "tail"): "came out of order", ("source", "reader-1"): "repeated",
                   ("source", "reader-2"): "were looked at"}),
    ],
    ids=["torn", "crooked", "twisted"],
)  # fmt: skip
def test_every_lie_is_seen(
    stress: Callable, lying: Callable, liars: dict[str, str], seen: dict[tuple[str, str], str]
) -> None:
    for node, how in liars.items():
        lying(node, how)
    code, report = stress("--seconds", "1.5", "--fps", "60", "--readers", "2")
    assert code == report["exit"] == Exit.NOT_PROVEN
    for (stream, name), sentence in seen.items():
        assert sentence in wrong(report, stream, name), promises.complaints(report)
    if "source" not in liars:
        assert wrong(report, "source", "relay") == wrong(report, "source", "source") == ""  # nobody else is accused


BROKEN_BOOKS = """
from engine.books import Books
def accept(self, seq, ordinal, accept=Books.accept):
    if ordinal % 7 == 0:
        self.received -= 1  # a frame that was received counts as missed
    accept(self, seq, ordinal)
Books.accept = accept
"""


def test_an_engine_that_keeps_wrong_books_is_seen(
    stress: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN_BOOKS)  # in every process that the engine starts
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    code, report = stress("--seconds", "1.5", "--readers", "1")
    assert code == Exit.NOT_PROVEN
    assert "were looked at" in wrong(report, "source", "reader-1")


def test_an_engine_that_ends_by_itself_ends_the_run_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif '--config' in sys.argv: sys.exit('nothing works today')\n", encoding="utf-8"
    )
    assert main.main(["stress", "--seconds", "2"]) == Exit.FAILED
    said = capsys.readouterr().err
    assert "ended by itself" in said and "Logs and counts lie in" in said


WITHOUT_R4 = """
import sys
from importlib import abc, util
SECOND_LOOK = "if self._words[at >> 3] != 2 * seq:  # R4"
class Finder(abc.MetaPathFinder, abc.Loader):
    def find_spec(self, name, path, target=None):
        if name != "engine.ring_reader":
            return None
        sys.meta_path.remove(self)
        self.place = util.find_spec(name).origin
        return util.spec_from_loader(name, self)
    def exec_module(self, module):
        text = open(self.place, encoding="utf-8").read()
        assert text.count(SECOND_LOOK) == 1
        exec(compile(text.replace(SECOND_LOOK, "if False:  #"), self.place, "exec"), vars(module))
sys.meta_path.insert(0, Finder())
"""


def test_a_reader_without_its_second_look_at_the_mark_is_seen(
    stress: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one guard that no lie can stand in for: here real pictures are torn, by a writer that is too quick."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_R4, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    code, report = stress("--seconds", "2", "--fps", "0", "--size", "640x360", "--readers", "1")
    assert code == Exit.NOT_PROVEN and report["totals"]["torn"] > 0
    assert "torn" in wrong(report, "source", "reader-1")
    assert wrong(report, "source", "TouchDesigner") == ""  # the bridge's reader still looks twice

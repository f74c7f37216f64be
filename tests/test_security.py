"""docs/SECURITY.md, where it can be tested: who can reach what, and what nobody can bring the engine to do."""

from __future__ import annotations

import ast
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_kit import Engine, until
from fake_engine import FakeEngine, RingReader
from jobs_kit import job_file, script, stage
from test_demo import MISSING

from engine import shm
from engine.config import live_fields, registry
from engine.directory import Directory
from engine.errors import SegmentError
from engine.process import ROOT
from engine.shm import Segment

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps to the user's profile, not to modes")
SOURCES = [
    path
    for folder in ("engine", "nodes", "td_bridge", "tools", "bench", ".")
    for path in (ROOT / folder).glob("*.py" if folder == "." else "**/*.py")
]

# --- the network ---

NODES = """\
  camera: {type: camera.pattern, size: [64, 64], fps: 30}
  mirror: {type: filter.mirror, input: camera}
  output: {type: output.touchdesigner, input: mirror, size: [64, 64]}
"""


def sockets(pid: int) -> set[tuple[int, str, int]]:
    """Every address that the process and all that it has started can be reached at: (kind, host, port)."""
    found = set()
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                found |= {(int(c.type), *c.laddr) for c in one.net_connections("inet") if c.laddr}
    return found


def outside(found: set[tuple[int, str, int]]) -> set[tuple[int, str, int]]:
    return {one for one in found if not ip_address(one[1]).is_loopback}


def reached(words: list[str], folder: Path, until_up: str = "") -> set[tuple[int, str, int]]:
    """Run the command; every address at which it can be reached until it ends, or until all nodes of an engine run."""
    environment = {**os.environ, "UTSUSHI_HOME": str(folder / "home"), "TMPDIR": str(folder)}
    with open(folder / "said.txt", "wb") as said:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "run_engine.py"), *words], cwd=ROOT, env=environment, stdout=said, stderr=said
        )
    found, up, deadline = set(), False, time.monotonic() + 120
    try:
        while process.poll() is None and not up and time.monotonic() < deadline:
            up = bool(until_up) and all_run(until_up)
            found |= sockets(process.pid)
            time.sleep(0.05)
        assert up if until_up else process.poll() == 0, (folder / "said.txt").read_text("utf-8")
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
    return found


def all_run(engine: str) -> bool:
    with suppress(SegmentError), closing(Directory.attach(engine)) as directory:
        phases = [node.phase for node in directory.health()]
        return bool(phases) and set(phases) == {"RUNNING"}
    return False


def test_nothing_that_a_job_starts_can_be_reached_from_another_machine(tmp_path: Path) -> None:
    loop = script("import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); time.sleep(0.5)")
    file = job_file(tmp_path, [stage("one", "wait")], {"wait": loop})
    found = reached(["jobs", str(file), "--notify", "127.0.0.1:9"], tmp_path)
    assert found and not outside(found)


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_nothing_of_the_demo_can_be_reached_from_another_machine(tmp_path: Path) -> None:
    name, config = f"s{os.getpid() % 100000}", tmp_path / "demo.yaml"
    demo = (ROOT / "configs" / "demo.yaml").read_text(encoding="utf-8")
    config.write_text(demo.replace("name: utsushi", f"name: {name}"), encoding="utf-8")
    found = reached(["--config", str(config)], tmp_path, until_up=name)
    assert len(found) >= 2 + demo.count("type: ") and not outside(found)  # control, OSC, and a way into each node


# --- other users of the machine ---


@pytest.fixture
def open_handed() -> Iterator[None]:
    """As careless a umask as there can be."""
    kept = os.umask(0)
    yield
    os.umask(kept)


def test_a_running_engine_is_closed_to_other_machines_and_other_users(
    open_handed: None, launch: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = launch(NODES)
    until(lambda: engine.running() and engine.node(2)["steps"] > 5, 30, engine)
    found = sockets(engine.process.pid)
    assert len(found) >= 4 and not outside(found)  # control, OSC, a doorbell or a bell in each node
    if sys.platform != "win32":  # which keeps to the user's profile, not to modes
        assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    if sys.platform == "linux":  # which shows its segments
        for name in (engine.directory().segment.name, engine.directory().stream(0).segment):
            assert stat.S_IMODE(Path("/dev/shm", name).stat().st_mode) == 0o600
    assert engine.stop() == 0


@posix_only
def test_the_folders_of_jobs_are_closed_to_others(open_handed: None, tmp_path: Path) -> None:
    from processes import make_private

    make_private(tmp_path / "bridge" / "logs")
    assert stat.S_IMODE((tmp_path / "bridge").stat().st_mode) == 0o700
    file = job_file(tmp_path, [stage("one", "wait")], {"wait": script("pass")})
    environment = {**os.environ, "UTSUSHI_HOME": str(tmp_path / "home")}
    subprocess.run([sys.executable, str(ROOT / "run_engine.py"), "jobs", str(file)], env=environment, check=True)
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


@posix_only
def test_memory_that_another_user_has_put_there_is_not_read(
    engine: FakeEngine, reader: RingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.publish()
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert reader.poll() is None and reader.state == "MISMATCH" and "another user" in reader.message
    with pytest.raises(SegmentError, match="another user"):
        Segment.attach(engine.directory.segment.name)


def test_only_names_of_segments_are_opened_or_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shm, "_open", lambda name: pytest.fail(name))
    for name in ("../../etc/passwd", "/dev/null", "a/b", "", "a" * 64, "a\0b", "ä"):
        with pytest.raises(SegmentError):
            Segment.attach(name)


# --- code ---


def test_a_message_can_change_no_file_name_but_the_performers() -> None:
    texts = set()
    for node_type in registry.known_types():
        node_class = registry.find(node_type)
        for name in live_fields(node_class):
            kind = re.sub(r"Literal\[[^]]*\]", "", str(node_class.Config.model_fields[name].annotation))
            if "str" in kind or "Path" in kind:
                texts.add((node_type, name))
    assert texts == {("generator.performer", "performer")}, "a stranger could set these: docs/SECURITY.md"


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, by the last two words of what is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ".".join(ast.unparse(node.func).split(".")[-2:]), node


def given(call: ast.Call, word: str) -> Any:
    return next((ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == word), None)


BANNED = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads",
    "shelve.open", "subprocess.getoutput", "subprocess.getstatusoutput", "yaml.load", "yaml.load_all", "yaml.full_load",
    "yaml.unsafe_load", "joblib.load", "pd.read_pickle", "hub.load", "ctypes.string_at", "struct.pack_into",
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_can_become_code(path: Path) -> None:
    for name, call in calls(path):
        where = f"{path.relative_to(ROOT)}:{call.lineno}: {name}"
        assert name not in BANNED, where
        assert given(call, "shell") in (None, "False"), where
        assert name != "torch.load" or given(call, "weights_only") == "True", where
        assert not name.endswith("np.load") or given(call, "allow_pickle") == "False", where
        assert name != "yaml.compose" or given(call, "Loader") == "_Loader", where
        if name.startswith("subprocess.") and call.args:  # words, never one string
            assert not isinstance(call.args[0], ast.Constant | ast.JoinedStr), where


def test_nothing_is_pickled_between_processes() -> None:
    """bench/ compares with Python's own queues and pipes, which do; nothing else may."""
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        named = {n.module if isinstance(n, ast.ImportFrom) else a.name for n in imports for a in n.names}
        if path.is_relative_to(ROOT / "bench"):
            continue
        if path != ROOT / "engine" / "stress" / "chaos.py":  # it sends one, to see it refused
            assert "pickle" not in named, path
        assert not named & {"cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}, path
        allowed = {"multiprocessing", "multiprocessing.shared_memory"} if path.name == "shm.py" else set()
        assert not {name for name in named if str(name).startswith("multiprocessing")} - allowed, path


def test_a_config_is_read_by_the_careful_loader() -> None:
    import yaml

    from engine.config.yaml_source import _Loader

    assert issubclass(_Loader, yaml.SafeLoader)

"""td_bridge's launcher with real processes: starting, attaching, stopping whatever resists, saying what is wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import launcher as module
import psutil
import pytest
import stopping
from fake_engine import FakeEngine
from launcher import Launcher, osc_message

from engine.osc_codec import decode
from engine.process import ROOT
from engine.session import Session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and sessions; for Windows: test_wine_launcher")

# What stands in for an engine: it gives signs of life, and does what the test adds.
ENGINE = """\
import os, signal, subprocess, sys, time
sys.path[:0] = [{root!r}, {tests!r}]
from fake_engine import FakeEngine
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
{more}
print("the first line", flush=True)
engine = FakeEngine({name!r}, session=77)
engine.directory["supervisor_pid"] = os.getpid()
while not asked:
    engine.beat()
    time.sleep(0.02)
engine.close()
"""
STUBBORN = "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGINT)]; "


@pytest.fixture
def another_touchdesigner(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From this call on the test is in another process, as far as the bridge can tell."""
    return lambda: monkeypatch.setitem(sys.modules, "_utsushi_bridge", ModuleType("_utsushi_bridge"))


@pytest.fixture
def make(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, another_touchdesigner: Callable[[], None]
) -> Iterator[Callable[..., Launcher]]:
    """make(): a launcher of the stand-in. make(program): of another program. make(more=…): it does more."""
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    for limit, value in (("TERMINATE_S", 0.5), ("KILL_S", 1.0), ("GIVE_UP_S", 20.0)):
        monkeypatch.setattr(module, limit, value)
    another_touchdesigner()
    others = set(psutil.Process().children(recursive=True))  # those of other tests, such as Python's resource tracker
    engine = ENGINE.replace("{root!r}", repr(str(ROOT))).replace("{tests!r}", repr(str(ROOT / "tests")))

    def make(program: str = "", more: str = "", **how: Any) -> Launcher:
        text = program or engine.replace("{name!r}", repr(name)).replace("{more}", more)
        (tmp_path / "run_engine.py").write_text(text, encoding="utf-8")
        return Launcher(tmp_path, **{"python": sys.executable, "engine": name, **how})

    yield make
    begun = [child for child in psutil.Process().children(recursive=True) if child not in others]
    left = [child for child in begun if child.status() != psutil.STATUS_ZOMBIE]
    for child in left:
        child.kill()
    FakeEngine(name, session=1).close()  # sweeps what a killed stand-in has left
    Session(name).close()  # and an engine
    assert left == []


def until(launcher: Launcher, *states: str, seconds: float = 30) -> None:
    """Frames until it is in one of these states; a watchdog, not a measurement."""
    deadline = time.monotonic() + seconds
    while launcher.state not in states:
        assert time.monotonic() < deadline, (launcher.state, launcher.message, launcher.log_tail())
        launcher.poll()
        time.sleep(0.01)


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not path.exists() or not path.read_text(encoding="utf-8").endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_text(encoding="utf-8")


def is_there(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


# --- the engine itself ---


def test_an_engine_is_started_shared_and_stopped(
    make: Callable[..., Launcher],
    name: str,
    tmp_path: Path,
    another_touchdesigner: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TERMINATE_S", 25.0)  # however busy the machine is, to be asked must do
    config = tmp_path / "show.yaml"
    nodes = "  camera: {type: camera.pattern, size: [16, 16]}"
    config.write_text(f"engine: {{name: {name}, osc: {{port: 0}}}}\nnodes:\n{nodes}\n", "utf-8")
    make()
    launcher = Launcher(ROOT, sys.executable, str(config), name)
    launcher.start()
    assert launcher.state == "STARTING"
    until(launcher, "RUNNING")
    panel, deadline = tmp_path / "home" / f"{name}.panel.json", time.monotonic() + 20
    while not panel.exists() or not launcher.log_tail():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert name in launcher.message and name in launcher.log_tail(1)[0]
    another_touchdesigner()
    other = Launcher(ROOT, sys.executable, str(config), name)
    other.start()
    assert other.state == "ATTACHED" and other.log_tail() == launcher.log_tail()
    other.keep_running = False
    other.close()
    other.poll()
    assert other.state == "ATTACHED", "closing stops only what was started there"
    other.stop()
    assert other.message == "The engine is asked to stop."
    until(other, "STOPPED")
    assert other.message == "The engine was stopped."


# --- starting ---


def test_how_a_program_is_started(make: Callable[..., Launcher], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/touchdesigner/lib")
    monkeypatch.setenv("PYTHONHOME", "/touchdesigner")
    tell = "import json, os, sys; print(json.dumps([sys.argv, os.getcwd(), os.getsid(0), os.getpid(), "
    tell += "os.environ.get('PYTHONPATH'), os.environ.get('PYTHONHOME'), sys.stdin.read()]))"
    launcher = make(tell, config="a b; c.yaml")
    launcher.start()
    until(launcher, "STOPPED")
    argv, folder, session, pid, *python, stdin = json.loads(launcher.log_tail(1)[0])
    assert argv == [str(launcher.folder / "run_engine.py"), "--config", str(launcher.folder / "a b; c.yaml")]
    assert folder == str(launcher.folder) and session == pid, "a session of its own"
    assert python == [None, None] and stdin == ""


def test_nothing_in_here_waits(make: Callable[..., Launcher], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it waits")

    launcher = make(more=f"subprocess.Popen([sys.executable, '-c', {STUBBORN + 'time.sleep(60)'!r}])")
    for action in (launcher.start, launcher.restart, launcher.stop):
        with monkeypatch.context() as strict:
            strict.setattr(time, "sleep", refuse)
            for call in ("wait", "communicate"):
                strict.setattr(subprocess.Popen, call, refuse)
            action()
            for _ in range(50):
                launcher.poll()
                launcher.log_tail()
        until(launcher, "RUNNING", "STOPPED")


def test_the_interpreter_is_the_folders_own(make: Callable[..., Launcher], tmp_path: Path) -> None:
    launcher = make("print('hello')", python="")
    own = tmp_path / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)
    launcher.start()
    process = launcher._process
    assert process is not None and isinstance(process.args, list) and process.args[0] == str(own)
    until(launcher, "STOPPED")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"python": ""}, ["no Python at", ".venv", "--setup"]),
        ({"python": "python3"}, ["no Python at 'python3'", "full path"]),
        ({"python": "/nowhere/python"}, ["no Python at '/nowhere/python'"]),
        ({"python": "/Applications/TouchDesigner.app/Contents/MacOS/TouchDesigner"}, ["TouchDesigner itself"]),
        ({"python": str(ROOT / "pyproject.toml")}, ["does not start"]),
        ({"engine": "Utsushi"}, ["name has 1 to 16"]),
        ({"engine": "../x"}, ["name has 1 to 16"]),
        ({"config": "a\0b"}, ["does not start"]),
    ],
)
def test_what_cannot_be_started_is_a_sentence(
    make: Callable[..., Launcher], how: dict[str, str], words: list[str]
) -> None:
    launcher = make(**how)
    launcher.start()
    assert launcher.state == "FAILED" and all(word in launcher.message for word in words), launcher.message
    launcher.poll()
    assert launcher.state == "FAILED", "it is said until something else is done"
    assert launcher._process is None


def test_a_folder_that_is_not_utsushis(make: Callable[..., Launcher], tmp_path: Path, name: str) -> None:
    make()
    launcher = Launcher(tmp_path / "elsewhere", engine=name)
    launcher.start()
    assert launcher.state == "FAILED" and "elsewhere" in launcher.message and "run_engine.py" in launcher.message


def test_a_log_that_cannot_be_written_is_a_sentence(make: Callable[..., Launcher], tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    launcher = make()
    launcher.start()
    assert launcher.state == "FAILED" and launcher.message
    (tmp_path / "home").unlink()


def test_a_crash_at_the_start_is_told_with_its_last_lines(make: Callable[..., Launcher]) -> None:
    figures = "print('    3 s | camera running 30 fps')"
    launcher = make(
        f"import sys; print('one'); print('two'); print('three 1.0'); {figures}; sys.exit('error: no camera')"
    )
    launcher.start()
    until(launcher, "FAILED")
    assert "exit code 1" in launcher.message and launcher.message.endswith("two / three 1.0 / error: no camera")
    assert launcher.log_tail(2) == ["    3 s | camera running 30 fps", "error: no camera"]
    make()
    launcher.start()
    until(launcher, "RUNNING")
    assert launcher.log_tail() == ["the first line"]
    launcher.stop()
    until(launcher, "STOPPED")


def test_an_engine_that_is_killed_is_told(make: Callable[..., Launcher]) -> None:
    launcher = make()
    launcher.start()
    until(launcher, "RUNNING")
    os.kill(launcher._pid, signal.SIGKILL)
    until(launcher, "FAILED")
    for _ in range(30):
        time.sleep(0.01)
        launcher.poll()
        assert launcher.state == "FAILED" and "exit code -9" in launcher.message, "its memory looks alive for a while"


def test_one_that_starts_slowly_says_so(make: Callable[..., Launcher], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW_S", 0.1)
    launcher = make("import time; print('loading', flush=True); time.sleep(60)")
    launcher.start()
    deadline = time.monotonic() + 20
    while "another name" not in launcher.message or "loading" not in launcher.message:
        assert time.monotonic() < deadline and launcher.state == "STARTING"
        launcher.poll()
    launcher.stop()
    until(launcher, "STOPPED")


# --- attaching ---


def test_a_running_engine_is_attached_to_and_none_is_started(make: Callable[..., Launcher], name: str) -> None:
    launcher = make()
    running = FakeEngine(name)
    running.directory["supervisor_pid"] = 4711
    launcher.poll()
    assert launcher.state == "ATTACHED" and "4711" in launcher.message
    launcher.start()
    assert launcher.state == "ATTACHED" and launcher._process is None
    assert launcher.log_tail() == [], "it prints into somebody's terminal"
    running.close()
    until(launcher, "STOPPED")
    assert launcher.message == "The engine has ended."


def test_somebody_who_was_quicker_is_attached_to(make: Callable[..., Launcher], name: str) -> None:
    launcher = make("import time, sys; time.sleep(0.5); sys.exit('error: it runs already')")
    launcher.start()
    running = FakeEngine(name)
    deadline = time.monotonic() + 20
    while launcher.state != "ATTACHED" or launcher._process is not None:
        assert time.monotonic() < deadline
        running.beat()
        launcher.poll()
    running.close()


def test_new_settings_keep_hold_of_the_engine(make: Callable[..., Launcher]) -> None:
    first = make()
    first.start()
    until(first, "RUNNING")
    second = make(config="another.yaml")
    second.poll()
    assert second.state == "RUNNING" and second.log_tail() == ["the first line"]
    second.keep_running = False
    second.close()
    assert second.state == "STOPPED"


# --- stopping ---


@pytest.mark.parametrize("own_session", [False, True])
@pytest.mark.parametrize("head", ["signal.signal(signal.SIGTERM, signal.SIG_IGN)", "", "asked.append(1)"])
def test_the_whole_tree_ends_whoever_resists(
    make: Callable[..., Launcher], tmp_path: Path, head: str, own_session: bool
) -> None:
    """head: what the program itself does about SIGTERM: ignores it, ends, or has ended by itself meanwhile."""
    grandchild = f"{STUBBORN} import os; print(os.getpid(), flush=True); time.sleep(60)"
    child = (
        f"{STUBBORN} import subprocess, sys; subprocess.Popen([sys.executable, '-c', {grandchild!r}], "
        f"start_new_session={own_session}, stdout=open({str(tmp_path / 'pid')!r}, 'w')); time.sleep(60)"
    )
    launcher = make(more=f"child = subprocess.Popen([sys.executable, '-c', {child!r}])")
    program = launcher.folder / "run_engine.py"
    ends = head == "asked.append(1)"
    late = f"    if os.path.exists({str(tmp_path / 'end')!r}): asked.append(1)\n" if ends else ""
    text = program.read_text(encoding="utf-8").replace(
        "while not asked:\n", f"{'' if ends else head}\nwhile not asked:\n{late}"
    )
    program.write_text(text)
    launcher.start()
    until(launcher, "RUNNING")
    pid = int(wait_for(tmp_path / "pid"))
    assert is_there(pid)
    launcher.stop()
    if ends:
        (tmp_path / "end").write_text("")
    until(launcher, "STOPPED")
    deadline = time.monotonic() + 10
    while is_there(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_that_cannot_be_killed_is_told(make: Callable[..., Launcher], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GIVE_UP_S", 1.5)
    launcher = make(more="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    launcher.start()
    until(launcher, "RUNNING")
    pid = launcher._pid
    with monkeypatch.context() as weak:
        weak.setattr(stopping.Family, "kill", lambda self: None)
        launcher.keep_running = False
        launcher.close()  # gives up in the end
    assert launcher.state == "STOPPING" and f"process {pid}" in launcher.message
    os.kill(pid, signal.SIGKILL)
    until(launcher, "STOPPED")


def test_restart_waits_for_the_end_and_starts_again(make: Callable[..., Launcher]) -> None:
    launcher = make()
    launcher.restart()
    until(launcher, "RUNNING")
    first = launcher._pid
    launcher.stop()
    launcher.start()  # while it is still stopping
    assert launcher.state == "STOPPING"
    until(launcher, "RUNNING")
    assert launcher._pid != first
    launcher.restart()
    launcher.stop()  # thought better of it
    until(launcher, "STOPPED")
    for _ in range(20):
        launcher.poll()
    assert launcher.state == "STOPPED"


def test_stopping_where_nothing_runs_is_a_sentence(make: Callable[..., Launcher], name: str) -> None:
    launcher = make()
    launcher.stop()
    assert launcher.state == "STOPPED" and name in launcher.message


@pytest.fixture
def ear() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(0.2)
        yield ear


def write_panel(launcher: Launcher, ear: socket.socket, **about: Any) -> None:
    host, port = ear.getsockname()
    whole = {"format": "utsushi.panel/1", "session": 77, "streams": [], "nodes": []}
    panel = {**whole, "osc": {"host": host, "port": port}, **about}
    (launcher.log.parent.parent / f"{launcher.engine}.panel.json").write_text(json.dumps(panel))


def test_it_is_asked_by_osc_again_and_again(
    make: Callable[..., Launcher], ear: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TERMINATE_S", 5.0)
    monkeypatch.setattr(module, "STALE_NS", 30_000_000_000)  # a busy machine may hold the stand-in up
    launcher = make()
    launcher.start()
    until(launcher, "RUNNING")
    write_panel(launcher, ear)
    launcher.stop()
    assert launcher.message == "The engine is asked to stop."
    assert list(decode(ear.recv(1000))) == [("/utsushi/engine/stop", [])]
    until(launcher, "STOPPED")
    assert ear.recv(1000) == osc_message("/utsushi/engine/stop")


@pytest.mark.parametrize("about", [{"session": 78}, {"osc": None}, {"osc": {"port": "x"}}, {"osc": 5}, {"format": ""}])
def test_an_older_panel_is_not_believed(
    make: Callable[..., Launcher], ear: socket.socket, about: dict[str, Any]
) -> None:
    launcher = make()
    launcher.start()
    until(launcher, "RUNNING")
    write_panel(launcher, ear, **about)
    launcher.stop()
    assert launcher.message == "The engine is told to end."
    with pytest.raises(TimeoutError):
        ear.recv(1000)
    until(launcher, "STOPPED")


def test_somebody_elses_engine_can_be_stopped(make: Callable[..., Launcher], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TERMINATE_S", 25.0)  # it is told once, at the beginning
    launcher = make()
    program = launcher.folder / "run_engine.py"  # one that takes its time after its last sign of life
    program.write_text(program.read_text("utf-8") + "time.sleep(0.3)\n", "utf-8")
    process = subprocess.Popen([sys.executable, launcher.folder / "run_engine.py"], stdout=subprocess.DEVNULL)
    until(launcher, "ATTACHED")
    launcher.stop()
    until(launcher, "STOPPED")
    assert process.wait(1) == 0, "it has ended by itself, and just now at the latest"


@pytest.mark.parametrize("pid", [0, 1, 2**31, 2**64 - 1, 2**64 - os.getpid()])
def test_a_process_that_cannot_be_an_engine_is_left_alone(
    make: Callable[..., Launcher], name: str, monkeypatch: pytest.MonkeyPatch, pid: int
) -> None:
    for limit in ("TERMINATE_S", "KILL_S", "GIVE_UP_S"):
        monkeypatch.setattr(module, limit, 0.0)
    launcher, lying = make(), FakeEngine(name)
    lying.directory["supervisor_pid"] = pid
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *what: signals.append(what))
    launcher.stop()
    for _ in range(10):
        launcher.poll()
    assert launcher.state == "STOPPING" and signals == []
    lying.close()
    until(launcher, "STOPPED")
    assert signals == []


def test_a_number_that_is_somebody_elses_by_now_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {10: (1, "noon"), 11: (10, "noon"), 12: (11, "one"), 13: (1, "noon")}
    monkeypatch.setattr(stopping, "processes", lambda: dict(table))
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: killed.append(pid))
    family = stopping.Family(10)
    del table[10]  # ended, and its child has lost its parent
    table[11] = (1, "noon")
    table[12] = (1, "two")  # ended, and another program has its number
    family.kill()
    assert killed == [11]


# --- TouchDesigner closes ---


def test_the_engine_outlives_touchdesigner(
    make: Callable[..., Launcher], another_touchdesigner: Callable[[], None]
) -> None:
    launcher = make()
    launcher.start()
    until(launcher, "RUNNING")
    launcher.close()
    another_touchdesigner()
    later = make()
    later.poll()
    assert later.state == "ATTACHED" and later.log_tail() == ["the first line"]
    later.stop()
    until(later, "STOPPED")


@pytest.mark.parametrize("more", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_without_keep_running_it_ends_with_touchdesigner(make: Callable[..., Launcher], more: str) -> None:
    launcher = make(more=more)
    launcher.keep_running = False
    launcher.start()
    until(launcher, "RUNNING")
    pid = launcher._pid
    launcher.close()
    assert launcher.state == "STOPPED" and not is_there(pid)
    launcher.close()


def test_it_really_outlives_the_process_that_started_it(make: Callable[..., Launcher], name: str) -> None:
    launcher = make()
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'td_bridge')!r})\nfrom launcher import Launcher\n"
        f"launcher = Launcher({str(launcher.folder)!r}, {sys.executable!r}, '', {name!r})\nlauncher.start()\n"
        "import time\nwhile launcher.state != 'RUNNING': time.sleep(0.01); launcher.poll()\nlauncher.close()"
    )
    subprocess.run([sys.executable, "-W", "ignore::ResourceWarning", "-c", code], check=True, timeout=60)
    until(launcher, "ATTACHED")
    launcher.stop()
    until(launcher, "STOPPED")


def test_an_osc_message_is_filled_up_to_four_bytes() -> None:
    for letters in range(1, 9):
        address = "/" + "a" * letters
        assert list(decode(osc_message(address))) == [(address, [])] and len(osc_message(address)) % 4 == 0

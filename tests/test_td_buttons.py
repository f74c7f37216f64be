"""The component's buttons: the engine is started, stopped and restarted, and a chain of jobs is run and cancelled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fake_engine import new_name
from fake_td import net
from td_kit import Desk

NODES = """\
  camera: {type: camera.pattern, size: [16, 16]}
  output: {type: output.touchdesigner, input: camera, size: [16, 16]}
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    others = set(psutil.Process().children(recursive=True))  # of other tests
    desk = Desk(name := new_name())
    config = tmp_path / "show.yaml"
    config.write_text(f"engine: {{name: {name}}}\nnodes:\n{NODES}", encoding="utf-8")
    desk.par.Config, desk.par.Python = str(config), sys.executable
    desk.par.Keeprunning = False
    yield desk
    desk.close()
    begun = set(psutil.Process().children(recursive=True)) - others
    _, left = psutil.wait_procs(begun, timeout=20)
    assert left == [], "what was started here ends with TouchDesigner"


def launcher(desk: Desk) -> str:
    return desk.par.Launcher.eval()


def test_start_restart_and_stop(desk: Desk) -> None:
    desk.until(lambda: "press 'Start'" in desk.par.Status.eval())
    assert launcher(desk).startswith("STOPPED")
    desk.press("Start")
    desk.until(lambda: launcher(desk).startswith("STARTING"))
    desk.until(lambda: desk.par.State.eval() == "LIVE" and launcher(desk).startswith("RUNNING"), 60)
    desk.until(lambda: desk.comp.op("output").text, 30)
    first = desk.alive.launcher._pid
    desk.press("Restart")
    desk.until(lambda: launcher(desk).startswith("RUNNING") and desk.alive.launcher._pid != first, 60)
    desk.until(lambda: desk.par.State.eval() == "LIVE" and desk.chop("info")["restarts"] == 1)
    assert desk.picture.scriptErrors() == ""
    desk.press("Stop")
    desk.until(lambda: launcher(desk).startswith("STOPPED"), 30)
    desk.until(lambda: "was stopped" in desk.picture.scriptErrors() or "No engine" in desk.picture.scriptErrors())
    assert desk.picture.image is not None, "the last picture stays"


def test_an_engine_that_cannot_start_says_why(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "show.yaml").write_text("engine: {}\nnodes: {a: {type: camera.nothing}}\n")
    desk.press("Start")
    desk.until(lambda: launcher(desk).startswith("FAILED"), 60)
    assert "camera.nothing" in desk.comp.op("output").text + launcher(desk)
    desk.until(lambda: "exit code" in desk.par.Status.eval())


def test_a_folder_without_an_interpreter_says_how_to_set_it_up(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "run_engine.py").write_text("")
    desk.par.Python, desk.par.Folder = "", str(tmp_path)
    desk.press("Start")
    desk.until(lambda: launcher(desk).startswith("FAILED"))
    assert ".venv" in launcher(desk)


def test_a_second_touchdesigner_attaches(desk: Desk) -> None:
    desk.press("Start")
    desk.until(lambda: desk.par.State.eval() == "LIVE", 60)
    second = Desk(desk.par.Engine.eval())
    second.until(lambda: launcher(second).startswith("ATTACHED") and second.par.State.eval() == "LIVE")
    second.press("Start")
    second.until(lambda: launcher(second).startswith("ATTACHED"))
    second.close()
    desk.frame()
    assert desk.par.State.eval() == "LIVE", "closing the second leaves it alone"


# --- jobs ---

CALLBACKS = """
def onStart(info): parent().op("news").appendRow(["start", info["stage"]])
def onProgress(info): parent().op("news").appendRow(["progress", info["stage"]])
def onDone(info): parent().op("news").appendRow(["done", info["stage"], info["outputs"].get("out", "")])
def onFail(info): parent().op("news").appendRow(["fail", info["stage"]])
def onCancel(info): parent().op("news").appendRow(["cancel", info["stage"]])
"""


def prepare(desk: Desk, program: str, retries: str = "") -> None:
    """A chain of two stages; the second gets the first one's output."""
    comp = desk.comp
    comp.create("tableDAT", "news")
    comp.op("job_callbacks").text = CALLBACKS
    comp.op("commands").appendRow(["python", "", "", sys.executable, "-c", program])
    comp.op("stages").appendRow(["first", "python", "options", "second", "", "20", retries])
    comp.op("stages").appendRow(["second", "python", "options", "", "", "20", ""])
    comp.op("options").clear()


def news(desk: Desk) -> list[list[str]]:
    return [row for row in desk.table("news") if row[0] != "progress"]


def test_a_chain_of_jobs_calls_back_in_order(desk: Desk) -> None:
    prepare(desk, "print('hello')")
    desk.press("Runjobs")
    desk.until(lambda: desk.alive.jobs is not None and not desk.alive.jobs.busy, 60)
    desk.until(lambda: len(news(desk)) >= 6)
    assert [row[:2] for row in news(desk)] == [
        ["start", ""], ["start", "first"], ["done", "first"], ["start", "second"], ["done", "second"], ["done", ""],
    ]  # fmt: skip
    net.send("127.0.0.1", desk.comp.op("job_events").par.port.eval(), b"no message of ours")
    desk.frame()


def test_a_job_that_fails_and_one_that_is_cancelled(desk: Desk) -> None:
    prepare(desk, "import sys; sys.exit(3)")
    desk.press("Runjobs")
    desk.until(lambda: ["fail", ""] in [row[:2] for row in news(desk)], 60)
    assert ["start", "second"] not in [row[:2] for row in news(desk)]
    why = "first has failed: It ended with exit code 3 and said nothing."
    desk.until(lambda: desk.par.Status.eval() == why)
    assert [row[1:] for row in desk.table("log")[1:]] == [["ERROR", "jobs", why]]
    desk.comp.op("news").clear()
    desk.comp.op("commands").replaceRow(1, ["python", "", "", sys.executable, "-c", "import time; time.sleep(60)"])
    desk.press("Runjobs")
    desk.until(lambda: ["start", "first"] in [row[:2] for row in news(desk)], 60)
    desk.press("Canceljobs")
    desk.until(lambda: ["cancel", ""] in [row[:2] for row in news(desk)], 60)
    desk.until(lambda: "ancel" in desk.par.Jobstatus.eval())


def test_a_job_ends_with_touchdesigner(desk: Desk) -> None:
    prepare(desk, "import time; time.sleep(60)")
    desk.press("Runjobs")
    desk.until(lambda: ["start", "first"] in [row[:2] for row in news(desk)], 60)
    desk.close()  # and the fixture looks whether anything is left


def test_a_table_that_cannot_be_used_is_a_sentence(desk: Desk) -> None:
    desk.comp.op("stages").appendRow(["first", "python", "nowhere", "", "", "", ""])
    desk.press("Runjobs")
    desk.until(lambda: "nowhere" in desk.par.Status.eval())
    assert desk.table("log")[-1][1:3] == ["WARNING", "jobs"]

"""The launcher as a Windows process beside the engine that it starts (under Wine)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import psutil
from engine_kit import until
from wine_kit import FOLDER, PROGRAMS, Windows, needs_wine, windows_path

from engine.process import ROOT

pytestmark = needs_wine

NAME = f"l{os.getpid()}"
# run_engine.py without its look at what is installed: only what these nodes need is, on Windows' Python
PROGRAM = f"""\
import sys
sys.path.insert(0, {windows_path(ROOT)!r})
from engine.main import main
{{more}}
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""
CONFIG = """\
engine: {{name: {name}, osc: {osc}}}
nodes:
  camera: {{type: camera.pattern, size: [32, 32]}}
"""


class Desk:
    """A TouchDesigner with a launcher in it, on Windows."""

    def __init__(self, windows: Windows, folder: Path, osc: str = "{port: 0}", more: str = ""):
        (folder / "run_engine.py").write_text(PROGRAM.format(more=more), "utf-8")
        config = folder / "show.yaml"
        config.write_text(CONFIG.format(name=NAME, osc=osc), "utf-8")
        self.home = windows_path(folder / "home")
        self._program = windows.python(
            PROGRAMS / "launch.py", windows_path(folder), windows_path(config), NAME,
            UTSUSHI_HOME=self.home, PYTHONPATH=windows_path(FOLDER / "td"),
        )  # fmt: skip

    def ask(self, line: str) -> dict[str, Any]:
        return json.loads(self._program.ask(line))

    def processes(self) -> int:
        """The engine's, as Linux sees them."""
        found = 0
        for process in psutil.process_iter(["environ", "cmdline"]):
            words = " ".join(process.info["cmdline"] or ())
            ours = (process.info["environ"] or {}).get("UTSUSHI_HOME") == self.home
            found += ours and ("run_engine.py" in words or "engine.worker" in words)
        return found


def test_start_attach_restart_and_stop(windows: Windows, tmp_path: Path) -> None:
    desk = Desk(windows, tmp_path)
    assert desk.ask("start")["state"] == "STARTING"
    about = desk.ask("until RUNNING")
    assert about["state"] == "RUNNING" and desk.processes(), about
    first = about["pid"]
    desk.ask("restart")
    about = desk.ask("until RUNNING")
    assert about["state"] == "RUNNING" and about["pid"] != first, about
    desk.ask("forget")
    about = desk.ask("until ATTACHED")
    assert about["state"] == "ATTACHED" and NAME in about["log"][0], about
    until(lambda: (tmp_path / "home" / f"{NAME}.panel.json").exists(), 60)
    about = desk.ask("stop")
    assert about["message"] == "The engine is asked to stop.", about
    about = desk.ask("until STOPPED")
    assert about["message"] == "The engine was stopped.", about
    until(lambda: not desk.processes(), 60)


def test_without_osc_an_engine_is_killed_and_the_next_one_starts(windows: Windows, tmp_path: Path) -> None:
    desk = Desk(windows, tmp_path, osc="false")
    desk.ask("start")
    assert desk.ask("until RUNNING")["state"] == "RUNNING"
    assert desk.ask("stop")["message"] == "The engine is told to end."
    about = desk.ask("until STOPPED")
    assert about["state"] == "STOPPED", about
    until(lambda: not desk.processes(), 60)
    desk.ask("start")
    assert desk.ask("until RUNNING")["state"] == "RUNNING"
    desk.ask("close")  # which leaves it running
    assert desk.processes()
    desk.ask("stop")
    assert desk.ask("until STOPPED")["state"] == "STOPPED"


def test_what_an_engine_has_started_ends_with_it(windows: Windows, tmp_path: Path) -> None:
    child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[2], 'run_engine.py']); "
    more = f"import subprocess, time; sleep = 'import time; time.sleep(600)'; child = {child!r} + sleep\n"
    more += "subprocess.Popen([sys.executable, '-c', child, 'run_engine.py', sleep]); time.sleep(600)"
    desk = Desk(windows, tmp_path, more=more)
    desk.ask("start")
    until(lambda: desk.processes() >= 3, 60)
    desk.ask("stop")
    about = desk.ask("until STOPPED")
    assert about["state"] == "STOPPED", about
    until(lambda: not desk.processes(), 60)

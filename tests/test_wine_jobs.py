"""A chain of programs on Windows (under Wine): words arrive as they are, output is read, and the whole tree ends."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
from engine_kit import until
from jobs_kit import job_file, script, stage
from wine_kit import PROGRAMS, Windows, needs_wine, windows_path

from engine.setup.launch import INTERRUPTED

pytestmark = needs_wine

TEXT = 'a b "c" %PATH% ^& 日本'
TELL = script("import sys; print('2/4 done', flush=True); print(ascii(sys.argv[1:]))", options={"text": {}})
TREE = """
import subprocess, sys, time
other = [sys.executable, '-c', 'import sys, time; time.sleep(60)', sys.argv[1]]
subprocess.Popen(other)
print('up', flush=True)
time.sleep(60)
"""


def marked(mark: str) -> list[psutil.Process]:
    """The programs that have `mark` among their words, as Linux sees them."""
    return [one for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or ())]


def test_a_chain_runs_and_is_cancelled_with_its_tree(windows: Windows, tmp_path: Path) -> None:
    mark = f"mark-{tmp_path.name}-{id(tmp_path)}"
    commands = {"tell": TELL, "tree": script(TREE, options={"mark": {"word": "-"}})}
    file = job_file(
        tmp_path, [stage("one", "tell", ["text", TEXT], next="two"), stage("two", "tree", ["mark", mark])], commands
    )
    status = tmp_path / "status.json"
    runner = windows.python(
        PROGRAMS / "jobs.py", windows_path(file), "--status", windows_path(status),
        UTSUSHI_HOME=windows_path(tmp_path / "home"),
    )  # fmt: skip
    while "two | up" not in runner.hear():
        pass
    until(lambda: len(marked(mark)) == 2, 20)
    status.with_suffix(".cancel").touch()
    assert runner.process.wait(60) == INTERRUPTED
    until(lambda: not marked(mark), 20)
    events = json.loads(status.read_text(encoding="utf-8"))["events"]
    logged = {event["stage"]: event["text"] for event in events if event["event"] == "log"}
    assert logged["one"] == ascii(["--text", TEXT])
    told = [(event["stage"], event["event"]) for event in events if event["event"] not in ("log", "progress")]
    assert told == [
        ("", "started"), ("one", "started"), ("one", "done"), ("two", "started"),
        ("two", "cancelled"), ("", "cancelled"),
    ]  # fmt: skip

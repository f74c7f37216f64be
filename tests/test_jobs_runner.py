"""Chains of real programs: what is told of them, what follows what, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_kit import until
from jobs_kit import Chain, job_file, script, shell, stage

from engine.errors import Exit
from engine.jobs import child, runner
from engine.jobs.options import Command, Option, Row
from engine.jobs.plan import Plan, Stage
from engine.jobs.reporter import Reporter
from engine.setup.launch import INTERRUPTED

TELL = "import sys; print(sys.argv[1:])"
COUNT = "import sys\nfor n in range(5): print(f'{n}/4 done', flush=True)\nopen(sys.argv[-1], 'w').close()"
FAIL = "import sys; print('it is broken', flush=True); print('no more ink', file=sys.stderr); sys.exit(3)"
SLEEP = "import time; print('asleep', flush=True); time.sleep(60)"
# Starts a child in a session of its own, which a signal to the group does not reach.
TREE = """
import subprocess, sys, time, os
if len(sys.argv) > 1:
    other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)
    open(sys.argv[1], 'w').write(f'{os.getpid()} {other.pid}')
print('up', flush=True)
time.sleep(60)
"""
IGNORE = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)"
FLAKY = """
import pathlib, sys
path = pathlib.Path(sys.argv[1]); tries = int(path.read_text()) if path.exists() else 0
path.write_text(str(tries + 1)); sys.exit('not yet' if tries < 2 else 0)
"""
FILE = {"file": {"word": "-", "output": True}}
COMMANDS: dict[str, Any] = {
    "tell": script(TELL, options={"text": {}}), "count": script(COUNT, options=FILE), "fail": script(FAIL),
    "sleep": script(SLEEP),
    "tree": script(TREE, options=FILE), "stubborn": script(IGNORE + TREE, options=FILE),
    "flaky": script(FLAKY, options=FILE),
}  # fmt: skip


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "ASK_S", 0.3)
    monkeypatch.setattr(child, "TERMINATE_S", 0.2)
    monkeypatch.setattr(runner, "RETRY_S", 0.05)
    monkeypatch.setattr(runner, "PROGRESS_S", 0.0)


def chain(folder: Path, *stages: dict[str, Any]) -> Chain:
    return Chain(folder, stages, COMMANDS)


def alive(*pids: int) -> list[int]:
    """Those that still run; a zombie does not."""
    found = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.Error:
            pass
    return found


def pids_in(path: Path) -> list[int]:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [int(word) for word in text.split()] if text.count(" ") == 1 else []


def test_one_stage_after_the_other_with_outputs_handed_on(tmp_path: Path) -> None:
    made = tmp_path / "a b.txt"
    run = chain(
        tmp_path,
        stage("one", "count", ["file", str(made)], next="two"),
        stage("two", "tell", ["text", "{prev.out} {one.exit_code}"]),
    )
    assert run.run() == Exit.OK and made.exists()
    assert run.heard() == [
        ("", "started"), ("one", "started"), ("one", "done"), ("two", "started"), ("two", "done"), ("", "done"),
    ]  # fmt: skip
    assert run.last("one", "done")["outputs"] == {"file": str(made), "out": str(made)}
    assert run.last("two", "log")["text"] == str(["--text", f"{made} 0"])
    assert run.last("one", "progress")["progress"] == 1.0
    assert [event["seq"] for event in run.events] == list(range(1, len(run.events) + 1))
    assert {event["job"] for event in run.events} == {"status"}


def test_what_failed_is_told_with_its_last_words(tmp_path: Path) -> None:
    run = chain(tmp_path, stage("one", "fail", next="two"), stage("two", "tell"))
    assert run.run() == Exit.FAILED
    assert run.heard() == [("", "started"), ("one", "started"), ("one", "failed"), ("", "failed")]
    failed = run.last("one", "failed")
    assert failed["exit_code"] == 3 and "it is broken\nno more ink" in failed["text"]
    assert "one has failed" in run.last("", "failed")["text"]
    assert "no more ink" in (tmp_path / "status.one.log").read_text()


def test_another_stage_may_follow_a_failure(tmp_path: Path) -> None:
    run = chain(
        tmp_path, stage("one", "fail", next="two", on_fail="sorry"), stage("two", "tell"),
        stage("sorry", "tell", ["text", "{prev.stage}: {prev.text}, {prev.event}"]),
    )  # fmt: skip
    assert run.run() == Exit.OK, "the last stage has the last word"
    assert run.heard()[2:] == [("one", "failed"), ("sorry", "started"), ("sorry", "done"), ("", "done")]
    assert run.last("sorry", "log")["text"] == str(["--text", "one: it is broken\nno more ink, failed"])


def test_a_stage_that_needs_what_was_never_made_fails(tmp_path: Path) -> None:
    run = chain(
        tmp_path, stage("one", "fail", next="two", on_fail="three"),
        stage("two", "count", ["file", str(tmp_path / "made")], next="three"),
        stage("three", "tell", ["text", "{two.out}"], retries=3),
    )  # fmt: skip
    assert run.run() == Exit.FAILED and run.heard()[-2:] == [("three", "failed"), ("", "failed")]
    assert "row 0 (text): {two.out} names what no stage has made" in run.last("three", "failed")["text"]


def test_what_fails_is_tried_again_as_often_as_wanted(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    run = chain(tmp_path, stage("one", "flaky", ["file", str(tries)], retries=2))
    assert run.run() == Exit.OK and tries.read_text() == "3"
    assert run.heard("started", "done", "log")[1:-1] == [
        ("one", "started"), ("one", "log"), ("one", "log"), ("one", "started"), ("one", "log"), ("one", "log"),
        ("one", "started"), ("one", "done"),
    ]  # fmt: skip
    assert [e["attempt"] for e in run.events if e["event"] == "started"] == [1, 1, 2, 3]
    assert "Try 2 of 3 has failed: not yet" in [e["text"] for e in run.events if e["event"] == "log"]
    tries.unlink()
    again = chain(tmp_path, stage("one", "flaky", ["file", str(tries)], retries=1))
    assert again.run() == Exit.FAILED and tries.read_text() == "2"


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    run = chain(tmp_path, stage("one", "sleep", timeout=0.5, on_fail="sorry"), stage("sorry", "tell"))
    assert run.run() == Exit.OK
    assert run.heard()[2] == ("one", "timed_out") and run.heard()[3] == ("sorry", "started")
    assert "longer than 0.5 s" in run.last("one", "timed_out")["text"]


def test_a_reason_is_not_lost_behind_many_words(tmp_path: Path) -> None:
    chatty = script("import time\nfor n in range(15): print('x' * 300, flush=True)\ntime.sleep(60)")
    run = Chain(tmp_path, [stage("one", "chatty", timeout=1)], {"chatty": chatty})
    assert run.run() == Exit.FAILED
    reason = "It took longer than 1 s, and was ended."
    assert run.last("one", "timed_out")["text"].endswith(reason)
    assert run.last("", "failed")["text"] == f"one has failed: {reason}", "the whole job's end is one line"


def test_a_program_that_stops_when_asked_is_asked_only(tmp_path: Path) -> None:
    polite = script("import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: print('bye', flush=True)")
    run = Chain(tmp_path, [stage("one", "polite", next="two"), stage("two", "tell")], COMMANDS | {"polite": polite})
    cancelled = [False]

    def cancel() -> None:
        if not cancelled[0] and run.events[-1]["event"] == "started":
            time.sleep(0.2)  # until it listens
            run.runner.cancel("Enough.")
            cancelled[0] = True

    assert run.run(cancel, 15) == INTERRUPTED
    assert run.heard()[2:] == [("one", "cancelled"), ("", "cancelled")], "no stage follows"
    assert run.last("", "cancelled")["text"] == "one: Enough."
    if sys.platform != "win32":
        assert run.last("one", "log")["text"] == "bye"


def test_one_that_will_not_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    told = tmp_path / "pids"
    run = chain(tmp_path, stage("one", "stubborn", ["file", str(told)], on_fail="sorry"), stage("sorry", "tell"))
    found: list[int] = []

    def cancel() -> None:
        if not found and pids_in(told):
            found.extend(pids_in(told))
            assert alive(*found) == found
            run.runner.cancel("Enough.")

    assert run.run(cancel, 15) == INTERRUPTED
    until(lambda: not alive(*found), 5)
    assert len(found) == 2 and run.heard()[-2:] == [("one", "cancelled"), ("", "cancelled")]


def test_cancelled_between_two_tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "RETRY_S", 60.0)
    run = chain(tmp_path, stage("one", "fail", retries=1))

    def cancel() -> None:
        if any("Try 1 of 2" in event["text"] for event in run.events):
            run.runner.cancel("Enough.")

    assert run.run(cancel, 15) == INTERRUPTED
    assert run.heard() == [("", "started"), ("one", "started"), ("", "cancelled")]


def test_an_exception_in_between_leaves_nothing_running(tmp_path: Path) -> None:
    told = tmp_path / "pids"
    run = chain(tmp_path, stage("one", "stubborn", ["file", str(told)]))
    with pytest.raises(ZeroDivisionError):
        run.run(lambda: 1 // (not pids_in(told)))
    until(lambda: not alive(*pids_in(told)), 5)


@pytest.mark.skipif(sys.platform == "win32", reason="a script with a first line of #! is POSIX")
def test_a_program_that_is_gone_by_now_is_a_failure(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    commands = {"it": {"argv": [str(program)]}, "remove": script(f"import os; os.remove({str(program)!r})")}
    run = Chain(tmp_path, [stage("one", "remove", next="two"), stage("two", "it", retries=3)], commands)
    assert run.run() == Exit.FAILED
    assert "cannot be started" in run.last("two", "failed")["text"]
    assert run.heard("started").count(("two", "started")) == 1, "trying again would not help"


def test_a_command_of_ours_must_make_what_it_was_to_make(tmp_path: Path) -> None:
    options = {"out": Option("--out=", output=True)}
    for name, code in (("good", "import sys; open(sys.argv[1][6:], 'w').close()"), ("bad", "print('all well')")):
        command = Command("ours", (sys.executable, "-c", code), options, own=True)
        one = Stage("one", command, (Row(0, "out", str(tmp_path / name)),), "", "", None, 0)
        events: list[dict[str, Any]] = []
        run = Chain.__new__(Chain)
        run.events, reporter = events, Reporter("status", tmp_path / "status.json", None, events.append)
        run.runner = runner.Runner(Plan({"one": one}, "one"), reporter)
        assert run.run() == (Exit.OK if name == "good" else Exit.FAILED)
    assert f"all well\nIt ended well, but did not make {tmp_path / 'bad'}." in run.last("one", "failed")["text"]


def test_one_that_prints_faster_than_anybody_reads_ends_when_it_shall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "READ_MOST", 1 << 12)
    run = Chain(tmp_path, [stage("one", "loud")], {"loud": script("while True: print('x' * 80)")})

    def cancel() -> None:
        if (tmp_path / "status.one.log").stat().st_size > 10_000_000 and run.runner._try.ending == "":
            run.runner.cancel("Enough.")

    assert run.run(cancel, 15) == INTERRUPTED
    assert run.heard("cancelled") == [("one", "cancelled"), ("", "cancelled")]


def test_one_that_prints_without_end_fails_before_the_disk_is_full(tmp_path: Path) -> None:
    told = tmp_path / "pids"
    much = "for n in range(2000): print('x' * 80_000)\ntime.sleep(60)\n"  # enough to be too much, not for a disk
    commands = COMMANDS | {"loud": script(IGNORE + TREE.replace("time.sleep(60)\n", much), options=FILE)}
    stages = [stage("one", "loud", ["file", str(told)], on_fail="sorry"), stage("sorry", "tell")]
    run = Chain(tmp_path, stages, commands)
    assert run.run() == Exit.OK
    assert run.heard()[2:4] == [("one", "failed"), ("sorry", "started")]
    assert run.last("one", "failed")["text"].endswith("\nIt printed more than 64 MB, and was ended. Let it print less.")
    until(lambda: len(pids_in(told)) == 2 and not alive(*pids_in(told)), 5)


def test_a_flood_of_output_is_no_flood_of_events(tmp_path: Path) -> None:
    flood = script("for n in range(200_000): print('line', n)")
    run = Chain(tmp_path, [stage("one", "flood")], {"flood": flood})
    assert run.run() == Exit.OK
    assert len(run.events) < 500 and all(len(event["text"]) <= 2000 for event in run.events)
    assert run.last("one", "log")["text"].endswith("line 199999")
    assert run.status.stat().st_size < 500_000
    assert (tmp_path / "status.one.log").read_text().count("\n") == 200_000


@pytest.mark.parametrize(
    "code, shown",
    [
        ("print('\\x1b[31mred\\x1b[0m\\x07 \\0alert')", "red alert"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe no text')", "\ufffd\ufffd no text"),
        ("import sys; sys.stdout.write('a\\rb\\rc')", "a\nb\nc"),
        ("import sys; sys.stdout.write('x' * 3_000_000 + '\\nend')", "end"),
    ],
)
def test_whatever_is_printed_can_be_shown(tmp_path: Path, code: str, shown: str) -> None:
    run = Chain(tmp_path, [stage("one", "it")], {"it": script(code)})
    assert run.run() == Exit.OK
    text = "\n".join(event["text"] for event in run.events if event["event"] == "log")
    assert text.endswith(shown) and len(run.events) < 20


def test_the_status_file_keeps_what_began_and_ended_and_the_newest_of_the_rest(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    reporter = Reporter("job", tmp_path / "status.json", None, told.append)
    for name in ("one", "two"):
        reporter.say(name, "started")
        for number in range(150):
            reporter.say(name, "progress", progress=number / 150)
            reporter.say(name, "log", f"{name} {number}")
            reporter.flush()
        reporter.say(name, "done")
    reporter.say("", "done")
    reporter.close()
    found = json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))
    assert (found["format"], found["job"], found["state"]) == ("utsushi.job/1", "job", "done")
    assert found["seq"] == len(told) == 605 and os.listdir(tmp_path) == ["status.json"]
    kept = {kind: [event for event in found["events"] if event["event"] == kind] for kind in ("log", "progress")}
    assert [event["text"] for event in kept["log"]] == [f"two {number}" for number in range(50, 150)]
    assert [event["progress"] for event in kept["progress"]] == [149 / 150]
    rest = [event for event in told if event["event"] not in kept]
    assert [event for event in found["events"] if event["event"] not in kept] == rest


def test_a_status_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    run = chain(tmp_path, stage("one", "tell", next="two"), stage("two", "tell"))
    run.status.unlink(missing_ok=True)
    run.status.mkdir()
    assert run.run() == Exit.OK and run.heard()[-1] == ("", "done")


# --- as a process of its own ---


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    started: list[subprocess.Popen] = []

    def start(*stages: dict[str, Any], words: tuple[str, ...] = ()) -> subprocess.Popen:
        file = str(job_file(tmp_path, stages, COMMANDS))
        output = open(tmp_path / "output.txt", "wb")  # noqa: SIM115
        started.append(
            subprocess.Popen(
                **shell("jobs", file, "--status", str(tmp_path / "status.json"), *words, home=tmp_path),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )  # fmt: skip
        )
        output.close()
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def output(folder: Path) -> str:
    return (folder / "output.txt").read_text(encoding="utf-8")


def test_from_a_shell(start: Any, tmp_path: Path) -> None:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(10)
    port = receiver.getsockname()[1]
    process = start(
        stage("one", "count", ["file", str(tmp_path / "made")], next="two"),
        stage("two", "notify", ["to", f"127.0.0.1:{port}"], ["text", "ready"], ["value", "file={prev.out}"]),
    )
    notice = json.loads(receiver.recv(10000))
    receiver.close()
    assert (notice["format"], notice["text"]) == ("utsushi.notice/1", "ready")
    assert notice["values"] == {"file": str(tmp_path / "made")}
    assert process.wait(30) == Exit.OK, output(tmp_path)
    assert "one is done after" in output(tmp_path) and f"out: {tmp_path / 'made'}" in output(tmp_path)


def test_a_bad_file_is_told_on_the_screen_and_in_the_status(start: Any, tmp_path: Path) -> None:
    process = start(stage("one", "tell", ["txet", "x"]))
    assert process.wait(30) == Exit.USAGE
    assert "has no option 'txet'; did you mean 'text'?" in output(tmp_path)
    (event,) = json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))["events"]
    assert (event["event"], event["exit_code"]) == ("failed", Exit.USAGE)
    assert event["text"].startswith("stage 'one', options row 0 ('txet' 'x'): tell has no option 'txet'")


@pytest.mark.parametrize("how", ["signal", "file"])
def test_it_can_be_cancelled(start: Any, tmp_path: Path, how: str) -> None:
    process = start(stage("one", "sleep"))
    until(lambda: "asleep" in output(tmp_path), 20)
    if how == "signal":
        process.send_signal(signal.SIGINT)
    else:
        (tmp_path / "status.cancel").touch()
    assert process.wait(30) == INTERRUPTED, output(tmp_path)
    assert "one cancelled." in output(tmp_path) and not (tmp_path / "status.cancel").exists()


def test_a_cancel_of_long_ago_is_not_meant_for_this_job(start: Any, tmp_path: Path) -> None:
    old = tmp_path / "status.cancel"
    old.touch()
    os.utime(old, (time.time() - 60,) * 2)
    assert start(stage("one", "tell")).wait(30) == Exit.OK, output(tmp_path)


def test_nothing_outlives_the_parent(start: Any, tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    told = tmp_path / "pids"
    process = start(stage("one", "tree", ["file", str(told)]), words=("--parent", str(parent.pid)))
    until(lambda: pids_in(told), 20)
    parent.kill()
    assert process.wait(30) == Exit.ORPHANED, output(tmp_path)
    parent.wait()
    until(lambda: not alive(*pids_in(told)), 5)
    assert "The program that started this job has ended" in output(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux (and Windows, by a job object) ends them at once")
def test_the_program_does_not_outlive_a_killed_runner(start: Any, tmp_path: Path) -> None:
    told = tmp_path / "pids"
    process = start(stage("one", "stubborn", ["file", str(told)]))
    until(lambda: pids_in(told), 20)
    process.kill()
    process.wait()
    program, other = pids_in(told)
    until(lambda: not alive(program), 5)
    psutil.Process(other).kill()


def test_a_status_that_cannot_be_kept_is_said_at_once(start: Any, tmp_path: Path) -> None:
    process = start(stage("one", "tell"), words=("--status", str(tmp_path / "job.json" / "status.json")))
    assert process.wait(30) == Exit.BAD_INPUT and "error: " in output(tmp_path)


def test_check_starts_nothing(start: Any, tmp_path: Path) -> None:
    process = start(stage("one", "count", ["file", str(tmp_path / "made")]), words=("--check",))
    assert process.wait(30) == Exit.OK
    assert "is good: 1 stages" in output(tmp_path) and not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "words", [("--notify", "8.8.8.8:9"), ("--notify", "127.0.0.1"), ("--notify", "127.0.0.1:0"), ("--parent", "x")]
)
def test_words_that_cannot_be(start: Any, words: tuple[str, ...]) -> None:
    assert start(stage("one", "tell"), words=words).wait(30) == Exit.USAGE

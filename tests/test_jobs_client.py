"""The client in TouchDesigner: each event once and in order, whatever becomes of the messages on their way."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fake_engine  # noqa: F401  (puts the bridge on the path)
import job_tables
import jobs
import psutil
import pytest
from engine_kit import until

from engine.jobs.reporter import Reporter
from engine.process import ROOT


class Heard:
    """Stands in for the callbacks DAT."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[[dict[str, Any]], None]:
        if not name.startswith("on"):
            raise AttributeError(name)
        return lambda info: self.calls.append((name, info))

    @property
    def seqs(self) -> list[int]:
        return [info["seq"] for _, info in self.calls]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


class Wire:
    """A runner's reporter, and a client that follows it; what is sent goes into `datagrams`."""

    def __init__(self, folder: Path):
        self.datagrams: list[bytes] = []
        self.heard = Heard()
        self.reporter = Reporter("job", folder / "job.json")
        self.reporter._send = self.datagrams.append  # type: ignore[method-assign]
        self.client = jobs.JobClient(folder, callbacks=self.heard)
        self.client.attach(folder / "job.json")

    def say(self, *args: Any, **about: Any) -> None:
        self.reporter.say(*args, **about)
        self.reporter.flush()

    def chain(self) -> list[int]:
        """A whole job; returns the numbers of its events that must be heard."""
        self.say("", "started")
        for stage in ("one", "two", "three"):
            self.say(stage, "started")
            for step in range(4):
                self.say(stage, "progress", progress=step / 4)
                self.say(stage, "log", f"{stage} {step}")
            self.say(stage, "done" if stage != "two" else "timed_out", outputs={"out": stage})
        self.say("", "done", outputs={"out": "three"})
        return [event["seq"] for event in map(json.loads, self.datagrams) if event["event"] != "progress"]

    def deliver(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self.client.receive(datagram)
            self.client.poll()


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(jobs, "PULL_S", 0.0)  # pulls in every poll
    return Wire(tmp_path)


def never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.JobClient, "_pull", lambda self: None)


def test_every_message_arrives(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    never(monkeypatch)
    wire.chain()
    wire.deliver(wire.datagrams)
    assert wire.heard.seqs == list(range(1, len(wire.datagrams) + 1)), "progress too"
    assert wire.heard.names[:3] == ["onStart", "onStart", "onProgress"] and wire.heard.names[-1] == "onDone"
    assert wire.heard.names.count("onFail") == 1, "what took too long has failed"
    assert wire.client.state == "done" and wire.client.outputs == {"out": "three"} and not wire.client.busy


def test_no_message_arrives(wire: Wire) -> None:
    must = wire.chain()
    wire.client.poll()
    assert set(must) <= set(wire.heard.seqs) and wire.heard.seqs == sorted(set(wire.heard.seqs))
    assert wire.client.state == "done"


@pytest.mark.parametrize("seed", range(20))
def test_messages_are_lost_doubled_and_reordered(wire: Wire, seed: int) -> None:
    must = wire.chain()
    chance = random.Random(seed)
    sent = [datagram for datagram in wire.datagrams if chance.random() > 0.3] * 2
    chance.shuffle(sent)
    wire.deliver(sent)
    wire.client.poll()
    assert set(must) <= set(wire.heard.seqs), "nothing that matters is lost"
    assert wire.heard.seqs == sorted(set(wire.heard.seqs)), "once, and in order"
    assert wire.heard.calls[-1][1]["event"] == "done" and wire.client.state == "done"


def test_while_it_runs_a_gap_is_filled_at_once(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PULL_S", 1000.0)
    wire.client.poll()  # the regular look
    wire.say("", "started")
    wire.say("one", "started")
    wire.say("one", "done")
    wire.deliver(wire.datagrams[2:])  # the first two were lost
    assert wire.heard.seqs == [1, 2, 3]
    monkeypatch.setattr(jobs, "GIVE_UP_S", 0.0)
    wire.deliver(wire.datagrams[:2] * 3)
    assert wire.heard.seqs == [1, 2, 3], "what comes late or twice was heard already"


def test_without_the_file_it_goes_on_after_a_while(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    never(monkeypatch)
    monkeypatch.setattr(jobs, "GIVE_UP_S", 0.02)
    wire.chain()
    wire.deliver(wire.datagrams[5:])
    until(lambda: wire.client.poll() or not wire.client.busy, 5)
    assert wire.heard.seqs == list(range(6, len(wire.datagrams) + 1))


@pytest.mark.parametrize(
    "datagram",
    [
        b"", b"\xff\x00", b"{}", b"[]", b"3", b"null", b"[" * 100_000, b'{"format": "utsushi.job/1"}',
        b'{"format": "utsushi.job/1", "job": "other", "seq": 1, "event": "done", "stage": ""}',
        b'{"format": "utsushi.job/1", "job": "job", "seq": "1", "event": "done", "stage": ""}',
        b'{"format": "utsushi.job/1", "job": "job", "seq": 1, "event": ["done"], "stage": ""}',
        b'{"format": "utsushi.job/1", "job": "job", "seq": 0, "event": "done", "stage": ""}',
    ],
)  # fmt: skip
def test_what_is_no_message_of_this_job_changes_nothing(wire: Wire, datagram: bytes) -> None:
    wire.client.receive(datagram)
    wire.client.poll()
    assert wire.heard.calls == [] and wire.client.state == "running"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"events": 3}', '{"events": [3, {}], "seq": "x"}', "[" * 100_000])
def test_a_status_file_that_is_none(wire: Wire, tmp_path: Path, text: str) -> None:
    (tmp_path / "job.json").write_text(text, encoding="utf-8")
    wire.client.poll()
    assert wire.heard.calls == []


def test_a_callback_that_fails_costs_no_event(wire: Wire) -> None:
    class Broken(Heard):
        def onStart(self, info: dict[str, Any]) -> None:
            raise RuntimeError("oh")

    wire.client.callbacks = broken = Broken()
    must = wire.chain()
    wire.client.poll()
    assert set(must) - set(broken.seqs) == {
        info["seq"] for info in map(json.loads, wire.datagrams) if info["event"] == "started"
    }


def test_a_failing_callback_is_told(wire: Wire) -> None:
    class Broken:
        def onStart(self, info: dict[str, Any]) -> None:
            raise RuntimeError("oh")

    wire.client.callbacks = Broken()
    wire.say("", "started")
    wire.client.poll()
    assert wire.client.message == "onStart failed: RuntimeError: oh"


def test_without_callbacks_the_state_is_still_told(tmp_path: Path) -> None:
    wire = Wire(tmp_path)
    wire.client.callbacks = None
    wire.say("one", "progress", "12 of 24", progress=0.5, eta_s=3.0)
    wire.deliver(wire.datagrams)
    client = wire.client
    assert (client.stage, client.progress, client.eta_s, client.message) == ("one", 0.5, 3.0, "12 of 24")


def test_idle_polls_touch_no_file(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PULL_S", 1000.0)
    wire.client.poll()
    monkeypatch.setattr(Path, "stat", lambda self: pytest.fail("looked at a file"))
    wire.client.poll()
    wire.client.receive(b"nonsense")
    wire.client.poll()


# --- tables ---


def test_tables_become_a_job_file() -> None:
    options = {
        "a_options": [["config", "configs/prepare.yaml"], ["# note", ""], ["", ""]],
        "tool_options": [
            ["key", "type", "min", "menu", "required"], ["n", "int", "1", "", "1"], ["m", "menu", "", "x, y", ""],
        ],
    }  # fmt: skip
    stages = [
        ["stage", "command", "options", "next", "timeout", "retries", ""],
        ["a", "engine", "a_options", "b", "10", "2", ""],
        ["", "", "", "", "", "", ""], ["#b", "tool", "gone", "", "", ""],
        ["b", "tool", "", "", "soon", "", ""],
    ]  # fmt: skip
    commands = [
        ["command", "options", "outputs", "argv"],
        ["tool", "tool_options", "word, other", "tool.exe", "-y", ""],
    ]
    assert job_tables.plan_of(stages, options, commands) == {
        "commands": {
            "tool": {
                "argv": ["tool.exe", "-y"], "outputs": ["word", "other"],
                "options": {
                    "n": {"type": "int", "min": 1, "required": True}, "m": {"type": "menu", "menu": ["x", "y"]},
                },
            }
        },
        "stages": [
            {
                "stage": "a", "command": "engine", "options": options["a_options"], "next": "b", "timeout": 10,
                "retries": 2,
            },
            {"stage": "#"}, {"stage": "#b"},
            {"stage": "b", "command": "tool", "options": [], "timeout": "soon"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    "stages, sentence",
    [
        ([["name", "command"]], "has a column 'name'"),
        ([["command", "stage"]], "must name its columns"),
        ([["stage", "stage"]], "has a column 'stage'"),
        ([[]], "must name its columns"),
        ([["stage", "command", "options"], ["a", "engine", "nowhere"]], "no options table 'nowhere', which row 1"),
    ],
)
def test_tables_that_cannot_be(stages: list[list[str]], sentence: str) -> None:
    with pytest.raises(job_tables.JobError, match=sentence):
        job_tables.plan_of(stages, {"other": []}, [])


def test_the_words_of_a_program_are_the_last_cells() -> None:
    with pytest.raises(job_tables.JobError, match="must be the last one"):
        job_tables.plan_of([], {}, [["command", "argv", "options"], ["a", "python", "", "-c"]])


def test_nothing_can_stand_twice_unnoticed() -> None:
    commands = [["command", "argv"], ["a", "x"], ["a", "y"]]
    with pytest.raises(job_tables.JobError, match="'a' stands twice"):
        job_tables.plan_of([], {}, commands)
    described = {"o": [["key"], ["k"], ["k"]]}
    with pytest.raises(job_tables.JobError, match="'k' stands twice"):
        job_tables.plan_of([], described, [["command", "options", "argv"], ["a", "o", "x"]])


# --- with a real runner ---

COMMANDS = [
    ["command", "options", "argv"],
    ["tell", "tell_options", "python", "-c", "import sys; print(sys.argv[1:])"],
    ["sleep", "", "python", "-c", "import time; print('asleep', flush=True); time.sleep(60)"],
]
STAGES = [["stage", "command", "options", "next"]]
TELL = {"tell_options": [["key", "type"], ["text", "str"]], "words": [["text", "hello 日本"]]}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[jobs.JobClient]:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    client = jobs.JobClient(ROOT, sys.executable, Heard())
    yield client
    if client._process is not None and client._process.poll() is None:
        client._process.kill()
    if client._process is not None:
        client._process.wait()


def run(client: jobs.JobClient, during: Callable[[], None] = lambda: None) -> list[tuple[str, str, str]]:
    def step() -> bool:
        client.poll()
        during()
        return not client.busy

    until(step, 40)
    return [(name, info["stage"], info["text"]) for name, info in client.callbacks.calls]


def test_a_job_runs(client: jobs.JobClient) -> None:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.setblocking(False)
    got = [0]

    def receive() -> None:
        try:
            while datagram := receiver.recv(65536):
                got[0] += 1
                client.receive(datagram)
        except BlockingIOError:
            time.sleep(0.005)

    stages = [*STAGES, ["one", "tell", "words", "two"], ["two", "tell", "", ""]]
    job = client.start(stages, TELL, COMMANDS, notify=f"127.0.0.1:{receiver.getsockname()[1]}")
    runner = client._process.pid
    with pytest.raises(jobs.JobError, match="still running"):
        client.start(stages, TELL, COMMANDS)
    calls = run(client, receive)
    receiver.close()
    assert client.job == job and client.state == "done" and got[0] > 0
    assert [call[:2] for call in calls] == [
        ("onStart", ""), ("onStart", "one"), ("onLog", "one"), ("onDone", "one"),
        ("onStart", "two"), ("onLog", "two"), ("onDone", "two"), ("onDone", ""),
    ]  # fmt: skip
    assert "hello 日本" in calls[2][2]
    until(lambda: client.poll() or client._process is None, 20)
    assert not psutil.pid_exists(runner), "nor is it a zombie"
    assert client.start([*STAGES, ["one", "tell", "", ""]], TELL, COMMANDS) != job, "the next one"
    run(client)


def test_a_table_that_is_wrong_fails_and_names_its_row(client: jobs.JobClient) -> None:
    client.start([*STAGES, ["one", "tell", "wrong", ""]], {**TELL, "wrong": [["text", "x"], ["txet", "y"]]}, COMMANDS)
    ((name, stage, text),) = run(client)
    assert (name, stage) == ("onFail", "") and "stage 'one', options row 1 ('txet' 'y')" in text
    assert client.state == "failed" and "'txet'" in client.message


def test_cancel(client: jobs.JobClient) -> None:
    client.start([*STAGES, ["one", "sleep", "", ""]], {**TELL}, COMMANDS)

    def cancel() -> None:
        if "onLog" in client.callbacks.names:
            client.cancel()

    calls = run(client, cancel)
    assert [call[:2] for call in calls][-2:] == [("onCancel", "one"), ("onCancel", "")]
    assert client.state == "cancelled"


def test_cancelled_before_it_has_begun(client: jobs.JobClient) -> None:
    client.start([*STAGES, ["one", "sleep", "", ""]], {**TELL}, COMMANDS)
    client.cancel()
    run(client)
    assert client.state == "cancelled"


def test_a_runner_that_is_killed_is_a_failure(client: jobs.JobClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "GIVE_UP_S", 0.2)
    client.start([*STAGES, ["one", "sleep", "", ""]], {**TELL}, COMMANDS)

    def kill() -> None:
        if "onLog" in client.callbacks.names:
            client._process.kill()

    calls = run(client, kill)
    assert calls[-1][:2] == ("onFail", "") and "said no more" in calls[-1][2] and client.state == "failed"


@pytest.mark.parametrize(
    "command, ending, heard",
    [("tell", "done", "onDone"), ("sleep", "cancelled", "onCancel"), ("fail", "failed", "onFail")],
)
def test_when_nothing_arrives_the_runners_exit_code_says_how_it_ended(
    client: jobs.JobClient, monkeypatch: pytest.MonkeyPatch, command: str, ending: str, heard: str
) -> None:
    never(monkeypatch)  # nobody listens for messages either
    monkeypatch.setattr(jobs, "GIVE_UP_S", 0.1)
    fail = ["fail", "", "python", "-c", "import sys; sys.exit('no more ink')"]
    client.start([*STAGES, ["one", command, "", ""]], TELL, [*COMMANDS, fail])
    if command == "sleep":
        client.cancel()
    ((name, stage, text),) = run(client)
    assert (name, stage, client.state) == (heard, "", ending)
    assert f"({ending})" in text and ("no more ink" in text) == (ending == "failed")


def test_another_client_can_follow(client: jobs.JobClient, tmp_path: Path) -> None:
    client.start([*STAGES, ["one", "tell", "words", ""]], TELL, COMMANDS, keep_running=True)
    assert "--parent" not in client._process.args
    run(client)
    other = jobs.JobClient(ROOT, callbacks=Heard())
    other.attach(tmp_path / "jobs" / f"{client.job}.json")
    assert run(other) == run(client)


def test_what_keeps_a_job_from_starting_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    with pytest.raises(jobs.JobError, match="There is no run_engine.py"):
        jobs.JobClient(tmp_path).start(STAGES, {}, [])
    with pytest.raises(jobs.JobError, match="There is no Python"):
        jobs.JobClient(ROOT, str(tmp_path / "no-python")).start(STAGES, {}, [])
    (tmp_path / "jobs").write_text("in the way", encoding="utf-8")
    with pytest.raises(jobs.JobError, match="cannot be written"):
        jobs.JobClient(ROOT, sys.executable).start(STAGES, {}, [])


def test_it_needs_nothing_but_the_standard_library() -> None:
    code = "import sys; sys.path.insert(0, 'td_bridge'); import jobs; print(*{'numpy', 'psutil'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0 and done.stdout.strip() == "", done.stderr

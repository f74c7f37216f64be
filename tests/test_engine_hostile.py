"""What the world around an engine may do to it: full disks, closed outputs, damaged memory, signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from engine_kit import NAME, PROGRAM, Engine, chain, leftovers, seen, until

from engine import bus, layout
from engine.directory import Directory, directory_beats
from engine.errors import EngineError, Exit
from engine.life import LOG_BYTES, Life
from engine.process import ROOT
from engine.session import Session
from engine.shm import Segment

Launch = Callable[..., Engine]


def ask(engine: Engine, message: bus.Message) -> bus.Message | None:
    client = bus.Client(engine.directory()["control_port"])
    client.send(message)
    answer = client.receive(10)
    client.close()
    return answer


def test_a_home_that_vanishes_costs_nothing(launch: Launch, tmp_path: Path) -> None:
    engine = launch(chain(tmp_path))
    until(lambda: engine.running(), 20, engine)
    shutil.rmtree(tmp_path / "home")
    assert engine.stop() == Exit.OK, engine.output
    assert leftovers() == [] and "Traceback" not in engine.output


def test_what_cannot_be_written_down_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    session = Session("full")
    session.note("utsu_full_a")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Session, "_write", full)
        with pytest.raises(EngineError, match="No space left"):
            session.note("utsu_full_b")
        session.forget("utsu_full_a")
    assert session._segments == []
    session.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_an_output_that_cannot_be_written_does_not_stop_the_show(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"engine: {{name: {NAME}}}\nnodes:\n  a: {{type: fault.count}}\n")
    stats = tmp_path / "stats.json"
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "--config", str(config), "--seconds", "2.5", "--stats", str(stats)],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            env={**os.environ, "UTSUSHI_HOME": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'faults'}"},
        )  # fmt: skip
    assert json.loads(stats.read_text())["nodes"]["a"]["steps"] > 10
    assert "Traceback" not in done.stderr


def test_a_damaged_ring_header_is_mended_and_the_engine_lives(launch: Launch, tmp_path: Path) -> None:
    engine = launch(chain(tmp_path))
    until(lambda: engine.running() and len(seen(tmp_path)) > 5, 20, engine)
    ring = Segment.attach(engine.directory().stream(0).segment)
    ring.data[layout.RING["generation"] : layout.RING["state"]] = np.random.default_rng(1).integers(0, 256, 0x90)
    os.kill(engine.pids()[0], signal.SIGKILL)
    until(lambda: engine.node(0)["restarts"] >= 1 and engine.running("a"), 20, engine)
    count = len(seen(tmp_path))
    until(lambda: len(seen(tmp_path)) > count + 5, 20, engine)
    ring.close()
    assert engine.stop() == Exit.OK, engine.output


def test_a_node_that_leaves_by_sys_exit_is_replaced_with_its_reason(launch: Launch, tmp_path: Path) -> None:
    engine = launch(chain(tmp_path, "how: sys_exit"))
    until(lambda: engine.node(1)["restarts"] == 1 and engine.running(), 20, engine)
    assert "b exited with code 20: SystemExit: as the test wished. Starting it again" in engine.output
    assert engine.stop() == Exit.OK


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_nohup_means_it(tmp_path: Path) -> None:
    kept = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        engine = Engine(tmp_path, chain(tmp_path))
    finally:
        signal.signal(signal.SIGHUP, kept)
    until(lambda: engine.running(), 20, engine)
    engine.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert engine.running() and engine.stop() == Exit.OK


def test_a_setting_put_right_ends_the_back_off(launch: Launch, tmp_path: Path) -> None:
    engine = launch(chain(tmp_path, "how: raise"))
    until(lambda: engine.node(1)["restarts"] >= 4, 60, engine)
    answer = ask(engine, bus.Set(node="b", values={"how": "not"}))
    assert isinstance(answer, bus.Ack) and answer.ok
    until(lambda: engine.running() and len(seen(tmp_path)) > 10, 20, engine)
    assert engine.stop() == Exit.OK


def test_settings_that_a_node_cannot_take_up_are_told_until_others_come(launch: Launch, tmp_path: Path) -> None:
    engine = launch(chain(tmp_path))
    until(lambda: engine.running(), 20, engine)
    ask(engine, bus.Set(node="b", values={"how": "refuse_settings"}))
    until(lambda: "were not taken up" in engine.node(1).text, 10, engine)
    assert engine.node(1).phase == "DEGRADED" and engine.node(1)["restarts"] == 0
    ask(engine, bus.Set(node="b", values={"how": "not"}))
    until(lambda: engine.running() and not engine.node(1).text, 10, engine)
    assert engine.stop() == Exit.OK


def test_a_pause_outlives_the_process_that_was_paused(launch: Launch, tmp_path: Path) -> None:
    engine = launch(chain(tmp_path))
    until(lambda: engine.running(), 20, engine)
    ask(engine, bus.Pause(node="a"))
    until(lambda: engine.node(0).phase == "PAUSED", 10, engine)
    os.kill(engine.pids()[0], signal.SIGKILL)
    until(lambda: engine.node(0)["restarts"] == 1 and engine.node(0).phase == "PAUSED", 20, engine)
    ask(engine, bus.Start(node="a"))
    until(lambda: engine.running(), 10, engine)
    assert engine.stop() == Exit.OK


def test_refused_messages_are_told(launch: Launch, tmp_path: Path) -> None:
    engine = launch(chain(tmp_path))
    client = bus.Client(engine.directory()["control_port"])
    for _ in range(3):
        client._socket.send(b"not a message")
        assert isinstance(client.receive(10), bus.Ack)
    client.send(bus.Stats())
    answer = client.receive(10)
    assert isinstance(answer, bus.Stats) and answer.figures["control"] == {"rejected": 3}
    client.close()
    assert engine.stop() == Exit.OK


def test_an_offline_run_cut_short_does_not_say_done(launch: Launch, tmp_path: Path) -> None:
    nodes = chain(tmp_path).replace("fps: 60", "total: 100000")
    engine = launch(nodes, "offline", "--seconds", "2")
    assert engine.wait() == Exit.OK
    assert "Done" not in engine.output and "nothing was completed" in engine.output


def test_a_log_is_begun_anew_when_it_is_long(tmp_path: Path) -> None:
    life = Life.__new__(Life)
    life.log, life._life_from = tmp_path / "node.log", 7
    with open(life.log, "ab") as log:
        log.write(b"x" * (LOG_BYTES + 1))
        log.flush()
        life.trim_log()
        log.write(b"after\n")
    assert life.log.read_bytes() == b"after\n" and life.last_lines() == ["after"]
    assert (tmp_path / "node.old.log").stat().st_size == LOG_BYTES + 1


def test_an_engine_that_beats_is_seen_and_a_dead_one_is_not() -> None:
    name = f"b{os.getpid() % 10000}"
    directory = Directory.create(name, 1, [], [])
    directory["state"] = layout.STATES["READY"]
    directory["beat_ns"] = time.perf_counter_ns()
    directory.segment.publish()
    assert not directory_beats(name)
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.05):
            directory["beat_ns"] = time.perf_counter_ns()

    thread = threading.Thread(target=beat)
    thread.start()
    directory["beat_ns"] = time.perf_counter_ns()
    try:
        assert directory_beats(name)
    finally:
        stop.set()
        thread.join()
        directory.close()
        directory.segment.unlink()
    assert not directory_beats(name)

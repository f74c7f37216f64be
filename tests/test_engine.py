"""The whole engine with small nodes: real processes, real rings, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from engine_kit import NAME, PROGRAM, Engine, chain, leftovers, seen, until

from engine import bus
from engine.errors import EngineError, Exit
from engine.process import ROOT


def test_frames_pass_in_order_and_the_books_balance(launch: Callable[..., Engine], tmp_path: Path) -> None:
    stats = tmp_path / "stats.json"
    snapshot = tmp_path / "picture.png"
    engine = launch(chain(tmp_path), "live", "--seconds", "3", "--stats", str(stats), "--snapshot", str(snapshot))
    assert engine.wait() == Exit.OK, engine.output
    figures = json.loads(stats.read_text())
    assert set(figures) == {"seconds", "nodes", "streams", "latency_ms", "control", "osc"}
    assert set(figures["latency_ms"]) == {"p50", "p95", "p99", "max"}
    for node in figures["nodes"].values():
        assert node["state"] == "RUNNING" and node["steps"] > 20 and node["restarts"] == 0
        assert set(node["step_ms"]) == {"p50", "p95", "max"}
    for name, reader in (("a", "b"), ("b", "c")):
        counts = figures["streams"][name]["readers"][reader]
        missed = counts["skipped"] + counts["overrun"] + counts["lost"]
        assert 0 <= figures["streams"][name]["published"] - counts["received"] - missed <= 4  # those still under way
    assert figures["streams"]["b"]["readers"]["c"]["overrun"] == 0
    rows = seen(tmp_path)
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert not any(row[3] for row in rows)
    assert snapshot.read_bytes().startswith(b"\x89PNG")
    assert leftovers() == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_or_a_polite_kill_ends_everything_in_order(
    launch: Callable[..., Engine], tmp_path: Path, name: str
) -> None:
    engine = launch(chain(tmp_path))
    until(lambda: engine.running(), 20, engine)
    pids = engine.pids()
    engine.process.send_signal(getattr(signal, name))
    assert engine.wait() == Exit.OK, engine.output
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert leftovers() == [] and "killed" not in engine.output


def test_a_second_start_is_told_who_runs(launch: Callable[..., Engine], tmp_path: Path) -> None:
    first = launch(chain(tmp_path))
    until(lambda: first.running(), 20, first)
    second = Engine(tmp_path, chain(tmp_path))
    assert second.wait() == Exit.ALREADY_RUNNING
    assert f"process {first.process.pid}" in second.output
    assert first.running() and first.stop() == Exit.OK


def test_a_step_that_fails_once_is_forgiven(launch: Callable[..., Engine], tmp_path: Path) -> None:
    engine = launch(chain(tmp_path, "how: raise_once"))
    until(lambda: engine.node(1)["errors"] == 1 and len(seen(tmp_path)) > 20, 30, engine)
    assert engine.running() and engine.node(1)["restarts"] == 0
    assert "a step failed: ValueError: as the test wished" in engine.output
    assert engine.stop() == Exit.OK


def test_a_node_that_always_fails_is_tried_again_with_its_last_words_shown(
    launch: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = launch(chain(tmp_path, "how: raise"))
    until(lambda: engine.node(1)["restarts"] >= 2, 30, engine)
    assert engine.running("a", "c")
    assert "b exited with code 20" in engine.output and "b | " in engine.output
    assert engine.stop() == Exit.OK


def test_what_cannot_be_used_ends_the_start_with_its_sentence(launch: Callable[..., Engine], tmp_path: Path) -> None:
    engine = launch(chain(tmp_path, "how: bad_input"))
    assert engine.wait() == Exit.BAD_INPUT
    assert "error: There is no such thing. Choose another." in engine.output
    assert leftovers() == []


def test_a_frame_that_outgrows_its_ring_gets_a_larger_one(launch: Callable[..., Engine], tmp_path: Path) -> None:
    nodes = chain(tmp_path).replace("fps: 60}", "fps: 60, size: [100, 100], grow_at: 20}")
    engine = launch(nodes, "live")
    until(lambda: engine.running(), 20, engine)
    reader = engine.reader(0)
    shapes: list[tuple[int, ...]] = []

    def read() -> bool:
        frame = reader.read()
        if frame is not None:
            assert (frame.array == frame.array.flat[0]).all()
            shapes.append(frame.shape)
        return bool(shapes) and shapes[-1] == (200, 200, 3)

    until(read, 20, engine)
    assert reader.generation == 2
    until(lambda: len(seen(tmp_path)) > 60, 20, engine)
    sequence = [row[0] for row in seen(tmp_path)]
    assert sequence == sorted(set(sequence)) and not any(row[3] for row in seen(tmp_path))
    assert engine.node(0)["restarts"] == engine.node(1)["restarts"] == 0
    reader.close()
    assert engine.stop() == Exit.OK


def test_a_setting_changes_while_it_runs_and_survives_a_restart(launch: Callable[..., Engine], tmp_path: Path) -> None:
    engine = launch(chain(tmp_path))
    until(lambda: engine.running(), 20, engine)
    client = bus.Client(engine.directory()["control_port"])

    def ask(message: bus.Message) -> bus.Ack:
        client.send(message)
        answer = client.receive(10)
        assert isinstance(answer, bus.Ack)
        return answer

    assert ask(bus.Set(node="a", values={"gain": 0})) == bus.Ack(ok=True, version=1)
    until(lambda: engine.node(0)["param_version"] == 1, 10, engine)
    reader = engine.reader(0)

    def changed() -> bool:
        frame = reader.read()
        return frame is not None and frame.param_version == 1 and not frame.array.any()

    until(changed, 10, engine)
    for values in ({"gain": "much"}, {"size": [1, 1]}, {"gian": 1}):
        answer = ask(bus.Set(node="a", values=values))
        assert not answer.ok and answer.text
    assert not ask(bus.Set(node="nobody", values={})).ok
    os.kill(engine.pids()[0], signal.SIGKILL)
    until(lambda: engine.node(0)["restarts"] == 1 and engine.running(), 20, engine)
    until(changed, 10, engine)

    assert ask(bus.Pause(node="a")).ok
    until(lambda: engine.node(0).phase == "PAUSED", 10, engine)
    assert ask(bus.Start(node="a")).ok
    until(lambda: engine.running(), 10, engine)
    client.send(bus.Stats())
    answer = client.receive(10)
    assert isinstance(answer, bus.Stats) and answer.figures["nodes"]["a"]["restarts"] == 1
    assert ask(bus.Stop()).ok
    assert engine.wait() == Exit.OK
    client.close()
    reader.close()


def test_offline_passes_every_frame_and_waits_for_the_slowest(launch: Callable[..., Engine], tmp_path: Path) -> None:
    nodes = f"""\
  a: {{type: fault.count, total: 200, size: [100, 100], grow_at: 100}}
  b: {{type: fault.misbehave, input: a}}
  c: {{type: fault.check, input: b, path: {tmp_path}/seen.txt, delay: 0.002}}
"""
    engine = launch(nodes, "offline", "--stats", str(tmp_path / "stats.json"))
    assert engine.wait(60) == Exit.OK, engine.output
    assert [row[2] for row in seen(tmp_path)] == list(range(1, 201))
    figures = json.loads((tmp_path / "stats.json").read_text())
    for name, reader in (("a", "b"), ("b", "c")):
        counts = figures["streams"][name]["readers"][reader]
        assert counts["received"] == figures["streams"][name]["published"] == 200
        assert counts["overrun"] == counts["lost"] == 0
    assert {node["state"] for node in figures["nodes"].values()} == {"FINISHED"}


def test_offline_does_not_pretend_to_have_finished(launch: Callable[..., Engine], tmp_path: Path) -> None:
    nodes = chain(tmp_path, "how: raise").replace("fps: 60", "total: 100")
    engine = launch(nodes, "offline")
    assert engine.wait(60) == Exit.FAILED
    assert "b exited with code 20" in engine.output


def test_a_port_in_use_is_a_sentence(launch: Callable[..., Engine], tmp_path: Path) -> None:
    server = bus.Server()
    engine = launch(chain(tmp_path))
    engine.process.kill()
    engine.wait()
    engine.config.write_text(engine.config.read_text().replace(f"name: {NAME}", f"name: {NAME}, port: {server.port}"))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--config", str(engine.config)], cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=False, env={**os.environ, "UTSUSHI_HOME": str(tmp_path / "home2"),
                                      "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "faults")])},
    )  # fmt: skip
    assert done.returncode == Exit.BAD_INPUT
    assert f"port {server.port} is in use" in done.stderr
    server.close()


def test_exit_codes_are_those_of_the_errors() -> None:
    codes = [error.exit_code for error in EngineError.__subclasses__()]
    assert all(code != Exit.OK for code in codes)

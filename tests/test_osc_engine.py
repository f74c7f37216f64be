"""A running engine steered by OSC, and what it tells of itself meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_kit import NAME, Engine, chain, seen, until
from osc_kit import Client

from engine.errors import Exit
from engine.process import ROOT

GAIN = "/utsushi/node/a/gain"


def panel_of(engine: Engine) -> dict[str, Any]:
    path = engine.folder / "home" / f"{NAME}.panel.json"
    until(path.exists, 20, engine)
    return json.loads(path.read_text())


@pytest.fixture(name="connect")
def connect_fixture() -> Iterator[Callable[[Engine], Client]]:
    made: list[Client] = []

    def connect(engine: Engine) -> Client:
        made.append(Client(panel_of(engine)["osc"]["port"]))
        return made[-1]

    yield connect
    for client in made:
        client.close()


def test_a_frame_made_with_a_value_carries_its_version(
    tmp_path: Path, launch: Callable[..., Engine], connect: Callable[[Engine], Client]
) -> None:
    engine = launch(
        f"  a: {{type: fault.count, fps: 60}}\n  c: {{type: fault.check, input: a, path: {tmp_path}/seen.txt}}\n"
    )
    td = connect(engine)
    until(lambda: len(seen(tmp_path)) > 5, 20, engine)
    for version, gain in enumerate((0, 3, 0, 2), 1):
        td.raw(b"garbage")
        td.send(GAIN, "loud")
        td.send(GAIN, float(gain))
        assert td.until(lambda where, values: where.endswith("answer") and values[0] == 1) == [1, GAIN, version, ""]
        until(lambda version=version: seen(tmp_path)[-1][4] == version, 20, engine)  # type: ignore[misc]
    gains = {0: 1, 1: 0, 2: 3, 3: 0, 4: 2}
    for seq, _, value, _, version in seen(tmp_path):
        assert value == seq * gains[version] % 251
    td.send("/utsushi/engine/stop")
    assert engine.wait() == Exit.OK, engine.output
    assert not (tmp_path / "home" / f"{NAME}.panel.json").exists()


def test_a_death_is_told_and_so_is_the_end(
    tmp_path: Path, launch: Callable[..., Engine], connect: Callable[[Engine], Client]
) -> None:
    engine = launch(chain(tmp_path))
    td = connect(engine)
    td.send("/utsushi/engine/subscribe", td.port)
    td.until(lambda where, values: where == "/utsushi/engine/state" and values[0] == "RUNNING")
    os.kill(engine.pids()[1], signal.SIGKILL)
    level, node, text = td.until(lambda where, _: where == "/utsushi/engine/log")
    assert (level, node) == ("WARNING", "b") and "Starting it again" in text
    td.send("/utsushi/engine/subscribe", td.port)
    td.until(lambda where, values: where == "/utsushi/status/b/restarts" and values == [1])
    engine.process.send_signal(signal.SIGINT)
    td.until(lambda where, values: where == "/utsushi/engine/state" and values[0] == "STOPPED")
    assert engine.wait() == Exit.OK, engine.output


def test_what_ends_an_engine_is_the_last_thing_it_tells(tmp_path: Path, launch: Callable[..., Engine]) -> None:
    td = Client()
    engine = launch(chain(tmp_path, "how: bad_input"), "offline", osc=f"{{port: 0, targets: ['127.0.0.1:{td.port}']}}")
    assert engine.wait() == Exit.BAD_INPUT, engine.output
    messages = td.received()
    assert messages[-1] == ("/utsushi/engine/state", ["STOPPED", "There is no such thing. Choose another."])
    assert ("/utsushi/engine/log", ["ERROR", "", "There is no such thing. Choose another."]) in messages
    td.close()


def test_an_offline_run_tells_how_far_it_is(
    tmp_path: Path, launch: Callable[..., Engine], connect: Callable[[Engine], Client]
) -> None:
    engine = launch(
        f"  a: {{type: fault.count, total: 60}}\n"
        f"  c: {{type: fault.check, input: a, path: {tmp_path}/seen.txt, delay: 0.05}}\n", "offline",
    )  # fmt: skip
    td = connect(engine)
    td.send("/utsushi/engine/subscribe", td.port)
    done, left_s = td.until(lambda where, values: where == "/utsushi/engine/progress" and 0 < values[0] < 1)
    assert left_s > 0
    assert td.until(lambda where, values: where == "/utsushi/engine/progress" and values[0] == 1.0) == [1.0, 0.0]
    assert engine.wait() == Exit.OK, engine.output


def test_the_bench_measures_both_kinds_of_nodes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.osc", "--changes", "2"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if "frames" in line or "rate" in line]) == 3, done.stdout

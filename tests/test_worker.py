"""A node's process, run in this one: what a step's failure, a message or an end does to it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine import bus, config, worker
from engine.clock import now_ns
from engine.directory import Directory
from engine.errors import BadInput, DeviceFailed, Exit, OutOfMemory
from engine.frame import Frame
from engine.node import Image, Latest, Node, NodeConfig, live
from engine.ring import WORD
from engine.rings import Rings
from engine.session import Session
from engine.stream import StreamWriter
from engine.worker import Worker

NAME = f"w{os.getpid() % 100000}"
NODES = """\
  camera: {type: camera.pattern, size: [16, 16]}
  mirror: {type: filter.mirror, input: camera}
"""


class Scripted(Node):
    """Does one thing per step, as the test says, and asks to be stopped when there is nothing left to do."""

    class Config(NodeConfig):
        gain: int = live(1, "a number")
        fps: float = 1000

    outputs = {"image": Image()}
    script: list[Callable[[Any], None]]

    def setup(self) -> None:
        self.closed = self.finished = False
        self.seen: list[str] = []

    def step(self, **frames: Frame | None) -> None:
        self.seen.append(self.worker.row.phase)  # type: ignore[attr-defined]
        if not self.script:
            self.worker.stopping = True  # type: ignore[attr-defined]
            return
        self.script.pop(0)(self)

    def finish(self) -> None:
        self.finished = True

    def close(self) -> None:
        self.closed = True


class Filter(Scripted):
    inputs = {"image": Latest}


class Paced(Filter):
    paced = True


def publish(node: Any) -> None:
    with node.out.begin((16, 16, 3)) as slot:
        slot.array[:] = 1


def fail(node: Any) -> None:
    raise ValueError("as the test wished")


def rest(node: Any) -> None:
    pass


class Kit:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch):
        path = folder / "x.yaml"
        path.write_text(f"engine: {{name: {NAME}}}\nnodes:\n{NODES}")
        self.patch, self.session = patch, Session(NAME)
        loaded = config.load(path)
        self.session.note(f"utsu_{NAME}_dir")
        self.directory = Directory.create(NAME, self.session.id, ["camera", "mirror"], [("camera", 0), ("mirror", 1)])
        self.rings = Rings(loaded, self.session, self.directory)
        for stream in self.rings.streams:
            self.rings.grant(stream, 1)
        self.directory.segment.publish()
        self.server = bus.Server()

    def worker(self, kind: type[Scripted], *script: Callable[[Any], None], offline: bool = False) -> Worker:
        self.patch.setattr(worker.registry, "find", lambda _: kind)
        row = 1 if kind.inputs else 0
        self.directory.node(row)["go"] = 1
        made = Worker({
            "name": "mirror", "type": "x", "config": {}, "epoch": 1, "identity": b"node", "param_version": 7,
            "paused": False, "has_run": False,
            "engine": NAME, "row": row, "port": self.server.port, "offline": offline, "outputs": {"image": row},
            "inputs": {"image": {"stream": 0, "policy": "latest", "line": 0}} if kind.inputs else {},
        })  # fmt: skip
        made.node.script, made.node.worker = list(script), made  # type: ignore[attr-defined]
        return made

    def camera(self) -> Any:
        """Publishes what the worker under test reads."""
        return StreamWriter(self.directory, 0, 1, self.rings.grow)

    def messages(self) -> list[Any]:
        self.server.wait(0.5)
        return [message for _, message in self.server.receive()]

    def close(self) -> None:
        self.server.close()
        self.rings.close()
        self.directory.close()
        self.session.close()


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    kit = Kit(tmp_path, monkeypatch)
    yield kit
    kit.close()


# --- failing ---


def test_a_failed_step_is_told_and_forgiven_when_the_next_one_works(kit: Kit) -> None:
    made = kit.worker(Scripted, rest, fail, rest, rest)
    assert made.run() == Exit.OK
    assert made.node.seen == ["RUNNING", "RUNNING", "DEGRADED", "RUNNING", "RUNNING"]  # type: ignore[attr-defined]
    assert made.row["errors"] == 1 and made.row.text == ""
    told = [message.text for message in kit.messages() if isinstance(message, bus.Log)]
    assert told == ["a step failed: ValueError: as the test wished"]


def test_failures_are_counted_in_a_row_and_only_many_end_it(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FAILURES_TO_GIVE_UP", 3)
    made = kit.worker(Scripted, fail, fail, rest, fail, fail, rest, fail, fail, fail, rest)
    assert made.run() == Exit.STEP_FAILED
    assert made.row["errors"] == 7 and len(made.node.script) == 1  # type: ignore[attr-defined]
    assert made.row.text == "ValueError: as the test wished" and made.node.closed  # type: ignore[attr-defined]


def test_offline_one_failure_is_enough(kit: Kit) -> None:
    made = kit.worker(Scripted, fail, rest, offline=True)
    assert made.run() == Exit.STEP_FAILED and made.row["errors"] == 1


def test_a_source_that_fails_at_once_does_not_spin(kit: Kit) -> None:
    rests: list[float] = []
    made = kit.worker(Scripted, fail, fail, rest)
    kit.patch.setattr(worker.time, "sleep", rests.append)
    assert made.run() == Exit.OK and len(rests) == 2


def test_a_fenced_writer_ends_at_once(kit: Kit) -> None:
    def lose_the_ring(node: Any) -> None:
        kit.rings.grant(kit.rings.streams[0], 2)
        publish(node)

    made = kit.worker(Scripted, publish, lose_the_ring, rest)
    assert made.run() == Exit.FENCED
    assert made.row["errors"] == 0 and len(made.node.script) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "code"),
    [(DeviceFailed("Gone."), 41), (OutOfMemory("Gone."), 42), (np.empty, 42), (MemoryError(), 42)],
)
def test_a_failed_card_or_full_memory_ends_it_at_once_and_touches_nothing_more(kit: Kit, error: Any, code: int) -> None:
    def break_down(node: Any) -> None:
        if isinstance(error, Exception):
            raise error
        error(1 << 62, np.uint8)  # NumPy's own kind of MemoryError

    made = kit.worker(Scripted, rest, break_down, rest)
    assert made.run() == code
    assert made.row["errors"] == 0 and len(made.node.script) == 1  # type: ignore[attr-defined]
    assert not made.node.closed  # type: ignore[attr-defined]
    assert made.row.text in ("Gone.",) or made.row.text.startswith("This machine's memory is full")


@pytest.mark.parametrize("error", [DeviceFailed("Gone."), MemoryError()])
def test_a_card_may_also_fail_while_new_settings_are_taken_up(kit: Kit, error: Exception) -> None:
    def configured() -> None:
        raise error

    made = kit.worker(Scripted)
    made.node.configured = configured  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        made._configure(bus.Set(node="mirror", values={"gain": 2}, version=8))


def test_bad_input_ends_it_with_its_sentence_and_code(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    made = kit.worker(Scripted)

    def setup() -> None:
        raise BadInput("There is no such camera.")

    monkeypatch.setattr(made.node, "setup", setup)
    monkeypatch.setattr(made.node, "close", lambda: fail(None))  # even a failing close
    assert made.run() == Exit.BAD_INPUT
    assert made.row.text == "There is no such camera." and made.row.phase == "STARTING"
    assert bus.Error(text="There is no such camera.") in kit.messages()


def test_a_new_life_does_not_complain_of_the_last_ones_trouble(kit: Kit) -> None:
    kit.directory.node(0).text = "The last life's trouble."
    made = kit.worker(Scripted, rest)
    assert made.row.text == "" and made.row["param_version"] == 7
    assert made.run() == Exit.OK and made.node.seen[0] == "RUNNING"  # type: ignore[attr-defined]


# --- counting ---


def test_a_source_counts_the_frames_it_makes_and_not_its_waiting(kit: Kit) -> None:
    made = kit.worker(Scripted, rest, publish, rest, publish)
    made.run()
    assert made.row["steps"] == made.row.step_ns.count == 2
    assert 0 < made.row["first_step_ns"] <= made.row["last_step_ns"] <= now_ns()


def test_a_source_of_two_streams_counts_from_where_it_began_the_first(kit: Kit) -> None:
    def publish_both(node: Any) -> None:
        with node.outs["image"].begin((16, 16, 3)):
            time.sleep(0.02)
            with node.outs["second"].begin((16, 16, 3)):
                pass

    made = kit.worker(Scripted, publish_both)
    made.node.outs["second"] = StreamWriter(kit.directory, 1, 1, kit.rings.grow)
    made.run()
    assert made.row["steps"] == 1 and made.row.step_ns.max_ms > 19


def test_the_age_of_a_frame_counts_once_however_often_it_is_shown(kit: Kit) -> None:
    camera = kit.camera()
    publish(_Holder(camera))
    made = kit.worker(Paced, rest, rest, lambda _: publish(_Holder(camera)), rest, rest)
    made.run()
    assert made.row["steps"] >= 5 and made.row.latency_ns.count == 2


class _Holder:
    def __init__(self, out: Any):
        self.out = out


def test_a_frame_carries_the_settings_it_was_made_with(kit: Kit) -> None:
    kit.worker(Scripted, publish).run()
    newest = kit.rings.newest("camera")
    assert newest is not None and newest.param_version == 7


def test_what_is_set_while_a_paced_node_waits_is_for_the_next_picture_already(kit: Kit) -> None:
    gains = []
    made = kit.worker(Paced, lambda node: gains.append(node.config.gain), lambda node: gains.append(node.config.gain))
    said: list[Any] = []
    kit.patch.setattr(made.bus, "receive", lambda: said.pop() if said else None)
    kit.patch.setattr(
        worker.time, "sleep", lambda _: said.append(bus.Set(node="mirror", values={"gain": 5}, version=8))
    )
    made.node.setup()
    made.pacer = SimpleNamespace(remaining_s=lambda: 0.01, advance=lambda: None)  # type: ignore[assignment]
    made._turn()
    assert gains == [5]


# --- ending, and being told ---


def test_the_end_of_an_input_ends_an_offline_node_and_not_a_live_one(kit: Kit) -> None:
    camera = kit.camera()
    publish(_Holder(camera))
    camera.end()
    offline = kit.worker(Filter, rest, offline=True)
    assert offline.run() == Exit.OK
    assert offline.row.phase == "FINISHED" and offline.row["steps"] == 1
    assert offline.node.finished and offline.node.closed  # type: ignore[attr-defined]
    assert kit.rings.streams[1].ring.words[WORD["ended"]] == 1
    live_one = kit.worker(Filter)
    kit.server.receive()
    kit.patch.setattr(live_one.bell, "wait", lambda _: setattr(live_one, "stopping", True))
    live_one.readers["image"].read()
    assert live_one.run() == Exit.OK and live_one.row.phase == "STOPPING"


def test_an_event_is_told_at_once(kit: Kit) -> None:
    made = kit.worker(Scripted)
    kit.messages()
    made.node.event("entered", 3, "left")
    made.node.event("left", 3)
    assert kit.messages() == [bus.Event(name="entered", values=[3, "left"]), bus.Event(name="left", values=[3])]


def test_a_nodes_own_figures_are_told_once_a_second(kit: Kit) -> None:
    made = kit.worker(Scripted)
    kit.messages()
    for value in (1, 2, 3):
        made.node.metric("gain", value)
        made.node.metric("tone", "low")
        made.idle()
    assert kit.messages() == [bus.Metrics(values={"gain": 1.0, "tone": "low"})]
    kit.patch.setattr(worker, "METRICS_NS", 0)
    made.idle()
    made.idle()
    assert kit.messages() == [bus.Metrics(values={"gain": 3.0, "tone": "low"})]


def test_messages_pause_set_start_and_stop_it(kit: Kit) -> None:
    made = kit.worker(Scripted)
    answers: list[Any] = [
        bus.Pause(), None, bus.Set(node="mirror", values={"gain": 5}, version=8), None, bus.Start(), None, bus.Stop(),
    ]  # fmt: skip
    kit.patch.setattr(made.bus, "receive", lambda: answers.pop(0))
    phases = []
    for _ in range(3):
        made.row["beat_ns"] = 0
        made.idle()
        assert made.row["beat_ns"] > 0
        phases.append((made.paused, made.row.phase, made.node.config.gain, made.row["param_version"]))
    assert phases == [(True, "PAUSED", 1, 7), (True, "PAUSED", 5, 8), (False, "RUNNING", 5, 8)]
    answers.append(None)
    with pytest.raises(worker.Stopped):
        made.idle()


def test_a_node_that_cannot_take_up_its_settings_lives_on(kit: Kit) -> None:
    made = kit.worker(Scripted, rest)
    kit.patch.setattr(made.node, "configured", lambda: fail(None))
    made._configure(bus.Set(node="mirror", values={"gain": 5}, version=8))
    assert made.row.text.startswith("new settings were not taken up: ValueError")
    assert made.node.config.gain == 5


def test_a_pause_before_it_is_let_go_shows_when_it_is(kit: Kit) -> None:
    made = kit.worker(Scripted, rest)
    made.row["go"] = 0
    made.phase("READY")
    answers: list[Any] = [bus.Pause(), None]
    kit.patch.setattr(made.bus, "receive", lambda: answers.pop(0))
    made.idle()
    assert made.row.phase == "READY"
    made.row["go"] = 1
    made._wait_to_go()
    assert made.row.phase == "PAUSED"


def test_terminated_it_ends_in_order_or_at_once_where_nothing_was_begun(kit: Kit) -> None:
    exits: list[int] = []
    kit.patch.setattr(worker.os, "_exit", exits.append)
    made = kit.worker(Scripted, lambda node: node.worker.terminate(), rest)
    assert made.run() == Exit.OK and exits == [] and made.row.phase == "STOPPING"
    made.phase("STARTING")
    made.terminate()
    assert exits == [0]


def test_it_leaves_ctrl_c_to_the_supervisor_and_hears_terminate(kit: Kit) -> None:
    made = kit.worker(Scripted, rest)
    handlers: dict[int, Any] = {}
    kit.patch.setattr(worker.process, "receive_spec", dict)
    kit.patch.setattr(worker, "Worker", lambda _: made)
    kit.patch.setattr(worker.signal, "signal", handlers.__setitem__)
    kit.patch.setattr(worker.faulthandler, "enable", lambda: None)
    assert worker.main() == Exit.OK
    assert handlers[signal.SIGINT] == signal.SIG_IGN
    handlers[signal.SIGTERM]()
    assert made.stopping


def test_a_ready_node_waits_to_be_let_go(kit: Kit) -> None:
    made = kit.worker(Scripted, rest)
    made.row["go"] = 0
    looks = []

    def look() -> None:
        looks.append(made.row.phase)
        if len(looks) == 3:
            made.row["go"] = 1

    kit.patch.setattr(made, "idle", look)
    made._wait_to_go()
    assert looks == ["READY"] * 3 and made.row.phase == "RUNNING"


def test_a_frame_is_an_array_of_the_readers_own(kit: Kit) -> None:
    camera = kit.camera()
    publish(_Holder(camera))
    got: list[np.ndarray] = []
    made = kit.worker(Filter, rest)

    def keep(image: Frame) -> None:
        got.append(image.array)
        made.stopping = True

    kit.patch.setattr(made.node, "step", keep)
    made.run()
    assert got[0].shape == (16, 16, 3) and got[0].flags.writeable


def test_a_long_complaint_is_said_once(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    made, why = kit.worker(Filter), "long " * 400
    for _ in range(3):
        made.degraded(why)
    assert len(caplog.records) == 1 and why.startswith(made.row.text)
    made.recovered()
    made.degraded(why)
    assert len(caplog.records) == 2

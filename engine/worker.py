"""A node's process: attach, set up, then step until told to stop.

Everything the supervisor knows of a node it reads from the node's row in the directory, which this loop writes
itself: a helper thread would go on saying "alive" while the work hangs.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

from engine import crash, process
from engine.bus import BusHandler, Client, Error, Event, Grow, Metrics, Pause, Set, Start, State, Stop
from engine.clock import Pacer, now_ns
from engine.config import registry
from engine.decide import NEEDS_SMALLER
from engine.directory import Directory, NodeHealth
from engine.errors import EngineError, Exit, Unrecoverable
from engine.intake import Frames, Intake
from engine.node import Node
from engine.ring_reader import Policy
from engine.wake import Doorbell

LONGEST_WAIT_S = 0.05  # between two looks at the control messages
FAILURES_TO_GIVE_UP = 20  # steps in a row
METRICS_NS = 1_000_000_000  # between two reports of a node's own figures
NOT_TAKEN_UP = "new settings were not taken up"


class Stopped(BaseException):
    """Unwinds whatever waits inside a step when the node is told to stop."""


class Worker:
    """One life of one node. `spec` is what `Supervisor._start` and `Life.start` put together."""

    def __init__(self, spec: dict[str, Any]):
        self.spec = spec
        self.directory = Directory.attach(spec["engine"])
        self.row = self.directory.node(spec["row"])
        self.row["epoch"] = spec["epoch"]
        self.row.text = ""
        self.bus = Client(spec["port"], spec["identity"])
        self.phase("STARTING")
        self.bell = Doorbell()
        self.stopping = self.ended = False
        self.paused: bool = spec["paused"]
        self.failures = 0
        self._trouble = ""  # the sentence in full; the row has room for the beginning of a long one
        self._metrics: dict[str, float | str] = {}
        self._told_ns = 0  # when they were reported
        self.shown: Any = None  # the newest frame that this node has worked on
        self.node = self._node()

    def _node(self) -> Node:
        spec, node_class = self.spec, registry.find(self.spec["type"])
        node = node_class()
        node.name, node.offline, node.has_run = spec["name"], spec["offline"], spec["has_run"]
        node.reads = tuple(spec["inputs"])
        node.config = node_class.Config.model_validate(spec["config"])
        node.log = logging.getLogger(spec["name"])
        node.log.addHandler(BusHandler(self.bus))
        self.row["param_version"] = spec["param_version"]
        new_reader, new_writer = crash.stream_types(spec["name"])
        self.readers = {
            port: new_reader(self.directory, edge["stream"], Policy(edge["policy"]), edge["line"], self.bell.port)
            for port, edge in spec["inputs"].items()
        }
        node.outs = {
            port: new_writer(self.directory, stream, spec["epoch"], self._grow, self.idle, self._about)
            for port, stream in spec["outputs"].items()
        }
        paired = frozenset(port for port, policy in node_class.inputs.items() if policy is Policy.PAIRED)
        self.intake = Intake(self.readers, paired, node_class.gathers, self.bell, spec["offline"])
        # What a node may say about itself.
        node.degraded, node.recovered = self.degraded, self.recovered  # type: ignore[method-assign]
        node.end, node.expect, node.health = self._end, self._expect, self._health  # type: ignore[method-assign]
        node.metric, node.event = self._metric, self._event  # type: ignore[method-assign]
        return node

    # --- the life of a node ---

    def run(self) -> Exit:
        try:
            self.node.setup()
            self._wait_to_go()
            while not self.ended:
                self.idle()
                if not self.paused:
                    self._turn()
                else:
                    self.bell.wait(LONGEST_WAIT_S)
            self._finish()
            code = Exit.OK
        except Stopped:
            self.phase("STOPPING")
            code = Exit.OK
        except EngineError as error:
            self._give_up(str(error))
            code = error.exit_code
        except MemoryError:
            traceback.print_exc()
            self._give_up("This machine's memory is full. Close other programs, or ask for less in the config.")
            code = Exit.OUT_OF_MEMORY
        except BaseException as error:  # a node that calls sys.exit has failed like any other
            traceback.print_exc()
            self._give_up(f"{type(error).__name__}: {error}")
            code = Exit.STEP_FAILED
        if code not in NEEDS_SMALLER:  # a call into a driver that has failed may never return
            try:
                self.node.close()
            except Exception:
                traceback.print_exc()
        self.bus.close(linger_ms=200)
        return code

    def _wait_to_go(self) -> None:
        self.phase("READY")
        while not self.row["go"]:
            self.idle()
            time.sleep(0.005)
        self._resume()
        self.pacer = Pacer(self.node.config.fps) if self.node.paced else None

    def _turn(self) -> None:
        """Wait a bounded time for something to do, and do it."""
        frames = self._frames()
        if frames is None:
            return
        published = self._published()
        primary = next(iter(frames.values()), None)
        started = now_ns()
        try:
            self.node.step(**frames)
        except (Unrecoverable, MemoryError):
            raise
        except Exception as error:
            self._failed(error)
            return
        ended = now_ns()
        if self.failures:
            self.failures = 0
            self.recovered()
        if self.readers or self.node.paced:
            self._count(started, ended)
        elif self._published() != published:  # a source's waiting is not work: count from where it began to write
            begun = (out.begun_ns for out in self.node.outs.values() if out.begun_ns >= started)
            self._count(min(begun, default=started), ended)
        if primary is not None and primary.source != self.shown:
            self.shown = primary.source
            self.row.latency_ns.add(max(0, ended - primary.capture_ns))

    def _frames(self) -> Frames | None:
        """The frames of the next step, or None when it is not time for one yet."""
        if self.pacer is not None:
            if (left := self.pacer.remaining_s()) > 0:
                time.sleep(min(left, LONGEST_WAIT_S))
                if left > LONGEST_WAIT_S:
                    return None
                self.idle()  # what was set meanwhile is for this picture already
            self.pacer.advance()
            return self.intake.now()
        if not self.readers:
            return {}
        frames = self.intake.next(LONGEST_WAIT_S)
        if frames is None and self.spec["offline"]:
            self.ended = self.intake.ended
        return frames

    def _finish(self) -> None:
        """Offline: everything was read and made. Say so downstream."""
        self.node.finish()
        for out in self.node.outs.values():
            out.end()
        self.phase("FINISHED")

    def idle(self) -> None:
        """A sign of life, and a look at the control messages."""
        self.row["beat_ns"] = now = now_ns()
        if self._metrics and now - self._told_ns >= METRICS_NS:
            self.bus.send(Metrics(values=self._metrics))
            self._metrics, self._told_ns = {}, now
        while (message := self.bus.receive()) is not None:
            match message:
                case Stop():
                    self.stopping = True
                case Pause() | Start():
                    self.paused = isinstance(message, Pause)
                    if self.row["go"]:
                        self._resume()
                case Set():
                    self._configure(message)
        if self.stopping:
            raise Stopped

    def _resume(self) -> None:
        self.phase("PAUSED" if self.paused else "DEGRADED" if self.row.text else "RUNNING")

    def _configure(self, message: Set) -> None:
        node = self.node
        node.config = node.Config.model_validate({**node.config.model_dump(), **message.values})
        self.row["param_version"] = message.version
        try:
            node.configured()
            if self.row.text.startswith(NOT_TAKEN_UP):
                self.recovered()
        except (Unrecoverable, MemoryError):
            raise
        except Exception as error:  # the settings were checked: this is the node's own mistake, and no reason to die
            traceback.print_exc()
            self.degraded(f"{NOT_TAKEN_UP}: {type(error).__name__}: {error}")

    def terminate(self) -> None:
        """The supervisor has lost its patience."""
        self.stopping = True
        if self.row.phase == "STARTING":
            os._exit(Exit.OK)

    # --- counting ---

    def _count(self, started: int, ended: int) -> None:
        row = self.row
        row.step_ns.add(ended - started)
        row["steps"] += 1
        row["first_step_ns"] = row["first_step_ns"] or ended
        row["last_step_ns"] = ended

    def _published(self) -> int:
        return sum(out.published for out in self.node.outs.values())

    def _failed(self, error: Exception) -> None:
        self.row["errors"] += 1
        self.failures += 1
        if self.failures == 1:
            traceback.print_exc()
            self.degraded(f"a step failed: {type(error).__name__}: {error}")
        if self.spec["offline"] or self.failures >= FAILURES_TO_GIVE_UP:
            raise error
        if not self.readers:
            time.sleep(0.05)  # a source that fails at once must not spin

    # --- what the node says ---

    def phase(self, name: str) -> None:
        self.row["beat_ns"] = now_ns()
        self.row.phase = name
        self.bus.send(State(phase=name, text=self.row.text))

    def degraded(self, why: str) -> None:
        if why != self._trouble:
            self._trouble = self.row.text = why
            self.node.log.warning("%s", why)
            if self.row.phase == "RUNNING":
                self.phase("DEGRADED")

    def recovered(self) -> None:
        if self.row.text:
            self._trouble = self.row.text = ""
            if self.row.phase == "DEGRADED":
                self.phase("RUNNING")

    def _give_up(self, why: str) -> None:
        self.row.text = why
        self.bus.send(Error(text=why))
        print(why, file=sys.stderr, flush=True)

    def _metric(self, name: str, value: float | str) -> None:
        self._metrics[name] = value if isinstance(value, str) else float(value)

    def _event(self, name: str, *values: int | float | str) -> None:
        self.bus.send(Event(name=name, values=list(values)))

    def _end(self) -> None:
        self.ended = True

    def _expect(self, total_steps: int) -> None:
        self.row["total"] = total_steps

    def _health(self) -> list[NodeHealth]:
        return self.directory.health()

    def _about(self) -> dict[str, Any]:
        return {"param_version": self.row["param_version"]}

    def _grow(self, stream: int, needed: int) -> None:
        self.bus.send(Grow(stream=stream, bytes=needed))


def main() -> int:
    spec = process.receive_spec()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        worker = Worker(spec)
    except EngineError as error:
        print(error, file=sys.stderr)
        with suppress(EngineError):
            Directory.attach(spec["engine"]).node(spec["row"]).text = str(error)
        return error.exit_code
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, lambda *_: worker.terminate())
    return worker.run()


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(status)  # libraries' own clean-up at exit is where native code likes to hang

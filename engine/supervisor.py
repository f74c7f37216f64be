"""The supervisor: owns all shared memory, keeps every node running, and ends everything in order.

Ten times a second: look at each node, let `decide` say what to do, do that one thing. Nothing in here waits
for a node; a stop is a state with a deadline.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack

from engine import config as configs
from engine import decide, job, layout, shm, stats
from engine.bus import Server, Stop
from engine.clock import now_ns
from engine.config import Config, OscConfig
from engine.control import Control
from engine.decide import SECOND, Action
from engine.directory import Directory, directory_beats, segment_name
from engine.errors import AlreadyRunning, EngineError, Exit
from engine.frame import Frame
from engine.life import Life
from engine.osc import Gateway
from engine.panel import PanelFile, describe
from engine.rings import Rings
from engine.session import Session

TICK_S = 0.1
AMNESTY_NS = SECOND  # a longer gap between two ticks is the supervisor's own pause, and nobody else's fault
LOOK_NS = SECOND  # how often it is made sure that our segments can still be found
STOP_NS = 2 * SECOND  # after this long whatever has not stopped is killed
NO_PICTURES = ("KEYPOINTS", "WORLD", "DEPTH")
FATAL_AT_START = (Exit.BAD_INPUT, Exit.USAGE)


class Supervisor:
    """One engine's life. Use as a context manager; everything it made is gone when it closes.

    say: prints one line for a person.
    Raises on construction: `AlreadyRunning`, `ShmFull`, `BadInput` (control port, OSC host), `EngineError`.
    """

    def __init__(self, config: Config, say: Callable[[str], None] = print):
        self.config, self.say = config, say
        self.offline = config.engine.mode == "offline"
        self.failure: EngineError | None = None
        self.amnesty_ns = self._ticked_ns = now_ns()
        self._stopping_ns = self._looked_ns = 0
        self.unlinked = False  # by somebody else: whoever comes now would not find us
        job.contain()
        self.session = Session(config.engine.name)
        try:
            self._build()
        except BaseException:
            self.session.close()
            raise

    def _build(self) -> None:
        config, session = self.config, self.session
        shm.require_space(configs.needed_bytes(config), f"this config, with {len(config.streams)} streams,")
        self.server = Server(config.engine.port)
        self.control = Control(self)
        self.osc = Gateway(config.engine.osc, self) if isinstance(config.engine.osc, OscConfig) else None
        rows = {spec.name: row for row, spec in enumerate(config.nodes)}
        if directory_beats(config.engine.name):  # its lock file was deleted, or is another user's
            raise AlreadyRunning(f"An engine named {config.engine.name!r} runs already, from another home folder.")
        session.note(segment_name(config.engine.name))
        self.directory = Directory.create(
            config.engine.name, session.id, list(rows), [(stream.name, rows[stream.node]) for stream in config.streams]
        )
        self.rings = Rings(config, session, self.directory)
        self.lives = [Life(spec, self.directory.node(row), session.logs / f"{spec.name}.log")
                      for row, spec in enumerate(config.nodes)]  # fmt: skip
        self.panel = PanelFile(config.engine.name)
        self.directory["supervisor_pid"] = os.getpid()
        self.directory["control_port"] = self.server.port
        self.directory["beat_ns"] = now_ns()
        self.directory["state"] = layout.STATES["READY"]
        self.directory.segment.publish()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as steps:  # each of them, whatever becomes of the others; the last one first
            steps.callback(self.session.close)
            steps.callback(self.server.close)
            steps.callback(self.directory.close)
            steps.callback(self.rings.close)
            steps.callback(self.panel.remove)
            if self.osc:
                steps.callback(self.osc.close)
            self.directory["state"] = layout.STATES["RETIRED"]
            for life in self.lives:
                life.kill()

    # --- the loop ---

    def tick(self) -> bool:
        """One round. Returns False when everything has ended."""
        self.server.wait(0 if self.osc and self.osc.waiting else TICK_S)
        now = now_ns()
        if now - self._ticked_ns > AMNESTY_NS:
            self.amnesty_ns = now
        self._ticked_ns = self.directory["beat_ns"] = now
        for identity, message in self.server.receive():
            self.control.answer(identity, message)
        self._let_go()
        for life in self.lives:
            self._apply(life)
        self.rings.tidy()
        for life in self.lives:
            life.trim_log()
        if self.osc:
            self.osc.turn()
        self._keep_panel()
        self._look_for_segments(now)
        if self._stopping_ns:
            self._stop_next()
        elif self.offline and all(life.finished for life in self.lives):
            self.stop()
        return not self._stopping_ns or any(life.process for life in self.lives)

    def _look_for_segments(self, now: int) -> None:
        """End when the names of our shared memory are gone: they cannot be given back, only made anew."""
        if self._stopping_ns or now - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now
        rings = [stream.ring for stream in self.rings.streams]
        gone = [segment.name for segment in (self.directory.segment, *rings) if not segment.is_linked()]
        if gone:
            self.unlinked = True
            sentence = f"Somebody has removed the engine's shared memory ({gone[0]}; {len(gone)} of {len(rings) + 1})."
            if self.offline:
                self.failure = EngineError(f"{sentence} Run it again.")
            else:
                self.report(f"{sentence} Starting anew.", level="ERROR")
            self.stop()

    @property
    def stopping(self) -> bool:
        return self._stopping_ns > 0

    def stop(self) -> None:
        """End in order: those who read before those who write, so that nobody waits for a dead writer."""
        if not self._stopping_ns:
            self._stopping_ns = now_ns()
            self._stop_next()

    def _stop_next(self) -> None:
        overdue = now_ns() - self._stopping_ns > STOP_NS
        for life in self.lives:
            life.wanted = life.wanted and life.process is not None  # nobody is started again now
        for life in reversed(self.lives):  # nodes stand in the order in which frames pass them
            life.wanted = False
            if overdue:
                life.kill()
            elif life.process is not None:
                break

    def _apply(self, life: Life) -> None:
        observed = life.observe(self.amnesty_ns)
        decision = decide.decide(life.deadlines, observed, now_ns())
        match decision.action:
            case Action.START:
                try:
                    self._start(life)
                except OSError as error:  # no memory or no process left on this machine, for now
                    life.failed(observed)
                    self.report(f"{life.name} cannot be started: {error}. Trying again.", life.name)
            case Action.BURY:
                self._bury(life, observed, decision.reason)
            case Action.ASK:
                life.asked_ns = now_ns()
                self.server.send(life.identity, Stop())
            case Action.TERMINATE:
                life.terminate()
            case Action.KILL:
                self.report(f"{life.name} {decision.reason}: killed.", life.name)
                life.kill()

    def _start(self, life: Life) -> None:
        rows = {stream.spec.name: stream for stream in self.rings.streams}
        inputs = {
            port: {"stream": rows[edge.stream].row, "policy": edge.policy.value,
                   "line": rows[edge.stream].spec.readers.index((life.name, port))}
            for port, edge in life.spec.inputs.items()
        }  # fmt: skip
        outputs = {stream.spec.port: stream.row for stream in self.rings.streams if stream.spec.node == life.name}
        for row in outputs.values():
            self.rings.grant(self.rings.streams[row], life.epoch + 1)
        life.start({
            "engine": self.config.engine.name, "row": self.lives.index(life), "port": self.server.port,
            "offline": self.offline, "inputs": inputs, "outputs": outputs,
        })  # fmt: skip

    def _bury(self, life: Life, observed: decide.Observed, reason: str) -> None:
        phase, why = life.row.phase, life.row.text
        code = life.bury(observed)
        self.rings.silence(life.name)
        if phase == "FINISHED" and code == Exit.OK:
            life.finished = True
            return
        life.row["phase"] = layout.PHASES["NONE"]
        if life.wanted:
            self._died(life, code, f"{life.name} {reason}" + (f": {why}" if why else ""))

    def _died(self, life: Life, code: int, sentence: str) -> None:
        """A node that should run does not: start it again, or end what cannot succeed."""
        hopeless = code in FATAL_AT_START and not life.has_run
        if hopeless or self.offline:
            if not (hopeless and life.row.text):
                self._show_last_lines(life)
            self.failure = self.failure or EngineError(life.row.text if hopeless and life.row.text else sentence)
            self.failure.exit_code = Exit(code) if hopeless else Exit.FAILED
            self.stop()
            return
        delay = decide.delay_ns(life.failures) / SECOND
        smaller = f", {life.in_profile}" if life.profile else ""
        self.report(f"{sentence.rstrip('.')}. Starting it again in {delay:g} s{smaller}.", life.name)
        self._show_last_lines(life)

    def _show_last_lines(self, life: Life) -> None:
        for line in life.last_lines():
            self.report(f"    {life.name} | {line}", life.name, "INFO")

    def _let_go(self) -> None:
        """Let ready nodes begin once those who read from them are there."""
        phases = {life.name: life.row.phase if life.process else "NONE" for life in self.lives}
        for life in self.lives:
            if life.ready_ns and not life.row["go"]:
                readers = [
                    phases[node]
                    for stream in self.rings.streams if stream.spec.node == life.name
                    for node, _ in stream.spec.readers
                ]  # fmt: skip
                life.row["go"] = int(decide.may_go(readers, now_ns() - life.ready_ns, self.offline))

    # --- looking at it ---

    def report(self, text: str, node: str = "", level: str = "WARNING") -> None:
        """Say a line on the screen, and to those who listen by OSC."""
        self.say(text)
        if self.osc:
            self.osc.log(level, node, text)

    def _keep_panel(self) -> None:
        state = [(life.version, life.profile) for life in self.lives]
        if self.panel.due(state):
            try:
                self.panel.write(state, self.describe())
            except OSError as error:
                self.report(f"{self.panel.path} cannot be written: {error.strerror}. Panels do not see what changes.")

    def describe(self) -> dict:
        """What panels are made from (engine/panel.py)."""
        nodes = [(life.spec, life.settings, life.versions) for life in self.lives]
        port = self.osc.port if self.osc else None
        return describe(self.config, nodes, port, self.session.id, os.getpid())

    def last_lives(self) -> list[Life]:
        """The nodes at the ends of the graph: those that no other node reads from."""
        read_from = {stream.spec.node for stream in self.rings.streams if stream.spec.readers}
        return [life for life in self.lives if life.name not in read_from]

    def figures(self) -> dict:
        """Everything counted so far, as in --stats (without "seconds")."""
        counted = stats.figures(self.lives, self.last_lives(), self.rings)
        osc = {"received": self.osc.received, "refused": self.osc.refused} if self.osc else None
        return {**counted, "control": {"rejected": self.server.rejected}, "osc": osc}

    def picture(self) -> Frame | None:
        """The newest picture of the last stream that carries any."""
        frames = (self.rings.newest(stream.name) for stream in reversed(self.config.streams))
        return next((frame for frame in frames if frame is not None and frame.pixel_format not in NO_PICTURES), None)

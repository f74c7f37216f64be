"""Start and stop an engine from TouchDesigner, or attach to one that runs already. Standard library and NumPy only.

launcher = Launcher(folder)
launcher.start()
launcher.poll()     # in onFrameStart: everything goes on here, and nothing in here waits
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import ring_mapping as memory
from panel import PanelFile, home
from processes import CannotStart, interpreter, start, tail
from stopping import Family

LOOK_S = 0.1  # between two looks at the engine's memory
STALE_NS = 2_000_000_000  # an engine that has given no sign of life for so long is not there
TERMINATE_S, KILL_S, GIVE_UP_S = 5.0, 10.0, 15.0  # after the engine was asked to stop
SLOW_S = 20.0  # after this long at its start a hint is given
STOP = "/utsushi/engine/stop"
FIGURES = re.compile(" *[0-9]+ s \\| ")  # what an engine prints every second, which explains nothing
KILLED = -9  # exit code, but for Windows


def osc_message(address: str) -> bytes:
    """An OSC 1.0 message without values: address and type tags, each with a NUL and filled up to four bytes."""
    return b"".join(text + b"\0" * (4 - len(text) % 4) for text in (address.encode(), b","))


class Launcher:
    """One engine, by its name. Nothing here raises, and nothing but `close` waits.

    folder: Utsushi's. python: its interpreter, else the one in the folder's .venv. config: the engine's, else the demo;
        a path within the folder may be relative to it.
    state: STOPPED, STARTING, RUNNING, ATTACHED (an engine that was not started here), STOPPING, FAILED.
    message: a sentence for the artist. keep_running: the engine outlives TouchDesigner; else `close` stops it.
    """

    def __init__(self, folder: str | Path, python: str = "", config: str = "", engine: str = "utsushi"):
        self.folder, self.python, self.config, self.engine = Path(folder), python, config, engine
        self.keep_running = True
        self.state, self.message = "STOPPED", "Nothing was started."
        self.log = home() / "logs" / f"{engine}.log"
        self._began = self._asked = self._looked = 0.0
        self._again = False  # start it once it has stopped
        self._family = Family()
        self._due: list[tuple[float, Callable[[], None]]] = []  # what is left to do to stop it, and when
        self._found: memory.Mapping | None = None
        self._pid = 0  # of the engine that was seen last
        self._ended_ns = 0  # a sign of life from before it is a dead one's
        self._is_its_log = False

    # --- the buttons ---

    def start(self) -> None:
        """Start the engine; one that runs already is attached to."""
        if self.state == "STOPPING":
            self._again = True
        elif self._look(force=True) or self._alive():
            self.poll()
        else:
            self._launch()

    def stop(self) -> None:
        """Stop the engine, whoever has started it: ask it, then terminate it, then kill it and all that it started."""
        self._again = False
        if self.state == "STOPPING":
            return
        if not self._look(force=True) and not self._alive():
            self.state, self.message = "STOPPED", f"No engine named '{self.engine}' runs."
            return
        self.state, self.message = "STOPPING", "The engine is asked to stop."
        self._began = self._asked = time.monotonic()
        self._family = Family(self._process.pid if self._process is not None else self._pid)
        self._due = [(TERMINATE_S, self._terminate), (KILL_S, self._kill), (GIVE_UP_S, self._give_up)]
        if not self._ask():
            self._terminate()

    def restart(self) -> None:
        """Stop the engine and start it again; start it where none runs."""
        self.stop()
        self._again = self.state == "STOPPING"
        if not self._again:
            self.start()

    def poll(self) -> None:
        """Bring `state` and `message` up to date and go on with what was begun. Once per frame; never waits."""
        if self.state == "STOPPING":
            self._drive_stop()
            return
        engine, process = self._look(), self._process
        if process is not None and process.poll() is not None:
            self._bury()
            self._ended(process.returncode)
        elif process is not None:
            self._follow(engine)
        elif engine:
            self.state = "ATTACHED"
            self.message = f"Engine '{self.engine}' runs already (process {self._pid})."
        elif self.state == "ATTACHED":
            self.state, self.message = "STOPPED", "The engine has ended."

    def close(self) -> None:
        """TouchDesigner closes. With `keep_running` the engine goes on; else what was started here is stopped, which is
        waited for."""
        if self.keep_running or not self._alive():
            return
        self.stop()
        while self.state == "STOPPING" and self._due:
            time.sleep(0.02)
            self.poll()

    def log_tail(self, n: int = 20) -> list[str]:
        """The last lines that the engine has printed, where it was started from TouchDesigner, by this one or another.

        One that was started in a terminal prints there.
        """
        if self._process is not None:
            self._is_its_log = True
        elif self._found is not None:
            self._is_its_log = tail(self._mark, 1) == [str(self._found["session"])]
        return tail(self.log, n) if self._is_its_log else []

    # --- what runs ---

    @property
    def _started(self) -> dict[str, subprocess.Popen]:
        """Engines that this TouchDesigner has started; they outlive a change of settings, and this module's text."""
        kept = sys.modules.setdefault("_utsushi_bridge", ModuleType("_utsushi_bridge")).__dict__
        return kept.setdefault("engines", {})

    @property
    def _process(self) -> subprocess.Popen | None:
        return self._started.get(self.engine)

    @property
    def _mark(self) -> Path:
        """Holds the number of the session whose lines are in the log."""
        return self.log.with_suffix(".session")

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _look(self, force: bool = False) -> bool:
        """Does an engine of this name give signs of life?"""
        now = time.monotonic()
        if force or now - self._looked >= LOOK_S:
            self._looked, self._found = now, self._engine()
            if self._found is not None:
                pid = self._found["supervisor_pid"]
                self._pid = pid if 1 < pid < 1 << 31 else 0  # 0 and -1 would be TouchDesigner itself, or everybody
        return self._found is not None

    def _engine(self) -> memory.Mapping | None:
        """Its memory, mapped anew each time: on Windows a dead engine's name is free once nobody holds it."""
        self._found = None
        try:
            found = memory.Mapping(f"utsu_{self.engine}_dir", memory.DIRECTORY, memory.STREAM_ROWS_END)
        except (OSError, memory.Refused):
            return None
        beats = abs(time.perf_counter_ns() - found["beat_ns"]) < STALE_NS and found["beat_ns"] > self._ended_ns
        return found if beats and found["state"] == memory.STATES["READY"] else None

    def _launch(self) -> None:
        try:
            if not re.fullmatch(memory.ENGINE_NAME, self.engine):
                raise CannotStart(memory.BAD_NAME)
            words = [interpreter(self.folder, self.python), str(self.folder / "run_engine.py")]
            words += ["--config", str(self.folder / self.config)] if self.config else []
            self._mark.unlink(missing_ok=True)
            self._started[self.engine] = start(words, self.folder, self.log)
            self._is_its_log = True
        except CannotStart as refusal:
            self.state, self.message = "FAILED", str(refusal)
        except OSError as error:
            self.state, self.message = "FAILED", f"The engine cannot be started: {error}."
        else:
            self.state, self.message, self._began = "STARTING", "The engine is starting.", time.monotonic()

    def _follow(self, engine: bool) -> None:
        """Our own one runs."""
        if engine:
            assert self._process is not None and self._found is not None
            if self.state != "RUNNING":
                self._note(self._found["session"])
            self.state, self.message = "RUNNING", f"Engine '{self.engine}' runs (process {self._pid})."
        elif self.state == "RUNNING":
            self.message = "The engine gives no sign of life. If it does not come back, press 'Restart'."
        else:
            seconds = time.monotonic() - self._began
            hint = f" It may have another name in its config than '{self.engine}'." if seconds > SLOW_S else ""
            lines = self._said(1)
            self.state = "STARTING"
            self.message = f"The engine is starting, {seconds:.0f} s.{hint}{' ' + lines[0] if lines else ''}"

    def _note(self, session: int) -> None:
        with suppress(OSError):  # without it a later TouchDesigner shows no lines
            self._mark.write_text(str(session), encoding="utf-8")

    def _said(self, lines: int) -> list[str]:
        """The last lines of the log that say something in words."""
        return [line for line in tail(self.log, 1000) if not FIGURES.match(line)][-lines:]

    def _bury(self) -> None:
        """It has ended; what stands in its memory means nothing any more."""
        self._started.pop(self.engine, None)
        self._ended_ns, self._found = time.perf_counter_ns(), None

    def _ended(self, code: int) -> None:
        """Our own one has ended without being asked to."""
        lines = " / ".join(self._said(3)) or "It said nothing."
        if code == 0:
            self.state, self.message = "STOPPED", "The engine has ended."
        elif code == KILLED:
            why = "If nobody did that, the computer has run out of memory."
            self.state, self.message = "FAILED", f"The engine was killed (exit code {code}). {why}"
        else:
            self.state, self.message = "FAILED", f"The engine ended with exit code {code}. {lines}"

    # --- stopping ---

    def _drive_stop(self) -> None:
        now = time.monotonic()
        is_there = self._alive() if self._process is not None else self._look() or self._family.lives()
        if not is_there:
            self._stopped()
            return
        if now - self._asked >= 1:
            self._asked = now
            self._family.look()
            self._ask()  # again: a datagram may be lost
        if self._due and now - self._began >= self._due[0][0]:
            self._due.pop(0)[1]()

    def _stopped(self) -> None:
        self._bury()
        self._family.kill()
        self.state, self.message = "STOPPED", "The engine was stopped."
        if self._again:
            self._again = False
            self._launch()

    def _ask(self) -> bool:
        """By OSC; says whether the engine has an ear for it."""
        file = PanelFile(self.engine)
        if self._found is None or not file.changed() or file.panel is None:
            return False
        try:
            if file.panel["session"] != self._found["session"]:  # a dead one's: its port is somebody else's by now
                return False
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(osc_message(STOP), (file.panel["osc"]["host"], file.panel["osc"]["port"]))
        except (OSError, LookupError, TypeError, ValueError, OverflowError):
            return False
        return True

    def _terminate(self) -> None:
        self.message = "The engine is told to end."
        self._family.terminate()

    def _kill(self) -> None:
        self.message = "The engine does not end and is killed, with all that it has started."
        self._family.kill()

    def _give_up(self) -> None:
        self.message = f"The engine cannot be ended. End process {self._family.pid} in the system's list of tasks."

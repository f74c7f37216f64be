"""One node as the supervisor sees it: its process, its row, and what was done about it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from engine import config as configs
from engine import decide, process
from engine.clock import now_ns
from engine.config import NodeSpec
from engine.decide import SECOND, Observed
from engine.directory import NodeRow
from engine.node import NodeConfig

LOG_BYTES = 5_000_000  # a log longer than this is copied aside and begun anew
LAST_LINES = 100


class Life:
    """A node across all its processes."""

    def __init__(self, spec: NodeSpec, row: NodeRow, log: Path):
        self.spec, self.row, self.log = spec, row, log
        self.deadlines = decide.Spec(
            *(round(limit * SECOND) for limit in
              (spec.config.startup_timeout, spec.config.step_timeout, spec.config.stop_timeout))
        )  # fmt: skip
        self.process: subprocess.Popen | None = None
        self.identity = b""
        self.wanted = True
        self.paused = False
        # A process hears nothing before it is connected, so what it has been told is remembered.
        self.connected = False
        self.told: tuple[int, bool] = (0, False)  # version of the settings, paused
        self.finished = False  # offline: has done all there is to do
        self.has_run = False
        self.epoch = self.version = 0
        self.versions: dict[str, int] = {}  # of the newest change of each live setting
        self._life_from = 0  # where in the log the newest life begins
        self.failures = self.failed_ns = 0
        self.profile = 0  # which of `_profiles` it runs with
        self.metrics: dict[str, float | str] = {}  # the node's own figures, as last told
        self.started_ns = self.ready_ns = self.asked_ns = self.terminated_ns = 0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def state(self) -> str:
        """For the status line: the node's phase, or what the supervisor knows better."""
        if self.finished:
            return "FINISHED"
        if self.process is None:
            return "RESTARTING" if self.wanted and self.failures else "STOPPED"
        return "DEGRADED" if self.profile and self.row.phase == "RUNNING" else self.row.phase

    @property
    def text(self) -> str:
        """For the status: what the node complains of, or that it runs in a smaller profile."""
        return self.row.text or self.in_profile

    @property
    def in_profile(self) -> str:
        """Which profile it is in, for a person ("in a smaller profile: batch 1, device cpu"), or "" as configured."""
        if not self.profile:
            return ""
        keys = self.spec.node_class.profiles[self.profile - 1]
        return "in a smaller profile: " + ", ".join(f"{key} {getattr(self.settings, key)}" for key in keys)

    @property
    def _profiles(self) -> tuple[NodeConfig, ...]:
        return (self.spec.config, *self.spec.smaller)

    @property
    def settings(self) -> NodeConfig:
        """The configured settings as the profile leaves them."""
        return self._profiles[self.profile]

    def change(self, values: dict[str, Any]) -> None:
        """Change live settings. Raises ConfigError, and changes nothing, unless all are good.

        Naming a setting that the profile has taken over is a person's word that it is to be tried again: the node
        leaves the profile and starts again as configured.
        """
        self.spec = configs.change(self.spec, values)
        self.version += 1
        self.versions |= dict.fromkeys(values, self.version)
        self.failures = 0  # what made it fail may be mended: try at once
        if self.profile and values.keys() & self.spec.node_class.profiles[self.profile - 1].keys():
            self.profile = 0
            self.terminate()

    def observe(self, amnesty_ns: int) -> Observed:
        if self.row.phase not in ("NONE", "STARTING") and self.process is not None:
            self.ready_ns = self.ready_ns or now_ns()
            self.has_run = self.has_run or self.row.phase == "RUNNING"
        return Observed(
            wanted=self.wanted and not self.finished,
            alive=self.process is not None,
            exit_code=None if self.process is None else self.process.poll(),
            phase=self.row.phase,
            started_ns=self.started_ns,
            beat_ns=self.row["beat_ns"],
            asked_ns=self.asked_ns,
            terminated_ns=self.terminated_ns,
            failures=self.failures,
            failed_ns=self.failed_ns,
            amnesty_ns=amnesty_ns,
        )

    def start(self, spec: dict[str, Any]) -> None:
        """Start a new process under a new epoch; `spec` holds what only the supervisor knows."""
        if self.epoch:
            self.row["restarts"] += 1
        self.row["phase"] = 0
        self.epoch += 1
        self.row["granted_epoch"] = self.epoch
        # Random, so that no other program on this machine can speak to the supervisor in the node's name.
        self.identity = f"{self.name}.{self.epoch}.{secrets.token_hex(8)}".encode()
        with self._open_log() as log:
            self._life_from = log.seek(0, os.SEEK_END)
            self.process = process.start(
                {
                    "name": self.name,
                    "type": self.spec.type,
                    "config": self.settings.model_dump(mode="json"),
                    "epoch": self.epoch,
                    "identity": self.identity,
                    "param_version": self.version,
                    "paused": self.paused,
                    "has_run": self.has_run,
                    **spec,
                },
                log,
            )
        self.row["pid"] = self.process.pid
        self.started_ns = now_ns()
        self.ready_ns = self.asked_ns = self.terminated_ns = 0
        self.metrics = {}
        self.connected, self.told = False, (self.version, self.paused)

    def _open_log(self) -> IO[bytes]:
        try:
            return open(self.log, "ab")
        except OSError:  # a full disk must not stop the show
            return open(os.devnull, "ab")

    def trim_log(self) -> None:
        """Keep the log of a node that runs for weeks small. The node appends, so it goes on at the new beginning."""
        with suppress(OSError):
            if self.log.stat().st_size > LOG_BYTES:
                shutil.copyfile(self.log, self.log.with_suffix(".old.log"))
                os.truncate(self.log, 0)
                self._life_from = 0

    def last_lines(self) -> list[str]:
        """What the node said last in the life that has just ended."""
        with suppress(OSError), open(self.log, "rb") as log:
            log.seek(max(self._life_from, log.seek(0, os.SEEK_END) - 20_000))
            return log.read().decode(errors="replace").splitlines()[-LAST_LINES:]
        return []

    def failed(self, observed: Observed) -> None:
        """Note one more failure, from which the delay until the next start follows."""
        self.failures = decide.failures_after(observed, now_ns())
        self.failed_ns = now_ns()

    def bury(self, observed: Observed) -> int:
        """Note the death of the process; returns its exit code."""
        assert self.process is not None
        code = self.process.wait()
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()
        self.failed(observed)
        self.profile = decide.profile_after(code, self.profile, self._profiles)
        self.process = None
        self.row["pid"] = 0
        return code

    def terminate(self) -> None:
        self.terminated_ns = now_ns()
        if self.process is not None:
            with suppress(OSError):
                self.process.terminate()

    def kill(self) -> None:
        if self.process is not None:
            process.kill_tree(self.process.pid)

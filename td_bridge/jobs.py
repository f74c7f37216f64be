"""Jobs from TouchDesigner: tables in, callbacks out. Standard library only, Python 3.11; nothing here ever waits.

A chain of programs runs in a process of its own, `run_engine.py jobs`. It sends every event as a datagram and keeps
them in a status file. `poll`, called once per frame, calls back for each event once and in order: a datagram is quick,
and what is lost on the way is read from the file. docs/JOBS.md has the tables.

    client = JobClient(folder, callbacks=op('job_callbacks').module)
    client.start(op('stages').rows(), {'prepare_options': …}, notify='127.0.0.1:7000')    # text, not cells
    client.receive(bytes)    # from the UDP In DAT's onReceive
    client.poll()            # in onFrameStart
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from pathlib import Path
from typing import Any

from job_tables import JobError, Rows, plan_of
from panel import home
from processes import CannotStart, interpreter, make_private, start, tail

__all__ = ["JobClient", "JobError"]

FORMAT = "utsushi.job/1"
PULL_S = 1.0  # between two looks at the status file when nothing seems to be missing
GIVE_UP_S = 2.0  # that an event is waited for which is neither in a datagram nor in the file
PENDING_MOST = 1000
DONE, CANCELLED = 0, 130  # exit codes of the runner; all others are failures
CALLBACKS = {
    "started": "onStart", "progress": "onProgress", "log": "onLog", "done": "onDone",
    "failed": "onFail", "timed_out": "onFail", "cancelled": "onCancel",
}  # fmt: skip


class JobClient:
    """One job at a time. folder: Utsushi's. python: the interpreter, else that of the folder's .venv.

    callbacks: anything with some of onStart, onProgress, onLog, onDone, onFail and onCancel, each called with one dict:
    job, seq, stage ("" for the job as a whole), event, progress (0..1), eta_s (or None), text, outputs, exit_code,
    attempt.
    """

    def __init__(self, folder: str | Path, python: str = "", callbacks: Any = None):
        self.folder, self.python, self.callbacks = Path(folder), python, callbacks
        self.job = ""
        self.stage, self.progress, self.eta_s = "", 0.0, None
        self.state, self.message = "idle", "No job has been started."  # running, done, failed, cancelled
        self.outputs: dict[str, str] = {}
        self._process: subprocess.Popen | None = None
        self._status: Path | None = None
        self._stamp: tuple[int, int] | None = None
        self._seq = 0  # of the newest event that was called back for
        self._pending: dict[int, dict[str, Any]] = {}
        self._pulled = self._gap_since = self._ended_since = 0.0

    @property
    def busy(self) -> bool:
        return self.state in ("running", "cancelling")

    def start(
        self, stages: Rows, options: dict[str, Rows] | None = None, commands: Rows | None = None,
        notify: str = "", keep_running: bool = False,
    ) -> str:  # fmt: skip
        """Start a chain; returns the job's id at once. Tables are lists of rows of text, stages and commands with a
        first row of column names; `options` holds the tables that those two name.

        notify: host:port of the UDP In DAT. keep_running: the chain outlives this process. Raises `JobError`.
        """
        if self.busy:
            raise JobError(f"The job {self.job} is still running. Cancel it first, or wait for its end.")
        plan = plan_of(stages, options or {}, commands or [])
        job = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        place = home() / "jobs"
        file, status = place / f"{job}.plan.json", place / f"{job}.json"
        words = [str(self.folder / "run_engine.py"), "jobs", str(file), "--status", str(status)]
        words += ["--notify", notify] if notify else []
        words += [] if keep_running else ["--parent", str(os.getpid())]
        try:
            python = interpreter(self.folder, self.python)
            make_private(place)
            file.write_text(json.dumps(plan, ensure_ascii=False, indent=1), encoding="utf-8", errors="replace")
            self._process = start([python, *words], self.folder, place / f"{job}.log")
        except CannotStart as error:
            raise JobError(str(error)) from error
        except OSError as error:
            raise JobError(f"The job cannot be written to {place}: {error.strerror}. Make room there.") from error
        self._follow(job, status)
        return job

    def attach(self, status: str | Path) -> None:
        """Follow a job that somebody else has started, by its status file: from its first event on."""
        if self.busy:
            raise JobError(f"The job {self.job} is still running. Cancel it first, or wait for its end.")
        self._process = None
        self._follow(Path(status).stem, Path(status))

    def _follow(self, job: str, status: Path) -> None:
        self.job, self._status, self._stamp = job, status, None
        self._seq, self._pending = 0, {}
        self._pulled = self._gap_since = self._ended_since = 0.0
        self.stage, self.progress, self.eta_s, self.outputs = "", 0.0, None, {}
        self.state, self.message = "running", "Starting."

    def cancel(self) -> None:
        """Ask the chain to stop: its program is asked, then terminated, then killed with all that it started."""
        if self.state == "running" and self._status:
            self.state, self.message = "cancelling", "Cancelling."
            try:
                self._status.with_suffix(".cancel").write_bytes(b"")  # a file cannot get lost on the way
            except OSError as error:
                self.state, self.message = "running", f"The job cannot be cancelled: {error}."

    def receive(self, datagram: bytes) -> None:
        """Take one message. What is not ours, or doubled, or late, changes nothing."""
        try:
            self._take(json.loads(datagram))
        except (ValueError, RecursionError):
            return

    def _take(self, event: Any) -> None:
        if not isinstance(event, dict) or event.get("format") != FORMAT or event.get("job") != self.job:
            return
        seq = event.get("seq")
        if not isinstance(seq, int) or str(event.get("event")) not in CALLBACKS:
            return
        if seq > self._seq and len(self._pending) < PENDING_MOST:
            self._pending[seq] = event

    def poll(self) -> None:
        """Call back for what is new. Once per frame; costs a few microseconds while nothing is."""
        ended = self._process is not None and self._process.poll() is not None
        if not self.busy:
            self._process = None if ended else self._process  # asked until it has gone, or it would stay as a zombie
            return
        now = time.monotonic()
        if self._deliver():
            self._pulled = now  # while messages come, the file holds nothing else
        if self._pending or ended or now - self._pulled >= PULL_S:
            self._pulled = now
            self._pull()
            self._deliver()
        if self._pending and now - (self._gap_since or now) > GIVE_UP_S:  # the file is not to be had
            self._seq = min(self._pending) - 1
            self._deliver()
        self._gap_since = (self._gap_since or now) if self._pending else 0.0
        self._ended_since = (self._ended_since or now) if ended else 0.0
        if ended and self.busy and not self._pending and now - self._ended_since > GIVE_UP_S:
            self._call(self._lost())

    def _deliver(self) -> bool:
        """Call back for what follows without a gap; says whether there was anything."""
        before = self._seq
        while (event := self._pending.pop(self._seq + 1, None)) is not None:
            self._call(event)
        return self._seq > before

    def _pull(self) -> None:
        """Take from the status file what has not come by itself. Numbers that it leaves out are of passing things."""
        if self._status is None:
            return
        try:
            about = self._status.stat()
            stamp = (about.st_mtime_ns, about.st_size)
            if stamp == self._stamp:
                return
            found = json.loads(self._status.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return
        self._stamp = stamp
        if not isinstance(found, dict) or not isinstance(found.get("events"), list):
            return
        for event in found["events"]:
            self._take(event)
        newest = found.get("seq")
        if not isinstance(newest, int):
            return
        for seq in sorted(seq for seq in self._pending if seq <= newest):
            self._seq = max(self._seq, seq - 1)
            self._deliver()
        self._seq = max(self._seq, newest)

    def _call(self, event: dict[str, Any]) -> None:
        self._seq = event["seq"]
        kind, stage, text = event["event"], event.get("stage", ""), str(event.get("text", ""))
        if kind != "log":
            self.stage, self.progress, self.eta_s = stage, event.get("progress", 0.0), event.get("eta_s")
        if kind not in ("started", "progress", "log") and not stage:
            self.state = kind
            self.outputs = event.get("outputs", {})
        if text and kind != "log" and not (self.state == "cancelling" and kind == "progress"):
            self.message = text
        callback = getattr(self.callbacks, CALLBACKS[kind], None)
        if callback is None:
            return
        try:
            callback(event)
        except Exception as error:  # the artist's own code: it must not cost the events that follow
            self.message = f"{CALLBACKS[kind]} failed: {type(error).__name__}: {error}"

    def _lost(self) -> dict[str, Any]:
        """The end of a job that could not say itself how it ended."""
        assert self._process is not None and self._status is not None
        code, log = self._process.returncode, self._status.with_suffix(".log")
        event = {DONE: "done", CANCELLED: "cancelled"}.get(code, "failed")
        text = f"The job runner ended with exit code {code} ({event}) and said no more. Its log is {log}."
        text = "\n".join([text, *(tail(log, 20) if event == "failed" else [])])
        return {
            "format": FORMAT, "job": self.job, "seq": self._seq + 1, "stage": "", "event": event,
            "progress": float(code == DONE), "eta_s": None, "text": text, "outputs": {}, "exit_code": code,
            "attempt": 1,
        }  # fmt: skip

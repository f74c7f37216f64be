"""What a job tells: events over UDP for speed, and all of them in a status file for certainty.

The file is written before its datagrams are sent, so that whoever misses one finds it there.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.clock import wall_ns
from engine.session import replace_file
from engine.wake import LOOPBACK

FORMAT = "utsushi.job/1"
TEXT_MOST = 2000  # characters of text in an event
DATAGRAM_MOST = 8000  # bytes; macOS sends no more than 9216. What is longer stands in the file alone
LOGS_MOST = 100  # events of kind `log` that the file keeps; the stages' log files keep everything


class Reporter:
    """Numbers a job's events from 1. `say` collects; `flush` writes, shows and sends what has come together."""

    def __init__(
        self, job: str, status: Path, notify: tuple[str, int] | None = None,
        show: Callable[[dict[str, Any]], None] = lambda event: None,
    ):  # fmt: skip
        self.job, self.status, self._notify, self._show = job, status, notify, show
        self._seq = 0
        self._state = "running"
        self._kept: list[dict[str, Any]] = []
        self._fresh: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))  # else its first datagram would open a port to every network
        self._socket.setblocking(False)

    def say(
        self, stage: str, event: str, text: str = "", *, progress: float = 0.0, eta_s: float | None = None,
        outputs: Mapping[str, str] | None = None, exit_code: int | None = None, attempt: int = 1,
    ) -> None:  # fmt: skip
        """stage: its name, or "" for the job as a whole. event: started, progress, log, done, failed, cancelled or
        timed_out. progress: 0..1."""
        self._seq += 1
        if len(text) > TEXT_MOST:
            text = "…" + text[1 - TEXT_MOST :]  # what went wrong stands at the end
        self._fresh.append(
            {
                "format": FORMAT,
                "job": self.job,
                "seq": self._seq,
                "stage": stage,
                "event": event,
                "progress": progress,
                "eta_s": eta_s,
                "text": text,
                "outputs": dict(outputs or {}),
                "exit_code": exit_code,
                "attempt": attempt,
                "wall_ns": wall_ns(),
            }  # fmt: skip
        )
        if not stage and event != "started":
            self._state = event

    def flush(self) -> None:
        """Make everything said known. A full disk or a closed network never ends the job."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, []
        self._kept = _worth_keeping(self._kept + fresh)
        state = {
            "format": FORMAT, "job": self.job, "seq": self._seq, "pid": os.getpid(), "state": self._state,
            "events": self._kept,
        }  # fmt: skip
        with suppress(OSError):
            replace_file(self.status, json.dumps(state, ensure_ascii=False).encode("utf-8", "replace"))
        for event in fresh:
            self._show(event)
            self._send(json.dumps(event, ensure_ascii=False).encode("utf-8", "replace"))

    def _send(self, datagram: bytes) -> None:
        if self._notify and len(datagram) <= DATAGRAM_MOST:
            with suppress(OSError):
                self._socket.sendto(datagram, self._notify)

    def close(self) -> None:
        self.flush()
        self._socket.close()


def _worth_keeping(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All that began and ended, the last lines of log, and of progress the newest alone."""
    dropped = {event["seq"] for event in _of(events, "log")[:-LOGS_MOST] + _of(events, "progress")[:-1]}
    return [event for event in events if event["seq"] not in dropped]


def _of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == kind]

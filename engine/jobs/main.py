"""`run_engine.py jobs FILE`: run a chain of programs from a shell, or for TouchDesigner. See docs/JOBS.md."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from engine import job
from engine.errors import ConfigError, EngineError, Exit
from engine.jobs import plan as plans
from engine.jobs.kept import forget_old_jobs
from engine.jobs.notify import loopback_address
from engine.jobs.reporter import TEXT_MOST, Reporter
from engine.jobs.runner import Runner
from engine.process import ROOT
from engine.progress import Line, duration
from engine.session import home, private, require_writable
from engine.stopping import asked_to_stop

TICK_S = 0.05
CLOCKS_S = 1.0  # by which a file's time and a process's may differ


def main(argv: Sequence[str]) -> int:
    """argv: with the command's own name first. Returns the exit code; docs/JOBS.md lists them."""
    options = command_parser().parse_args(argv[1:])
    status = options.status or home() / "jobs" / f"{options.file.stem}-{secrets.token_hex(3)}.json"
    file, status = options.file.absolute(), status.absolute()
    os.chdir(ROOT)  # where relative paths begin, for every stage
    try:
        private(status.parent)
        require_writable(status)
    except (EngineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return Exit.BAD_INPUT
    try:
        plan = plans.read(file)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        reporter = Reporter(status.stem, status, options.notify)
        reporter.say("", "failed", "\n".join(error.sentences)[:TEXT_MOST], exit_code=int(error.exit_code))
        reporter.close()
        return error.exit_code
    if options.check:
        print(f"{file} is good: {len(plan.stages)} stages, from {plan.first} on.")
        return Exit.OK
    job.contain()
    forget_old_jobs(home() / "jobs")
    reporter = Reporter(status.stem, status, options.notify, _Screen().show)
    return _run(Runner(plan, reporter), status.with_suffix(".cancel"), options.parent)


def command_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_engine.py jobs",
        description="Run a chain of programs, one after the other, from a table of stages. Ctrl+C cancels it.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the job file, YAML or JSON; such as configs/jobs.yaml")
    parser.add_argument("--check", action="store_true", help="only check the file")
    parser.add_argument("--notify", type=loopback_address, metavar="HOST:PORT", help="send every event there, by UDP")
    parser.add_argument("--status", type=Path, metavar="FILE.json",
                        help="where the job's state is kept; a file FILE.cancel beside it cancels the job")  # fmt: skip
    parser.add_argument("--parent", type=int, metavar="PID", help="cancel everything when this process has ended")
    return parser


def _run(runner: Runner, cancel: Path, parent: int | None) -> int:
    _forget_old(cancel)
    watched = _Parent(parent) if parent else None
    orphaned, heeded = False, 0
    try:
        with asked_to_stop() as asked:
            while runner.tick():
                if len(asked) > heeded:
                    heeded = len(asked)
                    runner.cancel("Cancelled.")
                elif cancel.exists():
                    cancel.unlink(missing_ok=True)
                    runner.cancel("Cancelled.")
                elif watched and not orphaned and watched.has_ended():
                    orphaned = True
                    runner.cancel("The program that started this job has ended.")
                time.sleep(TICK_S)
    finally:
        runner.close()
        with suppress(OSError):
            cancel.unlink(missing_ok=True)
    assert runner.exit_code is not None
    return Exit.ORPHANED if orphaned else runner.exit_code


def _forget_old(cancel: Path) -> None:
    """A cancel that is older than this process was meant for another one of that name."""
    with suppress(OSError):
        if cancel.stat().st_mtime < psutil.Process().create_time() - CLOCKS_S:
            cancel.unlink()


class _Parent:
    def __init__(self, pid: int):
        self._process: psutil.Process | None = None
        with suppress(psutil.Error):
            self._process = psutil.Process(pid)  # remembers when it began: a number that comes again is not it

    def has_ended(self) -> bool:
        try:
            process = self._process
            return process is None or not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        except psutil.Error:
            return True


class _Screen:
    """One line of progress for the stage that runs, and a lasting one for whatever begins or ends."""

    def __init__(self) -> None:
        self._line = Line()

    def show(self, event: dict[str, Any]) -> None:
        stage, kind, text = event["stage"], event["event"], event["text"]
        if kind == "progress":
            if self._line.due():
                left = f"  {duration(event['eta_s'])} left" if event["eta_s"] is not None else ""
                self._line.show(f"{stage}  {event['progress']:4.0%}{left}")
            return
        self._line.done()
        if kind == "log":
            text = "\n".join(f"{stage} | {line}" for line in text.splitlines())
        elif kind == "done":
            text += "".join(f"\n  {name}: {value}" for name, value in event["outputs"].items()) if stage else ""
        elif kind != "started":
            text = f"error: {text}" if not stage else f"{stage} {kind.replace('_', ' ')}."
        with suppress(OSError):
            print(text, file=sys.stdout if kind in ("started", "log", "done") else sys.stderr, flush=True)

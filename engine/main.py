"""The command line of `run_engine.py`, once everything is installed."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from engine import config as configs
from engine import crash, osc_reference, panel
from engine.clock import now_ns
from engine.errors import BadInput, EngineError, Exit
from engine.frame import Frame
from engine.process import ROOT
from engine.session import replace_file, require_writable
from engine.status import Status
from engine.supervisor import Supervisor

SCHEMA = ROOT / "configs" / "utsushi.schema.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code; prints one sentence for whatever went wrong."""
    options = command_parser().parse_args(argv)
    try:
        if options.command == "schema":
            replace_file(SCHEMA, configs.schema_text().encode())
            replace_file(osc_reference.PAGE, osc_reference.renewed(osc_reference.PAGE.read_text("utf-8")).encode())
            print(f"Wrote {SCHEMA.relative_to(ROOT)} and {osc_reference.PAGE.relative_to(ROOT)}.")
            return Exit.OK
        if options.command == "describe":
            sys.stdout.write(panel.text(panel.describe(configs.load(options.config, options.set))))
            return Exit.OK
        for target in (options.stats, options.snapshot):
            require_writable(target)
        return run(configs.load(options.config, options.set), options)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def command_parser() -> argparse.ArgumentParser:
    """What may be typed; jobs describe the engine by it, too."""
    parser = argparse.ArgumentParser(
        prog="run_engine.py",
        description="A person drives a generated figure, live.",
        epilog="Before all that: --setup [test | --no-run] installs what is needed; test runs the tests. "
        "A chain of programs: jobs FILE; jobs --help says more. "
        "The cameras of this machine: devices. The floor before a depth camera: calibrate. What a recording of frames "
        "holds: recording. The engine under load and faults: stress. Each of them has --help. "
        "To make a performer: performer record | extract | train | eval | export | bench; performer --help says more.",
    )
    parser.add_argument("command", nargs="?", choices=["run", "describe", "schema"], default="run",
                        help="run (the default); describe: print the config's streams and live settings as JSON; "
                        "schema: write the configs' JSON schema for editors, and docs/OSC.md")  # fmt: skip
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "demo.yaml", metavar="FILE",
                        help="what to run (default: configs/demo.yaml)")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="NODE.KEY=VALUE",
                        help="another value for one of the config's settings; may be repeated")  # fmt: skip
    parser.add_argument("--seconds", type=seconds, metavar="N", help="stop after N seconds")
    parser.add_argument("--stats", type=Path, metavar="FILE.json", help="write what was counted when it ends")
    parser.add_argument("--snapshot", type=Path, metavar="FILE.png", help="write the last picture when it ends")
    return parser


def seconds(text: str) -> float:
    """An option's value. Raises argparse's error."""
    with suppress(ValueError):
        if 0 < (value := float(text)) < 1e9:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")


def run(config: configs.Config, options: argparse.Namespace) -> int:
    """Run an engine until it ends, by itself, by Ctrl+C or after --seconds."""
    stop = {"asked": False}
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number and (name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN):  # nohup means it
            signal.signal(number, lambda *_: stop.update(asked=True))
    crash.require_known([node.name for node in config.nodes], [stream.name for stream in config.streams])
    started = now_ns()
    while _session(config, options, stop, started):
        pass
    return Exit.OK


def _session(config: configs.Config, options: argparse.Namespace, stop: dict, started: int) -> bool:
    """Run until everything has ended. True: only because its memory was removed, and another one is to follow."""
    with Status() as status, Supervisor(config, status.say) as supervisor:
        osc = f"OSC port {supervisor.osc.port}, " if supervisor.osc else ""
        status.say(
            f"Engine {config.engine.name!r} starts {len(config.nodes)} nodes; control port {supervisor.server.port}, "
            f"{osc}logs in {supervisor.session.logs}. Ctrl+C stops it."
        )
        figures: dict = {}
        over = False
        while supervisor.tick():
            status.update(supervisor)
            over = bool(options.seconds) and now_ns() - started >= options.seconds * 1e9
            if (stop["asked"] or over) and not supervisor.stopping:
                figures = _figures(supervisor, started)  # as the show was, not as its ending is
                supervisor.stop()
        if supervisor.unlinked and not (supervisor.failure or stop["asked"] or over):
            return True
        figures = figures or _figures(supervisor, started)
        _write(options, figures, supervisor)
        if supervisor.failure:
            raise supervisor.failure
        if supervisor.offline:
            done = supervisor.lives[-1].row["steps"]
            finished = all(life.finished for life in supervisor.lives)
            status.say(f"Done: {done} frames." if finished else f"Stopped after {done} frames; nothing was completed.")
        return False


def _figures(supervisor: Supervisor, started_ns: int) -> dict:
    return {"seconds": round((now_ns() - started_ns) / 1e9, 3), **supervisor.figures()}


def _write(options: argparse.Namespace, figures: dict, supervisor: Supervisor) -> None:
    """Write what was asked for. Raises `BadInput` when a target has become unwritable meanwhile."""
    try:
        if options.stats:
            replace_file(options.stats, (json.dumps(figures, indent=2) + "\n").encode())
        if options.snapshot:
            _write_picture(options.snapshot, supervisor.picture())
    except OSError as error:
        raise BadInput(f"{error.filename} cannot be written: {error.strerror}. Choose another file.") from error


def _write_picture(path: Path, frame: Frame | None) -> None:
    import cv2

    if frame is None:
        print(f"There was no picture to write to {path}.", file=sys.stderr)
        return
    # RGBA pictures are premultiplied: without their alpha they are what is seen over black.
    to_bgr = {"RGBA": cv2.COLOR_RGBA2BGR, "BGRA": cv2.COLOR_BGRA2BGR, "RGB": cv2.COLOR_RGB2BGR}
    array = frame.array if frame.row_order == "TOP_DOWN" else cv2.flip(frame.array, 0)
    if frame.pixel_format in to_bgr:
        array = cv2.cvtColor(array, to_bgr[frame.pixel_format])
    replace_file(path, cv2.imencode(".png", array)[1].tobytes())

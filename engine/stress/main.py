"""The command line of `run_engine.py stress`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.clock import wall_ns
from engine.errors import EngineError, Exit
from engine.main import seconds
from engine.session import replace_file, require_writable
from engine.stress import budgets, graph, page, promises
from engine.stress.leftovers import orphan_check
from engine.stress.runner import Options, Run

FORMAT = "utsushi.stress/1"
CHAOS_S = 2.0


def main(argv: Sequence[str]) -> int:
    """Returns the exit code; prints the report, or one sentence for whatever went wrong."""
    parser = command_parser()
    options = parser.parse_args(argv[1:])
    if options.config and options.frames:
        parser.error("--frames counts the synthetic source's; with --config say --seconds")
    folder = Path(tempfile.mkdtemp(prefix="utsushi-stress-"))
    code: int = Exit.FAILED
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for target in (options.json, options.html):
            require_writable(target)
        report = run(options, ["stress", *argv[1:]], folder)
        code = report["exit"]
        print_report(report)
        if options.json:
            replace_file(options.json, (json.dumps(report, indent=1) + "\n").encode())
        if options.html:
            replace_file(options.html, page.html(report).encode())
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}. The run cannot go on without its folder {folder}; make "
              "room, let nobody clean up there, and start it again.", file=sys.stderr)  # fmt: skip
    except KeyboardInterrupt:
        print("Stopped; nothing was judged.", file=sys.stderr)
        code = 130
    finally:
        if code in (Exit.OK, Exit.USAGE, Exit.BAD_INPUT, 130):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"Logs and counts lie in {folder}.", file=sys.stderr)
    return code


def command_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_engine.py stress",
        description="Run the engine under load and faults, and see whether every frame and every count is right. "
        "Exit code 0: they were, and every promise and budget was kept. 5: a frame or a count was wrong. "
        "6: frames and counts were right, a promise or a budget was not kept.",
    )
    parser.add_argument("--seconds", type=seconds, default=20.0, metavar="N", help="how long (default: 20)")
    parser.add_argument("--frames", type=int, default=0, metavar="N",
                        help="end when the source has published so many, if that is before --seconds")  # fmt: skip
    parser.add_argument("--size", type=_size, default=(320, 180), metavar="WxH",
                        help="of the test pictures, 4 bytes a pixel (default: 320x180)")  # fmt: skip
    parser.add_argument("--fps", type=_rate, default=120.0, metavar="N",
                        help="pictures per second; 0: as quickly as it goes (default: 120)")  # fmt: skip
    parser.add_argument("--readers", type=int, choices=range(1, 27), default=2, metavar="N",
                        help="readers of the source, at most 26; a relay has its own (default: 2)")  # fmt: skip
    parser.add_argument("--chaos", type=seconds, nargs="?", const=CHAOS_S, default=0.0, metavar="S",
                        help=f"a random fault every S seconds ({CHAOS_S:g} where S is left out)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="deal the faults of an earlier run again")
    parser.add_argument("--config", type=Path, metavar="FILE",
                        help="an own config instead of the synthetic graph, a numbered stream beside it")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as a page with plots")
    return parser


def _rate(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= 100_000:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of pictures per second")


def _size(text: str) -> tuple[int, int]:
    with suppress(ValueError):
        width, height = (int(part) for part in text.split("x"))
        return width, height
    raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 1920x1080")


def run(options: argparse.Namespace, command: list[str], folder: Path) -> dict[str, Any]:
    """One run and everything that is to be said about it."""
    name = f"stress-{os.getpid() % 10**8}"
    seed = secrets.randbits(32) if options.seed is None else options.seed
    load = graph.Load(options.size, options.fps, options.readers, options.frames)
    config = graph.beside(name, folder, options.config) if options.config else graph.synthetic(name, folder, load)
    print(f"seed {seed}; engine {name!r} with {len(config.nodes)} nodes, logs in {folder}", flush=True)
    frames = 0 if options.config else options.frames
    started_ns = wall_ns()
    report = Run(config, folder, Options(options.seconds, frames, options.chaos, seed)).report()
    report["orphans"] = orphan_check(config, folder) if options.chaos else None
    report = {
        "format": FORMAT, "command": f"python3 run_engine.py {' '.join(command)}", "seed": seed, "wall_ns": started_ns,
        "machine": {"system": platform.platform(), "processors": os.cpu_count(), "python": platform.python_version(),
                    "numpy": np.__version__},
        "load": asdict(load) if not options.config else {"config": options.config.name}, "chaos_s": options.chaos,
        **report,
    }  # fmt: skip
    report["promises"] = promises.judge(report)
    report["exit"], report["sentence"] = verdict(report)
    return report


def verdict(report: dict[str, Any]) -> tuple[int, str]:
    """Exit code and the sentence that goes with it."""
    broken = {p["name"]: f"{p['text']}: {p['seen']}" for p in report["promises"] if p["verdict"] == promises.BROKEN}
    missed = [b for b in report["budgets"] if b["verdict"] == budgets.MISSED]
    if frames := [broken[name] for name in promises.OF_FRAMES if name in broken]:
        return Exit.NOT_PROVEN, f"Frames or counts were wrong. Not kept: {frames[-1].rstrip('.')}."
    if broken:
        name, text = next(iter(broken.items()))
        return Exit.OVER_BUDGET, f"Every frame and count was right, but a promise was not kept. {name}, {text}."
    if missed:
        of = f"{missed[0]['name']} is {missed[0]['measured']:.3g}, and the limit {missed[0]['limit']:g}"
        return Exit.OVER_BUDGET, f"Every frame and count was right, but a budget was missed: {of}."
    return Exit.OK, "Every frame was whole and in order, and all books balance."


def print_report(report: dict[str, Any]) -> None:
    frames = sum(writer["published"] for writer in report["writers"])
    print(f"\n{report['seconds']:.1f} s, {frames} frames published, {report['totals']['seen']} looked at, "
          f"{len(report['faults'])} faults, {sum(report['restarts'].values())} restarts")  # fmt: skip
    print(f"\n{'stream':<16} {'reader':<26} {'published':>9} {'before':>8} {'received':>9} {'skipped':>8} "
          f"{'overrun':>8} {'lost':>5}  books")  # fmt: skip
    for r in report["readers"]:
        print(f"{r['stream']:<16} {r['name']:<26} {r['published']:>9} {r['before']:>8} {r['received']:>9} "
              f"{r['skipped']:>8} {r['overrun']:>8} {r['lost']:>5}  {'; '.join(r['wrong']) or 'balance'}")  # fmt: skip
    print()
    for p in report["promises"]:
        print(f"{p['name']} {p['verdict']:<10} {p['text']}: {p['seen']}")
    print()
    for b in report["budgets"]:
        value = "" if b["measured"] is None else f"{b['measured']:.3g}"
        print(f"{b['verdict']:<10} {b['name']:<22} {value:>9} of {b['limit']:<5g} {b['note']}")
    print(f"\n{report['sentence']} Exit code {int(report['exit'])}, seed {report['seed']}.", flush=True)

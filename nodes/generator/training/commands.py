"""`run_engine.py train …` and `run_engine.py performer …`: from footage to a performer. See docs/TRAINING.md."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.errors import BadInput, EngineError, Exit
from engine.process import ROOT
from engine.setup.launch import INTERRUPTED
from nodes.generator.training import train_command


def main(argv: Sequence[str]) -> int:
    """argv: with the command's own name first. Returns the exit code; prints one sentence for whatever went wrong."""
    words = argv[1:] if argv[0] == "performer" else argv
    options = _parser().parse_args(words)
    try:
        options.run(options)
        return Exit.OK
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error.filename or 'A file'} cannot be written: {error.strerror or error}. Make room, or choose "
              "another place.", file=sys.stderr)  # fmt: skip
        return Exit.BAD_INPUT
    except KeyboardInterrupt:
        print("\nStopped. Nothing was written or changed.", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run_engine.py performer", description="Make a performer from footage.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_record, _extract, train_command.add, _eval, _export, _bench):
        add(commands)
    return parser


def _record(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("record", help="a camera → a clip, and the empty stage")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the recording goes")
    parser.add_argument("--source", default="0", metavar="0|URL|FILE|synthetic",
                        help="a camera's number, a stream, a video, or the drawn performer")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=120.0, help="of the performance (default: 120)")
    parser.add_argument("--plate-seconds", type=float, default=3.0, help="of the empty stage (default: 3)")
    parser.add_argument("--countdown", type=float, default=5.0, help="seconds to step out, and in (default: 5)")
    parser.add_argument("--size", metavar="WxH", help="what to ask of the camera, such as 1280x720")
    parser.add_argument("--fps", type=float, default=0.0, help="pictures per second; 0: as they come")
    parser.add_argument("--consent", default="", metavar="TEXT", help="who is recorded, and what they agreed to")
    parser.add_argument("--preview", type=Path, metavar="FILE.jpg", help="write a picture every second")
    parser.set_defaults(run=_run_record)


def _run_record(options: argparse.Namespace) -> None:
    from nodes.generator.training.record import Wanted, consent, record

    size = re.fullmatch(r"(\d{2,4})x(\d{2,4})", options.size or "")
    if options.size and not size:
        raise BadInput(f"--size {options.size} is no size. Give width and height, such as 1280x720.")
    if not (options.seconds > 0 and options.plate_seconds > 0 and options.countdown >= 0 and 0 <= options.fps <= 1000):
        raise BadInput("Give --seconds and --plate-seconds above 0, --countdown of at least 0, --fps from 0 to 1000.")
    record(Wanted(
        options.out, options.source, options.seconds, options.plate_seconds, options.countdown,
        (int(size[1]), int(size[2])) if size else None, options.fps,
        consent(options.consent, options.source), options.preview,
    ))  # fmt: skip


def _extract(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("extract", help="a clip → footage to train on, and how good it is")
    parser.add_argument("clip", type=Path, metavar="CLIP", help="a video of one person on a stage that stands still")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the footage goes")
    parser.add_argument("--plate", default="auto", metavar="auto|FILE|START-END",
                        help="the empty stage: found in the clip, a picture, or seconds of the clip")  # fmt: skip
    parser.add_argument("--crop", default="auto", metavar="auto|LEFT,TOP,SIDE",
                        help="the square that becomes the stage, pixels")  # fmt: skip
    parser.add_argument("--quality", choices=("lite", "full", "heavy"), default="full", help="of the poses")
    parser.add_argument("--threads", type=int, default=0, help="of the processor, for the poses; 0: all")
    _add_about(parser)
    parser.set_defaults(run=_run_extract)


def _run_extract(options: argparse.Namespace) -> None:
    from nodes.generator.training.extract import Wanted, extract

    threads = options.threads or os.cpu_count() or 1
    extract(Wanted(
        options.clip, options.out, options.plate, options.crop, options.quality, threads, _about(options)
    ))  # fmt: skip


def _add_about(parser: argparse.ArgumentParser) -> None:
    for name, what in (("performer", "who it is"), ("licence", "of the file"), ("consent", "who agreed to what")):
        parser.add_argument(f"--{name}", default="", metavar="TEXT", help=what)


def _about(options: argparse.Namespace) -> dict[str, str]:
    return {name: getattr(options, name) for name in ("performer", "licence", "consent")}


def _eval(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("eval", help="measure a performer on footage")
    parser.add_argument("performer", type=Path, metavar="FILE.safetensors")
    parser.add_argument("footage", type=Path, metavar="FOOTAGE", help="a folder that `performer extract` made")
    parser.add_argument("--whole", action="store_true", help="all frames, not the held-out ones: for other footage")
    parser.add_argument(
        "--size", type=int, default=0, help="compare at this size if it is smaller than the performer's"
    )
    parser.add_argument("--backend", default="torch", help="what paints: torch, onnx, onnx-int8, openvino, …")
    parser.add_argument("--grid", type=Path, metavar="FILE.png", help="also write pose, painted, real and alpha")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.set_defaults(run=_run_eval)


def _run_eval(options: argparse.Namespace) -> None:
    from nodes.generator.training.examine import examine, show

    found = examine(
        options.performer, options.footage,
        whole=options.whole, size=options.size, backend=options.backend, grid=options.grid,
    )  # fmt: skip
    show(found, options.json)


def _export(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("export", help="name a trained performer and write it where it belongs")
    parser.add_argument("training", type=Path, metavar="TRAINING", help="the folder that `train --out` named")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")
    parser.add_argument("--footage", type=Path, metavar="FOLDER", help="measure on all of its held-out frames")
    parser.add_argument("--onnx", type=Path, metavar="FILE.onnx", help="also write the network for other programs")
    _add_about(parser)
    parser.set_defaults(run=_run_export)


def _run_export(options: argparse.Namespace) -> None:
    from nodes.generator.training.examine import export

    export(options.training, options.out, _about(options), options.footage, options.onnx)
    print(f"Wrote {options.out} ({options.out.stat().st_size / 1e6:.1f} MB).")


def _bench(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("bench", help="how quick it is here, backend by backend", add_help=False)
    parser.add_argument("words", nargs=argparse.REMAINDER, help="as bench/performer.py takes them")
    parser.set_defaults(run=_run_bench)


def _run_bench(options: argparse.Namespace) -> None:
    program = ROOT / "bench" / "performer.py"
    if code := subprocess.run([sys.executable, str(program), *options.words]).returncode:
        raise EngineError(f"{program} ended with code {code}; its lines above say why.")

"""`run_engine.py train …` and `run_engine.py performer …`: from footage to a performer. See docs/TRAINING.md."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from engine.errors import EngineError, Exit
from engine.process import ROOT
from engine.session import require_writable
from engine.setup.launch import INTERRUPTED
from nodes.generator.footage import commands as footage_commands
from nodes.generator.footage.commands import about, add_about
from nodes.generator.training import train_command
from nodes.generator.training.train_command import LARGEST, number_adder


def main(argv: Sequence[str]) -> int:
    """argv: with the command's own name first. Returns the exit code; prints one sentence for whatever went wrong."""
    words = argv[1:] if argv[0] == "performer" else argv
    if words[:1] == ["bench"]:  # a program of its own, with options of its own
        return subprocess.run([sys.executable, str(ROOT / "bench" / "performer.py"), *words[1:]]).returncode
    options = command_parser().parse_args(words)
    try:
        options.run(options)
        return Exit.OK
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
            raise
        print("error: There is not enough memory for that. Take a smaller --size or --batch, or a shorter clip.",
              file=sys.stderr)  # fmt: skip
        return Exit.OUT_OF_MEMORY
    except OSError as error:
        print(f"error: {error.filename or 'A file'} cannot be written: {error.strerror or error}. Make room, or choose "
              "another place.", file=sys.stderr)  # fmt: skip
        return Exit.BAD_INPUT
    except KeyboardInterrupt:
        print("\nStopped. Nothing was written or changed.", file=sys.stderr)
        return INTERRUPTED


def command_parser() -> argparse.ArgumentParser:
    """What may be typed after `performer`."""
    parser = argparse.ArgumentParser(prog="run_engine.py performer", description="Make a performer from footage.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (footage_commands.add_record, footage_commands.add_extract, train_command.add, _eval, _export, _bench):
        add(commands)
    return parser


def _eval(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("eval", help="measure a performer on footage")
    parser.add_argument("performer", type=Path, metavar="FILE.safetensors")
    parser.add_argument("footage", type=Path, metavar="FOOTAGE", help="a folder that `performer extract` made")
    parser.add_argument("--whole", action="store_true", help="all frames, not the held-out ones: for other footage")
    number_adder(parser)("--size", 0, 0, LARGEST, "compare at this size if it is smaller than the performer's; 0: no")
    parser.add_argument("--backend", default="torch", help="what paints: torch, onnx, onnx-int8, openvino, …")
    parser.add_argument("--grid", type=Path, metavar="FILE.png", help="also write pose, painted, real and alpha")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.set_defaults(run=_run_eval)


def _run_eval(options: argparse.Namespace) -> None:
    from nodes.generator.training.examine import examine, show

    for target in (options.grid, options.json):
        require_writable(target)
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
    parser.add_argument("--mix", type=Path, metavar="FILE", help="mix in the training's --init: steadier")
    number_adder(parser)("--share", 0.3, 0, 1, "of --mix in the whole")
    add_about(parser)
    parser.set_defaults(run=_run_export)


def _run_export(options: argparse.Namespace) -> None:
    from nodes.generator.training.export import export

    export(options.training, options.out, about(options), options.footage, options.onnx, options.mix, options.share)
    print(f"Wrote {options.out} ({options.out.stat().st_size / 1e6:.1f} MB).")


def _bench(commands: argparse._SubParsersAction) -> None:
    """For the list of commands; `main` runs it."""
    commands.add_parser("bench", help="how quick it is here, backend by backend")

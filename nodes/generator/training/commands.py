"""`run_engine.py train …` and `run_engine.py performer …`: from footage to a performer. See docs/TRAINING.md."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.errors import BadInput, EngineError, Exit
from engine.process import ROOT
from engine.setup.launch import INTERRUPTED

PRESETS = ("tiny", "base", "large")


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
    except KeyboardInterrupt:
        print("\nStopped. Nothing was written or changed.", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run_engine.py performer", description="Make a performer from footage.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_extract, _train, _eval, _export, _bench):
        add(commands)
    return parser


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
    parser.add_argument("--size", type=int, default=0, help="compare at this size instead of the performer's own")
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


def _train(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("train", help="footage → performer.safetensors", description=_train.__doc__)
    parser.add_argument("footage", type=Path, metavar="FOOTAGE", help="a folder that `performer extract` made")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where everything goes")
    parser.add_argument("--preset", choices=PRESETS, default="base", help="how large a network (default: base)")
    parser.add_argument("--size", type=int, default=256, help="of the picture, pixels: 64, 128, 256, 512, 1024")
    parser.add_argument("--minutes", type=float, default=0.0, help="train that long; the schedule follows the clock")
    parser.add_argument("--steps", type=int, default=0, help="train that many steps: repeatable")
    parser.add_argument("--resume", action="store_true", help="go on with the training in --out")
    parser.add_argument("--init", type=Path, metavar="FILE", help="start from this performer's weights")
    parser.add_argument("--critic", type=float, default=1.0, metavar="SHARE",
                        help="from which share of the training on a critic joins (0..1); 1: never")  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--threads", type=int, default=0, help="of the processor; 0: all")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=5e-4, help="learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", type=float, default=0.15, help="share of the frames kept for measuring, the last")
    parser.add_argument("--every", type=float, default=60.0, metavar="SECONDS", help="between two looks")
    parser.add_argument("--tensorboard", action="store_true", help="also log for TensorBoard (needs its package)")
    parser.set_defaults(run=_run_train)


def _run_train(options: argparse.Namespace) -> None:
    from nodes.generator.network.painter import preset
    from nodes.generator.training import footage, train
    from nodes.generator.training.schedule import Schedule
    from nodes.generator.training.start import begin, device_named, tensorboard

    if not (options.minutes > 0 or options.steps > 0):
        raise BadInput("Say how long to train: --minutes 40, or --steps 20000.")
    try:
        shape = preset(options.preset, options.size)
    except ValueError as error:
        raise BadInput(f"--size {options.size}: {error}. Use 64, 128, 256, 512 or 1024.") from error
    device = device_named(options.device)
    begin(options.threads)
    info = footage.read_info(options.footage)
    print(f"Reading {info.frames} frames of {options.footage} …", flush=True)
    plan = train.Plan(
        options.out, shape, Schedule(options.minutes, options.steps, options.rate, options.critic),
        preset=options.preset, device=device, batch=options.batch, seed=options.seed, every=options.every,
        resume=options.resume, begin_from=options.init,
        writer=tensorboard(options.out) if options.tensorboard else None,
        about={"performer": info.performer, "licence": info.licence, "consent": info.consent},
    )  # fmt: skip
    train.run(plan, footage.load(options.footage, options.size, options.held_out))

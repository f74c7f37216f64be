"""`performer train`: its options, and what they come to."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.errors import BadInput

PRESETS = ("tiny", "base", "large")
LARGEST = 4096  # side of a picture that a performer's file may have


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("train", help="footage → performer.safetensors")
    add_number = number_adder(parser)
    parser.add_argument("footage", type=Path, metavar="FOOTAGE", help="a folder that `performer extract` made")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where everything goes")
    parser.add_argument("--preset", choices=PRESETS, default="base", help="how large a network (default: base)")
    add_number("--size", 256, 16, LARGEST, "of the picture, pixels: 64, 128, 256, 512, 1024")
    add_number("--minutes", 0.0, 0, 1e6, "train that long; the schedule follows the clock")
    add_number("--steps", 0, 0, 2**40, "train that many steps: repeatable")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="go on with the training in --out")
    start.add_argument("--init", type=Path, metavar="FILE", help="start from this performer's weights")
    add_number("--critic", 1.0, 0, 1, "from which share of the training on a critic joins; 1: never", "SHARE")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    add_number("--threads", 0, 0, 1024, "of the processor; 0: all")
    add_number("--batch", 4, 1, 1024, "frames per step")
    add_number("--rate", 1e-3, 1e-8, 1, "learning rate")
    add_number("--seed", 0, 0, 2**31, "of all chance: the first weights, the batches")
    add_number("--held-out", 0.15, 0, 0.9, "share of the frames, the last ones, kept for measuring", "SHARE")
    add_number("--every", 60.0, 0.1, 1e6, "between two looks", "SECONDS")
    parser.add_argument("--tensorboard", action="store_true", help="also log for TensorBoard (needs its package)")
    parser.set_defaults(run=run)


def number_adder(parser: argparse.ArgumentParser) -> Callable[..., None]:
    """Adds an option that takes a number from `least` to `most`, whole if its default is."""

    def add_number(name: str, default: float, least: float, most: float, what: str, metavar: str | None = None) -> None:
        kind = type(default)

        def read(text: str) -> float:
            with suppress(ValueError):
                if least <= (value := kind(text)) <= most:
                    return value
            whole = "whole " if kind is int else ""
            raise argparse.ArgumentTypeError(f"{text!r} is no {whole}number from {least:g} to {most:g}")

        parser.add_argument(name, type=read, default=default, metavar=metavar, help=f"{what} (default: {default:g})")

    return add_number


def run(options: argparse.Namespace) -> None:
    from nodes.generator.backends.failures import device_failures
    from nodes.generator.footage import folder
    from nodes.generator.network.painter import preset
    from nodes.generator.training import train
    from nodes.generator.training.plan import Plan
    from nodes.generator.training.schedule import Schedule
    from nodes.generator.training.start import begin, device_named, tensorboard

    if not (options.minutes or options.steps):
        raise BadInput("Say how long to train: --minutes 40, or --steps 20000.")
    try:
        shape = preset(options.preset, options.size)
    except ValueError as error:
        raise BadInput(f"--size {options.size}: {error}. Use 64, 128, 256, 512 or 1024.") from error
    if options.out.resolve() == options.footage.resolve():
        raise BadInput(f"{options.out} is the footage. Choose another --out.")
    device = device_named(options.device)
    begin(options.threads)
    info = folder.read_info(options.footage)
    writer = tensorboard(options.out) if options.tensorboard else None
    print(f"Reading {info.frames} frames of {options.footage} …", flush=True)
    plan = Plan(
        options.out, shape, Schedule(options.minutes, options.steps, options.rate, options.critic),
        preset=options.preset, device=device, batch=options.batch, seed=options.seed, every=options.every,
        resume=options.resume, begin_from=options.init, writer=writer,
        about={"performer": info.performer, "licence": info.licence, "consent": info.consent},
    )  # fmt: skip
    try:
        with device_failures():
            train.run(plan, folder.load(options.footage, options.size, options.held_out))
    finally:
        if writer:
            writer.close()

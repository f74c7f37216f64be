"""`performer record` and `performer extract` as typed."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from engine.errors import BadInput
from nodes.generator.training.train_command import number_adder


def add_record(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("record", help="a camera → a clip, and the empty stage")
    add_number = number_adder(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the recording goes")
    parser.add_argument("--source", default="0", metavar="0|URL|FILE|synthetic",
                        help="a camera's number, a stream, a video, or the drawn performer (default: 0)")  # fmt: skip
    add_number("--seconds", 120.0, 1, 1e5, "how long the performance is", "N")
    add_number("--plate-seconds", 3.0, 0.1, 60, "how long the empty stage is recorded", "N")
    add_number("--countdown", 5.0, 0, 600, "seconds to step out, and in", "N")
    parser.add_argument("--size", metavar="WxH", help="what to ask of the camera, such as 1280x720")
    add_number("--fps", 0.0, 0, 1000, "pictures per second; 0: as they come", "N")
    parser.add_argument("--consent", default="", metavar="TEXT", help="who is recorded, and what they agreed to")
    parser.add_argument("--preview", type=Path, metavar="FILE.jpg", help="write a picture every second")
    parser.set_defaults(run=_record)


def _record(options: argparse.Namespace) -> None:
    from nodes.generator.footage.record import Wanted, consent, record

    size = re.fullmatch(r"(\d{2,4})x(\d{2,4})", options.size or "")
    if options.size and not size:
        raise BadInput(f"--size {options.size} is no size. Give width and height, such as 1280x720.")
    record(Wanted(
        options.out, options.source, options.seconds, options.plate_seconds, options.countdown,
        (int(size[1]), int(size[2])) if size else None, options.fps,
        consent(options.consent, options.source), options.preview,
    ))  # fmt: skip


def add_extract(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("extract", help="a clip → footage to train on, and how good it is")
    parser.add_argument("clip", type=Path, metavar="CLIP", help="a video of one person on a stage that stands still")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the footage goes")
    parser.add_argument("--plate", default="auto", metavar="auto|FILE|START-END",
                        help="the empty stage: found in the clip, a picture, or seconds of the clip")  # fmt: skip
    parser.add_argument("--crop", default="auto", metavar="auto|LEFT,TOP,SIDE",
                        help="the square that becomes the stage, pixels")  # fmt: skip
    parser.add_argument("--quality", choices=("lite", "full", "heavy"), default="full", help="of the poses")
    number_adder(parser)("--threads", 0, 0, 1024, "of the processor, for the poses; 0: all")
    add_about(parser)
    parser.set_defaults(run=_extract)


def _extract(options: argparse.Namespace) -> None:
    from nodes.generator.footage.extract import Wanted, extract

    threads = options.threads or os.cpu_count() or 1
    extract(Wanted(
        options.clip, options.out, options.plate, options.crop, options.quality, threads, about(options)
    ))  # fmt: skip


def add_about(parser: argparse.ArgumentParser) -> None:
    for name, what in (("performer", "who it is"), ("licence", "of the file"), ("consent", "who agreed to what")):
        parser.add_argument(f"--{name}", default="", metavar="TEXT", help=what)


def about(options: argparse.Namespace) -> dict[str, str]:
    """performer, licence and consent, as typed; empty where they were not."""
    return {name: getattr(options, name) for name in ("performer", "licence", "consent")}

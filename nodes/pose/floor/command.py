"""`run_engine.py calibrate`: finds the floor before a depth camera. See docs/DEPTH.md."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from engine.errors import BadInput, EngineError, Exit
from engine.process import ROOT
from engine.session import replace_file, require_writable
from engine.setup.launch import INTERRUPTED
from nodes.pose.floor.plane import Floor
from nodes.pose.floor.source import Engine

CONFIG = ROOT / "configs" / "realsense.yaml"


def main(argv: Sequence[str]) -> int:
    """argv: with the command's own name first. Returns the exit code; prints one sentence for whatever went wrong."""
    options = command_parser().parse_args(argv[1:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it, the camera's engine ends with it
    try:
        calibrate(options)
        return Exit.OK
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error.filename or options.out} cannot be written: {error.strerror or error}. Choose another "
              "--out.", file=sys.stderr)  # fmt: skip
        return Exit.BAD_INPUT
    except KeyboardInterrupt:
        print("\nStopped. Nothing was written or changed.", file=sys.stderr)
        return INTERRUPTED


def command_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_engine.py calibrate",
        description="Find the floor before a depth camera, so that pose.metric can tell heights and places on it.",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--config", type=Path, default=CONFIG, metavar="FILE",
                        help="the depth camera of this config, also while its engine runs "
                        "(default: configs/realsense.yaml)")  # fmt: skip
    source.add_argument("--engine", metavar="NAME", help="the depth camera of the engine that runs under this name")
    source.add_argument("--recording", type=Path, metavar="FILE.db3", help="a RealSense recording")
    parser.add_argument("--stream", default="", metavar="NAME",
                        help="such as camera.depth, where there are several depth streams")  # fmt: skip
    parser.add_argument("--frames", type=_frames, default=30, metavar="N",
                        help="depth pictures to look at, 1 to 300 (default: 30)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("floor.json"), metavar="FILE.json",
                        help="the floor; a picture of it goes beside it (default: floor.json)")  # fmt: skip
    return parser


def calibrate(options: argparse.Namespace) -> None:
    """Raises EngineError, a sentence, and OSError; then what was there before is there still."""
    import cv2

    from nodes.pose.floor.finder import find
    from nodes.pose.floor.picture import draw

    out: Path = options.out
    picture = out.with_suffix(".png")
    if out == picture:
        raise BadInput(f"{out} is to hold text, and its picture goes beside it. Choose a name that ends in .json.")
    for target in (out, picture):
        require_writable(target)
    with _source(options) as engine:
        seen = engine.look(options.frames, options.stream)
    height, width = seen.depths[0].shape
    print(f"Looked at {len(seen.depths)} depth pictures, {width} × {height}, of {seen.stream}.", flush=True)
    floor, lies = find(seen.depths, seen.lens)
    drawn = draw(floor, lies, seen.depths[-1], seen.lens, seen.picture, _caption(floor))
    replace_file(picture, cv2.imencode(".png", drawn)[1].tobytes())
    floor.write(out)
    pitch, roll = floor.tilt
    print(
        f"The camera hangs {floor.height:.2f} m above the floor, "
        f"looks {abs(pitch):.1f}° {'down' if pitch >= 0 else 'up'} "
        f"and leans {abs(roll):.1f}° to its {'right' if roll >= 0 else 'left'}.\n"
        f"{floor.share:.0%} of all measured points lie on the floor, {floor.rms_mm:.0f} mm from it (rms).\n"
        f"Wrote {out}. Look at {picture}: what is green there was taken for the floor.\n"
        f"Use it with: pose.metric, floor: {_from_root(out)}"
    )


def _source(options: argparse.Namespace) -> AbstractContextManager[Engine]:
    from nodes.pose.floor import source

    if options.recording:
        return source.recorded(options.recording)
    return source.running(options.engine) if options.engine else source.configured(options.config)


def _caption(floor: Floor) -> str:
    pitch, roll = floor.tilt
    return (
        f"{floor.height:.2f} m above the floor, {pitch:.1f} deg down, {roll:.1f} deg to the right; "
        f"{floor.share:.0%} of all points, rms {floor.rms_mm:.0f} mm; squares: 1 m"
    )


def _from_root(path: Path) -> Path:
    """As a config names it: nodes start at the folder of run_engine.py."""
    whole = path.resolve()
    return whole.relative_to(ROOT) if whole.is_relative_to(ROOT) else whole


def _frames(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= 300:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 300")

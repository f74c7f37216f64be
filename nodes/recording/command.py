"""`run_engine.py recording`: what is in a recording, in words and pictures."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import BadInput, EngineError, Exit
from nodes.recording.needed import needed

if TYPE_CHECKING:
    from nodes.recording.reader import Recording

PICTURES = 16  # on a sheet


def main(argv: Sequence[str]) -> int:
    """argv: with the command's own name first. Returns the exit code."""
    options = command_parser().parse_args(argv[1:])
    code: int = Exit.OK
    try:
        needed()
        from nodes.recording.series import files_of

        for path in files_of(options.path):
            try:
                show(path, options.picture)
            except BadInput as error:  # the others may be good
                print(f"error: {error}", file=sys.stderr)
                code = error.exit_code
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return code


def command_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_engine.py recording",
        description="Say which streams a recording of frames holds, how many frames came, and which are missing.",
    )
    parser.add_argument("path", type=Path, help="a file, a folder of files, or a pattern such as 'show_*.mcap'")
    parser.add_argument("--picture", type=Path, metavar="DIR", help="write a sheet of pictures for each stream there")
    return parser


def show(path: Path, pictures: Path | None) -> None:
    """Print a file's streams. Raises EngineError."""
    from nodes.recording.reader import Recording

    recording = Recording(path)
    try:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(recording.start_ns / 1e9))
        seconds = (recording.end_ns - recording.start_ns) / 1e9
        state = "" if recording.whole else "; it was never completed"
        print(f"{path}: {began}, {seconds:.1f} s, {path.stat().st_size / 1e6:.1f} MB{state}")
        print(f"  {'stream':16} {'frames':24} {'count':>7} {'a second':>9} {'longest gap':>12} {'left out':>9}")
        for name in recording.streams:
            times = recording.captures(name)
            first, last = recording.frame(name, 0), recording.frame(name, len(times) - 1)
            gaps = np.diff(times) / 1e9
            rate = (len(times) - 1) / gaps.sum() if gaps.sum() > 0 else 0.0
            left_out = last.ordinal - first.ordinal + 1 - len(times)
            shape = "x".join(map(str, first.shape))
            print(
                f"  {name:16} {f'{shape} {first.dtype} {first.pixel_format}':24} {len(times):7} {rate:9.2f} "
                f"{gaps.max(initial=0) * 1e3:9.0f} ms {left_out:9}",
                flush=True,
            )
            if pictures:
                print(f"    {_sheet(recording, name, times, pictures)}")
    finally:
        recording.close()


def _sheet(recording: Recording, name: str, times: np.ndarray, folder: Path) -> Path:
    import cv2

    from nodes.recording.sheet import sheet

    numbers = np.unique(np.linspace(0, len(times) - 1, PICTURES).round().astype(int))
    captions = [f"{number}: {(times[number] - times[0]) / 1e9:.2f} s" for number in numbers]
    target = folder / f"{recording.path.stem}-{name}.png"
    picture = sheet([recording.frame(name, int(number)) for number in numbers], captions)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    except OSError as error:
        raise EngineError(f"Cannot write {target}: {error.strerror or error}. Name another folder.") from None
    return target

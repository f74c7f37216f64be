"""The files of one recording, one after the other: a file, a folder of them, or a pattern such as show_*.mcap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from engine.errors import BadInput
from engine.frame import Frame
from engine.node import Port
from nodes.recording.reader import Recording

SUFFIX = ".mcap"
PAUSE_NS = 2_000_000_000  # between two files; a longer one is left out
PERIOD_NS = 33_333_333  # which is put in its place
SAME_CLOCK_NS = 60_000_000_000  # by how much the wall's clock may be set while the frames' clock goes on


class Series:
    """ports: what each stream is, by its name, in the order of the recorder's inputs. frames: how many each has.

    cut_off: the files that were not completed. Raises BadInput where there is no file, or one is no recording.
    """

    def __init__(self, path: Path):
        self.ports: dict[str, Port] = {}
        self.frames: Counter[str] = Counter()
        self.cut_off: list[Path] = []
        found = []
        for one in files_of(path):
            recording = Recording(one, chunks=False)
            recording.close()  # what was read of it stays
            found.append(recording)
            for stream in recording.streams.values():
                self.ports.setdefault(stream.name, stream.port)
                self.frames[stream.name] += stream.frames
            if not recording.whole:
                self.cut_off.append(recording.path)
        self._shifts = _shifts(sorted(found, key=lambda one: (one.start_ns, one.path)))

    def read(self, name: str, damaged: Callable[[str], None] | None = None) -> Iterator[Frame]:
        """The frames of one stream through all files; `damaged` is `Recording.frames`'s. Raises BadInput."""
        for path, shift in self._shifts.items():
            recording = Recording(path)
            try:
                if name in recording.streams:
                    for frame in recording.frames(name, damaged):
                        yield _shifted(frame, shift)
            finally:
                recording.close()


def _shifts(recordings: list[Recording]) -> dict[Path, int]:
    """What to add to the times in each file, so that one follows the other on one clock: mostly nothing."""
    shifts: dict[Path, int] = {}
    shift, before = 0, recordings[0]
    for one in recordings:
        pause = one.start_ns - before.end_ns  # by the wall
        if abs(one.wall_ns - before.wall_ns) < SAME_CLOCK_NS:
            pause -= one.wall_ns - before.wall_ns
        if one is not before:
            ended_ns = before.end_ns - before.wall_ns + shift
            follows = abs(pause) <= PAUSE_NS  # a slow stream's frame may be older than what was recorded before it
            shift = ended_ns + (pause if follows else PERIOD_NS) - (one.start_ns - one.wall_ns)
        shifts[one.path], before = shift, one
    return shifts


def _shifted(frame: Frame, shift: int) -> Frame:
    if not shift:
        return frame
    return replace(frame, capture_ns=frame.capture_ns + shift, publish_ns=frame.publish_ns + shift)


def files_of(path: Path) -> list[Path]:
    """The files that a path means. Raises BadInput where there is none."""
    if path.is_dir():
        found = sorted(path.glob(f"*{SUFFIX}"))
    elif set("*?[") & set(path.name):
        found = sorted(path.parent.glob(path.name))
    else:
        found = [path]
    if not found or not found[0].is_file():
        raise BadInput(f"There is no recording {path}. An output.recorder with format: frames makes one.")
    return found

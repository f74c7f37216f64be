"""The files of one recording, one after the other: a file, a folder of them, or a pattern such as show_*.mcap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from engine.errors import BadInput
from engine.frame import Frame
from engine.node import Port
from nodes.recording.reader import FIRST, LAST, Recording

SUFFIX = ".mcap"
PAUSE_NS = 2_000_000_000  # between two files; a longer one is left out
PERIOD_NS = 33_333_333  # which is put in its place
SAME_CLOCK_NS = 60_000_000_000  # by how much the wall's clock may be set while the frames' clock goes on


class Span(NamedTuple):
    """One file. shift: what is added to its times, so that the files follow one another on one clock; mostly nothing.

    start_ns, end_ns: its first and last capture, on that clock.
    """

    path: Path
    shift: int
    start_ns: int
    end_ns: int


class Series:
    """start, seconds: of the recording, only that part. Raises BadInput where there is no file or one is no recording.

    ports: what each stream is, by its name, in the order of the recorder's inputs. frames: how many each has in the
    whole recording. cut_off: the files that were not completed. unusable: what is wrong with those of several files
    that cannot be read at all, such as one that a killed recorder had only begun.
    """

    def __init__(self, path: Path, start: float = 0, seconds: float | None = None):
        self.ports: dict[str, Port] = {}
        self.frames: Counter[str] = Counter()
        self.cut_off: list[Path] = []
        self.unusable: list[BadInput] = []
        found = []
        for one in files_of(path):
            try:
                recording = Recording(one, chunks=False)
            except BadInput as error:
                self.unusable.append(error)
                continue
            recording.close()  # what was read of it stays
            found.append(recording)
            for stream in recording.streams.values():
                self.ports.setdefault(stream.name, stream.port)
                self.frames[stream.name] += stream.frames
            if not recording.whole:
                self.cut_off.append(recording.path)
        if not found:
            raise self.unusable[0]
        self._spans = _spans(sorted(found, key=lambda one: (one.start_ns, one.path)))
        first_ns, last_ns = self._spans[0].start_ns, max(span.end_ns for span in self._spans)
        if first_ns + start * 1e9 > last_ns:
            length = (last_ns - first_ns) / 1e9
            raise BadInput(f"{path} ends after {length:.1f} s, which is before start: {start:g}. Begin earlier.")
        self._since_ns = first_ns + round(start * 1e9) if start else FIRST
        self._until_ns = first_ns + round((start + seconds) * 1e9) if seconds else LAST

    def read(self, name: str, damaged: Callable[[str], None] | None = None) -> Iterator[Frame]:
        """The frames of one stream through all files; `damaged` is `Recording.frames`'s. Raises BadInput."""
        for path, shift, start_ns, end_ns in self._spans:
            if end_ns < self._since_ns or start_ns >= self._until_ns:
                continue
            try:
                recording = Recording(path)
            except BadInput as error:  # its summary was good, its chunks are not; or it is gone by now
                if damaged is None:
                    raise
                damaged(str(error))
                continue
            try:
                if name in recording.streams:
                    for frame in recording.frames(name, damaged, self._since_ns - shift, self._until_ns - shift):
                        yield _shifted(frame, shift)
            finally:
                recording.close()


def _spans(recordings: list[Recording]) -> list[Span]:
    spans: list[Span] = []
    shift, before = 0, recordings[0]
    for one in recordings:
        pause = one.start_ns - before.end_ns  # by the wall
        if abs(one.wall_ns - before.wall_ns) < SAME_CLOCK_NS:
            pause -= one.wall_ns - before.wall_ns
        started_ns, ended_ns = one.start_ns - one.wall_ns, one.end_ns - one.wall_ns
        if spans:
            follows = abs(pause) <= PAUSE_NS  # a slow stream's frame may be older than what was recorded before it
            shift = spans[-1].end_ns + (pause if follows else PERIOD_NS) - started_ns
        spans.append(Span(one.path, shift, started_ns + shift, ended_ns + shift))
        before = one
    return spans


def _shifted(frame: Frame, shift: int) -> Frame:
    if not shift:
        return frame
    return replace(frame, capture_ns=frame.capture_ns + shift, publish_ns=frame.publish_ns + shift)


def files_of(path: Path) -> list[Path]:
    """The files that a path means. Raises BadInput where there is none."""
    try:
        if path.is_dir():
            found = sorted(path.glob(f"*{SUFFIX}"))
        elif set("*?[") & set(path.name):
            found = sorted(path.parent.glob(path.name))
        else:
            found = [path]
        found = [one for one in found if one.is_file()]
    except OSError as error:  # such as a name that is too long
        raise BadInput(f"Cannot use {str(path)[:200]}: {error.strerror}. Name another recording.") from None
    if not found:
        raise BadInput(f"There is no recording {path}. An output.recorder with format: frames makes one.")
    return found

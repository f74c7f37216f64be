"""The files of one recording, one after the other: a file, a folder of them, or a pattern such as show_*.mcap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from engine.errors import BadInput
from engine.frame import Frame
from engine.node import Port
from nodes.recording.reader import Recording

SUFFIX = ".mcap"
PAUSE_NS = 2_000_000_000  # between two files; a longer one is left out, as is a clock that was set back by a restart
PERIOD_NS = 33_333_333  # what is put in its place


class Series:
    """ports: what each stream is, by its name, in the order of the recorder's inputs. frames: how many there are.

    cut_off: the files that were not completed. Raises BadInput where there is no file, or one is no recording.
    """

    def __init__(self, path: Path):
        self.ports: dict[str, Port] = {}
        self.frames = 0
        self.cut_off: list[Path] = []
        starts: dict[Path, int] = {}
        for one in _files(path):
            recording = Recording(one, chunks=False)
            recording.close()
            starts[one] = recording.start_ns
            for stream in recording.streams.values():
                self.ports.setdefault(stream.name, stream.port)
                self.frames += stream.frames
            if not recording.whole:
                self.cut_off.append(one)
        self.paths = sorted(starts, key=lambda one: (starts[one], one))

    def read(
        self, key: Callable[[Frame], int], damaged: Callable[[str], None] | None = None
    ) -> Iterator[tuple[str, Frame]]:
        """(stream, frame) in the order of `key`; `damaged` is `Recording.frames`'s. Raises BadInput."""
        shift = newest = 0
        for place, path in enumerate(self.paths):
            recording = Recording(path)
            try:
                for number, (name, frame) in enumerate(recording.all(key, damaged)):
                    if place and not number:
                        pause = frame.publish_ns + shift - newest
                        shift += 0 if 0 <= pause <= PAUSE_NS else PERIOD_NS - pause
                    newest = max(newest, frame.publish_ns + shift)
                    yield name, _shifted(frame, shift)
            finally:
                recording.close()


def _shifted(frame: Frame, shift: int) -> Frame:
    if not shift:
        return frame
    return replace(frame, capture_ns=frame.capture_ns + shift, publish_ns=frame.publish_ns + shift)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(path.glob(f"*{SUFFIX}"))
    elif set("*?[") & set(path.name):
        found = sorted(path.parent.glob(path.name))
    else:
        found = [path]
    if not found or not found[0].is_file():
        raise BadInput(f"There is no recording {path}. An output.recorder with format: frames makes one.")
    return found

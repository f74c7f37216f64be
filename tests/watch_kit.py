"""Looks at every stream of an engine as outsiders do, all the time, and notes what must never be seen."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from engine_kit import Engine, until
from fake_engine import RingReader  # the bridge's

from engine import crash, decide
from engine.decide import SECOND
from engine.frame import Flags, Frame
from engine.ring_reader import Policy
from engine.stream import StreamReader

FLAGGED = Flags.HELD | Flags.PLACEHOLDER
JITTER_NS = SECOND // 2  # between an output's look at the clock and the time that it writes into the frame
SIGNS_OF_THE_BRIDGE = {"LIVE", "HELD", "PLACEHOLDER", "WAITING", "STALE", "STOPPED"}


class Seen(NamedTuple):
    seq: int
    epoch: int
    flags: Flags
    publish_ns: int


def uniform(frame: Frame) -> bool:
    """The pictures of fault.count and of whoever passes them on: each byte the same, but for alpha."""
    return not (frame.array[..., :3] != frame.array.flat[0]).any()


class Watcher:
    """Reads all streams with the engine's reader, in order, and the output with the bridge's.

    whole: by stream, whether a frame of it is what its writer meant. same: a picture shows the same as the one that it
    was made from. hold_after: the output's; an older picture must be flagged. `wait` and `stop` say what is wrong.
    """

    def __init__(
        self,
        engine: Engine,
        whole: dict[str, Callable[[Frame], bool]] | None = None,
        same: bool = False,
        hold_after: float = 0,
        output: str = "c",
    ):
        self.engine, self.whole, self.same = engine, whole or {}, same
        self.hold_ns = round(hold_after * SECOND) + JITTER_NS if hold_after else 0
        self.output = output
        self.frames: defaultdict[str, list[Seen]] = defaultdict(list)
        self.values: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self.faults: list[str] = []
        self.names: list[str] = []
        self._fresh_ns = 0  # when the output last showed something new
        self._newest_source = 0
        directory = engine.directory()
        self.names = [directory.stream(row).name for row in range(directory["stream_count"])]
        self.readers = [StreamReader(directory, row, Policy.EVERY) for row in range(len(self.names))]
        self.bridge = RingReader(engine.name, output)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # --- what a test asks ---

    def wait(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Until it is so, or something wrong was seen. A watchdog, not a measurement."""
        until(lambda: self.faults or condition(), seconds, self.engine)
        assert not self.faults, self.faults

    def wait_for_more(self, *streams: str, frames: int = 5, seconds: float = 60) -> None:
        """Until each of these streams has given that many frames more."""
        before = {stream: len(self.frames[stream]) for stream in streams}
        self.wait(lambda: all(len(self.frames[stream]) >= before[stream] + frames for stream in streams), seconds)

    def newest(self, stream: str) -> Seen:
        return self.frames[stream][-1]

    def live(self) -> bool:
        """Does the output show something new?"""
        return bool(self.frames[self.output]) and not self.newest(self.output).flags & FLAGGED

    def flags_since(self, seq: int) -> Flags:
        """All that the output has said of its pictures after this one."""
        said = Flags(0)
        for seen in reversed(self.frames[self.output]):
            if seen.seq <= seq:
                break
            said |= seen.flags
        return said

    def numbers(self, stream: str) -> set[int]:
        return {seen.seq for seen in self.frames[stream]}

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        for reader in self.readers:
            reader.close()
        self.bridge.close()
        assert not self.faults, self.faults

    # --- looking ---

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                for name, reader in zip(self.names, self.readers, strict=True):
                    while (frame := reader.read()) is not None:
                        self._look(name, frame)
                had = self.bridge.array is not None
                self.bridge.poll()
                if self.bridge.state not in SIGNS_OF_THE_BRIDGE:
                    self.faults.append(f"the bridge says {self.bridge.state}: {self.bridge.message}")
                if had and self.bridge.array is None:
                    self.faults.append("the bridge has lost its picture")
            except Exception as error:
                self.faults.append(f"{type(error).__name__}: {error}")
            time.sleep(0.003)

    def _look(self, name: str, frame: Frame) -> None:
        former = self.frames[name][-1] if self.frames[name] else Seen(0, 0, Flags(0), 0)
        about = f"frame {frame.seq} of {name} (epoch {frame.epoch})"
        if frame.seq <= former.seq or frame.epoch < former.epoch:
            self.faults.append(f"{about} came after frame {former.seq} (epoch {former.epoch})")
        if poisoned(frame.array):
            self.faults.append(f"{about} was never finished")
        if not self.whole.get(name, lambda _: True)(frame):
            self.faults.append(f"{about} is not whole")
        if self.same:
            self._compare(name, frame, about)
        if name == self.output and self.hold_ns:
            self._judge(frame, about)
        self.frames[name].append(Seen(frame.seq, frame.epoch, frame.flags, frame.publish_ns))

    def _compare(self, name: str, frame: Frame, about: str) -> None:
        """The picture is that of the frame which it says it was made from."""
        if frame.flags & Flags.PLACEHOLDER:
            return
        value = self.values[name][frame.seq] = int(frame.array.flat[0])
        for source in frame.sources:
            made_from = self.values[self.names[source.stream]].get(source.seq, value)
            if value != made_from:
                self.faults.append(f"{about} shows {value} where frame {source.seq} before it shows {made_from}")

    def _judge(self, frame: Frame, about: str) -> None:
        """A picture that is not new says so."""
        newest = max((source.seq for source in frame.sources), default=0)
        if newest > self._newest_source:
            self._newest_source, self._fresh_ns = newest, frame.publish_ns
        elif not frame.flags & FLAGGED and frame.publish_ns - self._fresh_ns > self.hold_ns:
            self.faults.append(f"{about} shows an old picture as a new one")


def poisoned(array: np.ndarray) -> bool:
    return array.reshape(-1).view(np.uint8)[:64].tobytes() == 32 * crash.POISON


def deadline_s(startup: float, step: float, failures: int = 1) -> float:
    """Within which a node that dies or hangs is back, by its config; three times that, for machines with more to do."""
    delays = sum(decide.delay_ns(number) for number in range(1, failures + 1)) / SECOND
    return 3 * (step + delays + startup + 3)

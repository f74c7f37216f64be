"""Breaking real cameras under a real engine, and what its output shows meanwhile."""

from __future__ import annotations

import re
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from engine_kit import Engine
from fault_sources import Shown, Source
from http_camera import number_in

from engine.clock import now_ns
from engine.frame import Flags
from engine.ring_reader import Policy

FLAGGED = Flags.HELD | Flags.PLACEHOLDER
NEWEST = 10  # of so many live pictures the latency is the median


class Screen:
    """What an audience sees of one camera of a running engine: node `camera`, and `<camera>_out` that shows it."""

    def __init__(self, engine: Engine, camera: str, source: Source):
        self.engine, self.camera, self.source = engine, camera, source
        directory = engine.directory()
        rows = {directory.stream(row).name: row for row in range(directory["stream_count"])}
        names = [health.name for health in directory.health()]
        self.node, self.output = engine.node(names.index(camera)), engine.node(names.index(f"{camera}_out"))
        self.sizes: set[tuple[int, ...]] = set()  # of the camera's pictures
        self.recent: deque[Shown] = deque(maxlen=NEWEST)  # the live ones among the last
        self.newest = Shown(0, 0, True, -1)
        self._out = engine.reader(rows[f"{camera}_out"], Policy.EVERY)
        self._pictures = engine.reader(rows[camera], Policy.LATEST)

    def look(self) -> list[Shown]:
        """What is new on the output."""
        if (picture := self._pictures.read()) is not None:
            self.sizes.add(picture.shape)
        new = []
        while (frame := self._out.read()) is not None:
            live = not frame.flags & FLAGGED
            stamp = None if frame.flags & Flags.PLACEHOLDER else number_in(frame.array)
            if stamp != self.newest.stamp or live != self.newest.live:  # the output repeats what it has
                self.newest = Shown(frame.publish_ns, frame.capture_ns, live, stamp)
                new.append(self.newest)
        self.recent.extend(shown for shown in new if shown.live)
        return new

    def until(self, condition: Callable[[], Any], seconds: float = 30) -> None:
        """Look on until it is so. A watchdog, not a measurement."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{self.camera}: {self.node.text!r}\n{self.engine.output}"
            self.look()
            time.sleep(0.005)

    def first_made_after(self, since_ns: int) -> Shown:
        """Wait for the first live picture that was made after this moment."""
        found: list[Shown] = []

        def look() -> bool:
            found.extend(shown for shown in self.look() if shown.live and self.source.made_after(shown, since_ns))
            return bool(found)

        self.until(look)
        return found[0]

    def latency_ms(self) -> float:
        """From the making of a picture until it is on the output, the median of the next few."""
        self.recent.clear()
        self.until(lambda: len(self.recent) == NEWEST)
        return statistics.median(map(self.source.age_ms, self.recent))

    def degraded(self) -> bool:
        return self.node.phase == "DEGRADED" and bool(self.node.text)

    def well(self) -> bool:
        return self.node.phase == self.output.phase == "RUNNING" and self.newest.live and not self.node.text


def nodes(cameras: dict[str, str]) -> str:
    """A config's nodes: each camera with these settings, and an output that shows it at its own size."""
    output = "type: output.touchdesigner, size: [320, 240], row_order: top_down, hold_after: 0.5, placeholder_after: 2"
    return "".join(
        f"  {name}: {{type: camera.opencv, {settings}}}\n  {name}_out: {{{output}, fade: 0, input: {name}}}\n"
        for name, settings in cameras.items()
    )


class Fault(NamedTuple):
    """strike and mend: what to do to a source. says: part of the sentence that is due, as a regular expression."""

    name: str
    strike: Callable[[Any], object]  # takes the Source
    mend: Callable[[Any], object]
    says: str


class Outcome(NamedTuple):
    sentence: str
    named_s: float  # from the blow until the sentence
    shown: str  # on the output before the source returned: live, held, card
    back_s: float  # from the source's return to the first new live picture at the output
    before_ms: float
    after_ms: float


GONE = "No pictures come|No video comes"
OF_A_SERVER = [
    Fault("server frozen", Source.freeze, Source.thaw, GONE),
    Fault("server gone and back", Source.kill, Source.start, GONE),
]
OF_A_PICTURE = [
    Fault("black picture", lambda s: s.tell(mode="black"), lambda s: s.tell(mode="moving"), "black pictures"),
    Fault("frozen picture", lambda s: s.tell(mode="frozen"), lambda s: s.tell(mode="moving"), "the same picture"),
    Fault(
        "frozen until opened anew", lambda s: s.tell(mode="hung"), lambda s: s.tell(mode="moving"), "the same picture"
    ),
    Fault("wrong size", lambda s: s.restart(size=(640, 480)), Source.restart, "640 x 480, no longer"),
    # One in 2 where the machine is too busy to make so many.
    Fault("frame rate × 3", lambda s: s.tell(fps=75), lambda s: s.tell(fps=25), "not 25 as asked; one in [23]"),
]
TRUNCATED = Fault("file truncated", lambda s: s.truncate(), lambda s: s.mend(), "breaks off")
UNPLUGGED = Fault("device gone and back", Source.kill, Source.start, "There is no|No pictures come")


def go_through(screen: Screen, fault: Fault, linger_s: float = 0) -> Outcome:
    """Break its source, wait until its node says so (and `linger_s` more), mend it, and wait until all is well."""
    source = screen.source
    screen.until(screen.well)
    before = screen.latency_ms()
    screen.sizes.clear()
    struck_ns = now_ns()
    fault.strike(source)
    screen.until(lambda: screen.degraded() and re.search(fault.says, screen.node.text))
    named_ns = now_ns()
    screen.until(lambda: now_ns() - named_ns >= linger_s * 1e9)
    sentence = screen.node.text
    shown = "card" if screen.newest.stamp is None else "live" if screen.newest.live else "held"
    returned_ns = now_ns()
    fault.mend(source)
    if fault.mend in (Source.start, Source.restart):  # it is there from the end of its start on
        returned_ns = now_ns()
    first = screen.first_made_after(returned_ns)
    screen.until(screen.well)
    outcome = (named_ns - struck_ns) / 1e9, shown, (first.publish_ns - returned_ns) / 1e9, before, screen.latency_ms()
    return Outcome(sentence, *outcome)

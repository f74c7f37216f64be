"""A process that reads as TouchDesigner does: with td_bridge/ring_reader.py, once per "cook", 60 times a second.

    python -m engine.stress.viewer ENGINE STREAM TALLY KIND

It counts into the file TALLY, and ends with its stdin. KIND is `numbered` where the stream carries test pictures
(engine/stress/pattern.py), else `pictures`; of those only numbers and counts can be judged.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

from engine.clock import now_ns
from engine.process import ROOT
from engine.stress import pattern
from engine.stress.checker import Checker
from engine.stress.tally import Tally

COOK_S = 1 / 60


class Viewer:
    """Counts as engine.stress.tally says, and besides:

    empty: polls after the first picture at which there was none to show. skipped: the bridge's own count. latest: the
    number of the newest frame that it took, torn or not.
    """

    def __init__(self, engine: str, stream: str, tally: Tally, numbered: bool):
        sys.path.insert(0, str(ROOT / "td_bridge"))  # as in TouchDesigner, where its modules stand side by side
        from ring_reader import RingReader

        self.reader, self.tally, self.numbered = RingReader(engine, stream), tally, numbered
        self.checker = Checker(tally)

    def poll(self) -> None:
        picture = self.reader.poll()
        counts = self.tally.counts
        counts["polls"] += 1
        counts["empty"] += counts["seen"] > 0 and self.reader.array is None
        counts["skipped"], counts["latest"] = self.reader.skipped, self.reader.seq
        if picture is None:
            self.tally.store()
        elif self.numbered:
            self._check(picture)
        else:
            self._count()

    def _check(self, picture: np.ndarray) -> None:
        upright = picture[::-1]  # the bridge hands pictures out with the bottom row first
        number = pattern.number_of(upright)
        if number is None:  # the bridge does not tell ordinals, and so nothing more can be said of this one
            self.tally.counts["seen"] += 1
            self.tally.counts["torn"] += 1
            self.tally.store()
        else:
            published_ns = now_ns() - round(self.reader.age_ms * 1e6)
            self.checker.see(upright, self.reader.seq, number, published_ns, original=True)

    def _count(self) -> None:
        counts, seq = self.tally.counts, self.reader.seq
        self.tally.ages.add(max(0, round(self.reader.age_ms * 1e6)))
        counts["seen"] += 1
        counts["repeated"] += seq == counts["seq"]
        counts["back"] += seq < counts["seq"]
        counts["first_seq"] = counts["first_seq"] or seq
        counts["seq"] = max(seq, counts["seq"])
        self.tally.store()


def main(argv: list[str]) -> int:
    engine, stream, tally, kind = argv
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for who started us
    threading.Thread(target=_wait_for_end, daemon=True).start()
    viewer = Viewer(engine, stream, Tally(Path(tally)), kind == "numbered")
    while True:
        viewer.poll()
        time.sleep(COOK_S)


def _wait_for_end() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Explore the model deeper than the tests do: `python -m tests.model --help`."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from .explore import Exploration
from .generations import Growing
from .memory import RULES
from .scenes import POINTS, READERS, Scene


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--slots", type=int, default=3, help="slots of the ring (3)")
    parser.add_argument("--depth", type=int, default=4, help="frames that each life of the writer publishes (4)")
    parser.add_argument("--deaths", type=int, default=0, help="how often the writer may be killed, at any step (0)")
    parser.add_argument("--reader-deaths", type=int, default=0, help="how often each reader may (0)")
    parser.add_argument("--readers", nargs="*", default=["latest"], choices=READERS, help="who reads (latest)")
    parser.add_argument("--memory", default="weak", choices=RULES, help="in order, x86-64 or weak (weak)")
    parser.add_argument("--lossless", action="store_true", help="the writer waits for its readers")
    parser.add_argument("--stopped", default="", choices=("", *POINTS), help="stop the writer there and start another")
    parser.add_argument("--grows", action="store_true", help="small frames, but the second is too large for its ring")
    parser.add_argument("--impatient", action="store_true", help="with --grows: the writer may give up waiting")
    parser.add_argument("--without", default="", help="leave out a guard; tests/model/guards.py has their names")
    parser.add_argument("--most", type=int, default=0, help="give up after so many states (never)")
    given = parser.parse_args()
    scene: Scene
    what: dict[str, Any] = dict(
        slots=given.slots, readers=tuple(given.readers), deaths=given.deaths, reader_deaths=given.reader_deaths,
        without=given.without,
    )  # fmt: skip
    if given.grows:
        plan = ("small", "large", *["small"] * (given.depth - 2))
        scene = Growing(**what, plan=plan, patience=not given.impatient)
    else:
        scene = Scene(**what, frames=given.depth, lossless=given.lossless, stopped=given.stopped)
    began = time.monotonic()

    def progress(states: int) -> None:
        print(f"\r{states:,} states, {time.monotonic() - began:.0f} s", end="", file=sys.stderr, flush=True)

    report = Exploration(scene, RULES[given.memory]).run(progress, given.most)
    print(file=sys.stderr)
    print(f"{report.states:,} states, {report.steps:,} steps.", end=" ")
    if report.broken:
        print(f"A promise is broken: {report.broken}. How it came to that:")
        print(*report.path, sep="\n")
        return 1
    print("Not everything was explored." if given.most and report.states > given.most else "Every promise holds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Compare Utsushi's ring with other ways to hand a frame to another process. See docs/BENCHMARKS.md.

python bench/transports.py [--size 1920x1080] [--fps 60] [--seconds 8] [--json FILE] [--plot FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import byte_links, links, report, wakes
from bench.copies import copy_times
from bench.links import Link
from bench.measure import CONTEXT, Run, run
from engine.errors import EngineError

ROUNDS = 8
FAN_OUT = 3
Factory = Callable[[int], Link]  # of the number of readers


def light_links(shape: tuple[int, ...]) -> dict[str, Factory]:
    """What lets the machine rest between frames. They run at the same time, so that noise meets all of them."""
    name = f"utsu_bench{os.getpid()}"
    makers: dict[str, Factory] = {
        report.OURS: lambda readers: links.RingLink(name, shape, readers),
        report.RIVAL: lambda readers: links.IceoryxLink(name, shape, readers),
        "ring + UDP, connected": lambda readers: links.RingLink(
            name + "c", shape, readers, wakes.UdpWake(readers, connected=True)
        ),
        "ring + UDP": lambda readers: links.RingLink(name + "u", shape, readers, wakes.UdpWake(readers, False)),
        "ring + ZeroMQ": lambda readers: links.RingLink(name + "z", shape, readers, wakes.ZmqWake()),
    }
    if sys.platform == "linux":
        makers["ring + eventfd"] = lambda readers: links.RingLink(name + "e", shape, readers, wakes.EventFd(readers))
    return makers


def busy_links(shape: tuple[int, ...]) -> dict[str, Factory]:
    """What keeps a core busy, and so would disturb the others. Each runs alone."""
    name = f"utsu_bench{os.getpid()}p"
    return {
        "ring + polling 0.5 ms": lambda readers: links.RingLink(name, shape, readers, wakes.Polling()),
        "pyzmq PUB/SUB, TCP": lambda readers: byte_links.ZmqLink(shape),
        "multiprocessing.Queue": lambda readers: byte_links.QueueLink(CONTEXT, shape, readers),
    }


def compare(groups: list[dict[str, Factory]], readers: int, fps: float, seconds: float) -> dict[str, list[Run]]:
    """The runs of each link, one per round. The groups take turns; in a group each round begins with another link."""
    runs: dict[str, list[Run]] = {name: [] for group in groups for name in group}
    for number in range(ROUNDS):
        print(f"  round {number + 1} of {ROUNDS}, {readers} reader(s)", file=sys.stderr)
        for group in groups:
            names = list(group)
            turned = names[number % len(names) :] + names[: number % len(names)]
            for name, result in run({name: group[name](readers) for name in turned}, readers, fps, seconds).items():
                runs[name].append(result)
    return runs


def measure_all(shape: tuple[int, ...], fps: float, seconds: float) -> dict:
    """Everything that the report shows. `seconds`: of measuring, per link."""
    light = light_links(shape)
    each = seconds / ROUNDS
    hop = compare([light, *({name: maker} for name, maker in busy_links(shape).items())], 1, fps, each)
    fan_out = compare([{name: light[name] for name in (report.OURS, report.RIVAL)}], FAN_OUT, fps, each)
    copies = copy_times(f"utsu_bench{os.getpid()}", shape, ROUNDS)
    return report.results(hop, fan_out, copies, {"height": shape[0], "width": shape[1], "fps": fps, "seconds": seconds})


def picture_size(text: str) -> tuple[int, int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    width, height = (int(part) for part in found.groups()) if found else (0, 0)
    if width < 4 or height < 4:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size of 4x4 or more, such as 1920x1080")
    return height, width, 4


def above_zero(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) < 1e6:
            return float(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a number above zero")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--size", type=picture_size, default="1920x1080", help="of the frames, WIDTHxHEIGHT")
    parser.add_argument("--fps", type=above_zero, default=60.0)
    parser.add_argument("--seconds", type=above_zero, default=8.0, help="how long each transport is measured, in all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", default=Path("out/bench-transports.png"))
    options = parser.parse_args(arguments)
    if links.iox2 is None:
        print("iceoryx2 is not installed, and it is what the ring is measured against: pip install -e '.[bench]'")
        return 1
    try:
        found = measure_all(options.size, options.fps, options.seconds)
    except (EngineError, RuntimeError) as error:
        print(error)
        return 1
    print(report.text(found))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    report.plot(found, options.plot)
    wrong = [name for part in ("hop", "fan_out") for name, row in found[part].items() if row["wrong"]]
    if wrong:
        print(f"Frames came out other than they went in: {', '.join(wrong)}. The figures above are void.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

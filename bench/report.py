"""From runs to figures, a table and a plot."""

from __future__ import annotations

import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.measure import Run

OURS, RIVAL = "Utsushi ring", "iceoryx2"
COPY_LIMIT = 1.3


def results(
    hop: dict[str, list[Run]],
    fan_out: dict[str, list[Run]],
    copies: tuple[list[float], list[float]],
    settings: dict[str, float],
) -> dict[str, Any]:
    """All figures, as they go into the JSON file. Ratios are medians over the rounds of each round's ratio."""
    through, bare = copies
    found: dict[str, Any] = {
        "machine": {
            "system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{package: version(package) for package in ("numpy", "pyzmq", "iceoryx2")},
        },
        "settings": settings,
        "hop": {name: _row(runs, hop[RIVAL]) for name, runs in hop.items()},
        "fan_out": {name: _row(runs, fan_out[RIVAL]) for name, runs in fan_out.items()},
        "copies": {
            "ring_us": statistics.median(through) / 1e3,
            "bare_us": statistics.median(bare) / 1e3,
            "ratio": _ratio(through, bare),
        },
    }  # fmt: skip
    found["bars"] = [
        _bar("A  p50 of one hop, ring / iceoryx2", found["hop"][OURS]["p50_ratio"], 1.0),
        _bar("B  CPU of one writer and three readers, ring / iceoryx2", found["fan_out"][OURS]["cpu_ratio"], 1.0),
        _bar("C  copy in and out, ring / bare NumPy copies", found["copies"]["ratio"], COPY_LIMIT),
    ]
    return found


def _row(runs: list[Run], rival: list[Run]) -> dict[str, float]:
    """p50 is the median over the rounds; p90, p99 and max are of all rounds' frames together."""
    p50 = [_p50(each) for each in runs]
    latencies = sorted(latency for each in runs for latency in each.latencies_ns)
    cpu = [each.cpu for each in runs]
    return {
        "p50_us": statistics.median(p50) / 1e3,
        **{f"p{share}_us": latencies[len(latencies) * share // 100] / 1e3 for share in (90, 99)},
        "max_us": latencies[-1] / 1e3,
        "cpu_percent": 100 * statistics.median(cpu),
        "p50_ratio": _ratio(p50, [_p50(each) for each in rival]),
        "cpu_ratio": _ratio(cpu, [each.cpu for each in rival]),
        "frames": len(latencies),
        "dropped": sum(each.dropped for each in runs),
        "wrong": sum(each.wrong for each in runs),
    }


def _p50(run: Run) -> float:
    if not run.latencies_ns:
        raise RuntimeError("A transport brought no frame at all. Is the machine too busy? Try --fps 10.")
    return statistics.median(run.latencies_ns)


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def _bar(what: str, value: float, limit: float) -> dict[str, Any]:
    return {"what": what, "value": value, "limit": limit, "pass": value <= limit}


def text(found: dict[str, Any]) -> str:
    """The report as plain text."""
    settings, copies = found["settings"], found["copies"]
    lines = [
        f"{settings['width']}x{settings['height']} RGBA at {settings['fps']:g} fps, written in place, "
        "writer and readers in processes of their own",
        "  ".join(f"{key} {value}" for key, value in found["machine"].items()),
    ]
    for title, part in (("A. One writer, one reader", "hop"), ("B. One writer, three readers", "fan_out")):
        lines += [
            "",
            f"{title:24}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9} us {'CPU %':>8}{'p50':>9}{'CPU':>6}  dropped",
        ]
        lines += [f"{'':71}(/ iceoryx2)"]
        for name, row in found[part].items():
            times = "".join(f"{row[key]:9.0f}" for key in ("p50_us", "p90_us", "p99_us", "max_us"))
            ratios = f"{row['p50_ratio']:9.2f}{row['cpu_ratio']:6.2f}"
            lines.append(f"{name:24}{times}    {row['cpu_percent']:8.2f}{ratios}  {row['dropped']}/{row['frames']}")
    lines += ["", "C. Copy in, copy out"]
    lines += [f"{name:24}{copies[key]:9.0f} us" for name, key in ((OURS, "ring_us"), ("bare NumPy copies", "bare_us"))]
    lines += ["", "Bars"]
    for bar in found["bars"]:
        lines.append(f"{bar['what']:60}{bar['value']:6.2f} <= {bar['limit']:.2f}  {'PASS' if bar['pass'] else 'FAIL'}")
    return "\n".join(lines)


def plot(found: dict[str, Any], file: Path) -> None:
    """Draw the three parts side by side as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    settings, copies = found["settings"], found["copies"]
    figure, (left, middle, right) = pyplot.subplots(
        1, 3, figsize=(12, 3.8), width_ratios=[2.6, 1, 1], layout="constrained"
    )
    hop = sorted(found["hop"].items(), key=lambda item: -item[1]["p50_us"])
    for height, (name, row) in enumerate(hop):
        left.plot([row["p50_us"], row["p99_us"]], [height, height], color=_colour(name), alpha=0.4, linewidth=5)
        left.plot(row["p50_us"], height, "o", color=_colour(name), markersize=9)
        left.annotate(f"{row['p50_us']:.0f}", (row["p50_us"], height + 0.25), ha="center", fontsize=8)
    left.set(xscale="log", xlabel="µs from before the frame is begun to the reader seeing it", ylim=(-0.6, len(hop)))
    left.set_yticks(range(len(hop)), [name for name, _ in hop])
    left.set_title(
        f"A. One hop, {settings['width']}×{settings['height']} RGBA, {settings['fps']:g} fps\ndot p50, line to p99"
    )
    _columns(middle, {name: row["cpu_percent"] for name, row in found["fan_out"].items()}, "% of a core")
    middle.set_title("B. One writer, three readers:\nCPU of all processes")
    _columns(right, {OURS: copies["ring_us"], "bare NumPy": copies["bare_us"]}, "µs per frame")
    right.set_title("C. Copy in and copy out")
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def _columns(axes: Any, values: dict[str, float], label: str) -> None:
    columns = axes.bar(list(values), list(values.values()), color=[_colour(name) for name in values], width=0.55)
    axes.bar_label(columns, fmt="%.3g")
    axes.margins(y=0.12)
    axes.set_ylabel(label)


def _colour(name: str) -> str:
    return {OURS: "tab:orange", RIVAL: "tab:blue"}.get(name, "tab:gray")

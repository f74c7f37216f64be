"""Plots as SVG, for a page that needs nothing else: lines, steps, bars and a time line. Colours come from the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HALF, LEFT, RIGHT, TOP, BOTTOM = 920, 450, 56, 14, 14, 34
COLOURS = 8  # the page's --c0 … --c7
Points = Sequence[tuple[float, float]]


def colour(index: int) -> str:
    return f"var(--c{index % COLOURS})"


def legend(names: Sequence[str]) -> str:
    """Names beside their colours, as HTML."""
    items = (f'<span><i style="background:{colour(i)}"></i>{escape(name)}</span>' for i, name in enumerate(names))
    return f'<p class="legend">{"".join(items)}</p>'


def lines(series: Mapping[str, Points], end: float, unit: str, width: int = WIDTH, height: int = 220) -> str:
    """Values over time. end: the last second of the axis. From 0 up. width: as it will be shown."""
    top = nice_above(max((y for points in series.values() for _, y in points), default=1))
    plot = _Plot(0, end or 1, 0, top, height, width)
    body = [plot.frame(ticks(0, end), [_short(tick) for tick in ticks(0, end)], "s", ticks(0, top), unit)]
    for index, (name, points) in enumerate(series.items()):
        path = " ".join(f"{plot.x(x):.1f},{plot.y(y):.1f}" for x, y in points)
        body.append(
            f'<polyline points="{path}" style="stroke:{colour(index)}"><title>{escape(name)}</title></polyline>'
        )
    return _svg(width, height, f"{unit} over time of {', '.join(series)}", body)


def histogram(bins: Points, marks: Mapping[str, float], width: int = HALF, height: int = 150) -> str:
    """How many (y) took how many milliseconds (x, on a logarithmic axis). marks: lines with a name, at milliseconds."""
    least = min([x for x, _ in bins] + list(marks.values())) / 1.3
    most = max([x for x, _ in bins] + list(marks.values())) * 1.3
    low, high = math.log10(max(least, 1e-4)), math.log10(max(most, 1e-3))
    plot = _Plot(low, high, 0, nice_above(max(y for _, y in bins)), height, width)
    decades = [d for d in range(math.floor(low), math.ceil(high) + 1) if low <= d <= high]
    body = [plot.frame(decades, [f"{10.0**d:g} ms" for d in decades], "", ticks(0, plot.high), "frames")]
    wide = max(1.0, plot.x(low + math.log10(2) / 4) - plot.x(low) - 1)  # four bins to the octave
    for x, y in bins:
        at, up = plot.x(math.log10(max(x, 1e-4))), plot.y(y)
        body.append(_rect(at - wide / 2, up, wide, plot.y(0) - up, 0, f"{x:.3g} ms: {y:g} frames"))
    for name, x in marks.items():
        at = plot.x(math.log10(max(x, 1e-4)))
        body += [_line(at, TOP, at, plot.y(0), "mark"), _text(at, TOP - 2, name, "middle")]
    return _svg(
        width, height, f"histogram of milliseconds; {', '.join(f'{n} {x:.3g}' for n, x in marks.items())}", body
    )


def bars(rows: Mapping[str, Mapping[str, int]], beside: Mapping[str, str]) -> str:
    """One bar a row, its parts one after the other. beside: what is written behind each."""
    names = list(dict.fromkeys(part for parts in rows.values() for part in parts))
    most = max((sum(parts.values()) for parts in rows.values()), default=0) or 1
    left, step, room = 260, 24, 220
    body = []
    for number, (row, parts) in enumerate(rows.items()):
        y, x = TOP + number * step, float(left)
        body.append(_text(left - 8, y + 13, row, "end"))
        for part, count in parts.items():
            width = (WIDTH - left - room) * count / most
            body.append(_rect(x, y, width, 16, names.index(part), f"{part}: {count}"))
            x += width
        body.append(_text(x + 6, y + 13, beside[row]))
    return legend(names) + _svg(WIDTH, TOP + len(rows) * step + 6, f"{', '.join(names)} of each reader", body)


def time_line(
    lanes: Sequence[str],
    spans: Sequence[tuple[str, float, float, int, str]],
    marks: Sequence[tuple[str, float, str]],
    end: float,
) -> str:
    """A lane a name. spans: (lane, from, to, colour, words); marks: (lane, at, words), drawn as triangles. Seconds."""
    step, left = 22, 130
    height = TOP + len(lanes) * step + BOTTOM
    plot = _Plot(0, end or 1, 0, 1, height, WIDTH, left)
    body = [plot.frame(ticks(0, end), [_short(tick) for tick in ticks(0, end)], "s", [], "")]
    for number, lane in enumerate(lanes):
        y = TOP + number * step
        body += [_text(left - 8, y + 14, lane, "end"), _line(left, y + step, WIDTH - RIGHT, y + step)]
    for lane, a, b, index, words in spans:
        body.append(
            _rect(plot.x(a), TOP + lanes.index(lane) * step + 5, max(2.0, plot.x(b) - plot.x(a)), 12, index, words)
        )
    for lane, at, words in marks:
        x, y = plot.x(at), TOP + lanes.index(lane) * step
        body.append(f'<path class="restart" d="M{x:.1f},{y + 3}l5,9h-10z"><title>{escape(words)}</title></path>')
    return _svg(WIDTH, height, f"faults and restarts over {end:.0f} s", body)


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers from `low` to `high`."""
    span = (high - low) or 1
    step = 10.0 ** math.floor(math.log10(span / 5))
    step *= next((factor for factor in (1, 2, 5) if span / (step * factor) <= 6), 10)
    return [round(low + i * step, 10) for i in range(int(span / step + 1e-9) + 1)]


def nice_above(value: float) -> float:
    """A round number that is a little more than `value`."""
    steps = ticks(0, value) if value > 0 else [0.0, 1.0]
    return steps[-1] if steps[-1] > 1.02 * value else steps[-1] + steps[1]


def thinned(points: Points, most: int = 300) -> list[tuple[float, float]]:
    """At most so many points, each the mean of its neighbours."""
    size = math.ceil(len(points) / most) or 1
    groups = (points[i : i + size] for i in range(0, len(points), size))
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


class _Plot:
    """From values to places."""

    def __init__(self, first: float, last: float, low: float, high: float, height: int, width: int, left: int = LEFT):
        self.first, self.last, self.low, self.high = first, last, low, high
        self.height, self.left, self.right = height, left, width - RIGHT

    def x(self, value: float) -> float:
        return self.left + (self.right - self.left) * (value - self.first) / ((self.last - self.first) or 1)

    def y(self, value: float) -> float:
        return self.height - BOTTOM - (self.height - BOTTOM - TOP) * (value - self.low) / ((self.high - self.low) or 1)

    def frame(self, at_x: Sequence[float], words: Sequence[str], x_unit: str, at_y: Sequence[float], unit: str) -> str:
        """The grid, with what stands at it."""
        right, bottom = self.right, self.height - BOTTOM
        parts = []
        for tick in at_y:
            y = self.y(tick)
            parts += [_line(self.left, y, right, y), _text(self.left - 6, y + 4, _short(tick), "end")]
        for tick, word in zip(at_x, words, strict=True):
            x = self.x(tick)
            parts += [_line(x, TOP, x, bottom), _text(x, bottom + 15, word, "middle")]
        units = _text(self.left, self.height - 4, unit), _text(right, self.height - 4, x_unit, "end")
        return "".join([*parts, *units])


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _rect(x: float, y: float, width: float, height: float, index: int, words: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} style="fill:{colour(index)}"><title>{escape(words)}</title></rect>'


def _svg(width: int, height: float, label: str, body: Sequence[str]) -> str:
    return (f'<svg viewBox="0 0 {width} {height:g}" role="img" aria-label="{escape(label, quote=True)}">'
            f"{''.join(body)}</svg>")  # fmt: skip

"""The placeholder card: says on the output itself that there is no picture, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from engine.directory import NodeHealth

TITLE, HEADLINE = "Utsushi", "waiting for a picture"
PAPER, INK, SOFT, FAINT = (13, 15, 19), (236, 238, 241), (158, 164, 173), (98, 104, 113)  # RGB
CALM, AMBER, RED = (92, 148, 158), (222, 168, 84), (224, 100, 88)
SILENT_AFTER_S = 2.0
GLOW_PERIOD_NS = 4_000_000_000
FONT = cv2.FontFace("sans")  # comes with OpenCV 5, which takes CJK from another font of its own
LEADING = 1.35
EIGHTHS = 3  # OpenCV's `shift`: coordinates in eighths of a pixel
MOST_CHARACTERS = 400  # of one text: more than any card shows

PHASES = {  # what a phase means to the one who waits, and how bad it is
    "NONE": ("is not there", RED),
    "STARTING": ("is starting", AMBER),
    "READY": ("is ready and waits for the others", AMBER),
    "RUNNING": ("runs", CALM),
    "DEGRADED": ("has trouble", RED),
    "PAUSED": ("is paused", AMBER),
    "STOPPING": ("is stopping", AMBER),
    "FINISHED": ("has come to its end", AMBER),
}


class Line(NamedTuple):
    name: str
    text: str
    colour: tuple[int, int, int]


def report(nodes: Sequence[NodeHealth], own_name: str, port: str) -> list[Line]:
    """One line per node that does not run well; where all do, a line that names the input that gives nothing.

    The output itself counts only when it complains: its other phases show in that there is a card at all.
    """
    lines = []
    for node in nodes:
        silent = node.phase in ("RUNNING", "DEGRADED") and node.beat_age_s > SILENT_AFTER_S
        if node.name == own_name and node.phase != "DEGRADED":
            continue
        if node.phase == "RUNNING" and not silent:
            continue
        meaning, colour = PHASES.get(node.phase, PHASES["NONE"])
        text = f"has given no sign for {node.beat_age_s:.0f} s" if silent else node.text or meaning
        name = f"{node.name} · restarts: {node.restarts}" if node.restarts else node.name
        lines.append(Line(name, text, RED if silent else colour))
    if lines:
        return lines
    running = "Every other node runs, yet no" if nodes else "No"
    return [Line(f"input “{port}”", f"{running} picture comes in here.", AMBER)]


class Card:
    """The card at one size, (width, height) in pixels. It is drawn anew only when its text changed."""

    def __init__(self, size: tuple[int, int], footer: str):
        self.size, self.footer = size, footer
        self.scale = min(size) / 512
        self.margin = max(2, round(44 * self.scale))
        self.pixels = np.empty((size[1], size[0], 4), np.uint8)
        self.lines: list[Line] | None = None
        # A light that wanders along a hairline shows that the output itself is alive.
        self.glow_rows, self.glow_columns = slice(0, 0), slice(self.margin, size[0] - self.margin)
        self.write([])

    def write(self, lines: Sequence[Line]) -> None:
        """Show these lines, as many as there is room for."""
        if list(lines) == self.lines:
            return
        self.lines = list(lines)
        self.pixels[:] = (*PAPER, 255)
        left, right = self.margin, self.size[0] - self.margin
        y, end = self.margin, self.size[1] - self.margin
        small = self.points(17)
        if end - y > 9 * small:  # else the headline needs the room
            y = self.text(TITLE, left, y, small, SOFT, right, weight=600)
            end -= small
            self.text(self.footer, left, end, self.points(14), FAINT, right)
            end -= small
            y += round(small * 1.6)
        y = self.text(HEADLINE, left, y, self.points(44), INK, right, weight=300, most_lines=2, bottom=end)
        y += round(self.points(44) * 0.35)
        self.glow_rows = slice(min(y, end), min(y + max(1, round(2 * self.scale)), end))
        self.write_lines(y + round(small * 1.4), end)
        self.pixels[..., 3] = 255  # OpenCV writes the coverage of its text into the alpha channel

    def write_lines(self, y: int, end: int) -> None:
        """A dot, the name and the text of each line, from `y` down to `end`."""
        size, left, right = self.points(18), self.margin, self.size[0] - self.margin
        radius = round(size * 0.22 * 8)
        indent = left + round(size * 0.95)
        todo = self.lines or []
        for number, (name, text, colour) in enumerate(todo):
            rest = len(todo) - number
            needs = round(size * LEADING) * 2  # the name and one line of text
            if y + needs > end or (rest > 1 and y + needs + round(size * LEADING) > end):
                self.text(f"and {rest} more" if number else "", left, y, size, SOFT, right, bottom=end)
                return
            centre = (left * 8 + radius, round((y + size * 0.68) * 8))
            cv2.circle(self.pixels, centre, radius, (*colour, 255), cv2.FILLED, cv2.LINE_AA, shift=EIGHTHS)
            y = self.text(name, indent, y, size, INK, right, weight=500, bottom=end)
            y = self.text(text, indent, y, size, SOFT, right, most_lines=3, bottom=end)
            y += round(size * 0.6)

    def text(
        self, text: str, x: int, y: int, size: int, colour: tuple[int, int, int], right: int,
        weight: int = 400, most_lines: int = 1, bottom: int | None = None,
    ) -> int:  # fmt: skip
        """Set `text` between `x` and `right`, its top at `y`; "…" ends what finds no room. Returns the y below it."""
        leading = round(size * LEADING)
        room = most_lines if bottom is None else min(most_lines, (bottom - y) // leading)
        for line in wrap(printable(text), right - x, size, weight, room):
            cv2.putText(self.pixels, line, (x, y + size), (*colour, 255), FONT, size, weight)
            y += leading
        return y

    def points(self, at_512: float) -> int:
        """A type size in pixels."""
        return max(8, round(at_512 * self.scale))

    def lit(self, now_ns: int) -> np.ndarray:
        """The card at this moment: (H, W, 4) uint8 RGBA, opaque, first row on top. Valid until the next call."""
        x = np.linspace(0, 1, max(0, self.glow_columns.stop - self.glow_columns.start), dtype=np.float32)
        place = 1.3 * (now_ns % GLOW_PERIOD_NS) / GLOW_PERIOD_NS - 0.15  # it comes from outside and leaves
        strength = 0.16 + 0.84 * np.exp(-(((x - place) / 0.07) ** 2))
        paper, light = np.array(PAPER, np.float32), np.array(CALM, np.float32)
        line = paper + strength[:, None] * (light - paper)
        self.pixels[self.glow_rows, self.glow_columns, :3] = line
        return self.pixels


def printable(text: str) -> str:
    """`text` on one line, with "?" for what has no shape. (A lone surrogate makes OpenCV 5.0 crash.)"""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text[:MOST_CHARACTERS].split()))


def width(text: str, size: int, weight: int) -> int:
    """How many pixels wide a line of text is."""
    return int(cv2.getTextSize((0, 0), text, (0, 0), FONT, size, weight)[2])


def wrap(text: str, room: int, size: int, weight: int, most_lines: int) -> list[str]:
    """Break a text into at most `most_lines` lines of at most `room` pixels; "…" ends one that was cut short."""
    lines: list[str] = []
    while text and len(lines) < most_lines:
        fits = fitting(text, room, size, weight)
        if fits < len(text) and len(lines) == most_lines - 1:
            fits = fitting(text, room - width("…", size, weight), size, weight)
            return [*lines, text[:fits].rstrip() + "…"] if fits else lines
        if fits == 0:
            return lines
        space = text.rfind(" ", 0, fits + 1)
        cut = fits if fits == len(text) or space <= 0 else space
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return lines


def fitting(text: str, room: int, size: int, weight: int) -> int:
    """How many characters of `text` fit into `room` pixels, found by halving."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle], size, weight) <= room else (low, middle - 1)
    return low

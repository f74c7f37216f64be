"""A window on the desktop as a sink: OpenCV's, with lines of text over the picture."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import cv2
import numpy as np

from engine.errors import EngineError
from nodes.output.card import FONT, INK, PAPER, printable
from nodes.output.sink import Sink

ESC = 27
PROBE = "import cv2; cv2.namedWindow('utsushi'); cv2.destroyAllWindows()"
PROBE_S = 8.0


class DesktopWindow(Sink):
    """A window of OpenCV's, with lines of text over the picture. `closed` becomes true when somebody closes it."""

    pixel_format = "BGRA"

    def __init__(self, title: str):
        self.title = title
        self.lines: Sequence[str] = ()
        self.is_open = self.closed = self.full_screen = self.bare = False

    def open(self, width: int, height: int) -> None:
        if problem := display_problem():
            raise EngineError(f"The preview cannot open a window: {problem}")
        try:
            cv2.namedWindow(self.title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(self.title, width, height)
        except cv2.error as error:
            raise EngineError(
                f"The preview cannot open a window ({error.err}). If opencv-python-headless is installed, remove it, "
                "then run: python3 run_engine.py --setup"
            ) from error
        self.is_open, self.full_screen = True, False

    def write(self, picture: np.ndarray) -> None:
        shown = cv2.cvtColor(picture, cv2.COLOR_BGRA2BGR)
        if not self.bare:
            write_lines(shown, self.lines)
        cv2.imshow(self.title, shown)

    def resize(self, width: int, height: int) -> None:
        """Nothing to do: the picture is scaled to the window."""

    def look(self) -> None:
        """Let the desktop have its turn, and do what the keys say. Between two pictures, too: else it seems frozen."""
        if not self.is_open:
            return
        key = cv2.waitKey(1) & 0xFF
        if not self._visible():
            self.closed, self.is_open = True, False
        elif key in (ord("h"), ord("H")):
            self.bare = not self.bare
        elif key in (ord("f"), ord("F")) or (key == ESC and self.full_screen):
            self.full_screen = not self.full_screen
            way = cv2.WINDOW_FULLSCREEN if self.full_screen else cv2.WINDOW_NORMAL
            cv2.setWindowProperty(self.title, cv2.WND_PROP_FULLSCREEN, way)

    def _visible(self) -> bool:
        try:
            return cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # what Qt says of a window that is gone
            return False

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            if self._visible():
                cv2.destroyWindow(self.title)
                cv2.waitKey(1)  # it goes when the desktop has its turn


def write_lines(picture: np.ndarray, lines: Sequence[str]) -> None:
    """Set the lines into the upper left corner of (H, W, 3) uint8 BGR, in light on dark."""
    size = max(10, picture.shape[0] // 36)
    for number, line in enumerate(lines, 1):
        for shift, colour in ((1, PAPER), (0, INK)):
            at = (size + shift, round(1.5 * number * size) + shift)
            cv2.putText(picture, printable(line), at, colour[::-1], FONT, size, 400)


def display_problem() -> str:
    """Why no window can be opened; "" where one can.

    Asked of a process of its own where there may be no desktop: without one, Qt ends the process that asks.
    """
    if not sys.platform.startswith("linux"):
        return ""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return (
            "there is no desktop here (DISPLAY is not set). Start the engine from a terminal on the desktop, "
            "or take output.window out of the config."
        )
    try:
        probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_S)
    except subprocess.TimeoutExpired:
        return f"the desktop does not answer within {PROBE_S:g} s. Log in at its screen."
    if probe.returncode == 0:
        return ""
    last = (probe.stderr.strip() or f"OpenCV gave up with code {probe.returncode}").splitlines()[0]
    return (
        f"{last} (DISPLAY is {os.environ.get('DISPLAY', '')!r}). Start the engine as the user who is logged in at the "
        "screen, or take output.window out of the config."
    )

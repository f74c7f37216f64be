"""What can be recorded from: a camera or stream, a file that is played, the drawn performer. None ever hangs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from engine.clock import now_ns
from engine.errors import BadInput, EngineError
from nodes.camera.capture import is_address, is_device, open_stream, shown
from nodes.camera.live import Live
from nodes.camera.painter.show import Show
from nodes.camera.plugged import DeviceSettings, Plugged
from nodes.camera.watchdog import Watchdog
from nodes.generator.footage.clip import Clip

SYNTHETIC = "synthetic"
WAIT_S = 0.1
LOST_S = 3.0  # without a picture
FROZEN_S = 5.0  # of the very same picture, or black ones
OPEN_S, READ_S, HUNG_S = 5.0, 2.0, 15.0  # what opening, one picture, and any call may take


class Lost(EngineError):
    """No more pictures come, and why."""


class Over(Lost):
    """There is no more of it, as was to be expected."""


class Source(Protocol):
    name: str

    def next(self) -> tuple[np.ndarray, float]:
        """The next picture, (H, W, 3) uint8 BGR, and its time in seconds. Raises `Lost` within a few seconds."""

    def close(self) -> None: ...


def open_source(text: str, size: tuple[int, int] | None, fps: float, absent: float, lost_s: float = LOST_S) -> Source:
    """fps: 0 leaves it to the source. absent: for how many seconds the drawn performer's stage is empty at first.
    lost_s: seconds without a picture that end a recording. Raises `BadInput`."""
    if text == SYNTHETIC:
        return Drawn(size or (512, 512), fps or 30.0, absent)
    source = int(text) if text.isdecimal() else text
    if is_address(source) or is_device(source):
        return Filmed(source, DeviceSettings(size=size, fps=fps or None), lost_s)
    return Played(Path(text))


class Filmed:
    """A camera or a stream."""

    def __init__(self, source: int | str, settings: DeviceSettings, lost_s: float):
        self.name, self._lost_ns = shown(source), lost_s * 1e9

        def opener():
            return open_stream(str(source), OPEN_S, READ_S) if is_address(source) else Plugged(source, settings).open()

        self._live = Live(self.name, opener, silent_after=READ_S, hung_after=HUNG_S)
        self._watchdog = Watchdog(self.name, FROZEN_S)
        if trouble := self._live.first_trouble():
            self.close()
            raise BadInput(trouble)

    def next(self) -> tuple[np.ndarray, float]:
        began = now_ns()
        while now_ns() - began < self._lost_ns:
            if (found := self._wait()) is not None:
                if self._watchdog.see(found[0], found[0].shape[1::-1], now_ns()) and self._watchdog.trouble:
                    raise Lost(self._watchdog.trouble)
                return found
        raise Lost(self._live.trouble or f"No pictures come from {self.name}. Check its cable, power and network.")

    def _wait(self) -> tuple[np.ndarray, float] | None:
        try:
            with self._live.picture(WAIT_S) as picture:
                if picture is None:
                    return None
                array = np.empty((picture.size[1], picture.size[0], 3), np.uint8)
                picture.read_into(array)
                return array, picture.capture_ns / 1e9
        except EngineError as error:
            raise Lost(str(error)) from error

    def close(self) -> None:
        self._live.close()


class Played:
    """A video file, as quickly as it can be read; its time is the file's."""

    def __init__(self, path: Path):
        self._clip = Clip(path)
        self.name = str(path)
        self._pictures: Iterator[np.ndarray] = self._clip.read_all()
        self._number = -1

    def next(self) -> tuple[np.ndarray, float]:
        for picture in self._pictures:
            self._number += 1
            return picture, self._number / self._clip.fps
        raise Over(f"{self.name} is over.")

    def close(self) -> None:
        del self._pictures


class Drawn:
    """The drawn performer, as quickly as it can be drawn; its time is the dance's."""

    name = "the drawn performer"

    def __init__(self, size: tuple[int, int], fps: float, absent: float):
        try:
            self._show = Show(*size, fps, absent=absent)
        except (OSError, ValueError, KeyError) as error:
            raise BadInput(f"The performer cannot be loaded: {error}. Fetch the folder assets again.") from error
        self._size, self._fps, self._number = size, fps, -1

    def next(self) -> tuple[np.ndarray, float]:
        self._number += 1
        picture = np.empty((self._size[1], self._size[0], 3), np.uint8)
        self._show.draw(picture, self._number)
        return picture, self._number / self._fps

    def close(self) -> None:
        pass

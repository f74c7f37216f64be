"""A clip as OpenCV reads it, picture by picture, as often as asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from nodes.camera.reels import VideoFile

UNEVEN = 0.5  # of the usual interval, by which others must differ for the rate to count as varying


class Clip:
    """size: (width, height) in pixels, upright. count, fps: as the file states them, and as they are once all of it
    was read. remarks: sentences on what is unusual. Raises `BadInput` for what is no video."""

    def __init__(self, path: Path):
        reel = VideoFile(path)
        self.path, self.size, self.count, self.fps = path, reel.size, reel.count, reel.fps
        self.remarks: list[str] = []
        if reel.turned:
            self.remarks.append(f"The clip is stored lying, turned by {reel.turned} degrees; it is used upright.")
        reel.close()

    def read_all(self) -> Iterator[np.ndarray]:
        """Every picture, (H, W, 3) uint8 BGR, each a new array; afterwards count, fps and remarks are complete."""
        reel = VideoFile(self.path)
        times: list[float] = []
        try:
            while (picture := self._at_hand(reel)) is not None:
                times.append(reel.seconds)
                yield picture
                if not reel.advance():
                    break
            else:
                self.remarks.append(
                    f"Picture {reel.position} cannot be decoded; the {len(times)} before it are used, and none after."
                )
            if why := reel.broken():
                self.remarks.append(f"{why} The {len(times)} pictures that there are will be used.")
        finally:
            reel.close()
        self.count = len(times)
        self._judge(np.diff(times))

    def _judge(self, steps: np.ndarray) -> None:
        """steps: seconds between pictures. A rate that varies does no harm: each picture is trained on by itself."""
        steps = steps[steps > 0]
        if len(steps) < 2:
            return
        low, usual, high = np.percentile(steps, (2, 50, 98))
        if high - usual > UNEVEN * usual or usual - low > UNEVEN * usual:
            self.fps = float(1 / steps.mean())
            self.remarks.append(
                f"The pictures come unevenly, {1 / high:.0f} to {1 / low:.0f} per second; all are used, one by one."
            )

    def read(self, numbers: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Some pictures by their numbers (0 is the first), in order, each (H, W, 3) uint8 BGR and a new array."""
        wanted, last = frozenset(numbers), max(numbers, default=-1)
        if last < 0:
            return
        reel = VideoFile(self.path)
        try:
            while reel.position <= last + 1:
                if reel.position - 1 in wanted and (picture := self._at_hand(reel)) is not None:
                    yield reel.position - 1, picture
                if not reel.advance():
                    return
        finally:
            reel.close()

    def _at_hand(self, reel: VideoFile) -> np.ndarray | None:
        picture = np.empty((self.size[1], self.size[0], 3), np.uint8)
        return picture if reel.read_into(picture) else None

    def clock(self, number: float) -> str:
        """When a picture is to be seen, as players show it: minutes and seconds."""
        return f"{int(number / self.fps) // 60}:{int(number / self.fps) % 60:02d}"

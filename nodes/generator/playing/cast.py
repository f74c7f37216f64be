"""The cast: which performers are loaded, which of them plays which visitor, and one picture of them all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from nodes.generator.backends.base import Backend
from nodes.generator.playing.angles import clamp
from nodes.generator.playing.compose import Layer, compose
from nodes.generator.playing.fit import Fit, Fitter
from nodes.generator.playing.people import Seen
from nodes.generator.playing.repertoire import Repertoire


class Performer:
    """One performer, loaded. plate: (size, size, 3) uint8. people: how many it may be at once."""

    def __init__(self, backend: Backend, repertoire: Repertoire, plate: np.ndarray, people: int):
        self.backend, self.repertoire, self.plate = backend, repertoire, plate
        self.fitter = Fitter(repertoire)
        self.size = len(plate)
        self._layers = np.zeros((people, self.size, self.size, 4), np.uint8)

    def paint(self, poses: np.ndarray) -> np.ndarray:
        """(P, 33, 4) float32 → (P, size, size, 4) uint8, valid until the next call; in as few runs as there may be."""
        begun = 0
        while left := len(poses) - begun:
            end = begun + max(batch for batch in self.backend.batches if batch <= left)
            self.backend.run(poses[begun:end], self._layers[begun:end])
            begun = end
        return self._layers[:begun]


@dataclass(frozen=True)
class Stage:
    """How people are to be shown. canvas: width and height of the camera's picture. strictness: see `clamp`."""

    canvas: tuple[int, int]
    fit: Fit
    strictness: float
    over_plate: bool
    time_ns: int


@dataclass
class Part:
    performer: Performer
    pose: np.ndarray  # (33, 4) float32, as the network takes it
    opacity: float


@dataclass
class Cast:
    """Slot n is played by performer n, and by the first again when there are no more. side: of the picture, pixels.

    out_of_range: how far the last poses were out of what the performers were trained on, 0..1. network_ms: how long
    the networks took for the last picture.
    """

    performers: list[Performer]
    side: int
    out_of_range: float = 0.0
    network_ms: float = 0.0
    _slots: dict[int, int] = field(default_factory=dict)  # by track

    def __post_init__(self) -> None:
        self._plate = resized(self.performers[0].plate, self.side)

    def succeed(self, before: Cast) -> None:
        """Let everybody keep the slot that they had."""
        self._slots = dict(before._slots)

    def reset(self) -> None:
        """Measure every visitor anew."""
        for performer in self.performers:
            performer.fitter = Fitter(performer.repertoire)

    def paint(self, people: Sequence[Seen], stage: Stage, out: np.ndarray) -> None:
        """Fill `out`, (side, side, 4) uint8 premultiplied RGBA. people: from far to near."""
        self._give_slots([seen.track for seen in people])
        self.out_of_range = self.network_ms = 0.0
        parts = [self._part(seen, stage) for seen in people]
        begun = time.perf_counter()
        if len(parts) == 1 and not stage.over_plate and parts[0].opacity == 1 and parts[0].performer.size == self.side:
            parts[0].performer.backend.run(parts[0].pose[None], out[None])
            self.network_ms = (time.perf_counter() - begun) * 1e3
            return
        pictures = self._pictures(parts)
        self.network_ms = (time.perf_counter() - begun) * 1e3
        layers: list[Layer] = [
            (resized(picture, self.side), part.opacity) for picture, part in zip(pictures, parts, strict=True)
        ]
        compose(layers, self._plate if stage.over_plate else None, out)

    def mix_in(self, people: Sequence[Seen], stage: Stage, share: float, out: np.ndarray) -> None:
        """Let so much of `out`, (S, S, 4) uint8 premultiplied RGBA, be of this cast's picture."""
        picture = np.empty((self.side, self.side, 4), np.uint8)
        self.paint(people, stage, picture)
        cv2.addWeighted(resized(picture, len(out)), share, out, 1 - share, 0, dst=out)

    @property
    def backends(self) -> str:
        """What runs the performers."""
        return ", ".join(dict.fromkeys(performer.backend.name for performer in self.performers))

    def _part(self, seen: Seen, stage: Stage) -> Part:
        performer = self.performers[self._slots[seen.track] % len(self.performers)]
        if seen.fresh:
            performer.fitter.forget(seen.track)
        points, out_of_range = clamp(seen.points, performer.repertoire, stage.strictness)
        self.out_of_range = max(self.out_of_range, out_of_range)
        pose = performer.fitter.fit(points, seen.track, stage.canvas, stage.fit, stage.time_ns)
        return Part(performer, pose, seen.opacity)

    def _pictures(self, parts: Sequence[Part]) -> list[np.ndarray]:
        """What each part looks like; those of the same performer are painted together."""
        pictures: dict[int, np.ndarray] = {}
        for performer in dict.fromkeys(part.performer for part in parts):
            numbers = [number for number, part in enumerate(parts) if part.performer is performer]
            painted = performer.paint(np.stack([parts[number].pose for number in numbers]))
            pictures.update(zip(numbers, painted, strict=True))
        return [pictures[number] for number in range(len(parts))]

    def _give_slots(self, tracks: Iterable[int]) -> None:
        """Whoever stays keeps the slot, whoever comes gets the lowest that is free."""
        there = dict.fromkeys(tracks)
        self._slots = {track: slot for track, slot in self._slots.items() if track in there}
        for track in sorted(there):  # the younger of two who come at once has the higher number
            if track not in self._slots:
                self._slots[track] = min(set(range(len(there))) - set(self._slots.values()))


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    """The picture itself where it has that side already."""
    if len(picture) == side:
        return picture
    way = cv2.INTER_AREA if len(picture) > side else cv2.INTER_LINEAR
    return cv2.resize(picture, (side, side), interpolation=way)

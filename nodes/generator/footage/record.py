"""`performer record`: from a camera to a clip and a picture of the empty stage."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from engine.clock import now_ns
from engine.errors import BadInput, EngineError
from engine.models import COMMAND, model_path
from engine.session import replace_file
from engine.stopping import asked_to_stop
from nodes.generator.footage.clip import Clip
from nodes.generator.footage.filled import filled
from nodes.generator.footage.mattes import PRESENT, difference
from nodes.generator.footage.sources import LOST_S, Lost, Over, Source, open_source
from nodes.generator.footage.writer import open_writer

CLIP, PLATE, CONSENT = "clip.mp4", "plate.png", "consent.txt"
OURS = frozenset(("clip", "plate", "consent"))
BYTES_PER_SECOND = 3e6  # of 1080p, about
PLATE_TRIES = 5
PLATE_PICTURES = 25  # of which the median is taken
LOOKS = 5  # of them searched for a person
LEAST_SURE = 0.5  # of the detector
MOST_MOVING = 0.01  # share of the picture
MOST_REPEATED = 0.02  # share of the pictures, worth a warning
LEAST_SECONDS = 1.0  # of a performance that is worth keeping
SETTLED = 8  # pictures after which a codec shows a still picture as well as it can
LINE_EVERY_S, PREVIEW_EVERY_S = 10.0, 1.0

at_once = partial(print, flush=True)


@dataclass(frozen=True)
class Wanted:
    """What the command line asked for. fps: 0 takes the camera's own. countdown: seconds to step out, and in."""

    out: Path
    source: str = "0"
    seconds: float = 120.0
    plate_seconds: float = 3.0
    countdown: float = 5.0
    size: tuple[int, int] | None = None
    fps: float = 0.0
    consent: str = ""
    preview: Path | None = None
    lost_after: float = LOST_S


def record(
    wanted: Wanted,
    say: Callable[[str], None] = at_once,
    somebody: Callable[[np.ndarray], bool] | None = None,
) -> None:
    """Record the empty stage and a performance. somebody: whether a picture, (H, W, 3) uint8 BGR, shows a person.

    Raises `BadInput` when the camera cannot be used, or is lost; what was recorded until then is kept.
    """
    somebody = somebody or _detector()
    with filled(wanted.out, OURS, int(wanted.seconds * BYTES_PER_SECOND), replaces=False) as part:
        source = open_source(
            wanted.source, wanted.size, wanted.fps, 1.5 * wanted.countdown + wanted.plate_seconds, wanted.lost_after
        )
        try:
            session = _Session(wanted, source, say)
            empty, fps = session.empty_stage(somebody)
            replace_file(part / PLATE, _through_codec(empty, part / CLIP, fps))
            replace_file(part / CONSENT, (wanted.consent.strip() + "\n").encode())
            trouble = session.perform(part / CLIP, empty, fps)
        except Lost as error:
            raise BadInput(f"{error} Nothing was recorded yet.") from error
        finally:
            source.close()
    say(f"Wrote {wanted.out}. Next: {_next_command(wanted)}")
    if trouble:
        raise BadInput(f"{trouble} What was recorded until then is kept in {wanted.out}.")


def _detector() -> Callable[[np.ndarray], bool]:
    from engine.frame import Frame
    from nodes.pose.detector import Detector
    from nodes.pose.model import LiteRT
    from nodes.pose.picture import Picture

    detector = Detector(LiteRT(model_path("pose_detection.tflite"), 1))
    return lambda picture: bool(
        detector(Picture(Frame(picture, 0, 1, 0, 0, 0, 0, pixel_format="BGR")), 1, LEAST_SURE)
    )  # fmt: skip


class _Session:
    def __init__(self, wanted: Wanted, source: Source, say: Callable[[str], None]):
        self._wanted, self._source, self._say = wanted, source, say
        self._previewed_ns = 0

    def empty_stage(self, somebody: Callable[[np.ndarray], bool]) -> tuple[np.ndarray, float]:
        """The empty stage, (H, W, 3) uint8 BGR, and the pictures per second. Asks again until nobody is there."""
        wanted = self._wanted
        self._say(f"Recording from {self._source.name}. Ctrl+C ends it.")
        for _ in range(PLATE_TRIES):
            self._count_down("Step out of the picture")
            self._say(f"Stay out: the empty stage is being recorded, for {wanted.plate_seconds:g} s.")
            pictures, times = [], []
            for picture, at in self._stretch(wanted.plate_seconds):
                pictures.append(picture)
                times.append(at)
                if len(pictures) > 2 * PLATE_PICTURES:
                    del pictures[::2]
            fault = _fault(pictures, somebody)
            if not fault:
                fps = wanted.fps or _rate(times)
                height, width = pictures[0].shape[:2]
                self._say(f"The empty stage is recorded: {width} × {height} pixels, {fps:g} pictures per second.")
                return np.median(pictures[-PLATE_PICTURES:], axis=0).astype(np.uint8), fps
            self._say(fault)
        raise BadInput(f"{fault} That was the {PLATE_TRIES}th try. Start again when the stage is empty and still.")

    def perform(self, path: Path, empty: np.ndarray, fps: float) -> str:
        """Write the performance; returns what ended it too early, or nothing. Raises `Lost` when it hardly began."""
        wanted, trouble, last, slots, repeated = self._wanted, "", empty, 0, 0
        self._count_down("Step in")
        self._say(f"Go: {wanted.seconds:g} s. Turn around, walk, raise the arms, bend the knees.")
        writer = open_writer(path, (empty.shape[1], empty.shape[0]), fps)
        said = 0.0
        with asked_to_stop() as asked:
            try:
                for picture, at in self._stretch(wanted.seconds):
                    if picture.shape != empty.shape:
                        raise Lost(f"The size of the pictures from {self._source.name} has changed.")
                    due = round(at * fps)  # its place in a clip of constant rate
                    while 0 < slots < due:  # what was late or lost is shown again
                        writer.write(last)
                        slots, repeated = slots + 1, repeated + 1
                    if slots <= due:
                        writer.write(picture)
                        slots, last = slots + 1, picture
                    if at - said >= LINE_EVERY_S:
                        said = at
                        self._say(f"{at:.0f} of {wanted.seconds:g} s")
                    if asked:
                        break
            except Over as end:
                self._say(str(end))
            except EngineError as error:
                trouble = str(error)
            try:
                writer.close()
            except EngineError as error:
                trouble = trouble or str(error)
        if slots < LEAST_SECONDS * fps:
            raise Lost(trouble or "That was too short.")
        self._say(f"Recorded {slots / fps:.1f} s, {slots} pictures, as {writer.codec}.")
        if repeated > MOST_REPEATED * slots:
            self._say(
                f"Warning: {repeated / slots:.0%} of the pictures came too late and repeat the one before. Close other "
                "programs, use a smaller --size or a lower --fps, or give the camera more light."
            )
        return trouble

    def _count_down(self, what: str) -> None:
        said = None
        for _, at in self._stretch(self._wanted.countdown):
            left = int(np.ceil(self._wanted.countdown - at))
            if left != said:
                self._say(f"{what}: {left} …" if said is None else f"{left} …")
                said = left

    def _stretch(self, seconds: float) -> Iterator[tuple[np.ndarray, float]]:
        """The pictures of so many seconds, with even sides, each with its time since the first."""
        start: float | None = None
        while seconds > 0:
            picture, at = self._source.next()
            picture = np.ascontiguousarray(picture[: len(picture) // 2 * 2, : picture.shape[1] // 2 * 2])
            start = at if start is None else start
            if at - start > seconds - 1e-6:  # times are sums and differences of fractions
                return
            self._preview(picture)
            yield picture, at - start

    def _preview(self, picture: np.ndarray) -> None:
        target = self._wanted.preview
        if target and (now_ns() - self._previewed_ns) / 1e9 >= PREVIEW_EVERY_S:
            self._previewed_ns = now_ns()
            try:
                replace_file(target, cv2.imencode(".jpg", picture)[1].tobytes())
            except OSError as error:
                raise BadInput(f"{target} cannot be written: {error.strerror}. Choose another --preview.") from error


def _fault(pictures: list[np.ndarray], somebody: Callable[[np.ndarray], bool]) -> str:
    """Why this is no empty stage, or nothing."""
    looked_at = np.linspace(0, len(pictures) - 1, min(LOOKS, len(pictures))).round().astype(int)
    if any(somebody(pictures[number]) for number in looked_at):
        return "Somebody is in the picture. Again:"
    middle = pictures[len(pictures) // 2]
    if max(float((difference(picture, middle) > PRESENT).mean()) for picture in pictures) > MOST_MOVING:
        return "Something moves, or the camera does, or the light changes. Again:"
    return ""


def _rate(times: list[float]) -> float:
    return float(max(1, round((len(times) - 1) / max(times[-1], 1e-6)))) if len(times) > 1 else 30.0


def _through_codec(picture: np.ndarray, path: Path, fps: float) -> bytes:
    """The empty stage as PNG, in the colours that the clip's codec makes of it: one is subtracted from the other."""
    writer = open_writer(path, (picture.shape[1], picture.shape[0]), fps)
    for _ in range(SETTLED):
        writer.write(picture)
    writer.close()
    *_, settled = Clip(path).read_all()
    path.unlink()
    return cv2.imencode(".png", settled)[1].tobytes()


def consent(given: str, source: str) -> str:
    """What the recorded person agreed to: as given, or as typed where somebody can type."""
    if given or source == "synthetic":
        return given or "synthetic; nobody"
    if sys.stdin.isatty():
        return input("Who is recorded, and what did they agree to? ")
    print("No --consent was given: write into consent.txt who is recorded, and what they agreed to.")
    return ""


def _next_command(wanted: Wanted) -> str:
    out = wanted.out
    words = ["performer", "extract", str(out / CLIP), "--plate", str(out / PLATE)]
    words += ["--out", str(out.with_name(out.name + "-footage"))]
    words += ["--consent", wanted.consent] if wanted.consent else []
    return f"{COMMAND} {subprocess.list2cmdline(words) if os.name == 'nt' else shlex.join(words)}"

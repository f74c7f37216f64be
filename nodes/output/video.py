"""Write every picture into a video file that players open: H.264 in MP4, MOV or MKV."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from engine.errors import BadInput, EngineError
from engine.frame import Frame
from engine.node import Every, Node, NodeConfig
from nodes.output.pixels import even_sided, pixels
from nodes.output.sink import package

if TYPE_CHECKING:
    from nodes.output.movie import Movie

SUFFIXES = (".mp4", ".mov", ".mkv")


def _video_path(path: str) -> str:
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path!r} has no video suffix; end it in {', '.join(SUFFIXES)}")
    return path


def _even(side: int) -> int:
    if side % 2:
        raise ValueError(f"{side} is odd, and H.264 takes even sides only; use {side + 1}")
    return side


Side = Annotated[int, Field(ge=16, le=8192), AfterValidator(_even)]


class Video(Node):
    """One picture of video per input frame, in order. The file gets its name only when it is complete.

    The alpha channel is dropped: what has premultiplied alpha lies over black.
    """

    class Config(NodeConfig):
        path: Annotated[str, AfterValidator(_video_path)] = Field(
            description="the video to write, .mp4, .mov or .mkv; one of that name is replaced"
        )
        fps: float = Field(30.0, gt=0, le=1000, description="pictures per second of the video")
        crf: int = Field(18, ge=0, le=51, description="x264's quality: 0 is lossless, 18 looks it, 51 is worst")
        size: tuple[Side, Side] | None = Field(
            None, description="[width, height], even; left out: that of the first picture"
        )
        # completing a long video rewrites the whole file, to put its index first
        step_timeout: float = Field(60.0, gt=0, description="seconds one step, or completing the file, may take")
        stop_timeout: float = Field(30.0, gt=0, description="seconds completing the file may take when asked to stop")

    inputs = {"image": Every}

    def setup(self) -> None:
        package("av", "av")
        self.target = Path(self.config.path)
        self.part = self.target.with_name(f"{self.target.stem}.part{self.target.suffix}")
        self.movie: Movie | None = None
        self.written = 0
        self.failure: str | None = None
        if self.target.is_dir():
            raise BadInput(f"{self.target} is a folder; name the video file to write in it.")
        try:
            self.part.write_bytes(b"")
        except OSError as error:
            raise BadInput(
                f"Cannot write a video into {self.target.parent}: {error.strerror}. Make the folder, or choose another."
            ) from None

    def step(self, image: Frame) -> None:
        if self.failure:
            raise EngineError(self.failure)
        if self.offline and image.ordinal != self.written + 1:
            self.fail(
                f"Picture {self.written + 1} is missing (this is number {image.ordinal}), so {self.target} would have "
                "a gap and is not written. Start the run again."
            )
        array = even_sided(pixels(image))
        try:
            if self.movie is None:
                self.movie = self.open(array.shape[1], array.shape[0])
            self.movie.write(array, image.pixel_format in ("BGR", "BGRA"), self.written)
        except OSError as error:
            self.fail(f"Cannot go on writing {self.part}: {error.strerror}. Free some space, then start the run again.")
        self.written += 1

    def fail(self, why: str) -> None:
        """A file with a gap is worth nothing: refuse all that comes after it, too."""
        self.failure = why
        raise EngineError(why)

    def open(self, width: int, height: int) -> Movie:
        """Start the file at the configured size, or that of the first picture."""
        from nodes.output.movie import INDEX_FIRST, Movie

        size = self.config.size or (width, height)
        return Movie(self.part, size, self.config.fps, INDEX_FIRST, x264={"crf": str(self.config.crf)})

    def finish(self) -> None:
        """Complete the file and give it its name."""
        if self.movie is None:
            self.log.warning("No picture came, so %s was not written.", self.target)
            return
        if self.offline and self.failure:
            return
        movie, self.movie = self.movie, None
        try:
            movie.finish()
            os.replace(self.part, self.target)
        except OSError as error:
            raise EngineError(
                f"Cannot complete {self.target}: {error.strerror}. What there is lies in {self.part}. "
                "Free some space, or close what has the video open, then start the run again."
            ) from None

    def close(self) -> None:
        """A live run ends when it is stopped, so its file is complete. An offline run that was stopped leaves none."""
        if self.movie is not None and not self.offline:
            self.finish()
        if self.movie is not None:
            with suppress(OSError):
                self.movie.close()
            self.part.unlink(missing_ok=True)
        elif self.written == 0:
            self.part.unlink(missing_ok=True)

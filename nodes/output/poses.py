"""Write the keypoints of every picture into a file that `pose.file` and other programs read. See docs/POSE.md."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from pydantic import Field

from engine.errors import BadInput, EngineError
from engine.frame import Frame
from engine.node import Every, Node, NodeConfig
from nodes.poses_file import Poses, header, line


class PosesWriter(Node):
    """One line per frame of keypoints, in order, with its time. The file gets its name only when it is complete."""

    class Config(NodeConfig):
        path: str = Field(
            min_length=1, description="the file to write, such as poses.jsonl; one of that name is replaced"
        )

    inputs = {"keypoints": Every}

    def setup(self) -> None:
        self.target = Path(self.config.path)
        self.part = self.target.with_name(self.target.name + ".part")
        self.first_ns: int | None = None
        self.written = 0
        if self.target.is_dir():
            raise BadInput(f"{self.target} is a folder; name the file to write in it.")
        try:
            self.file: IO[str] = self.part.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise BadInput(
                f"Cannot write poses into {self.target.parent}: {error.strerror}. Make the folder, or choose another."
            ) from None

    def step(self, keypoints: Frame) -> None:
        array = keypoints.array
        if array.ndim != 3 or array.shape[2] != 4:
            raise EngineError(
                f"keypoints of shape (people, points, 4) are needed here, not {array.shape}: connect the input to a "
                "pose node, such as pose.blazepose"
            )
        if self.first_ns is None:
            self.first_ns = keypoints.capture_ns
            self._write(header(array.shape[1]))
        ids = (*keypoints.ids, *range(len(keypoints.ids), len(array)))[: len(array)]
        time = max(0.0, (keypoints.capture_ns - self.first_ns) / 1e9)
        self._write(line(Poses(time, keypoints.canvas, ids, array)))
        self.written += 1

    def _write(self, text: str) -> None:
        try:
            self.file.write(text)
        except OSError as error:
            raise EngineError(
                f"Cannot go on writing {self.part}: {error.strerror}. Free some space, then start again."
            ) from None

    def finish(self) -> None:
        """Complete the file and give it its name."""
        if not self.written:
            self.log.warning("No picture came, so %s was not written.", self.target)
            return
        try:
            self.file.close()
            os.replace(self.part, self.target)
        except OSError as error:
            raise EngineError(f"Cannot complete {self.target}: {error.strerror}. Close what has it open.") from None

    def close(self) -> None:
        """A live run ends when it is stopped, so its file is complete. An offline run that was stopped leaves none."""
        if not self.offline and not self.file.closed:
            self.finish()
        if not self.file.closed:
            self.file.close()
        self.part.unlink(missing_ok=True)

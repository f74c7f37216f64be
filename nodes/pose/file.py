"""pose.file: poses that were estimated before, or that another program has made. See docs/POSE.md."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import Field

from engine.clock import now_ns
from engine.node import Keypoints, Node, NodeConfig
from nodes.poses_file import Poses, PosesFile

WAIT_S = 0.1
STALL_NS = 500_000_000  # later than that, playback goes on from where it is


class FromFile(Node):
    """Publishes each line of a poses file as (P, K, 4) float32 at its time; offline, one after the other."""

    class Config(NodeConfig):
        path: str = Field(min_length=1, description="the file, as output.poses writes it: poses.jsonl")
        loop: bool = Field(False, description="play it again and again; an offline run plays it once")

    outputs = {"keypoints": Keypoints(points=33)}

    def setup(self) -> None:
        self.file = PosesFile(Path(self.config.path))
        if self.offline:
            self.expect(self.file.count)
        self.begin()

    def begin(self) -> None:
        self.poses: Iterator[Poses] = self.file.read()
        self.next: Poses | None = None
        self.began_ns = now_ns()

    def step(self) -> None:
        if self.next is None:
            self.next = next(self.poses, None)
        if self.next is None:
            if self.config.loop and not self.offline:
                self.begin()
            else:
                self.end()
            return
        due_ns = self.began_ns + round(self.next.time * 1e9)
        if not self.offline:
            left_s = (due_ns - now_ns()) / 1e9
            if left_s > WAIT_S:
                time.sleep(WAIT_S)
                return
            time.sleep(max(0, left_s))
            late_ns = now_ns() - due_ns
            self.began_ns += late_ns if late_ns > STALL_NS else 0
        self.publish(self.next, due_ns)
        self.next = None

    def publish(self, poses: Poses, due_ns: int) -> None:
        with self.out.begin(
            poses.people.shape,
            np.float32,
            capture_ns=due_ns,
            pixel_format="KEYPOINTS",
            canvas=poses.canvas,
            ids=poses.ids,
        ) as slot:
            np.copyto(slot.array, poses.people)

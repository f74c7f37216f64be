"""pose.metric: where the people's points really are, in metres, read from a depth picture. See docs/DEPTH.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from engine.errors import BadInput
from engine.frame import Frame, Lens
from engine.node import Latest, Node, NodeConfig, Paired, World, live

GUESSED = 0.25  # what the score of a point is multiplied by whose depth was not measured
PATIENCE_NS = 1_000_000_000  # without depth, before that is worth a sentence


class Metric(Node):
    """Publishes (P, K, 4) float32 for each frame of keypoints: x, y, z in metres, score, the people as they were.

    Without `floor` in the camera's space: x right, y down, z away from it. With it in floor space: x right, y up, z
    towards the camera, the origin on the floor below it. The points lie on the side of the body that the camera sees.
    Where the depth at a point was not to be believed, the score is a quarter of the keypoint's; of a body without any
    depth it is 0, and so is the place.
    """

    class Config(NodeConfig):
        floor: str = Field("", description="the file that `run_engine.py calibrate` wrote; empty: camera space")
        calm: float = live(0.25, "how calm the filter makes the depths, and how late: 0 quick, 1 calm", ge=0, le=1)

    inputs = {"keypoints": Latest, "depth": Paired}
    outputs = {"world": World(points=33)}

    def setup(self) -> None:
        from nodes.pose.depth_reader import DepthReader, in_depth_pixels
        from nodes.pose.filters import WORLD_SIZE, Filter, world_filter
        from nodes.pose.floor import plane
        from nodes.pose.limbs import LAYOUTS

        self._readers = {count: DepthReader(layout) for count, layout in LAYOUTS.items()}
        self._in_depth_pixels = in_depth_pixels
        self._new_filter, self._size = lambda: world_filter("one_euro"), WORLD_SIZE
        self._filters: dict[int, Filter] = {}
        self._floor = plane.read(Path(self.config.floor)) if self.config.floor else None
        self._alone_since_ns: int | None = None

    def step(self, keypoints: Frame, depth: Frame | None) -> None:
        self.troubled(self._what_is_wrong(keypoints, depth))
        usable = depth is not None and depth.lens is not None and depth.lens.metres > 0
        sources = (keypoints, depth) if depth is not None else (keypoints,)
        with self.out.begin(
            keypoints.shape,
            np.float32,
            source=sources,
            pixel_format="WORLD",
            canvas=keypoints.canvas,
            ids=keypoints.ids,
            lens=depth.lens if depth is not None else None,
        ) as slot:
            slot.array[:] = 0
            if usable and len(keypoints.array):
                self._read(keypoints, depth, slot.array)  # type: ignore[arg-type]

    def _read(self, keypoints: Frame, depth: Frame, world: np.ndarray) -> None:
        reader = self._readers.get(keypoints.shape[1])
        if reader is None:
            raise BadInput(
                f"pose.metric knows bodies of {', '.join(map(str, self._readers))} points, but was given "
                f"{keypoints.shape[1]}. Connect its input `keypoints` to a pose node."
            )
        picture = depth.array.reshape(depth.shape[:2])
        lens: Lens = depth.lens  # type: ignore[assignment]
        found = reader(self._in_depth_pixels(keypoints.array, keypoints.canvas, picture.shape), picture, lens)
        z = self._calmed(keypoints, found.z, found.body > 0)
        world[..., :2] = found.rays * z[..., None]
        world[..., 2] = z
        world[..., 3] = keypoints.array[..., 3] * np.where(found.measured, 1, GUESSED)
        world[~np.isfinite(world).all(-1)] = 0
        if self._floor is not None:
            world[..., :3] = self._floor(world[..., :3])
        world[found.body == 0] = 0

    def _calmed(self, keypoints: Frame, z: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Filtered along the lines of sight; across them, the keypoints are filtered already."""
        names = keypoints.ids if len(keypoints.ids) == len(z) else range(len(z))
        kept, self._filters = self._filters, {}
        for index, name in enumerate(names):
            if there[index]:
                self._filters[name] = kept.get(name) or self._new_filter()
                z[index] = self._filters[name](z[index], keypoints.capture_ns, self._size, self.config.calm)
        return z

    def _what_is_wrong(self, keypoints: Frame, depth: Frame | None) -> str | None:
        if depth is None:
            since = self._alone_since_ns = min(self._alone_since_ns or keypoints.capture_ns, keypoints.capture_ns)
            if keypoints.capture_ns - since < PATIENCE_NS:
                return self._why
            return (
                "no depth picture was captured together with the keypoints, so nobody is anywhere: connect `depth` to "
                "the depth of the very camera whose picture `keypoints` were found in, and look whether it runs"
            )
        self._alone_since_ns = None
        if depth.lens is None or not depth.lens.metres > 0:
            return (
                "the depth pictures do not say through which lens they were seen, so nobody is anywhere: connect "
                "`depth` to the depth of a RealSense camera or of its recording"
            )
        height, width = depth.shape[:2]
        if self._floor is not None and not self._floor.suits(depth.lens, (width, height)):
            return (
                f"the floor in {self.config.floor} was seen through another lens or at another turn of the camera, so "
                "heights and places may be wrong: make it anew with run_engine.py calibrate"
            )
        return None

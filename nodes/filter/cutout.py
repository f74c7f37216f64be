"""filter.cutout: the people of a picture alone, cut out by their depth. See docs/DEPTH.md."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from engine.errors import BadInput
from engine.frame import Frame, Lens
from engine.node import Image, Latest, Node, NodeConfig, Paired, live

HELD_NS = 300_000_000  # so long does an outline stand in for one that is missing
PATIENCE_NS = 1_000_000_000  # so long may they be missing before that is worth a sentence
_TO_RGBA = {
    "BGR": cv2.COLOR_BGR2RGBA,
    "RGB": cv2.COLOR_RGB2RGBA,
    "GRAY": cv2.COLOR_GRAY2RGBA,
    "BGRA": cv2.COLOR_BGRA2RGBA,
    "RGBA": None,
}


class Cutout(Node):
    """Publishes (H, W, 4) uint8 RGBA, premultiplied: the people, and nothing else. Without anybody: transparent."""

    class Config(NodeConfig):
        feather: float = live(2.0, "by how much the edge is softened", "pixels", ge=0, le=50)
        thickness: float = live(0.25, "how far before and behind its bones a body reaches", "m", gt=0, le=1)
        floor: str = Field("", description="the file that `run_engine.py calibrate` wrote: what lies on it is cut away")

    inputs = {"image": Latest, "depth": Paired, "keypoints": Paired}
    outputs = {"image": Image(channels=4)}

    def setup(self) -> None:
        from nodes.filter import silhouette
        from nodes.pose.depth_reader import DepthReader, in_depth_pixels
        from nodes.pose.floor import plane
        from nodes.pose.limbs import LAYOUTS

        self._readers = {count: DepthReader(layout) for count, layout in LAYOUTS.items()}
        self._shapes = {count: silhouette.Silhouette(layout) for count, layout in LAYOUTS.items()}
        self._region, self._refined = silhouette.region, silhouette.refined
        self._in_depth_pixels = in_depth_pixels
        self._floor = plane.read(Path(self.config.floor)) if self.config.floor else None
        self._mask: np.ndarray | None = None
        self._seen_ns: int | None = None

    def step(self, image: Frame, depth: Frame | None, keypoints: Frame | None) -> None:
        if image.pixel_format not in _TO_RGBA or image.array.dtype != np.uint8:
            raise BadInput(
                f"filter.cutout needs a uint8 picture, but was given {image.array.dtype} in {image.pixel_format}. "
                "Connect its input `image` to a camera's picture."
            )
        mask = self._outline(image, depth, keypoints)
        height, width = image.shape[:2]
        with self.out.begin(
            (height, width, 4),
            np.uint8,
            source=[frame for frame in (image, depth, keypoints) if frame is not None],
            pixel_format="RGBA",
            row_order=image.row_order,
            lens=image.lens,
        ) as slot:
            if mask is None or not mask.any():
                slot.array[:] = 0
            else:
                self._cut(image, mask, slot.array)

    def _cut(self, image: Frame, mask: np.ndarray, out: np.ndarray) -> None:
        picture, (height, width), feather = image.array, image.shape[:2], self.config.feather
        out[:] = 0
        where = self._region(mask, (width, height), feather)
        piece = self._rgba(picture[where].copy(), image.pixel_format)
        small = cv2.resize(picture, mask.shape[::-1], interpolation=cv2.INTER_AREA)
        guide, grey = (cv2.cvtColor(one, cv2.COLOR_RGBA2GRAY) for one in (self._rgba(small, image.pixel_format), piece))
        opacity = self._refined(mask, guide, grey, where, (width, height), feather)
        piece[..., 3] = 255
        out[where] = cv2.multiply(piece, cv2.merge([opacity] * 4), scale=1 / 255)

    @staticmethod
    def _rgba(picture: np.ndarray, pixel_format: str) -> np.ndarray:
        code = _TO_RGBA[pixel_format]
        return cv2.cvtColor(picture, code) if code is not None else picture

    def _outline(self, image: Frame, depth: Frame | None, keypoints: Frame | None) -> np.ndarray | None:
        """The people of this picture, or of the last one of which they are known; None when that is too long ago."""
        lens = depth.lens if depth is not None else None
        if depth is not None and keypoints is not None and lens is not None and lens.metres > 0:
            self._mask, self._seen_ns = self._read(depth, keypoints, lens), image.capture_ns
            self.troubled(None)
            return self._mask
        since = self._seen_ns = min(self._seen_ns or image.capture_ns, image.capture_ns)
        if image.capture_ns - since > PATIENCE_NS and not self._why:
            self.troubled(self._complaint(depth, keypoints))
        return self._mask if image.capture_ns - since <= HELD_NS else None

    @staticmethod
    def _complaint(depth: Frame | None, keypoints: Frame | None) -> str:
        missing = [name for name, frame in (("depth", depth), ("keypoints", keypoints)) if frame is None]
        if not missing:
            return (
                "the depth pictures do not say through which lens they were seen, so nobody is cut out: connect "
                "`depth` to the depth of a RealSense camera or of its recording"
            )
        return (
            f"no {' and no '.join(missing)} belong to the pictures, so nobody is cut out: connect them to the same "
            "camera as `image`, and look whether they run"
        )

    def _read(self, depth: Frame, keypoints: Frame, lens: Lens) -> np.ndarray | None:
        reader = self._readers.get(keypoints.shape[1])
        if reader is None:
            raise BadInput(
                f"filter.cutout knows bodies of {', '.join(map(str, self._readers))} points, but was given "
                f"{keypoints.shape[1]}. Connect its input `keypoints` to a pose node."
            )
        if not len(keypoints.array):
            return None
        picture = depth.array.reshape(depth.shape[:2])
        points = self._in_depth_pixels(keypoints.array, keypoints.canvas, picture.shape)
        points[~np.isfinite(points).all(-1)] = 0
        found = reader(points, picture, lens)
        shape = self._shapes[keypoints.shape[1]]
        return shape(points, found, picture, lens, self.config.thickness, self._floor)

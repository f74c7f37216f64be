"""The performer's body: a mesh that follows its bones. assets/make_performer_body.py makes the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nodes.camera.painter.stage import FLOOR

ASSET = Path(__file__).parents[3] / "assets" / "performer_body.npz"


class Body:
    """V vertices and Q quads on B bones. Lengths are decimetres: x to the body's left, y up, z to the front.

    quads: (Q, 4) vertex indices. colours: (Q, 3) float32 BGR. thin: (Q,) bool, what is seen from both sides.
    """

    def __init__(self) -> None:
        with np.load(ASSET, allow_pickle=False) as stored:
            self.quads, self.thin = stored["quads"].astype(np.intp), stored["thin"]
            self.colours = stored["colours"].astype(np.float32)
            self._names: list[str] = stored["bone_names"].tolist()
            self._parents, self._heads = stored["bone_parents"], stored["bone_heads"].astype(float)
            self._points = len(stored["points"])
            rest = np.concatenate([stored["vertices"], stored["points"]])
            weights = np.zeros((len(rest), len(self._names)), np.float32)
            skin, point = np.split(np.arange(len(rest)), [len(stored["vertices"])])
            np.put_along_axis(weights[: len(skin)], stored["vertex_bones"].astype(np.intp), stored["weights"], axis=1)
            weights[point, stored["point_bones"]] = 1
        # Linear blend skinning is linear in the bones' matrices: all that stays the same goes into one factor.
        homogeneous = np.concatenate([rest, np.ones((len(rest), 1))], 1, dtype=np.float32)
        self._basis = (weights[:, :, None] * homogeneous[:, None]).reshape(len(rest), -1)

    def posed(self, rotations: dict[str, np.ndarray], x: float) -> tuple[np.ndarray, np.ndarray]:
        """The body with each bone named in `rotations` turned by a (3, 3) matrix about its beginning, the axes being
        those of the rest pose, standing on the floor at `x`.

        Returns (V, 3) float32 vertices and (33, 3) float32 points in BlazePose's order.
        """
        turned: list[np.ndarray] = []
        moved: list[np.ndarray] = []
        for name, parent, head in zip(self._names, self._parents, self._heads, strict=True):
            rotation = rotations.get(name, np.eye(3))
            move = head - rotation @ head
            if parent >= 0:
                rotation, move = turned[parent] @ rotation, turned[parent] @ move + moved[parent]
            turned.append(rotation)
            moved.append(move)
        matrices = np.concatenate([np.array(turned).transpose(0, 2, 1), np.array(moved)[:, None]], 1)  # (B, 4, 3)
        placed = self._basis @ matrices.reshape(-1, 3).astype(np.float32)
        vertices, points = placed[: -self._points], placed[-self._points :]
        placed += np.array([x, FLOOR - vertices[:, 1].min(), 0], np.float32)
        return vertices, points

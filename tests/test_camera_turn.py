"""How a camera hangs: pictures, depths and the lens turn alike."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import pytest
from harness import make

from engine.frame import Lens
from nodes.camera.opencv import OpenCV
from nodes.camera.turn import Turn

TURNS = [Turn(rotate, mirror) for rotate, mirror in product((0, 90, 180, 270), (False, True))]  # type: ignore[arg-type]
LENS = Lens(500.0, 510.0, 3.1, 1.9, "BROWN_CONRADY", (0.11, -0.23, 0.013, -0.021, 0.07), 0.001)


def expected(turn: Turn, picture: np.ndarray) -> np.ndarray:
    turned = np.rot90(picture, -turn.rotate // 90)
    return turned[:, ::-1] if turn.mirror else turned


def project(lens: Lens, points: np.ndarray) -> np.ndarray:
    """(N, 3) points in space to (N, 2) pixels, by the textbook's Brown-Conrady."""
    x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
    k1, k2, p1, p2, k3 = lens.coefficients
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    bent_y = y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y)
    return np.stack([lens.fx * bent_x + lens.cx, lens.fy * bent_y + lens.cy], 1)


@pytest.mark.parametrize("turn", TURNS, ids=str)
@pytest.mark.parametrize(("shape", "dtype"), [((5, 8, 3), np.uint8), ((5, 8, 1), np.uint16), ((5, 8), np.float32)])
def test_pictures_and_depths_turn_in_place(turn, shape, dtype):
    picture = np.random.default_rng(1).integers(0, 200, shape).astype(dtype)
    before = picture.copy()
    memory = np.zeros(turn.shape(shape)[:1] + (64,) + shape[2:], dtype)
    array = memory[:, 3 : 3 + turn.shape(shape)[1]]  # a part of a larger memory, as a slot is
    turn.into(picture, array)
    assert np.array_equal(array, expected(turn, picture)) and np.array_equal(picture, before)
    assert not memory[:, :3].any() and not memory[:, 3 + array.shape[1] :].any()
    assert turn.size((8, 5)) == (array.shape[1], array.shape[0])


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_the_lens_turns_with_the_picture(turn):
    size = (8, 5)
    turned = turn.lens(LENS, size)
    points = np.random.default_rng(2).uniform(-0.4, 0.4, (20, 3)) + (0, 0, 2)
    x, y = project(LENS, points).T
    there = {0: (x, y), 90: (4 - y, x), 180: (7 - x, 4 - y), 270: (y, 7 - x)}[turn.rotate]
    right = turn.size(size)[0] - 1
    pixels = np.stack([right - there[0] if turn.mirror else there[0], there[1]], 1)
    sx, sy = points[:, 0], points[:, 1]
    moved = {0: (sx, sy), 90: (-sy, sx), 180: (-sx, -sy), 270: (sy, -sx)}[turn.rotate]
    space = np.stack([-moved[0] if turn.mirror else moved[0], moved[1], points[:, 2]], 1)
    assert np.allclose(project(turned, space), pixels)
    assert turned.metres == LENS.metres and turned.distortion == LENS.distortion


def test_turning_four_times_is_turning_not_at_all():
    lens, size = LENS, (8, 5)
    for _ in range(4):
        lens, size = Turn(90).lens(lens, size), Turn(90).size(size)
    assert np.allclose(lens[:4], LENS[:4]) and lens.coefficients == LENS.coefficients
    assert Turn().nothing and not Turn(mirror=True).nothing and not Turn(180).nothing


@pytest.mark.parametrize("turn", TURNS, ids=str)
@pytest.mark.parametrize("size", [None, (24, 48)])
def test_a_file_is_turned_too(tmp_path, turn, size):
    picture = np.random.default_rng(3).integers(0, 255, (32, 16, 3), np.uint8)
    path = tmp_path / "still.png"
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    settings = {"size": size if turn.rotate in (0, 180) else size[::-1]} if size else {}
    node = make(OpenCV, source=str(path), offline=True, rotate=turn.rotate, mirror=turn.mirror, **settings)
    node.step()
    scaled = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR) if size else picture
    assert np.array_equal(node.frames[0].array, expected(turn, scaled))
    node.close()

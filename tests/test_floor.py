"""Finding the floor in depth pictures, and the file that says where it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metric_kit import FLOOR, LENS, PERSON, SIZE, WALL, turned
from metric_kit import room as full_room

from engine.errors import BadInput
from engine.frame import Lens
from nodes.pose.floor import plane as floors
from nodes.pose.floor.finder import find, steady

TABLE = ((0.3, 0.7, -2.6), (1.6, 0.75, -1.2))
BOXES = [((-1.6, 0, -3.0), (-0.9, 0.5, -2.4)), ((-0.8, 0, -3.9), (-0.4, 1.1, -3.4)), TABLE]


EYE = Lens(190.0, 190.0, 159.5, 119.5, metres=0.001)


def room(boxes: list, **settings: Any) -> np.ndarray:
    return full_room(boxes, lens=EYE, size=(320, 240), **settings)


def pictures(boxes: list, count: int = 5, **settings: float) -> list[np.ndarray]:
    return [room(boxes, noise=0.003, holes=0.05, seed=seed, **settings) for seed in range(count)]


@pytest.mark.parametrize(
    ("pitch", "roll", "height"), [(0, 0, 1.0), (12, 0, 1.6), (35, -8, 2.4), (60, 5, 3.0), (-8, 12, 0.6), (-14, 0, 0.9)]
)
def test_the_floor_under_a_tilted_camera(pitch: float, roll: float, height: float) -> None:
    found, lies = find(pictures([FLOOR, WALL, PERSON, *BOXES], pitch=pitch, roll=roll, height=height), EYE)
    assert found.height == pytest.approx(height, abs=0.01)
    assert found.tilt == pytest.approx((pitch, roll), abs=0.2)
    np.testing.assert_allclose(found.rotation, turned(pitch, roll), atol=0.006)
    assert 0.05 < found.share < 1 and found.rms_mm < 25
    truth = room([FLOOR], pitch=pitch, roll=roll, height=height) == room(
        [FLOOR, WALL, PERSON, *BOXES], pitch=pitch, roll=roll, height=height
    )
    places, _ = steady([truth.astype(np.uint16)])
    columns, rows = places.astype(int).transpose(2, 0, 1)
    assert (truth[rows, columns] | ~lies).mean() > 0.98  # next to nothing but floor


@pytest.mark.parametrize(
    "boxes",
    [
        [WALL],
        [WALL, PERSON],
        [WALL, ((-0.2, 0.7, -2.4), (0.9, 0.75, -1.6))],
        [],
        [WALL, *[((x, 0.2 * x, -3.5), (x + 0.3, 2.5, -2 - x)) for x in (-1.5, -0.9, -0.1, 0.6, 1.1)]],
    ],
    ids=["a wall", "a wall and a person", "a small table", "nothing", "clutter"],
)
def test_no_floor_is_said_and_not_guessed(boxes: list) -> None:
    with pytest.raises(BadInput, match=r"No floor was found|almost empty"):
        find(pictures(boxes, pitch=5, height=1.4), EYE)


def test_a_strip_of_floor_is_too_little() -> None:
    with pytest.raises(BadInput, match="No floor was found"):
        find(pictures([FLOOR, WALL], pitch=-14, height=1.2), EYE)


def test_pure_noise_has_no_floor() -> None:
    random = np.random.default_rng(0)
    with pytest.raises(BadInput):
        find([random.integers(500, 6000, (240, 320)).astype(np.uint16) for _ in range(3)], EYE)


def test_a_table_is_no_floor_while_the_floor_shows() -> None:
    wide = ((-2, 0.7, -3.5), (2, 0.75, -1.2))
    found, _ = find(pictures([FLOOR, WALL, wide], pitch=35, height=2.0), EYE)
    assert found.height == pytest.approx(2.0, abs=0.02)


def test_steady_takes_the_median_of_what_was_measured() -> None:
    depths = [np.full((4, 4), value, np.uint16) for value in (1000, 0, 1010, 5000, 0)]
    depths[0][0, 0] = depths[2][0, 0] = 0
    places, depth = steady(depths)
    assert depth[1, 1] == 1010 and depth[0, 0] == 0
    np.testing.assert_array_equal(places[1, 2], (2, 1))


def floor(**changes: object) -> floors.Floor:
    plane = tuple(np.append(turned(20, 3)[1], 1.5).tolist())
    values = {
        "format": floors.FORMAT, "plane": plane, "rotation": floors.rotation_of(np.array(plane[:3])),
        "lens": LENS, "size": SIZE, "when": "2026-01-01T00:00:00+00:00", "share": 0.4, "rms_mm": 3.0,
    }  # fmt: skip
    return floors.Floor(**(values | changes))  # type: ignore[arg-type]


def test_floor_space_stands_on_the_floor() -> None:
    stands = floor()
    np.testing.assert_allclose(stands(np.zeros(3)), (0, 1.5, 0), atol=1e-9)
    ahead = stands(np.array([0, 0, 2.0]))
    assert ahead[0] == pytest.approx(0, abs=0.05) and ahead[2] < -1.8 and ahead[1] < 1.0
    below = -1.5 * np.array(stands.plane[:3])
    np.testing.assert_allclose(stands(below), (0, 0, 0), atol=1e-9)
    assert stands(np.array([1.0, 0, 0]))[0] > 0.99
    assert np.linalg.det(np.array(stands.rotation)) == pytest.approx(1)


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "floor.json"
    floor().write(path)
    assert floors.read(path) == floor()
    assert json.loads(path.read_text())["lens"]["fx"] == 380


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda about: about.update(format="utsushi.floor/2"), "format"),
        (lambda about: about.update(plane=[0, -2, 0, 1]), "cannot be"),
        (lambda about: about.update(plane=[0, 0, -1, 1]), "cannot be"),
        (lambda about: about["rotation"].reverse(), "do not agree"),
        (lambda about: about.pop("lens"), "lens"),
        (lambda about: about.update(size=[0, 0]), "size"),
        (lambda about: about.update(size=[10**400, 480]), "size"),
        (lambda about: about.update(size="big"), "size"),
        (lambda about: about["plane"].__setitem__(3, 1e39), "plane"),
        (lambda about: about["plane"].__setitem__(3, -2), "plane"),
    ],
)
def test_a_broken_file_is_named_in_a_sentence(tmp_path: Path, change, named: str) -> None:
    path = tmp_path / "floor.json"
    floor().write(path)
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))
    with pytest.raises(BadInput, match=named):
        floors.read(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"{" * 5000, b'{"plane": NaN}'])
def test_what_is_no_floor_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "floor.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="calibrate"):
        floors.read(path)
    with pytest.raises(BadInput, match="calibrate"):
        floors.read(tmp_path / "none.json")
    for path in (tmp_path, Path("a\0b")):
        with pytest.raises(BadInput, match="cannot be read.*calibrate"):
            floors.read(path)


def test_it_suits_the_same_view_in_another_resolution_only() -> None:
    stands = floor()
    assert stands.suits(LENS, SIZE)
    assert stands.suits(Lens(190, 190, 159.5, 119.5, metres=0.001), (320, 240))
    assert not stands.suits(Lens(610, 610, 319.5, 239.5), SIZE)
    assert not stands.suits(LENS, (480, 640))

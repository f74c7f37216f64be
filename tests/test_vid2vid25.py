"""The vid2vid25 style: where its limbs lie, what colour they have, and what it leaves alone."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
from people import poses, standing

from nodes.generator.stage import UNUSABLE
from nodes.generator.styles import vid2vid25
from nodes.layouts import BLAZEPOSE_33, BODY_25, Conversion, mirrored

POINTS = Conversion.between(BLAZEPOSE_33, BODY_25)


def black() -> np.ndarray:
    canvas = np.zeros((960, 540, 4), np.uint8)
    canvas[..., 3] = 255
    return canvas


def drawn(person: np.ndarray, threshold: float = 0.3) -> np.ndarray:
    canvas = black()
    vid2vid25.draw(canvas, person.astype(np.float64), threshold)
    return canvas


def middle_of(limb: tuple[str, str]) -> tuple[int, int]:
    """Row and column half-way between two points of the standing person."""
    points = POINTS(standing())
    x, y = points[[BODY_25.index(name) for name in limb], :2].mean(0)
    return round(y), round(x)


@pytest.mark.parametrize(
    ("limb", "colour"),
    [
        (("neck", "mid_hip"), (153, 0, 0)),
        (("right_elbow", "right_wrist"), (153, 153, 0)),
        (("left_elbow", "left_wrist"), (0, 153, 0)),
        (("right_hip", "right_knee"), (0, 153, 102)),
        (("left_hip", "left_knee"), (0, 51, 153)),
        (("left_ankle", "left_big_toe"), (0, 0, 153)),
    ],
)
def test_a_limb_has_its_colour_in_the_middle(limb: tuple[str, str], colour: tuple[int, ...]) -> None:
    assert drawn(standing())[middle_of(limb)].tolist() == [*colour, 255]


def test_a_limb_is_a_stroke_with_a_disc_at_each_end() -> None:
    """The right forearm made level, all else unknown: 6 pixels wide, 12 at the joints."""
    person = np.zeros((33, 4), np.float32)
    for name, x in (("right_elbow", 100), ("right_wrist", 200)):
        person[BLAZEPOSE_33.index(name)] = (x, 300, 0, 1)
    seen = drawn(person)[..., :3].any(2)
    widths = seen.sum(0)
    assert widths[120:180].min() >= 5 and widths[120:180].max() <= 7
    assert widths[100] == widths[200] == 11
    columns = np.flatnonzero(widths)
    assert (columns[0], columns[-1]) == (95, 205)
    rows = np.flatnonzero(seen.any(1))
    assert (rows[0], rows[-1]) == (295, 305)


def test_only_the_colours_of_the_palette_appear_and_no_edge_is_smoothed() -> None:
    colours = {tuple(colour) for colour in np.unique(drawn(standing()).reshape(-1, 4), axis=0).tolist()}
    assert colours <= {(0, 0, 0, 255), *vid2vid25.STROKES}


def test_a_mirrored_person_is_the_mirrored_shape() -> None:
    """Colours change sides, the silhouette only turns over; a border pixel may fall to the other side."""
    person = standing()
    twin = person[mirrored(BLAZEPOSE_33)].copy()
    twin[:, 0] = 539 - twin[:, 0]
    shape, turned = drawn(person)[..., :3].any(2), drawn(twin)[..., :3].any(2)[:, ::-1]
    edge = cv2.morphologyEx(shape.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert np.array_equal(shape[~edge], turned[~edge])
    assert not np.array_equal(drawn(person), drawn(twin)[:, ::-1])


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_the_small_toes_that_blazepose_lacks_are_never_drawn(threshold: float) -> None:
    person = standing()
    person[:, :2] += 60  # away from the corner, where a point that is not known would lie
    assert not drawn(person, threshold)[:60, :60, :3].any()


def test_what_is_not_sure_enough_is_left_out() -> None:
    person = standing().astype(np.float64)
    person[BLAZEPOSE_33.index("left_wrist"), 3] = 0.2
    assert not drawn(person, 0.3)[middle_of(("left_elbow", "left_wrist"))][:3].any()
    assert drawn(person, 0.1)[middle_of(("left_elbow", "left_wrist"))][:3].any()
    person[:] = (0, 0, 0, UNUSABLE)
    assert np.array_equal(drawn(person, 0.0), black())


def test_it_draws_in_place_over_what_is_there_and_makes_no_picture_of_its_own() -> None:
    canvas = black()
    canvas[0, 0] = (9, 9, 9, 9)
    person = poses(1)[0].astype(np.float64)
    vid2vid25.draw(canvas, person, 0.3)
    tracemalloc.start()
    vid2vid25.draw(canvas, person, 0.3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert canvas[0, 0].tolist() == [9, 9, 9, 9]
    assert canvas[1:, :, :3].any()
    assert peak < canvas.nbytes / 20

"""People over the stage, in whole numbers as in real ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.generator.playing.compose import BAND, compose

SIZE = 48
BOXES = ((0, SIZE, 0, SIZE), (10, 40, 5, 30), (0, 1, 0, 1), (20, SIZE, 30, SIZE), (0, 0, 0, 0))


def layer(random: np.random.Generator, box: tuple[int, ...], size: int = SIZE) -> np.ndarray:
    """A premultiplied picture that is transparent outside of a box: rows, then columns."""
    top, bottom, left, right = box
    alpha = np.zeros((size, size, 1), np.uint8)
    alpha[top:bottom, left:right] = random.integers(0, 256, (bottom - top, right - left, 1))
    alpha[top:bottom, left:right][random.random((bottom - top, right - left)) < 0.3] = 255
    return np.concatenate([np.rint(random.random((size, size, 3)) * alpha).astype(np.uint8), alpha], 2)


def expected(layers: list[tuple[np.ndarray, float]], plate: np.ndarray | None, size: int = SIZE) -> np.ndarray:
    mixed = np.zeros((size, size, 4)) if plate is None else np.dstack([plate, np.full((size, size), 255.0)])
    for picture, opacity in layers:
        mixed = mixed * (1 - picture[..., 3:] / 255 * opacity) + picture * float(opacity)
    return mixed


@given(
    seed=st.integers(0, 10**6),
    people=st.lists(st.tuples(st.sampled_from(BOXES), st.sampled_from((0.0, 0.01, 0.37, 0.999, 1.0))), max_size=4),
    on_plate=st.booleans(),
)
def test_the_picture_is_that_of_real_numbers(seed: int, people: list, on_plate: bool) -> None:
    random = np.random.default_rng(seed)
    layers = [(layer(random, box), opacity) for box, opacity in people]
    plate = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) if on_plate else None
    before = [picture.copy() for picture, _ in layers]
    out = random.integers(0, 256, (SIZE, SIZE, 4), dtype=np.uint8)  # what was there must not matter
    compose(layers, plate, out)
    assert np.abs(out - expected(layers, plate)).max() <= 1
    if on_plate:
        assert (out[..., 3] == 255).all()
    for (picture, _), copy in zip(layers, before, strict=True):
        np.testing.assert_array_equal(picture, copy)


@pytest.mark.parametrize("opacities", [(1.0,), (0.5,), (1.0, 0.5)])
@pytest.mark.parametrize("on_plate", [True, False])
def test_pictures_of_several_bands_have_no_seam(opacities: tuple[float, ...], on_plate: bool) -> None:
    size = BAND * 2 + 7
    random = np.random.default_rng(1)
    layers = [(layer(random, (3, size - 2, 40, 200), size), opacity) for opacity in opacities]
    plate = random.integers(0, 256, (size, size, 3), dtype=np.uint8) if on_plate else None
    out = np.empty((size, size, 4), np.uint8)
    compose(layers, plate, out)
    assert np.abs(out - expected(layers, plate, size)).max() <= 1


@pytest.mark.parametrize("on_plate", [True, False])
def test_an_opaque_person_is_copied_as_they_are(on_plate: bool) -> None:
    random = np.random.default_rng(2)
    picture = layer(random, BOXES[1])
    plate = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    out = np.empty((SIZE, SIZE, 4), np.uint8)
    compose([(picture, 1.0)], plate if on_plate else None, out)
    whole = picture[..., 3] == 255
    np.testing.assert_array_equal(out[whole], picture[whole])
    nobody = picture[..., 3] == 0
    np.testing.assert_array_equal(out[nobody][:, :3], plate[nobody] if on_plate else 0)


def test_the_nearer_person_hides_the_farther() -> None:
    red, blue = np.zeros((2, SIZE, SIZE, 4), np.uint8)
    red[:, :30], blue[:, 20:] = (255, 0, 0, 255), (0, 0, 255, 255)
    out = np.empty((SIZE, SIZE, 4), np.uint8)
    compose([(red, 1.0), (blue, 1.0)], None, out)
    assert (out[:, :20] == (255, 0, 0, 255)).all() and (out[:, 20:] == (0, 0, 255, 255)).all()


def test_only_the_picture_itself_is_written() -> None:
    memory = np.full((SIZE + 2, SIZE, 4), 77, np.uint8)
    plate = np.zeros((SIZE, SIZE, 3), np.uint8)
    someone, nobody = layer(np.random.default_rng(3), BOXES[0]), np.zeros((SIZE, SIZE, 4), np.uint8)
    for layers in ([], [(someone, 0.5)] * 2, [(nobody, 1.0)]):
        for behind in (plate, None):
            compose(layers, behind, memory[1:-1])
            assert (memory[[0, -1]] == 77).all()
    assert not memory[1:-1].any()

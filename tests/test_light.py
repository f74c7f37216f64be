"""Dark rooms and infrared: what the pose networks see of them."""

from __future__ import annotations

import cv2
import numpy as np
from harness import frame
from sight_kit import CLIP, TICK, changed, clip, node, run, seen

from nodes.pose.light import BRIGHT, DARK, Light, table
from nodes.pose.picture import Picture
from nodes.pose.roi import Roi

GAIN = 0.08  # of a very dark room


def dark(picture: np.ndarray, gain: float = GAIN, noise: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(0).normal(0, noise, picture.shape)
    return np.clip(np.rint(picture * gain + random), 0, 255).astype(np.uint8)


def flat(value: int) -> np.ndarray:
    return np.full((64, 64, 3), value, np.uint8)


# --- how it brightens ---


def test_a_bright_piece_is_the_very_same_array() -> None:
    light, piece = Light(), flat(round(BRIGHT))
    assert light(piece, TICK) is piece
    assert light(flat(round(BRIGHT) - 1), 2 * TICK)[0, 0, 0] >= BRIGHT - 1


def test_a_dark_piece_becomes_bright_and_a_black_one_not_much() -> None:
    assert 190 < Light()(flat(20), TICK)[0, 0, 0] < 230
    assert 218 < Light()(flat(60), TICK)[0, 0, 0] < 242
    assert Light()(flat(2), TICK)[0, 0, 0] < 40
    assert Light()(flat(0), TICK).max() == 0


def test_values_keep_their_order_and_the_change_has_no_step() -> None:
    for white in (0, 1, 20, DARK, 100, BRIGHT - 1):
        values = table(white).astype(int)
        assert values[0] == 0 and (np.diff(values) >= 0).all() and (values >= np.arange(256)).all()
    whites = np.arange(1, BRIGHT, 0.5)
    shown = np.array([table(white)[round(white)] for white in whites], float)
    assert np.abs(np.diff(shown[whites > 23])).max() < 6, "from the darkest that is reached to bright"
    assert np.abs(table(BRIGHT - 0.01).astype(int) - np.arange(256)).max() <= 1


def test_light_that_comes_on_never_blinds_and_light_that_goes_is_followed() -> None:
    light = Light()
    assert light(flat(10), TICK).max() > 100
    bright = flat(200)
    assert light(bright, 2 * TICK) is bright
    shown = [int(light(flat(10), (3 + i) * TICK).max()) for i in range(60)]
    assert shown[0] < 20 and shown == sorted(shown) and shown[-1] > 100


def test_a_flickering_picture_does_not_flicker_more() -> None:
    light, random = Light(), np.random.default_rng(0)
    whites = random.integers(17, 24, 120)
    tables = np.array([light(flat(20) + np.uint8(white - 20), i * TICK).max() for i, white in enumerate(whites, 1)])
    gains = tables[30:] / whites[30:]
    assert gains.std() / gains.mean() < 0.5 * (1 / whites[30:]).std() / (1 / whites[30:]).mean()


def test_time_that_goes_back_begins_anew() -> None:
    light = Light()
    light(flat(200), 5 * TICK)
    assert light(flat(10), TICK).max() > 100


def test_only_what_the_network_sees_is_brightened_and_only_if_it_is_to_be() -> None:
    pixels = np.random.default_rng(0).integers(0, 20, (100, 100, 3), np.uint8)
    before = pixels.copy()
    matrix = Roi(50, 50, 80, 0.2).matrix(64)
    auto, off = (Picture(frame(pixels, pixel_format="BGR"), level=level) for level in (True, False))
    assert auto.crop(matrix, 64, Light()).max() > 100 and auto.resized(32, 32, Light()).max() > 80
    np.testing.assert_array_equal(off.crop(matrix, 64, Light()), auto.crop(matrix, 64))
    np.testing.assert_array_equal(off.resized(32, 32, Light()), auto.resized(32, 32))
    np.testing.assert_array_equal(pixels, before)


# --- with the real networks ---


def test_a_dark_clip_is_seen_with_level_and_not_without() -> None:
    pictures = [dark(picture) for picture in clip(30)]
    assert seen(pictures, level="off") <= 3
    assert seen(pictures, level="auto") == 30
    assert seen([dark(picture, noise=1) for picture in clip(10)]) == 10


def test_points_in_the_dark_are_where_they_are_in_the_light() -> None:
    (bright,), (dim,) = (run(node(), [picture]) for picture in (clip(1)[0], dark(clip(1)[0])))
    distance = np.hypot(*(bright.array - dim.array)[0, 11:, :2].T)
    assert np.median(distance) < 2.5, "5 px without"


def test_a_bright_clip_is_measured_the_same_with_and_without() -> None:
    with_, without = (run(node(level=level), clip(5)) for level in ("auto", "off"))
    for one, other in zip(with_, without, strict=True):
        np.testing.assert_array_equal(one.array, other.array)


def test_level_is_a_live_setting() -> None:
    estimator, picture = node(level="off"), dark(clip(1)[0])
    assert run(estimator, [picture])[0].shape[0] == 0
    changed(estimator, level="auto")
    assert run(estimator, [picture])[0].shape[0] == 1


def test_a_grey_clip_is_seen_as_often_as_a_coloured_one() -> None:
    grey = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in clip(15)]
    assert seen(clip(15)) == 15
    assert seen([picture[:, :, None] for picture in grey], "GRAY") == 15
    assert seen([cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) for picture in grey]) == 15
    assert seen([dark(picture[:, :, None]) for picture in grey[:8]], "GRAY") == 8


def test_noise_in_an_empty_dark_room_is_nobody() -> None:
    random = np.random.default_rng(1)
    stripes = (np.indices((480, 640)).sum(0) % 64 * 4)[:, :, None].repeat(3, 2)
    stage = cv2.imread(str(CLIP.with_name("performer_plate.png")))
    blots = cv2.GaussianBlur(random.normal(0, 30, (480, 640, 3)).astype(np.float32), (0, 0), 3) + 3
    empty = [np.clip(np.rint(random.normal(2, spread, (480, 640, 3))), 0, 255) for spread in (0, 1, 2, 3, 5, 8)]
    empty += [np.clip(np.rint(blots), 0, 255), stripes, stripes * 0.05]
    empty += [dark(stage, gain, noise) for gain in (1, 0.3, 0.08, 0.03) for noise in (0, 1, 2)]
    assert seen([picture.astype(np.uint8) for picture in empty], people=3) == 0

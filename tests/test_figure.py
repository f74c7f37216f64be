"""The drawn figure: styles, fit, mirror, trail, and what it does with bad keypoints."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from harness import Garbage, frame, make
from people import CANVAS, LEFT_WRIST, RIGHT_WRIST, SIZE, draw, keypoints, poses, standing
from pydantic import ValidationError

from nodes.generator.figure import Figure
from nodes.generator.stage import UNUSABLE, on_stage
from nodes.layouts import BLAZEPOSE_33, OPENPOSE_18, Conversion, mirrored

STYLES = ["openpose18/1", "vid2vid25/1", "blazepose33/1", "body/1"]


def change(node: Any, **settings: Any) -> None:
    node.config = node.config.model_copy(update=settings)
    node.configured()


# --- every style ---


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(256, 256), (131, 77)])
def test_every_byte_is_written(style: str, size: tuple[int, int]) -> None:
    pictures = []
    for value in (0, 77, 255):
        node = make(Figure, style=style, size=size)
        node.outs = {"image": Garbage(value)}
        node.step(keypoints=keypoints(poses(2)))
        pictures.append(node.out.frames[-1].array)
    assert all(np.array_equal(pictures[0], picture) for picture in pictures)


@pytest.mark.parametrize("style", STYLES)
def test_the_frame_says_what_it_is(style: str) -> None:
    node = make(Figure, size=(320, 200), style=style)
    source = keypoints(poses(2), ids=(4, 9))
    node.step(keypoints=source)
    (picture,) = node.frames
    assert (picture.shape, picture.dtype) == ((200, 320, 4), np.uint8)
    assert (picture.pixel_format, picture.row_order, picture.canvas) == ("RGBA", "TOP_DOWN", (320, 200))
    assert (picture.ids, picture.sources, picture.capture_ns) == ((4, 9), (source.source,), source.capture_ns)


@pytest.mark.parametrize("style", STYLES)
def test_a_person_is_seen_and_nobody_is_an_empty_stage(style: str) -> None:
    background = (0, 0, 0, 255)
    empty = draw(np.zeros((0, 33, 4), np.float32), style=style, background=background)
    assert (empty == background).all()
    assert (draw(standing()[None], style=style, background=background) != empty).any(2).sum() > 300


@pytest.mark.parametrize("style", STYLES)
def test_colours_are_premultiplied(style: str) -> None:
    picture = draw(poses(3), style=style, background=(250, 120, 30, 128))
    assert (picture[..., :3] <= picture[..., 3:]).all()


def test_the_background_is_premultiplied_with_its_alpha() -> None:
    for style in ("blazepose33/1", "body/1"):
        assert draw(poses(0), style=style, background=(200, 100, 50, 51))[0, 0].tolist() == [40, 20, 10, 51]


@pytest.mark.parametrize("style", STYLES)
def test_the_same_frames_give_the_same_pictures(style: str) -> None:
    def film() -> list[bytes]:
        node = make(Figure, size=(SIZE, SIZE), style=style)
        for number, person in enumerate(poses(4)):
            node.step(keypoints=keypoints(person[None], capture_ns=number * 33_000_000))
        return [picture.array.tobytes() for picture in node.frames]

    assert film() == film()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -3e38, 5e6])
@pytest.mark.parametrize("column", range(4))
def test_bad_values_never_stop_it(style: str, value: float, column: int) -> None:
    whole = draw(standing()[None], style=style)
    for rows in ([LEFT_WRIST], [BLAZEPOSE_33.index("left_hip")], range(33)):
        people = standing()[None].copy()
        people[0, rows, column] = value
        with np.errstate(all="raise", under="ignore"):
            picture = draw(people, style=style, threshold=0.0)
        if rows == [LEFT_WRIST]:
            assert (picture[:128, :100] == whole[:128, :100]).mean() > 0.98  # the other arm is as it was


def test_what_reaches_the_styles_is_finite_and_in_range() -> None:
    people = poses(3)
    people[0, :, 3] = np.nan
    people[1, ::2, 0] = np.inf
    people[1, 1::2, 2] = np.nan
    people[2, :, 3] = np.linspace(-5, 5, 33)
    with np.errstate(invalid="ignore"):
        placed = on_stage(keypoints(people), (SIZE, SIZE), "contain", False)
    assert np.isfinite(placed).all()
    score = placed[:, :, 3]
    assert ((score == UNUSABLE) | ((score >= 0) & (score <= 1))).all()
    assert (score[0] == UNUSABLE).all() and (score[2] != UNUSABLE).all()
    assert (score[1] == UNUSABLE).tolist() == [row % 2 == 0 for row in range(33)]


@pytest.mark.parametrize("style", STYLES)
def test_people_at_and_beyond_the_border(style: str) -> None:
    inside = (draw(standing()[None], style=style, background=(0, 0, 0, 255))[..., :3] > 0).any(2).sum()
    for dx, dy in [(-270, 0), (270, 0), (0, -480), (0, 480), (-200, -400), (3000, 0), (0, -3000)]:
        people = standing()[None] + np.array([dx, dy, 0, 0], np.float32)
        seen = (draw(people, style=style, background=(0, 0, 0, 255), fit="cover")[..., :3] > 0).any(2).sum()
        assert seen < 4 * inside
        if max(abs(dx), abs(dy)) == 3000:
            assert seen == 0


@pytest.mark.parametrize("shape", [(1, 17, 4), (1, 33, 3), (33, 4), (0,)])
def test_a_wrong_shape_is_refused_with_a_sentence(shape: tuple[int, ...]) -> None:
    node = make(Figure)
    with pytest.raises(ValueError, match=r"keypoints of shape \(people, 33, 4\) are needed.*connect the input"):
        node.step(keypoints=frame(np.zeros(shape, np.float32), canvas=CANVAS))
    assert node.frames == []
    node.step(keypoints=keypoints(standing()[None]))
    assert len(node.frames) == 1


def test_keypoints_without_their_picture_are_refused() -> None:
    with pytest.raises(ValueError, match="must set canvas"):
        make(Figure).step(keypoints=frame(standing()[None], canvas=(0, 0)))


def test_a_crowd_and_missing_ids_are_drawn() -> None:
    node = make(Figure, size=(SIZE, SIZE))
    node.step(keypoints=keypoints(np.zeros((500, 33, 4), np.float32), ids=()))
    node.step(keypoints=keypoints(poses(3), ids=(8,)))
    assert [len(picture.ids) for picture in node.frames] == [16, 3]


def test_settings_are_checked() -> None:
    for bad in ({"size": (0, 10)}, {"background": (0, 0, 0, 256)}, {"style": "body/0"}, {"threshold": 2}):
        with pytest.raises(ValidationError):
            Figure.Config(**bad)


def test_the_style_changes_live_and_back() -> None:
    node = make(Figure, size=(SIZE, SIZE), trail=0.0)
    for style in (*STYLES, *STYLES):
        change(node, style=style)
        node.step(keypoints=keypoints(standing()[None]))
    pictures = [picture.array.tobytes() for picture in node.frames]
    assert pictures[: len(STYLES)] == pictures[len(STYLES) :] and len(set(pictures)) == len(STYLES)


# --- the stage ---


def test_contain_shows_all_of_the_camera_picture_and_cover_fills_the_canvas() -> None:
    def place(fit: str) -> np.ndarray:
        """Where a point at (500, 600) of the camera's 540 x 960 picture is drawn."""
        people = np.zeros((1, 33, 4), np.float32)
        people[0, LEFT_WRIST] = (500, 600, 0, 1)
        picture = draw(people, style="blazepose33/1", size=(300, 200), fit=fit)
        return np.argwhere(picture[..., 3] > 128).mean(0)[::-1]

    for fit, scale in (("contain", 200 / 960), ("cover", 300 / 540)):
        assert place(fit) == pytest.approx([150 + scale * (500 - 270), 100 + scale * (600 - 480)], abs=0.3)


@pytest.mark.parametrize("style", STYLES)
def test_a_mirrored_stage_shows_what_a_mirrored_camera_would(style: str) -> None:
    people = poses(1)
    seen = people[:, mirrored(BLAZEPOSE_33)].copy()
    seen[:, :, 0] = CANVAS[0] - seen[:, :, 0]
    assert np.array_equal(draw(people, style=style, mirror=True), draw(seen, style=style, mirror=False))


@pytest.mark.parametrize(
    ("style", "left", "right"),
    [
        ("openpose18/1", (0, 255, 85), (170, 255, 0)),
        ("vid2vid25/1", (0, 153, 0), (153, 153, 0)),
        ("blazepose33/1", (255, 138, 0), (0, 217, 231)),
    ],
)
def test_left_and_right_have_their_own_colours(style: str, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    picture = draw(standing()[None], style=style, size=(540, 960))
    for wrist, colour in ((LEFT_WRIST, left), (RIGHT_WRIST, right)):
        x, y = standing()[wrist, :2].astype(int)
        assert tuple(picture[y, x, :3].tolist()) == colour


def test_the_body_is_warm_on_the_left_and_cool_on_the_right() -> None:
    picture = draw(standing()[None], size=(540, 960)).astype(int)
    warmth = picture[..., 0] - picture[..., 2]
    hands = [warmth[tuple(standing()[wrist, 1::-1].astype(int) + (20, 0))] for wrist in (LEFT_WRIST, RIGHT_WRIST)]
    assert hands[0] > hands[1] + 60


# --- openpose18: the published rule ---


def published(canvas: np.ndarray, points: list[tuple[float, float] | None]) -> np.ndarray:
    """draw_bodypose as ControlNet's annotators publish it, transcribed line by line; RGB."""
    stickwidth = 4
    limb_seq = [
        [2, 3], [2, 6], [3, 4], [4, 5], [6, 7], [7, 8], [2, 9], [9, 10], [10, 11], [2, 12], [12, 13], [13, 14],
        [2, 1], [1, 15], [15, 17], [1, 16], [16, 18],
    ]  # fmt: skip
    colors = [
        [255, 0, 0], [255, 85, 0], [255, 170, 0], [255, 255, 0], [170, 255, 0], [85, 255, 0], [0, 255, 0],
        [0, 255, 85], [0, 255, 170], [0, 255, 255], [0, 170, 255], [0, 85, 255], [0, 0, 255], [85, 0, 255],
        [170, 0, 255], [255, 0, 255], [255, 0, 170], [255, 0, 85],
    ]  # fmt: skip
    for (k1, k2), color in zip(limb_seq, colors, strict=False):
        point1, point2 = points[k1 - 1], points[k2 - 1]
        if point1 is None or point2 is None:
            continue
        y = np.array([point1[0], point2[0]])
        x = np.array([point1[1], point2[1]])
        m_x, m_y = np.mean(x), np.mean(y)
        length = ((x[0] - x[1]) ** 2 + (y[0] - y[1]) ** 2) ** 0.5
        angle = math.degrees(math.atan2(x[0] - x[1], y[0] - y[1]))
        polygon = cv2.ellipse2Poly((int(m_y), int(m_x)), (int(length / 2), stickwidth), int(angle), 0, 360, 1)
        cv2.fillConvexPoly(canvas, polygon, [int(float(c) * 0.6) for c in color])
    for point, color in zip(points, colors, strict=True):
        if point is not None:
            cv2.circle(canvas, (int(point[0]), int(point[1])), 4, color, thickness=-1)
    return canvas


def test_openpose18_is_the_published_rule_pixel_for_pixel() -> None:
    convert = Conversion.between(BLAZEPOSE_33, OPENPOSE_18)
    for person in poses(50):
        person = person.astype(np.float64)
        expected = np.zeros((960, 540, 3), np.uint8)
        published(expected, [tuple(p[:2]) if p[3] >= 0.3 else None for p in convert(person)])
        picture = draw(person[None], style="openpose18/1", size=(540, 960), threshold=0.3)
        assert np.array_equal(picture[..., :3], expected)
        assert (picture[..., 3] == 255).all()

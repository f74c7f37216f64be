"""pose.rtmpose on small networks: from the picture through crop, network and decoder to points of the picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_kit import Engine
from harness import make
from pydantic import ValidationError
from rtm_kit import camera, figure, halves, picture, simcc, spot_of

from nodes.layouts import BLAZEPOSE_33, COCO_17, COCO_WHOLEBODY_133, HALPE_26
from nodes.pose.rtm.manifest import LAYOUTS
from nodes.pose.rtm.network import Network
from nodes.pose.rtmpose import RtmPose
from nodes.poses_file import PosesFile

AS_MEASURED: dict[str, Any] = {"filter": "none", "level": "off", "hold": 0, "fade": 0}


@pytest.fixture
def node(tmp_path: Path) -> Callable[..., Any]:
    """A node of the small RTMPose and the small detector, as measured."""
    model, detector = simcc(tmp_path / "pose.onnx"), halves(tmp_path / "people.onnx", "detector")

    def made(**settings: Any) -> Any:
        given = {"model": str(model), "detector": str(detector), **AS_MEASURED, **settings}
        return make(RtmPose, **given)

    return made


def run(node: Any, *pictures: np.ndarray) -> list[Any]:
    before = len(node.frames)
    for number, pixels in enumerate(pictures, before + 1):
        node.step(image=camera(pixels, number))
    return node.frames[before:]


def places(layout: tuple[str, ...], who: Any) -> np.ndarray:
    """(K, 2): where the points of a figure are."""
    return np.array([who[spot_of(name)] for name in layout])


# --- one person ---


@pytest.mark.parametrize(
    "who",
    [
        figure(160.3, 240.7),
        figure(480.6, 200.25, tall=120, wide=40),
        figure(200.1, 240.4, tall=60, wide=180),  # broad: the crop's height follows
        figure(30.5, 150.2, tall=250, wide=44),  # a part of the crop is beyond the picture's edge
        ((150.2, 100.4), (70.8, 330.3), (220.5, 300.9)),  # leaning
    ],
)
def test_points_are_found_to_a_part_of_a_pixel(node: Callable[..., Any], who: Any) -> None:
    frames = run(node(), *[picture(who)] * 3)
    assert [one.shape for one in frames] == [(1, 33, 4)] * 3
    expected, known = places(BLAZEPOSE_33, who), frames[-1].array[0, :, 3] > 0
    assert known.sum() == 17
    for one in frames[1:]:  # the first crop is the detector's, larger than need be
        off = np.abs(one.array[0, known, :2] - expected[known])
        assert off.max() < 0.35, off.max()
        assert one.array[0, known, 3] == pytest.approx(1, abs=0.1)
        assert not one.array[0, :, 2].any()


def test_what_coco_does_not_know_lies_at_its_neighbour_and_scores_nothing(node: Callable[..., Any]) -> None:
    (one,) = run(node(), picture(figure(160, 240)))
    points = dict(zip(BLAZEPOSE_33, one.array[0], strict=True))
    for name, neighbour in (("left_index", "left_wrist"), ("right_heel", "right_ankle"), ("mouth_left", "nose")):
        assert points[name][3] == 0
        assert np.array_equal(points[name][:3], points[neighbour][:3])


def test_a_person_who_moves_is_followed_and_one_who_goes_is_gone(node: Callable[..., Any]) -> None:
    estimator = node()
    walk = [figure(80 + 12 * step, 240) for step in range(40)]
    frames = run(estimator, *(picture(who) for who in walk))
    assert [one.ids for one in frames] == [(1,)] * 40
    for one, who in zip(frames, walk, strict=True):
        assert np.abs(one.array[0, 0, :2] - who[0]).max() < 1.5
    gone = run(estimator, *[np.zeros((480, 640, 3), np.uint8)] * 3)
    assert [one.shape for one in gone] == [(0, 33, 4)] * 3


def test_a_picture_of_another_size_begins_anew(node: Callable[..., Any]) -> None:
    estimator, small = node(), figure(60, 90, tall=60, wide=40)
    run(estimator, picture(figure(160, 240)))
    one, again = run(estimator, *[picture(small, size=(320, 200))] * 2)
    assert (one.canvas, again.canvas) == ((320, 200), (320, 200))
    assert np.abs(again.array[0, 0, :2] - small[0]).max() < 0.35


def test_a_dark_picture_is_brightened_for_the_network(node: Callable[..., Any]) -> None:
    dark = picture(figure(160, 240), light=0.15)
    assert run(node(), dark)[0].shape[0] == 0
    (one,) = run(node(level="auto", min_detection=0.4), dark)
    assert one.shape[0] == 1


# --- several ---


def test_two_people_keep_their_ids_and_a_third_has_no_room(node: Callable[..., Any]) -> None:
    pictures = [picture(figure(120 + step, 240), figure(520 - step, 220)) for step in range(30)]
    frames = run(node(people=2), *pictures)  # whoever leads stands first
    sides = [dict(zip(one.ids, one.array[:, 0, 0] > 320, strict=True)) for one in frames]
    assert set(sides[0]) == {1, 2} and sides[0][1] != sides[0][2]
    assert sides == sides[:1] * 30
    assert [one.ids for one in run(node(people=1), *pictures)] == [(1,)] * 30


def test_who_comes_later_is_found_beside_who_is_there(node: Callable[..., Any]) -> None:
    alone, both = picture(figure(120, 240)), picture(figure(120, 240), figure(520, 220))
    frames = run(node(people=2), *[alone] * 5, *[both] * 16)
    assert frames[4].ids == (1,)
    assert sorted(frames[-1].ids) == [1, 2]


def test_who_stands_outside_the_region_is_nobody(node: Callable[..., Any]) -> None:
    both = picture(figure(120, 240), figure(520, 220))
    (one,) = run(node(people=2, region=(0.5, 0, 0.5, 1)), both)
    assert one.array[:, 0, 0] == pytest.approx([520], abs=4)


def test_two_tracks_of_one_body_become_one(tmp_path: Path, node: Callable[..., Any]) -> None:
    estimator = node(people=2)
    twice = [np.array([100.0, 100, 220, 380]), np.array([110.0, 20, 210, 300])]
    estimator._estimator._boxes = lambda *_: twice
    frames = run(estimator, *[picture(figure(160, 240))] * 2)
    assert [one.shape[0] for one in frames] == [1, 1]


# --- RTMO ---


def test_rtmo_finds_everyone_at_once(tmp_path: Path) -> None:
    rtmo = make(RtmPose, model=str(halves(tmp_path / "rtmo.onnx", "rtmo")), people=3, **AS_MEASURED)
    who = figure(120.5, 240), figure(520, 220.5)
    frames = run(rtmo, *[picture(*who)] * 3)
    assert [sorted(one.ids) for one in frames] == [[1, 2]] * 3
    left, right = sorted(frames[-1].array, key=lambda person: person[0, 0])
    known = left[:, 3] > 0
    for found, expected in ((left, who[0]), (right, who[1])):
        off = np.abs(found[known, :2] - places(BLAZEPOSE_33, expected)[known])
        assert off.max() <= 2  # it answers in whole pixels of its input, which is half as large
    (none,) = run(rtmo, np.zeros((480, 640, 3), np.uint8))
    assert none.shape == (0, 33, 4)


def test_rtmo_keeps_whom_it_has_and_else_takes_the_surest(tmp_path: Path) -> None:
    rtmo = make(RtmPose, model=str(halves(tmp_path / "rtmo.onnx", "rtmo")), **AS_MEASURED)
    dim, bright = picture(figure(120, 240), light=0.8), picture(figure(520, 220))
    for pixels, whose in ((dim | bright, 520), (dim, 120), (dim | bright, 120), (bright, 520), (dim | bright, 520)):
        (one,) = rtmo._estimator.step(rtmo._picture(camera(pixels), level=False), 1)
        assert one.centre[0] == pytest.approx(whose, abs=2)


def test_a_network_that_answers_no_numbers_finds_nobody_until_it_does_again(
    tmp_path: Path, node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    one_pass = make(RtmPose, model=str(halves(tmp_path / "rtmo.onnx", "rtmo")), **AS_MEASURED)
    seen, healthy = picture(figure(160, 240)), Network._run
    for estimator in (node(), one_pass):
        assert run(estimator, seen)[0].shape[0] == 1
        with monkeypatch.context() as patch:
            patch.setattr(Network, "_run", lambda self: [answer * np.nan for answer in healthy(self)])
            assert [one.shape[0] for one in run(estimator, seen, seen)] == [0, 0]
        assert run(estimator, *[seen] * 4)[-1].shape[0] == 1  # the detector looks at parts of the picture in turn


# --- whole bodies ---


@pytest.mark.parametrize(("layout", "known"), [("coco_17", 17), ("halpe_26", 21), ("coco_wholebody_133", 33)])
def test_all_has_the_network_s_own_points(tmp_path: Path, node: Callable[..., Any], layout: str, known: int) -> None:
    model = simcc(tmp_path / f"{layout}.onnx", layout)
    who, estimator = figure(160.3, 240.7), node(model=str(model), all=True)
    run(estimator, *[picture(who)] * 2)
    body, all_points = estimator.outs["keypoints"].frames[-1], estimator.outs["all"].frames[-1]
    names = LAYOUTS[layout]
    assert (body.shape, all_points.shape) == ((1, 33, 4), (1, len(names), 4))
    assert (body.array[0, :, 3] > 0).sum() == known
    assert np.abs(all_points.array[0, :, :2] - places(names, who)).max() < 0.35
    assert (all_points.pixel_format, all_points.ids, all_points.canvas) == ("KEYPOINTS", (1,), (640, 480))
    assert all_points.capture_ns == body.capture_ns


def test_the_three_layouts_begin_with_coco_s_body() -> None:
    assert HALPE_26[:17] == COCO_WHOLEBODY_133[:17] == COCO_17


# --- settings ---


@pytest.mark.parametrize("bad", [{"model": ""}, {"device": "tpu"}, {"people": 0}, {"min_tracking": 2}, {"al": True}])
def test_a_bad_config_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RtmPose.Config(**{"model": "pose.onnx", **bad})


def test_without_all_there_is_one_output() -> None:
    assert list(RtmPose.outputs_of(RtmPose.Config(model="x"))) == ["keypoints"]
    assert list(RtmPose.outputs_of(RtmPose.Config(model="x", all=True))) == ["keypoints", "all"]


def test_live_settings_reach_the_estimator(node: Callable[..., Any]) -> None:
    estimator, seen = node(), picture(figure(160, 240), light=0.9)
    assert run(estimator, seen)[0].shape[0] == 1
    estimator.config = estimator.config.model_copy(update={"min_tracking": 1.0, "min_detection": 1.0})
    estimator.configured()
    assert run(estimator, seen)[0].shape[0] == 0


# --- in an engine ---


def test_an_engine_publishes_both_outputs(launch: Callable[..., Engine], tmp_path: Path) -> None:
    walk = [figure(120.4 + 4 * step, 240) for step in range(12)]
    video = cv2.VideoWriter(str(tmp_path / "walk.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
    for who in walk:
        video.write(picture(who)[:, :, ::-1].copy())
    video.release()
    model = simcc(tmp_path / "whole.onnx", "coco_wholebody_133")
    people = halves(tmp_path / "people.onnx", "detector")
    engine = launch(
        f"  camera: {{type: camera.opencv, source: {tmp_path / 'walk.avi'}}}\n"
        f"  pose: {{type: pose.rtmpose, input: camera, model: {model}, detector: {people}, all: true, filter: none, "
        "level: 'off'}\n"
        f"  body: {{type: output.poses, input: pose, path: {tmp_path / 'body.jsonl'}}}\n"
        f"  whole: {{type: output.poses, input: pose.all, path: {tmp_path / 'whole.jsonl'}}}\n",
        "offline",
    )
    assert engine.wait() == 0, engine.output
    for name, layout in (("body", BLAZEPOSE_33), ("whole", COCO_WHOLEBODY_133)):
        found = list(PosesFile(tmp_path / f"{name}.jsonl").read())
        assert [one.people.shape for one in found] == [(1, len(layout), 4)] * 12
        for one, who in zip(found, walk, strict=True):
            off, known = np.abs(one.people[0, :, :2] - places(layout, who)), one.people[0, :, 3] > 0
            assert known.all() and off.max() < 2, off.max()  # MJPG halves the colours' resolution

"""The network: what it computes of keypoints, against a slow reference, and what it promises before it has learnt."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from performer_kit import people

from nodes.generator.network.painter import PRESETS, Painter, Residual, Shape, preset
from nodes.generator.network.picture import Picture
from nodes.generator.network.pose_field import LIMBS, SMALLEST_TORSO, PoseField

GRID = 8
CLOSE = 1e-2  # the field softens the length of very short limbs a little, so that none divides by zero
SMALL = Shape(size=64, width=8, blocks=1, grid=16)


def slow_field(points: np.ndarray, grid: int) -> np.ndarray:
    """(4, limbs, grid, grid): nearness, along, across, depth of one person, cell by cell, limb by limb."""
    shoulders, hips = (points[11, :2] + points[12, :2]) / 2, (points[23, :2] + points[24, :2]) / 2
    torso = max(math.dist(shoulders, hips), SMALLEST_TORSO)
    field = np.zeros((4, len(LIMBS), grid, grid))
    for limb, (first, second, radius) in enumerate(LIMBS):
        a, b = points[first].astype(float), points[second].astype(float)
        length, width = math.dist(a[:2], b[:2]), radius * torso
        seen = min(max((min(a[3], b[3]) - 0.2) / 0.2, 0), 1)
        for row, column in np.ndindex(grid, grid):
            cell = np.array([column + 0.5, row + 0.5]) / grid
            along = across = 0.0
            if length > 1e-9:
                direction = (b[:2] - a[:2]) / length
                off = cell - a[:2]
                along = min(max(off @ direction / length, 0), 1)
                across = (off[0] * direction[1] - off[1] * direction[0]) / width
            distance = math.dist(cell, a[:2] + along * (b[:2] - a[:2])) / width
            near = seen / (1 + math.exp(min((distance - 1.2) * 4, 700)))
            across = min(max(across, -1.5), 1.5)
            field[:, limb, row, column] = near, near * (along * 2 - 1), near * across, near * (a[2] + b[2]) / 2
    return field


def field_of(points: np.ndarray, grid: int = GRID) -> np.ndarray:
    return PoseField(grid)(torch.from_numpy(points)[None])[0].numpy().reshape(4, len(LIMBS), grid, grid)


@pytest.mark.parametrize("seed", range(4))
def test_the_field_is_that_of_capsules(seed: int) -> None:
    points = people(1, seed)[0]
    points[:, 2] = np.random.default_rng(seed).normal(0, 0.2, 33)
    points[:, 3] = np.random.default_rng(seed).uniform(0, 1, 33)
    np.testing.assert_allclose(field_of(points), slow_field(points, GRID), atol=CLOSE)


def test_a_limb_without_length_is_a_disc() -> None:
    points = people(1)[0]
    points[13] = points[11]  # the left upper arm
    found = field_of(points, 32)
    np.testing.assert_allclose(found, slow_field(points, 32), atol=CLOSE)
    assert np.isfinite(found).all()
    assert found[0, 0].max() > 0.5


def test_a_body_seen_from_above_does_not_vanish() -> None:
    """Shoulders upon hips: there is no torso to measure by."""
    points = people(1)[0]
    points[[23, 24]] = points[[11, 12]]
    found = field_of(points, 64)
    assert np.isfinite(found).all()
    assert (found[0].max((1, 2)) > 0.3).sum() > 20  # of 24; the edge of a hand is smaller than a cell


@pytest.mark.parametrize("point", range(33))
def test_an_unseen_point_takes_its_limbs_away_and_nothing_else(point: int) -> None:
    points = people(1)[0]
    whole = field_of(points)
    points[point, 3] = 0.1
    found = field_of(points)
    gone = [point in limb[:2] for limb in LIMBS]
    assert not found[:, gone].any()
    np.testing.assert_array_equal(found[:, np.logical_not(gone)], whole[:, np.logical_not(gone)])


def test_size_in_the_picture_is_no_matter() -> None:
    """A body half as large, in a corner of its own, has the same field there."""
    points = people(1)[0]
    half = points.copy()
    half[:, :3] /= 2
    large, small = field_of(points, 16), field_of(half, 32)[:, :, :16, :16]
    np.testing.assert_allclose(small[:3], large[:3], atol=1e-2)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("size", [64, 128])
def test_presets_paint_straight_rgba_and_begin_opaque(name: str, size: int) -> None:
    torch.manual_seed(0)
    painted = Painter(preset(name, size)).eval()(torch.from_numpy(people(1))).detach()
    assert painted.shape == (1, 4, size, size)
    assert painted.min() >= 0
    assert painted.max() <= 1
    assert painted[:, 3].mean() > 0.8  # from a transparent start no colour would ever get a gradient


@pytest.mark.parametrize("size", [32, 64, 128, 256, 512, 1024, 2048])
def test_sizes_that_there_are(size: int) -> None:
    shape = preset("tiny", size)
    assert shape.grid << shape.doublings == size


@pytest.mark.parametrize("size", [-64, 0, 1, 16, 63, 100, 300, 640])
def test_sizes_that_there_are_not(size: int) -> None:
    with pytest.raises(ValueError, match="cannot stand on a grid"):
        preset("tiny", size)


@pytest.mark.parametrize(("size", "grid"), [(64, 0), (64, -8), (64, 12), (64, 64), (64, 32), (96, 8), (72, 16)])
def test_grids_that_there_are_not(size: int, grid: int) -> None:
    with pytest.raises(ValueError, match="cannot stand on a grid"):
        Shape(size, 8, 1, grid)


def network(seed: int = 0) -> Painter:
    torch.manual_seed(seed)
    made = Painter(SMALL)
    with torch.no_grad():
        made.last.weight.mul_(14)
    return made.requires_grad_(False)


@pytest.mark.parametrize("batch", [2, 4])
def test_people_do_not_change_one_another(batch: int) -> None:
    points, made = torch.from_numpy(people(batch)), network()
    singles = torch.cat([made(one[None]) for one in points])
    torch.testing.assert_close(made(points), singles, atol=1e-5, rtol=0)
    assert (singles[0] - singles[1]).abs().max() > 0.01


def test_it_runs_as_it_was_trained() -> None:
    """Nothing in it behaves otherwise in training, as dropout and normalisation would."""
    points, made = torch.from_numpy(people(2)), network()
    assert torch.equal(made.train()(points), made.eval()(points))


def test_residual_branches_begin_small() -> None:
    torch.manual_seed(0)
    branch = Residual(16)
    whole = Painter(SMALL)
    assert whole.middle[0].last.weight.std() < branch.last.weight.std()


def test_the_picture_is_premultiplied_bytes() -> None:
    points, made = torch.from_numpy(people(1)), network()
    rgba = made(points)[0].permute(1, 2, 0).numpy()
    found = Picture(made)(points)[0].numpy()
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found[..., 3], rgba[..., 3] * 255, atol=0.51)
    np.testing.assert_allclose(found[..., :3], rgba[..., :3] * rgba[..., 3:] * 255, atol=0.51)


def test_it_can_be_exported() -> None:
    points, made = torch.from_numpy(people(2)), Picture(network()).eval()
    program = torch.export.export(made, (points,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=8)},))
    again = torch.from_numpy(people(4, seed=9))
    assert torch.equal(program.module()(again), made(again))

"""The benchmarks of poses: cameras that look at one point, the reference, the files, and a step measured."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sight_kit import node as real_networks

from bench import pose_step
from bench.pose_files import MANIFEST
from bench.pose_reference import FPS, TARGET, butterworth
from bench.pose_views import View, read_views, reprojections, triangulate
from engine.setup.fetch import Sources

POINTS = np.random.default_rng(0).uniform(-0.5, 0.5, (7, 3))


def view(turn: float) -> View:
    """3 m from the origin, turned around it."""
    cos, sin = math.cos(turn), math.sin(turn)
    rotation = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    matrix = np.array([[1600, 0, 540], [0, 1600, 960], [0, 0, 1.0]])
    return View(matrix, np.array([-0.05, 0.02, 1e-3, -1e-3]), rotation, np.array([0, 0, 3.0]))


def test_what_several_cameras_see_is_where_it_is() -> None:
    views = [view(turn) for turn in (0, 1, 2.5)]
    pixels = np.stack([one.project(POINTS) for one in views])
    np.testing.assert_allclose(triangulate(views, pixels), POINTS, atol=1e-6)
    assert reprojections(views, POINTS, pixels).max() < 1e-6
    pixels[1] += 50  # one that errs, and does not count
    weights = np.ones(pixels.shape[:2])
    assert np.abs(triangulate(views, pixels) - POINTS).max() > 0.01
    weights[1] = 0
    np.testing.assert_allclose(triangulate(views, pixels, weights), POINTS, atol=1e-6)


def test_a_calibration_of_qualisys_is_read(tmp_path: Path) -> None:
    path = tmp_path / "one.qca.txt"
    rows = " ".join(f'r{r}{c}="{float(r == c)}"' for r in (1, 2, 3) for c in (1, 2, 3))
    bends = " ".join(f'{name}="0.0"' for name in ("radialDistortion1", "radialDistortion2"))
    bends += " " + " ".join(f'{name}="0.0"' for name in ("tangentalDistortion1", "tangentalDistortion2"))
    path.write_text(
        f'<calibration><cameras><camera><transform {rows} x="0" y="0" z="2000"/><intrinsic {bends} '
        'focalLengthU="64000" '
        'focalLengthV="64000" centerPointU="32000" centerPointV="16000"/></camera></cameras></calibration>',
        encoding="utf-8",
    )
    (found,) = read_views(path)
    seen = found.project(np.array([[0, 0, 0], [0.2, 0, 0], [0, 0.2, 0]]))
    np.testing.assert_allclose(seen, [[500, 250], [600, 250], [500, 150]], atol=1e-6)


def test_the_filter_of_the_reference_has_no_delay() -> None:
    seconds = np.arange(100) / FPS
    slow, fast = (np.sin(2 * np.pi * hertz * seconds)[:, None] for hertz in (1, 25))
    inner = slice(20, -20)
    assert np.abs(butterworth(slow) - slow)[inner].max() < 0.01
    assert np.abs(butterworth(fast))[inner].max() < 0.02
    np.testing.assert_allclose(butterworth(np.ones((100, 2))), 1, atol=1e-9)


def test_the_reference_is_a_person() -> None:
    points = np.load(TARGET)["points"]
    assert points.shape == (100, 12, 3) and points.dtype == np.float32
    thighs = np.linalg.norm(points[:, [6, 7]] - points[:, [8, 9]], axis=-1)
    assert ((thighs > 0.3) & (thighs < 0.6)).all()
    assert np.linalg.norm(np.diff(points, axis=0), axis=-1).max() < 0.1, "metres from picture to picture"


def test_every_file_of_the_manifest_has_a_source_and_a_hash() -> None:
    about = json.loads(MANIFEST.read_text(encoding="utf-8"))
    for package, member, size, digest in about["files"].values():
        assert package in about["packages"] and size > 0 and len(bytes.fromhex(digest)) == 32
        assert member is None or member.startswith("Pose2Sim/")


def test_a_source_may_be_a_package_itself_and_two_versions_lie_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(command: list[str], cwd: Path, **_: Any) -> Any:
        with zipfile.ZipFile(cwd / "thing.whl", "w") as wheel:
            wheel.writestr("which", command[-1])
        return SimpleNamespace(stderr="")

    monkeypatch.setattr("engine.setup.fetch.subprocess.run", download)
    sources = Sources(tmp_path)
    about = {"kind": "wheel", "package": "thing", "platform": "any", "python": "311", "megabytes": 1}
    for version in ("1.0", "2.0"):
        with sources.open({**about, "version": version, "member": "which"}) as file:
            assert file.read().decode() == f"thing=={version}"
    with sources.open({**about, "version": "1.0", "member": None}) as file:
        assert zipfile.is_zipfile(file)


def test_a_step_takes_longer_than_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    real_networks()  # skips where there are none
    monkeypatch.setattr(pose_step, "WARM_UP", 2)
    given = pose_step.pictures(1.0, 5)
    with pose_step.opened(quality="full", mask=True) as (node, timed):
        row = pose_step.measure(node, timed, given, 3)
    assert row["step"] > row["network"] > 0 and row["times"] > 1
    assert row["rest"] > 0

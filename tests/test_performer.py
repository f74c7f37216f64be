"""generator.performer: what it paints, of whom, and what it does without a performer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from harness import Garbage, make
from people import CANVAS, frame, keypoints, standing

from engine import config
from engine.errors import BadInput, EngineError, OutOfMemory
from engine.frame import Flags
from engine.process import ROOT
from nodes.generator.figure import Figure
from nodes.generator.playing.compose import compose
from nodes.layouts import BLAZEPOSE_33, mirrored

pytest.importorskip("torch")
from performer_kit import MS, SIZE, Play, painted, play_fixture, write_performer  # noqa: F401

from nodes.generator.backends import choose, pinned
from nodes.generator.performer import Performer

NOBODY = np.zeros((0, 33, 4), np.float32)
PLATE = [200, 100, 0, 255]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("performers")
    return [write_performer(folder / f"{seed}.safetensors", seed, level=200) for seed in range(2)]


def two() -> np.ndarray:
    """One person to the left and farther away, one to the right and nearer."""
    far, near = standing(), standing()
    far[:, :2] = far[:, :2] * 0.6 + (0, 120)
    near[:, 0] += 90
    return np.stack([far, near])


# --- one person ---


def test_one_person_is_what_the_network_paints_in_the_slot_itself(files: list[Path], play: Callable[..., Play]) -> None:
    show = play(files[0])
    frame = show.step(standing()[None], ids=(7,))
    assert np.array_equal(frame.array, painted(files[0], standing()))
    assert (frame.pixel_format, frame.row_order, frame.canvas) == ("RGBA", "TOP_DOWN", (SIZE, SIZE))
    assert (frame.ids, frame.flags, frame.capture_ns) == ((7,), Flags(0), show.time_ns)
    assert len(frame.sources) == 1 and show.node.complaints == []


@pytest.mark.parametrize("background", ["transparent", "plate"])
@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("size", [None, 80])
def test_every_byte_of_the_slot_is_written(
    files: list[Path], play: Callable[..., Play], background: str, count: int, size: int | None
) -> None:
    pictures = []
    for value in (0, 255):
        show = play(*files, background=background, size=size)
        show.node.outs = {"image": Garbage(value)}
        show.node.frames = show.node.out.frames
        pictures.append(show.step(two()[:count]).array)
    assert np.array_equal(*pictures) and pictures[0].shape == (size or SIZE, size or SIZE, 4)


def test_nobody_is_an_empty_stage(files: list[Path], play: Callable[..., Play]) -> None:
    show = play(files[0])
    assert not show.step(NOBODY).array.any()
    show.change(background="plate")
    assert (show.step(NOBODY).array == PLATE).all()
    behind = np.full((SIZE, SIZE, 3), PLATE[:3], np.uint8)
    expected = np.empty((SIZE, SIZE, 4), np.uint8)
    compose([(painted(files[0], standing()), 1.0)], behind, expected)
    assert np.array_equal(show.step(standing()[None]).array, expected) and (expected[..., 3] == 255).all()


def test_who_is_lost_stays_a_moment_fades_and_is_gone(files: list[Path], play: Callable[..., Play]) -> None:
    show = play(files[0], hold=0.2, fade=0.2)
    there = show.step(standing()[None]).array
    assert np.array_equal(show.step(NOBODY, passed_ns=190 * MS).array, there)
    half = show.step(NOBODY, passed_ns=110 * MS).array
    assert np.abs(half.astype(int) - there / 2.0).max() <= 1.01
    assert not show.step(NOBODY, passed_ns=110 * MS).array.any()
    show.change(hold=0.0, fade=0.0)
    show.step(standing()[None])
    assert not show.step(NOBODY).array.any()


def test_a_mirror_shows_what_a_mirrored_camera_would_have_seen(files: list[Path], play: Callable[..., Play]) -> None:
    person = standing()
    person[15, :2] = (480, 100)  # one hand up
    reflected = person[mirrored(BLAZEPOSE_33)].copy()
    reflected[:, 0] = CANVAS[0] - reflected[:, 0]
    show = play(files[0], mirror=True)
    assert np.array_equal(show.step(person[None]).array, painted(files[0], reflected))


def test_the_stage_gives_every_visitor_the_performers_size_and_a_reset_measures_anew(
    files: list[Path], play: Callable[..., Play]
) -> None:
    tall, small = standing(), standing()
    small[:, :3] *= 0.5
    small[:, :2] += (135, 300)
    first = play(files[0], fit="stage")
    shown = first.step(tall[None]).array
    assert np.abs(play(files[0], fit="stage").step(small[None]).array.astype(int) - shown).max() <= 3
    for _ in range(3):
        first.step(tall[None])
    assert np.abs(first.step(small[None]).array.astype(int) - shown).max() > 20  # nobody shrinks within a frame
    first.change(reset=1)
    assert np.abs(first.step(small[None]).array.astype(int) - shown).max() <= 3


def test_joints_keep_to_what_was_trained_and_the_meter_tells(files: list[Path], play: Callable[..., Play]) -> None:
    bowed = standing()
    bowed[:11, :2] = 2 * bowed[[11, 12], :2].mean(0) - bowed[:11, :2]  # the head hangs upside down
    show = play(files[0])
    show.step(standing()[None])
    assert show.node.metrics["out_of_range"] < 0.3
    free = show.step(bowed[None]).array
    assert show.node.metrics["out_of_range"] > 0.9
    show.change(clamp=1.0)
    assert (show.step(bowed[None]).array != free).any()
    assert {"people", "network_ms"} < show.node.metrics.keys() and show.node.metrics["backend"] == "torch"


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30])
@pytest.mark.parametrize("background", ["transparent", "plate"])
@pytest.mark.filterwarnings("error")
def test_bad_keypoints_never_stop_it(
    files: list[Path], play: Callable[..., Play], value: float, background: str
) -> None:
    show = play(*files, background=background, fit="stage", clamp=1.0)
    for rows in ([15], [23, 24], [11, 12, 23, 24], range(33)):
        for column in range(4):
            people = two()
            people[0, rows, column] = value
            frame = show.step(people)
            assert (frame.array[..., :3] <= frame.array[..., 3:]).all()


def test_a_camera_in_place_of_a_pose_is_a_sentence_and_passes(files: list[Path], play: Callable[..., Play]) -> None:
    show = play(files[0])
    show.step(standing()[None])
    for _ in range(2):
        show.node.step(keypoints=frame(np.zeros((64, 64, 3), np.uint8), canvas=CANVAS))
    assert "keypoints of shape (people, 33, 4) are needed here, not uint8 (64, 64, 3)" in show.node.complaints[-1]
    assert len(show.node.frames) == 1
    show.step(standing()[None])
    assert show.node.complaints == [] and len(show.node.frames) == 2


def test_a_ring_that_cannot_be_pinned_is_written_through_a_staging_buffer(
    files: list[Path], play: Callable[..., Play], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[np.ndarray] = []

    def refused(ring: np.ndarray) -> None:
        tried.append(ring)
        raise EngineError("The driver does not pin this memory.")

    monkeypatch.setattr(pinned, "probe", lambda: pinned.Verdict(True, "It works."))
    monkeypatch.setattr(pinned, "register", refused)
    show = play(files[0], pin_ring=True)
    for _ in range(4):
        assert np.array_equal(show.step(standing()[None], ids=(7,)).array, painted(files[0], standing()))
    assert len(tried) == 1 and tried[0].nbytes > SIZE * SIZE * 4
    assert caplog.text.count("does not pin this memory") == 1


# --- several people, several performers ---


def test_each_slot_has_its_performer_and_the_nearer_one_is_in_front(
    files: list[Path], play: Callable[..., Play]
) -> None:
    far, near = two()
    for order in ([0, 1], [1, 0]):
        show = play(*files)
        frame = show.step(two()[order], ids=(5, 6))
        far_file, near_file = files[order.index(0)], files[order.index(1)]
        expected = np.empty((SIZE, SIZE, 4), np.uint8)
        compose([(painted(far_file, far), 1.0), (painted(near_file, near), 1.0)], None, expected)
        assert np.array_equal(frame.array, expected)


def test_who_stays_keeps_the_performer_when_the_other_leaves(files: list[Path], play: Callable[..., Play]) -> None:
    show = play(*files, hold=0.0, fade=0.0)
    far, near = two()
    show.step(two(), ids=(1, 2))
    first = {track: slot for track, slot in show.node.cast._slots.items()}
    stays = show.step(far[None], ids=(1,)).array
    assert np.array_equal(stays, painted(files[first[1]], far))
    show.step(np.stack([far, near]), ids=(1, 9))
    assert show.node.cast._slots == {1: first[1], 9: first[2]}


def test_a_third_person_is_played_by_the_first_performer_again(files: list[Path], play: Callable[..., Play]) -> None:
    show = play(*files)
    people = np.stack([standing() + np.array([60 * number, 20 * number, 0, 0], np.float32) for number in range(3)])
    show.step(people)
    parts = {slot: slot % 2 for slot in show.node.cast._slots.values()}
    assert parts == {0: 0, 1: 1, 2: 0}


@pytest.mark.parametrize(("count", "batches"), [(1, [1]), (2, [2]), (3, [2, 1]), (4, [4]), (5, [4])])
def test_people_of_one_performer_are_painted_together(
    files: list[Path], play: Callable[..., Play], count: int, batches: list[int]
) -> None:
    show, sizes = play(files[0], background="plate"), []
    backend = show.node.cast.performers[0].backend
    run = backend.run
    backend.run = lambda points, out: (sizes.append(len(points)), run(points, out))
    people = np.stack([standing() + np.array([50 * number, 0, 0, 0], np.float32) for number in range(count)])
    show.step(people)
    assert sizes == batches


def test_performers_of_different_sizes_share_one_picture(
    files: list[Path], play: Callable[..., Play], tmp_path: Path
) -> None:
    large = write_performer(tmp_path / "large.safetensors", size=128)
    assert play(files[0], large).step(two()).array.shape == (128, 128, 4)
    assert play(files[0], large, size=96).step(two()).array.shape == (96, 96, 4)


# --- without a performer ---


def test_a_flagged_figure_plays_until_there_is_a_performer(
    files: list[Path], play: Callable[..., Play], tmp_path: Path
) -> None:
    path = tmp_path / "later.safetensors"
    show = play(path, size=SIZE, watch=False)
    frame = show.step(standing()[None])
    assert frame.flags == Flags.DEGRADED
    assert "later.safetensors cannot be read" in show.node.complaints[-1] and "drawn figure" in show.node.complaints[-1]
    figure = make(Figure, size=(SIZE, SIZE), trail=0.0)
    figure.step(keypoints=keypoints(standing()[None]))
    assert np.array_equal(frame.array, figure.frames[0].array)
    path.write_bytes(files[1].read_bytes())
    frames = show.until(lambda frame: not frame.flags, standing()[None])
    assert np.array_equal(frames[-1].array, painted(files[1], standing()))
    assert show.node.complaints == []


def test_offline_a_performer_that_cannot_be_loaded_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="none.safetensors cannot be read"):
        make(Performer, performer=str(tmp_path / "none.safetensors"), offline=True)


def test_without_torch_the_sentence_says_how_to_install_it(
    files: list[Path], play: Callable[..., Play], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nodes.generator.backends import eager

    monkeypatch.setattr(eager, "refusal", lambda device: "not installed; pip install torch")
    show = play(files[0])
    assert show.step(standing()[None]).flags == Flags.DEGRADED
    assert "needs torch: not installed; pip install torch" in show.trouble


def test_memory_that_is_full_while_loading_ends_the_process(
    files: list[Path], play: Callable[..., Play], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutOfMemory("The card is full.")

    monkeypatch.setattr(choose, "load_with_torch", full)
    with pytest.raises(OutOfMemory):
        play(files[0])


# --- the config ---


def written(folder: Path, settings: str) -> Path:
    path = folder / "show.yaml"
    path.write_text(
        "nodes:\n  camera: {type: camera.pattern, size: [64, 64]}\n  pose: {type: pose.blazepose, input: camera}\n"
        f"  dancer: {{type: generator.performer, input: pose, performer: a.safetensors, {settings}}}\n"
        "  output: {type: output.touchdesigner, input: dancer}\n",
        "utf-8",
    )
    return path


def test_the_config_knows_its_live_settings_and_smaller_profiles(tmp_path: Path) -> None:
    (spec,) = (
        s for s in config.load(written(tmp_path, "people: 3, device: cuda, size: 512")).nodes if s.name == "dancer"
    )
    assert set(config.live_fields(Performer)) == {
        "performer", "fit", "mirror", "clamp", "background", "hold", "fade", "crossfade", "watch", "reset",
    }  # fmt: skip
    smaller = [(one.backend, one.people, one.device) for one in spec.smaller]  # type: ignore[attr-defined]
    assert smaller == [("torch", 3, "cuda"), ("torch", 1, "cuda"), ("torch", 1, "cpu")]
    changed = config.change(spec, {"performer": ["a.safetensors", "b.safetensors"], "crossfade": 12})
    assert changed.config.performer == ["a.safetensors", "b.safetensors"]  # type: ignore[attr-defined]
    assert Performer.outputs["image"].capacity(spec.config) == 512 * 512 * 4


def test_checking_a_config_loads_none_of_the_heavy_libraries() -> None:
    program = (
        "import sys, nodes.generator.performer; print(sorted({'torch', 'cv2', 'onnxruntime'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

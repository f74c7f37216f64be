"""The steps of a training: they can be stopped and gone on with anywhere, and nothing broken is learnt or kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from performer_kit import write_performer
from safetensors.numpy import load, save
from training_kit import SMALL, one_thread_fixture, write_footage  # noqa: F401

from engine.errors import BadInput, EngineError
from nodes.generator.footage import folder as footages
from nodes.generator.footage.folder import Footage
from nodes.generator.network.painter import Shape
from nodes.generator.training.samples import Batch, Samples, moved, movement
from nodes.generator.training.schedule import Schedule
from nodes.generator.training.trainer import LEAST_CAUTION, Trainer

STEPS = 6  # a half of the longest training here
SCHEDULE = Schedule(steps=2 * STEPS, critic_from=0.25)  # so that there is something of everything to go on with


@pytest.fixture(scope="module", name="footage")
def footage_fixture(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    return footages.load(write_footage(tmp_path_factory.mktemp("footage") / "dance", 12), SMALL.size)


@pytest.fixture(name="batch")
def batch_fixture(footage: Footage) -> Iterator[Callable[[int], Batch]]:
    samples = Samples(footage, 2)
    yield samples.batch
    samples.close()


def trainer(shape: Shape = SMALL, schedule: Schedule = SCHEDULE) -> Trainer:
    return Trainer(shape, schedule)


def train(learner: Trainer, batch: Callable[[int], Batch], steps: int) -> list[float]:
    return [learner.train(batch(learner.step), seconds=learner.step / 2) for _ in range(steps)]


def require_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


# --- batches ---


def test_a_batch_depends_on_its_number_alone(footage: Footage) -> None:
    one, other = Samples(footage, 3, seed=5, ahead=3), Samples(footage, 3, seed=5)
    inner = [one.batch(number) for number in range(4)][3]
    alone = other.batch(3)
    assert torch.equal(inner.points, alone.points)
    assert torch.equal(inner.targets.frame, alone.targets.frame)
    assert torch.equal(alone.points, Samples(footage, 3, seed=5, ahead=0).batch(3).points)
    assert not torch.equal(inner.points, one.batch(4).points)
    assert torch.equal(inner.points, one.batch(3).points)  # back to one that was given already
    assert not torch.equal(inner.points, Samples(footage, 3, seed=6).batch(3).points)


def test_what_a_batch_holds(footage: Footage) -> None:
    found = Samples(footage, 3).batch(0)
    targets, side = vars(found.targets), SMALL.size
    assert found.points.shape == (3, 33, 4)
    assert found.points.dtype == torch.float32  # Apple's graphics cards know no float64
    for name, values in targets.items():
        assert values.shape == (3, 3 if name in ("frame", "plate") else 1, side, side)
        assert values.dtype == torch.float32
        assert torch.isfinite(values).all()


def test_points_move_with_the_picture() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        picture = np.zeros((128, 128, 3), np.uint8)
        points = np.zeros((33, 4), np.float32)
        points[:, :2] = 0.5
        points[0, :3] = 0.4, 0.6, 0.1
        x, y = (points[0, :2] * 128).astype(int)
        picture[y - 2 : y + 2, x - 2 : x + 2] = 255  # its middle is the corner between four pixels
        there, _, after = moved(picture, picture, points, movement(random))
        weight = there[..., 0] / there[..., 0].sum()
        middle = [(weight.sum(axis) * (np.arange(128) + 0.5)).sum() / 128 for axis in (0, 1)]
        np.testing.assert_allclose(after[0, :2], middle + (points[0, :2] - np.array([x, y]) / 128), atol=0.01)
        assert 0.09 <= after[0, 2] <= 0.11


# --- the schedule ---


@pytest.mark.parametrize(
    ("schedule", "step", "seconds", "expected"),
    [
        (Schedule(steps=100), 25, 1e9, 0.25), (Schedule(minutes=2), 10**9, 30, 0.25),
        (Schedule(minutes=1, steps=100), 50, 15, 0.5), (Schedule(minutes=1, steps=100), 5, 600, 1.0),
        (Schedule(), 0, 0, 1.0),
    ],
)  # fmt: skip
def test_progress_follows_steps_or_the_clock(schedule: Schedule, step: int, seconds: float, expected: float) -> None:
    assert schedule.progress(step, seconds) == expected


def test_the_rate_rises_stays_and_falls() -> None:
    schedule = Schedule(steps=1000, rate=1.0)
    rates = [schedule.learning_rate(step, schedule.progress(step, 0)) for step in range(1000)]
    assert rates[0] == 0.01
    assert rates[99] == rates[300] == 1
    assert all(later < earlier for earlier, later in zip(rates[301:], rates[302:], strict=False))
    assert 0.02 <= rates[-1] < 0.03


def test_the_critic_joins_when_it_is_told() -> None:
    schedule = Schedule(critic_from=0.5)
    assert [schedule.critic_share(share) for share in (0.49, 0.525, 0.9)] == pytest.approx([0, 0.5, 1])
    assert Schedule(critic_from=1).critic_share(1) == 0


# --- going on ---


def test_going_on_is_bit_for_bit_the_same(batch: Callable[[int], Batch], tmp_path: Path) -> None:
    whole, first, second = trainer(), trainer(), trainer()
    train(whole, batch, 2 * STEPS)
    train(first, batch, STEPS)
    first.save(tmp_path / "state.safetensors")
    second.load(tmp_path / "state.safetensors")
    assert (second.step, second.seconds, second.caution) == (STEPS, first.seconds, 1)
    require_equal(second.state(), first.state())
    train(second, batch, STEPS)
    require_equal(second.state(), whole.state())
    parts = {name.split(".")[0] for name in second.state()}
    assert parts == {"net", "ema", "critic", "painters", "critics"}


def test_rolling_back_is_as_if_nothing_had_been(batch: Callable[[int], Batch]) -> None:
    learner, other = trainer(), trainer()
    train(learner, batch, STEPS)
    train(other, batch, STEPS)
    learner.mark_good()
    train(learner, batch, 3)
    learner.roll_back()
    assert (learner.step, learner.caution) == (STEPS + 3, 0.5)
    learner.step, learner.caution = STEPS, 1
    train(learner, batch, STEPS)
    train(other, batch, STEPS)
    require_equal(learner.state(), other.state())


@pytest.mark.parametrize("where", ["points", "gradient"])
def test_what_is_not_a_number_is_not_learnt(batch: Callable[[int], Batch], where: str) -> None:
    learner = trainer(schedule=Schedule(steps=100))
    train(learner, batch, 3)
    before, bad = learner.state(), batch(3)
    if where == "points":
        bad.points[0, 11] = math.nan
    else:
        learner.net.last.bias.register_hook(lambda gradient: gradient / 0)
    assert math.isnan(learner.train(bad, 1))
    require_equal(learner.state(), before)
    assert learner.step == 4  # so that another batch comes


def test_a_training_that_always_breaks_ends(batch: Callable[[int], Batch]) -> None:
    learner = trainer()
    with pytest.raises(EngineError, match="breaks again and again"):
        for _ in range(100):
            learner.roll_back()
    assert learner.caution < LEAST_CAUTION


# --- damaged states ---


def metadata(**values: str) -> Callable[[dict, dict], Any]:
    return lambda _, found: found.update(values)


def replaced(name: str, value: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict, dict], Any]:
    return lambda tensors, _: tensors.update({name: value(tensors[name])})


HOSTILE = {
    "another kind": (metadata(format="utsushi.performer/1"), "of another kind or size"),
    "another size": (metadata(shape=json.dumps({**SMALL.as_dict(), "width": 8})), "of another kind or size"),
    "no shape": (lambda _, found: found.pop("shape"), "of another kind or size"),
    "no JSON": (metadata(shape="{"), "Expecting property name"),
    "deep JSON": (metadata(shape="[" * 100_000), "recursion"),
    "no step": (lambda _, found: found.pop("step"), "how far the training was"),
    "a negative step": (metadata(step="-1"), "how far the training was"),
    "step NaN": (metadata(step="nan"), "how far the training was"),
    "a word for seconds": (metadata(seconds="long"), "could not convert"),
    "endless seconds": (metadata(seconds="inf"), "how far the training was"),
    "no caution at all": (metadata(caution="0"), "how far the training was"),
    "weights of NaN": (replaced("net.last.bias", lambda w: w * np.nan), "not a number in 'net.last.bias'"),
    "an endless memory": (replaced("painters.0.exp_avg_sq", lambda w: w + np.inf), "not a number in 'painters.0"),
    "another shape": (replaced("painters.0.exp_avg", lambda w: w[:1]), "no training of this kind has: 'painters.0"),
    "float16": (replaced("ema.last.bias", lambda w: w.astype(np.float16)), "no training of this kind has"),
    "a stranger": (lambda tensors, _: tensors.update({"painters.-1.step": np.zeros(())}), "no training of this kind"),
    "half a memory": (lambda tensors, _: tensors.pop("painters.3.exp_avg_sq"), "lacks 'painters.3.exp_avg_sq'"),
    "no mean": (lambda tensors, _: tensors.pop("ema.last.bias"), "lacks 'ema.last.bias'"),
}  # fmt: skip


@pytest.fixture(scope="module", name="saved")
def saved_fixture(footage: Footage, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    samples, learner = Samples(footage, 2), trainer()
    train(learner, samples.batch, STEPS)
    samples.close()
    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    learner.save(path)
    return path.read_bytes()


@pytest.mark.parametrize("what", HOSTILE)
def test_a_damaged_state_is_a_sentence(saved: bytes, tmp_path: Path, what: str) -> None:
    length = int.from_bytes(saved[:8], "little")
    tensors, found = {**load(saved)}, json.loads(saved[8 : 8 + length])["__metadata__"]
    change, sentence = HOSTILE[what]
    change(tensors, found)
    (tmp_path / "state.safetensors").write_bytes(save(tensors, found))
    with pytest.raises(BadInput, match=sentence):
        trainer().load(tmp_path / "state.safetensors")


def test_half_a_state_and_other_files_are_sentences(saved: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with pytest.raises(BadInput, match="There is no training to go on with"):
        trainer().load(path)
    write_performer(path)
    with pytest.raises(BadInput, match="of another kind or size"):
        trainer().load(path)
    for length in (0, 7, 100, len(saved) // 2, len(saved) - 1):
        path.write_bytes(saved[:length])
        with pytest.raises(BadInput, match="no whole safetensors file|does not begin like one"):
            trainer().load(path)
    with open(path, "wb") as file:
        file.truncate(8 << 30)
    with pytest.raises(BadInput, match="is larger than"):
        trainer().load(path)

"""A whole training: steps until time or steps are over, with looks at how it goes. `docs/TRAINING.md` is its manual.

In the folder `out`: state.safetensors (to go on from), performer.safetensors (the running mean, which a show may
watch), grid.png, log.csv.
"""

from __future__ import annotations

import csv
import math
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.clock import now_ns
from engine.errors import BadInput, EngineError
from nodes.generator.network import checkpoint
from nodes.generator.network.painter import Shape
from nodes.generator.playing.repertoire import measure
from nodes.generator.training.evaluate import Score, evaluate
from nodes.generator.training.footage import Footage
from nodes.generator.training.grid import write_grid
from nodes.generator.training.samples import FAR_DEGREES, Samples
from nodes.generator.training.schedule import Schedule
from nodes.generator.training.trainer import Trainer

STATE, PERFORMER, GRID, LOG = "state.safetensors", "performer.safetensors", "grid.png", "log.csv"
LINE_EVERY_S = 1.0  # the progress line; a tenth as often where nobody watches
CHECK_EVERY = 25  # steps between two looks for NaN
GOOD_EVERY = 200  # steps between two states worth coming back to
QUICK_FRAMES = 48  # of the held-out ones, at a look
KEPT_POSES = 64  # in the file, for trying it out
COLUMNS = ("step", "seconds", "loss", "rate", "steps_per_s", *Score._fields)


@dataclass
class Plan:
    """What the command line asked for. every: seconds between two looks. writer: TensorBoard's, where it is wanted."""

    out: Path
    shape: Shape
    schedule: Schedule
    preset: str = ""
    device: str = "cpu"
    batch: int = 4
    seed: int = 0
    every: float = 60.0
    resume: bool = False
    begin_from: Path | None = None
    writer: Any = None
    about: dict[str, str] = field(default_factory=dict)  # performer, licence, consent


def run(plan: Plan, footage: Footage, say: Callable[[str], None] = print) -> Score:
    """Train until the schedule ends or SIGINT or SIGTERM comes; both save. Returns the last look's score.

    Raises `BadInput` for files that cannot be used and `EngineError` when the training breaks again and again.
    """
    trainer = Trainer(plan.shape, plan.schedule, plan.device, plan.seed)
    _begin(plan, trainer, say)
    samples = Samples(footage, plan.batch, plan.device, plan.seed)
    look = Look(plan, trainer, footage, say)
    try:
        with _asked_to_stop() as asked:
            _steps(plan, trainer, samples, look, asked)
    finally:
        samples.close()
    score = look.now()
    say(f"{'Stopped' if asked else 'Done'} after {trainer.step} steps and {trainer.seconds / 60:.1f} minutes. "
        f"Held-out frames: PSNR {score.psnr:.2f} dB, SSIM {score.ssim:.4f}, body {score.body_psnr:.2f} dB. "
        f"The performer is {plan.out / PERFORMER}.")  # fmt: skip
    return score


def _begin(plan: Plan, trainer: Trainer, say: Callable[[str], None]) -> None:
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {plan.out} cannot be made: {error.strerror}. Choose another --out.") from error
    state = plan.out / STATE
    if plan.resume:
        trainer.load(state)
        say(f"Going on from step {trainer.step}, after {trainer.seconds / 60:.1f} minutes.")
    elif state.exists():
        raise BadInput(f"{plan.out} holds a training already. Go on with --resume, or choose another --out.")
    elif plan.begin_from:
        weights = checkpoint.read(plan.begin_from).weights
        fitting = trainer.begin_from({name: torch.from_numpy(np.float32(value)) for name, value in weights.items()})
        say(f"{fitting} of {len(weights)} weights come from {plan.begin_from}.")


def _steps(plan: Plan, trainer: Trainer, samples: Samples, look: Look, asked: list[int]) -> None:
    before, started = trainer.seconds, now_ns()
    loss, broken = torch.zeros(()), 0
    while not asked:
        seconds = before + (now_ns() - started) / 1e9
        if plan.schedule.progress(trainer.step, seconds) >= 1:
            return
        loss = trainer.train(samples.batch(trainer.step), seconds)
        if trainer.step % CHECK_EVERY == 0 or trainer.step < CHECK_EVERY:
            if not math.isfinite(look.loss(float(loss))):
                broken += 1
                if broken > 8:
                    raise EngineError(
                        "The training breaks again and again (its loss is not a number). Try a lower --rate."
                    )
                trainer.roll_back()
                look.say(
                    f"The loss is not a number at step {trainer.step}: back to the last good state, at half the rate."
                )
            elif trainer.step % GOOD_EVERY == 0:
                trainer.mark_good()
        look.perhaps(seconds)


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of dying of them."""
    asked: list[int] = []
    numbers = [number for name in ("SIGINT", "SIGTERM", "SIGBREAK") if (number := getattr(signal, name, None))]
    before = {number: signal.signal(number, lambda received, _: asked.append(received)) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Look:
    """Tells how the training goes: a line often, and now and then figures, a grid and the files."""

    def __init__(self, plan: Plan, trainer: Trainer, footage: Footage, say: Callable[[str], None]):
        self.plan, self.trainer, self.footage, self.say = plan, trainer, footage, say
        self._held = footage.held if len(footage.held) else footage.train  # a clip too short to hold any out
        self._loss = math.nan
        self._line_s = self._look_s = trainer.seconds
        self._first_step, self._first_s = trainer.step, trainer.seconds

    def loss(self, value: float) -> float:
        self._loss = value
        return value

    def perhaps(self, seconds: float) -> None:
        if seconds - self._look_s > self.plan.every:
            self.now()
            self._look_s = seconds
        elif seconds - self._line_s > LINE_EVERY_S * (1 if sys.stdout.isatty() else 10):
            self._line_s = seconds
            self._line(seconds)

    def _line(self, seconds: float) -> None:
        trainer, progress = self.trainer, self.plan.schedule.progress(self.trainer.step, seconds)
        left = (seconds - self._first_s) * (1 - progress) / max(progress - self._share_before(), 1e-9)
        memory = f", {torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if self.plan.device == "cuda" else ""
        text = (f"step {trainer.step}  {progress:4.0%}  loss {self._loss:.4f}  {self.pace():.1f} steps/s{memory}  "
                f"{left / 60:.1f} min left")  # fmt: skip
        print(f"\r{text:<78}" if sys.stdout.isatty() else text, end="" if sys.stdout.isatty() else "\n", flush=True)

    def _share_before(self) -> float:
        return self.plan.schedule.progress(self._first_step, self._first_s)

    def pace(self) -> float:
        """Steps per second since this process began."""
        return (self.trainer.step - self._first_step) / max(self.trainer.seconds - self._first_s, 1e-9)

    def now(self) -> Score:
        """Measure, and write everything."""
        plan, trainer, footage = self.plan, self.trainer, self.footage
        quick = self._held[
            : QUICK_FRAMES * max(1, len(self._held) // QUICK_FRAMES) : max(1, len(self._held) // QUICK_FRAMES)
        ]
        score = evaluate(trainer.ema, footage, quick, plan.device)
        trainer.save(plan.out / STATE)
        write_performer(plan, trainer, footage, score)
        write_grid(plan.out / GRID, trainer.ema, footage, self._held, plan.device)
        rate = trainer.schedule.learning_rate(trainer.step, trainer.schedule.progress(trainer.step, trainer.seconds))
        row = (trainer.step, round(trainer.seconds, 1), self._loss, rate, round(self.pace(), 2), *score)
        self._log(row)
        line = f"step {trainer.step}: PSNR {score.psnr:.2f} dB, SSIM {score.ssim:.4f}, body {score.body_psnr:.2f} dB"
        self.say(f"\r{line:<78}" if sys.stdout.isatty() else line)
        if plan.writer:
            for name, value in zip(COLUMNS[2:], row[2:], strict=True):
                plan.writer.add_scalar(name, value, trainer.step)
        return score

    def _log(self, row: tuple) -> None:
        path = self.plan.out / LOG
        with suppress(OSError), open(path, "a", newline="", encoding="utf-8") as file:  # a full disk: the state matters
            writer = csv.writer(file)
            if file.tell() == 0:
                writer.writerow(COLUMNS)
            writer.writerow(row)


def write_performer(plan: Plan, trainer: Trainer, footage: Footage, score: Score) -> None:
    """The running mean as a performer. Raises `BadInput`."""
    seen = footage.points[np.concatenate([footage.train, footage.held])]
    kept = seen[np.linspace(0, len(seen) - 1, max(KEPT_POSES, 3)).round().astype(int)]
    about = checkpoint.About(
        network=checkpoint.NetworkAbout(architecture=checkpoint.ARCHITECTURE, **plan.shape.as_dict()),
        keypoints=checkpoint.KEYPOINTS,
        repertoire=measure(seen, FAR_DEGREES),
        training=checkpoint.Training(
            steps=trainer.step, minutes=round(trainer.seconds / 60, 2), device=plan.device,
            torch=torch.__version__, preset=plan.preset, data_sha256=footage.info.sha256,
        ),
        metrics={name: round(float(value), 4) for name, value in score._asdict().items()},
        **plan.about,
    )  # fmt: skip
    checkpoint.write(plan.out / PERFORMER, about, footage.plate, kept, trainer.ema)

"""A look at a running training: the progress line often; figures, the grid and the files now and then."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch
from pydantic import ValidationError

from engine.errors import BadInput
from engine.progress import Line, duration
from nodes.generator.footage.folder import Footage
from nodes.generator.network import checkpoint
from nodes.generator.playing.repertoire import measure
from nodes.generator.training.evaluate import Score, evaluate
from nodes.generator.training.grid import write_grid
from nodes.generator.training.plan import GRID, LOG, PERFORMER, STATE, Plan
from nodes.generator.training.samples import FAR_DEGREES, SHIFT
from nodes.generator.training.trainer import Trainer

PAIRS = 24  # of frames that follow one another, of the held-out ones, are measured at a look
KEPT_POSES = 64  # in the file, for trying it out
COLUMNS = ("step", "seconds", "loss", "rate", "steps_per_s", *Score._fields)


class Look:
    """loss: of the newest step. Raises `BadInput` at once where the footage's poses or texts make no performer."""

    def __init__(self, plan: Plan, trainer: Trainer, footage: Footage, say: Callable[[str], None]):
        self.plan, self.trainer, self.footage = plan, trainer, footage
        self.loss = math.nan
        self._say, self._line = say, Line()
        self._held = footage.held if len(footage.held) else footage.train  # a clip too short to hold any out
        self._few = pairs(self._held)
        self._look_s = trainer.seconds
        self._first_step, self._first_s = trainer.step, trainer.seconds
        self._about = self._describe()

    def tell(self, text: str) -> None:
        """A sentence on a line of its own."""
        self._line.done()
        with suppress(OSError):  # the terminal was closed
            self._say(text)

    def perhaps(self) -> None:
        """After each step: look, or bring the line up to date, when it is time."""
        if self.trainer.seconds - self._look_s > self.plan.every:
            self._look_s = self.trainer.seconds
            try:
                self.now()
            except (BadInput, OSError) as error:  # a full disk, mostly: no reason to lose what was learnt
                self.tell(f"{error} The training goes on, and tries again in {duration(self.plan.every)}.")
        elif self._line.due():
            self._line.show(self._progress())

    def _progress(self) -> str:
        schedule, step, seconds = self.plan.schedule, self.trainer.step, self.trainer.seconds
        done = schedule.progress(step, seconds)
        gained = done - schedule.progress(self._first_step, self._first_s)
        left = (seconds - self._first_s) * (1 - done) / gained if gained > 0 else math.inf
        memory = f", {torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if self.plan.device == "cuda" else ""
        return (f"step {step}  {done:4.0%}  loss {self.loss:.4f}  {self._pace():.1f} steps/s{memory}"
                + (f"  {duration(left)} left" if left < math.inf else ""))  # fmt: skip

    def _pace(self) -> float:
        """Steps per second since this process began."""
        passed = self.trainer.seconds - self._first_s
        return (self.trainer.step - self._first_step) / passed if passed > 0 else 0.0

    def now(self) -> Score:
        """Measure, and write everything that can be written. Raises `BadInput` or OSError for what cannot."""
        plan, trainer = self.plan, self.trainer
        failures: list[BadInput | OSError] = []

        def attempt(write: Callable[..., None], *arguments: object) -> None:
            try:
                write(*arguments)
            except (BadInput, OSError) as error:
                failures.append(error)

        attempt(trainer.save, plan.out / STATE)  # first: whoever asked to stop may not wait for the rest
        score = evaluate(trainer.ema, self.footage, self._few, plan.device)
        attempt(self._write_performer, score)
        attempt(write_grid, plan.out / GRID, trainer.ema, self.footage, self._held, plan.device)
        rate = trainer.schedule.learning_rate(trainer.step, trainer.schedule.progress(trainer.step, trainer.seconds))
        row = (trainer.step, round(trainer.seconds, 1), self.loss, rate, round(self._pace(), 2), *score)
        attempt(self._log, row)
        if plan.writer:
            for name, value in zip(COLUMNS[2:], row[2:], strict=True):
                attempt(plan.writer.add_scalar, name, value, trainer.step)
        self.tell(
            f"step {trainer.step}: PSNR {score.psnr:.2f} dB, SSIM {score.ssim:.4f}, body {score.body_psnr:.2f} dB"
        )
        if failures:
            raise failures[0]
        return score

    def _log(self, row: tuple) -> None:
        with open(self.plan.out / LOG, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if file.tell() == 0:
                writer.writerow(COLUMNS)
            writer.writerow(row)

    def _describe(self) -> checkpoint.About:
        """What stays the same all along."""
        plan, footage = self.plan, self.footage
        try:
            repertoire = measure(_seen(footage), FAR_DEGREES, SHIFT)
        except ValidationError as error:
            raise BadInput(
                f"The footage's poses are those of nobody who stands on the stage ({error.errors()[0]['loc'][0]}). "
                "Look at its report, and choose the crop so that the whole person is in it."
            ) from error
        return checkpoint.about(
            network={"architecture": checkpoint.ARCHITECTURE, **plan.shape.as_dict()},
            keypoints=checkpoint.KEYPOINTS, repertoire=repertoire,
            training=checkpoint.Training(
                steps=0, minutes=0, device=plan.device, torch=torch.__version__, preset=plan.preset,
                data_sha256=footage.info.sha256, held_out=footage.held_out,
            ),
            **plan.about,
        )  # fmt: skip

    def _write_performer(self, score: Score) -> None:
        """The running mean, whole at any moment for a show that watches it."""
        trainer, seen = self.trainer, _seen(self.footage)
        kept = seen[np.linspace(0, len(seen) - 1, KEPT_POSES).round().astype(int)]
        reached = {"steps": trainer.step, "minutes": round(trainer.seconds / 60, 2)}
        about = self._about.model_copy(update={
            "training": self._about.training.model_copy(update=reached),
            "metrics": {name: round(float(value), 4) for name, value in score._asdict().items()},
        })  # fmt: skip
        checkpoint.write(self.plan.out / PERFORMER, about, self.footage.plate, kept, trainer.ema)


def _seen(footage: Footage) -> np.ndarray:
    """(N, 33, 4): the poses of all frames with a person."""
    return footage.points[np.concatenate([footage.train, footage.held])]


def pairs(numbers: np.ndarray) -> np.ndarray:
    """Some of the numbers, evenly chosen, each with the one that follows it, so that flicker can be measured."""
    chosen = numbers[np.linspace(0, len(numbers) - 1, min(PAIRS, len(numbers))).round().astype(int)]
    return np.intersect1d(numbers, np.concatenate([chosen, chosen + 1]))

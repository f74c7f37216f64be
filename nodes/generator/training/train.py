"""A whole training: steps until time or steps are over, with looks at how it goes. `docs/TRAINING.md` is its manual.

In the folder `out`: state.safetensors (to go on from), performer.safetensors (the running mean, which a show may
watch), grid.png, log.csv.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from filelock import FileLock, Timeout

from engine.clock import now_ns
from engine.errors import BadInput
from engine.stopping import asked_to_stop
from nodes.generator.footage.folder import Footage
from nodes.generator.network import checkpoint
from nodes.generator.training.evaluate import Score
from nodes.generator.training.look import Look
from nodes.generator.training.plan import LOCK, PERFORMER, STATE, Plan
from nodes.generator.training.samples import Samples
from nodes.generator.training.trainer import Trainer

GOOD_EVERY = 200  # steps between two states worth coming back to
MOST_AHEAD = 4  # batches in the making: threads that hold up the training themselves when they are many


def run(plan: Plan, footage: Footage, say: Callable[[str], None] = print) -> Score | None:
    """Train until the schedule ends or somebody asks to stop (Ctrl+C, SIGTERM); both save. The last look's score,
    or None where nothing was trained: then nothing is written.

    Raises `BadInput` for files that cannot be used or, in the end, written; `EngineError` when the training breaks
    again and again.
    """
    with asked_to_stop() as asked, _alone(plan):
        trainer = Trainer(plan.shape, plan.schedule, plan.device, plan.seed, origin(footage))
        _begin(plan, trainer, say)
        look = Look(plan, trainer, footage, say)
        samples = Samples(footage, plan.batch, plan.device, plan.seed, _spare_cores(plan.device))
        try:
            _steps(plan, trainer, samples, look, asked)
        finally:
            samples.close()
        if not trainer.step:
            look.tell("Stopped before the first step: nothing was written.")
            return None
        score = look.now()
    measured = "Held-out frames" if len(footage.held) else "Frames that it was trained on"
    look.tell(
        f"{'Stopped' if asked else 'Done'} after {trainer.step} steps and {trainer.seconds / 60:.1f} minutes. "
        f"{measured}: PSNR {score.psnr:.2f} dB, SSIM {score.ssim:.4f}, body {score.body_psnr:.2f} dB. "
        f"The performer is {plan.out / PERFORMER}."
    )
    return score


def _spare_cores(device: str) -> int:
    """How many batches to make at once: a graphics card eats them quicker than one core makes them."""
    cores = os.cpu_count() or 1
    if device != "cpu":
        return max(1, min(MOST_AHEAD, cores - 1))
    return int(torch.get_num_threads() < cores)


def origin(footage: Footage) -> str:
    """What a training must go on with."""
    return f"{footage.info.sha256} {footage.info.crop} {footage.held_out}"


@contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """Nobody else trains in this folder meanwhile. Raises `BadInput`."""
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(plan.out / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise BadInput(f"Another training writes to {plan.out}. Wait for its end, or choose another --out.") from None
    except OSError as error:
        raise BadInput(f"The folder {plan.out} cannot be used: {error.strerror}. Choose another --out.") from error
    try:
        yield
    finally:
        lock.release()


def _begin(plan: Plan, trainer: Trainer, say: Callable[[str], None]) -> None:
    state = plan.out / STATE
    if plan.resume:
        trainer.load(state)
        say(f"Going on from step {trainer.step}, after {trainer.seconds / 60:.1f} minutes.")
    elif state.exists():
        raise BadInput(f"{plan.out} holds a training already. Go on with --resume, or choose another --out.")
    elif plan.begin_from:
        weights = checkpoint.read(plan.begin_from).weights
        fitting = trainer.begin_from({name: torch.from_numpy(np.float32(value)) for name, value in weights.items()})
        rest = "" if fitting == len(weights) else "; those of another size begin anew"
        say(f"{fitting} of {len(weights)} weights come from {plan.begin_from}{rest}.")


def _steps(plan: Plan, trainer: Trainer, samples: Samples, look: Look, asked: list[int]) -> None:
    before, started = trainer.seconds, now_ns()
    while not asked and plan.schedule.progress(trainer.step, trainer.seconds) < 1:
        loss = trainer.train(samples.batch(trainer.step), trainer.seconds)
        if math.isnan(loss):
            trainer.roll_back()
            look.tell(
                f"The loss is not a number at step {trainer.step}: back to the last good state, at half the rate."
            )
        else:
            look.loss = loss
            if trainer.step % GOOD_EVERY == 0:
                trainer.mark_good()
        trainer.seconds = before + (now_ns() - started) / 1e9
        look.perhaps()

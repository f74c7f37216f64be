"""A checked plan, run: one stage after the other, never waiting longer than a tick."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path

from engine.clock import now_ns
from engine.errors import Exit
from engine.jobs import places, printed
from engine.jobs.child import LOG_MOST, Child
from engine.jobs.options import Words
from engine.jobs.plan import Plan, Stage
from engine.jobs.reporter import TEXT_MOST, Reporter
from engine.process import ROOT
from engine.setup.launch import INTERRUPTED

RETRY_S = 0.5  # before the first further try; before each next one that much longer
PROGRESS_S = 0.25  # between two reports of progress
LONG_AGO_NS = 10**12
TAIL_LINES = 15  # of what a failed program printed last
LOG_LINES = 50  # told of one tick; the log file has them all


class Try:
    """One try of one stage."""

    def __init__(self, stage: Stage, number: int, words: Words, log: Path):
        self.stage, self.number, self.words = stage, number, words
        self.child = Child(words.words, log)
        self.began_ns = now_ns()
        self.ending = ""  # the event that it will end with, where we end it
        self.progress, self.text = 0.0, ""  # as told last
        self.eta_s: float | None = None
        self.told_ns = -LONG_AGO_NS  # a clock may begin at 0
        self.fresh = False
        self.outputs: dict[str, str] = {}
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    @property
    def seconds(self) -> float:
        return (now_ns() - self.began_ns) / 1e9

    def hear(self, lines: list[str]) -> list[str]:
        """Take in what was printed; returns what is worth showing as it is."""
        logged = []
        for line in lines:
            said = printed.read(line)
            self.outputs |= said.outputs
            if said.progress is not None:
                self.progress, self.eta_s, self.text, self.fresh = said.progress, said.eta_s, said.text, True
            if said.log:
                logged.append(said.text)
            self.tail.append(said.text or line)
        return logged

    def left_s(self) -> float | None:
        """What it says itself, else what its pace comes to."""
        if self.eta_s is not None or not 0 < self.progress <= 1:
            return self.eta_s
        return self.seconds * (1 - self.progress) / self.progress


class Runner:
    """`tick` again and again until it returns False; then `exit_code` says how the chain ended."""

    def __init__(self, plan: Plan, reporter: Reporter):
        self._plan, self._reporter = plan, reporter
        self._results: dict[str, Mapping[str, str]] = {}
        self._try: Try | None = None
        self._again: tuple[Stage, int, int] | None = None  # what to try next, which try that is, and from when on
        self._cancelled = ""
        self.exit_code: int | None = None
        reporter.say("", "started", f"{len(plan.stages)} stages")
        self._prev = ""
        self._begin(plan.stages[plan.first], 1)

    def tick(self) -> bool:
        if self._try is not None:
            self._watch(self._try)
        elif self._cancelled and self.exit_code is None:
            self._end("cancelled", self._cancelled, INTERRUPTED)
        elif self._again is not None and now_ns() >= self._again[2]:
            stage, number, _ = self._again
            self._again = None
            self._begin(stage, number)
        self._reporter.flush()
        return self.exit_code is None

    def cancel(self, why: str) -> None:
        """Ask what runs to stop, and insist if need be. A second time: kill it at once."""
        if self._cancelled and self._try is not None:
            self._try.child.kill()
        self._cancelled = self._cancelled or why
        if self._try is not None:
            self._try.ending = "cancelled"

    def close(self) -> None:
        """Whatever happened: nothing is left running."""
        if self._try is not None:
            self._try.child.kill()
            self._try.child.process.wait()
            self._try.child.close()
            self._try = None
        self._reporter.close()

    def _begin(self, stage: Stage, number: int) -> None:
        words = stage.words(self._results, self._prev)
        self._reporter.say(stage.name, "started", f"{stage.name}: {stage.command.name}", attempt=number)
        bad = [problem.sentence for problem in words.bad] + [
            f"row {row.number} ({row.key}): {row.value} names what no stage has made on this way"
            for row in stage.rows
            if places.filled(row.value or "", self._results, self._prev) is None
        ]
        if bad:
            self._failed(stage, number, "failed", "; ".join(bad), None, retry=False)
            return
        try:
            self._try = Try(stage, number, words, self.log_of(stage))
        except (OSError, ValueError) as error:  # ValueError: a NUL in a word
            why = f"{words.words[0]} cannot be started: {error}."
            self._failed(stage, number, "failed", why, None, retry=False)

    def log_of(self, stage: Stage) -> Path:
        """Where everything is that the stage's program printed in its newest try."""
        status = self._reporter.status
        return status.with_name(f"{status.stem}.{stage.name}.log")

    def _watch(self, now: Try) -> None:
        stage, child = now.stage, now.child
        code = child.code  # before reading: what it printed last is in the file by then
        self._tell(now, now.hear(child.lines()))
        if child.floods and not now.ending:
            now.ending = "failed"
            child.kill()  # not asked first: it would go on filling the disk
        if code is None and stage.timeout and now.seconds > stage.timeout and not now.ending:
            now.ending = "timed_out"
        if code is None or not child.drained:
            if now.ending:
                child.stop()
            return
        child.close()
        self._try = None
        tail = "\n".join(now.tail)[-TEXT_MOST:]
        if now.ending == "cancelled":
            self._reporter.say(stage.name, "cancelled", self._cancelled, exit_code=code, attempt=now.number)
            self._end("cancelled", f"{stage.name}: {self._cancelled}", INTERRUPTED)
        elif now.ending == "timed_out":
            why = f"{tail}\nIt took longer than {stage.timeout:g} s, and was ended.".strip()
            self._failed(stage, now.number, "timed_out", why, code)
        elif now.ending == "failed":
            why = f"{tail}\nIt printed more than {LOG_MOST // 1_000_000} MB, and was ended. Let it print less.".strip()
            self._failed(stage, now.number, "failed", why, code)
        elif code:
            self._failed(stage, now.number, "failed", tail or f"It ended with exit code {code} and said nothing.", code)
        elif missing := self._not_made(now):
            why = f"{tail}\nIt ended well, but did not make {missing}.".strip()
            self._failed(stage, now.number, "failed", why, code)
        else:
            self._done(now)

    def _tell(self, now: Try, lines: list[str]) -> None:
        if lines:
            left_out = [f"… {len(lines) - LOG_LINES} more lines in the log file"] if len(lines) > LOG_LINES else []
            text = "\n".join(left_out + lines[-LOG_LINES:])
            self._reporter.say(now.stage.name, "log", text, progress=now.progress, attempt=now.number)
        if now.fresh and (now_ns() - now.told_ns) / 1e9 >= PROGRESS_S:
            now.fresh, now.told_ns = False, now_ns()
            self._reporter.say(
                now.stage.name, "progress", now.text, progress=now.progress, eta_s=now.left_s(), attempt=now.number
            )

    def _not_made(self, now: Try) -> str:
        """A file that one of our own commands should have written."""
        made = now.words.outputs.values() if now.stage.command.own else ()
        return next((path for path in made if path and not (ROOT / path).exists()), "")

    def _done(self, now: Try) -> None:
        stage = now.stage
        outputs = {name: value for name, value in now.words.outputs.items() if value is not None} | now.outputs
        text = f"{stage.name} is done after {now.seconds:.1f} s"
        self._remember(stage, "done", text, 0, outputs)
        self._reporter.say(
            stage.name, "done", text, progress=1.0, outputs=outputs, exit_code=0, attempt=now.number
        )  # fmt: skip
        if self._cancelled:  # it was too late for this stage, not for the next
            self._end("cancelled", self._cancelled, INTERRUPTED)
        else:
            self._go_on(stage.next, "done", f"All is done: {stage.name} was the last stage.", Exit.OK, outputs)

    def _failed(
        self, stage: Stage, number: int, event: str, why: str, code: int | None, retry: bool = True
    ) -> None:  # fmt: skip
        """why: the reason is its last line; those before it are what the program printed, and were told already."""
        *_, reason = why.splitlines()
        if retry and number <= stage.retries:
            text = f"Try {number} of {stage.retries + 1} has failed: {reason}"
            self._reporter.say(stage.name, "log", text, exit_code=code, attempt=number)
            self._again = stage, number + 1, now_ns() + round(number * RETRY_S * 1e9)
            return
        self._remember(stage, event, why, code, {})
        self._reporter.say(stage.name, event, why, exit_code=code, attempt=number)
        self._go_on(stage.on_fail, "failed", f"{stage.name} has failed: {reason}", Exit.FAILED, {})

    def _remember(self, stage: Stage, event: str, text: str, code: int | None, outputs: Mapping[str, str]) -> None:
        about = {"stage": stage.name, "event": event, "text": text, "exit_code": "" if code is None else str(code)}
        self._results[stage.name] = {**outputs, **about}
        self._prev = stage.name

    def _go_on(self, name: str, event: str, text: str, code: int, outputs: Mapping[str, str]) -> None:
        if name:
            self._again = self._plan.stages[name], 1, 0
        else:
            self._end(event, text, code, outputs)

    def _end(self, event: str, text: str, code: int, outputs: Mapping[str, str] | None = None) -> None:
        progress = 1.0 if event == "done" else 0.0
        self._reporter.say("", event, text, progress=progress, outputs=outputs, exit_code=int(code))
        self.exit_code = int(code)

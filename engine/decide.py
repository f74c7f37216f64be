"""What to do about a node: a pure function of what is wanted, what is seen, and the time.

No process, no clock, no shared memory in here, so that every rule can be tested by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from engine.errors import Exit

SECOND = 1_000_000_000
FIRST_DELAY_NS = SECOND // 10
SLOWEST_DELAY_NS = 60 * SECOND  # the slow retry, for ever: an unattended show has nobody to press a button
HEALTHY_NS = 30 * SECOND  # a life longer than this starts the back-off anew
KILL_AFTER_NS = SECOND // 2  # from `terminate` to `kill`
NEEDS_SMALLER = (Exit.DEVICE_FAILED, Exit.OUT_OF_MEMORY)  # exits after which the same settings would fail again


class Action(Enum):
    NOTHING = "nothing"
    START = "start"
    BURY = "bury"  # it has exited: note why, and when it may start again
    ASK = "ask"  # send it `stop`
    TERMINATE = "terminate"
    KILL = "kill"


@dataclass(frozen=True)
class Spec:
    """Deadlines of one node, in nanoseconds."""

    startup_ns: int
    step_ns: int
    stop_ns: int


@dataclass(frozen=True)
class Observed:
    """What the supervisor knows of one node. Times are `clock.now_ns`; 0 means never."""

    wanted: bool
    alive: bool = False  # there is a process that was not buried
    exit_code: int | None = None  # of a process that has exited
    phase: str = "NONE"  # the node's own word
    started_ns: int = 0
    beat_ns: int = 0  # last sign of life from its work loop
    asked_ns: int = 0
    terminated_ns: int = 0
    failures: int = 0  # in a row
    failed_ns: int = 0
    amnesty_ns: int = 0  # when the supervisor itself last came back from a pause


@dataclass(frozen=True)
class Decision:
    action: Action
    reason: str = ""


NOTHING = Decision(Action.NOTHING)


def delay_ns(failures: int) -> int:
    """How long to wait after that many failures in a row: 0.1 s, doubled each time, 60 s at most."""
    if failures == 0:
        return 0
    return min(FIRST_DELAY_NS << min(failures - 1, 20), SLOWEST_DELAY_NS)


def failures_after(observed: Observed, now_ns: int) -> int:
    """The length of the run of failures, this death included."""
    return 1 if now_ns - observed.started_ns > HEALTHY_NS else observed.failures + 1


def profile_after(code: int, profile: int, settings: Sequence[object]) -> int:
    """Which of `settings`, the configured ones first and the smallest last, the next process starts with.

    profile: the index of those that the dead process had. One step down after an exit that asks for it, past
    settings that would change nothing; never up.
    """
    if code not in NEEDS_SMALLER:
        return profile
    below = range(profile + 1, len(settings))
    return next((n for n in below if settings[n] != settings[profile]), profile)


def decide(spec: Spec, observed: Observed, now_ns: int) -> Decision:
    """The one thing to do now."""
    if observed.alive and observed.exit_code is not None:
        return Decision(Action.BURY, describe_exit(observed.exit_code))
    if not observed.wanted:
        return _ending(spec, observed, now_ns) if observed.alive else NOTHING
    if not observed.alive:
        due = now_ns >= observed.failed_ns + delay_ns(observed.failures)
        return Decision(Action.START) if due else NOTHING
    return _hanging(spec, observed, now_ns)


def _ending(spec: Spec, observed: Observed, now_ns: int) -> Decision:
    if not observed.asked_ns:
        return Decision(Action.ASK)
    if observed.terminated_ns:
        overdue = now_ns - observed.terminated_ns > KILL_AFTER_NS
        return Decision(Action.KILL, "did not end when terminated") if overdue else NOTHING
    if now_ns - observed.asked_ns > spec.stop_ns:
        return Decision(Action.TERMINATE, f"did not stop within {spec.stop_ns / SECOND:g} s")
    return NOTHING


def _hanging(spec: Spec, observed: Observed, now_ns: int) -> Decision:
    if observed.phase in ("NONE", "STARTING"):
        since = max(observed.started_ns, observed.amnesty_ns)
        if now_ns - since > spec.startup_ns:
            return Decision(Action.KILL, f"was not ready within {spec.startup_ns / SECOND:g} s")
        return NOTHING
    since = max(observed.started_ns, observed.beat_ns, observed.amnesty_ns)
    if now_ns - since > spec.step_ns:
        return Decision(Action.KILL, f"hung: gave no sign of life for {spec.step_ns / SECOND:g} s")
    return NOTHING


def describe_exit(code: int) -> str:
    """A process's exit code in words."""
    if code < 0:
        return f"was killed by signal {-code}"
    return f"exited with code {code}"


def may_go(readers: list[str], waited_ns: int, offline: bool) -> bool:
    """May a ready node begin? When all who read from it are there, so that nothing is overrun at the start.

    readers: their phases. A live show does not wait for ever for a reader that cannot come up.
    """
    there = all(phase not in ("NONE", "STARTING") for phase in readers)
    return there or (not offline and waited_ns > 10 * SECOND)

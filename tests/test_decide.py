"""Every rule of the supervisor, without a process, a clock or a sleep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.decide import SECOND, Action, Observed, Spec, decide, delay_ns, failures_after, may_go, profile_after

SPEC = Spec(startup_ns=60 * SECOND, step_ns=10 * SECOND, stop_ns=SECOND)
T = 1000 * SECOND
RUNNING = Observed(wanted=True, alive=True, phase="RUNNING", started_ns=T - 100 * SECOND, beat_ns=T)


def action(observed: Observed, now_ns: int = T) -> Action:
    return decide(SPEC, observed, now_ns).action


def test_what_should_run_is_started_at_once() -> None:
    assert action(Observed(wanted=True)) is Action.START


def test_what_should_not_run_is_left_alone() -> None:
    assert action(Observed(wanted=False)) is Action.NOTHING


def test_a_healthy_node_is_left_alone() -> None:
    assert action(RUNNING) is Action.NOTHING


@pytest.mark.parametrize("code", [0, 1, 10, -9, -11])
@pytest.mark.parametrize("wanted", [True, False])
def test_any_exit_is_noted_even_a_clean_one(code: int, wanted: bool) -> None:
    assert action(replace(RUNNING, exit_code=code, wanted=wanted)) is Action.BURY


def test_a_node_that_died_starts_again_after_its_delay() -> None:
    dead = Observed(wanted=True, failures=3, failed_ns=T)
    assert action(dead, T + delay_ns(3) - 1) is Action.NOTHING
    assert action(dead, T + delay_ns(3)) is Action.START


def test_the_delay_doubles_and_ends_at_a_slow_retry_for_ever() -> None:
    assert [delay_ns(n) / SECOND for n in (0, 1, 2, 3)] == [0, 0.1, 0.2, 0.4]
    assert delay_ns(30) == delay_ns(10_000) == 60 * SECOND


def test_a_long_life_starts_the_back_off_anew() -> None:
    assert failures_after(replace(RUNNING, failures=8), T) == 1
    assert failures_after(replace(RUNNING, failures=8, started_ns=T - SECOND), T) == 9


@pytest.mark.parametrize("phase", ["RUNNING", "DEGRADED", "PAUSED", "READY", "STOPPING", "FINISHED"])
def test_no_sign_of_life_for_a_step_time_out_is_a_hang(phase: str) -> None:
    hung = replace(RUNNING, phase=phase, beat_ns=T - 10 * SECOND - 1)
    assert action(hung) is Action.KILL
    assert action(replace(hung, beat_ns=T - 10 * SECOND)) is Action.NOTHING


@pytest.mark.parametrize("phase", ["NONE", "STARTING"])
def test_a_slow_start_is_allowed_its_own_time_and_no_more(phase: str) -> None:
    starting = Observed(wanted=True, alive=True, phase=phase, started_ns=T)
    assert action(starting, T + 60 * SECOND) is Action.NOTHING
    assert action(starting, T + 60 * SECOND + 1) is Action.KILL


def test_a_node_is_not_judged_by_its_predecessors_last_sign_of_life() -> None:
    assert action(replace(RUNNING, started_ns=T - SECOND, beat_ns=T - 100 * SECOND)) is Action.NOTHING


@pytest.mark.parametrize(
    ("code", "words"), [(-9, "was killed by signal 9"), (0, "exited with code 0"), (20, "exited with code 20")]
)
def test_an_exit_is_told_in_words(code: int, words: str) -> None:
    assert decide(SPEC, replace(RUNNING, exit_code=code), T).reason == words


@pytest.mark.parametrize("code", [0, 1, 10, 20, 21, 22, -9, -11])
def test_most_exits_leave_the_profile_as_it_is(code: int) -> None:
    assert [profile_after(code, profile, "abc") for profile in (0, 1, 2)] == [0, 1, 2]


@pytest.mark.parametrize("code", [41, 42])
def test_a_failed_card_or_full_memory_goes_one_profile_down_and_stays_at_the_smallest(code: int) -> None:
    assert [profile_after(code, profile, "abc") for profile in (0, 1, 2)] == [1, 2, 2]
    assert profile_after(code, 0, "a") == 0


def test_a_profile_that_would_change_nothing_is_passed_over() -> None:
    assert profile_after(42, 0, "aab") == 2
    assert profile_after(42, 1, "abb") == 1  # nothing smaller is left


def test_nobody_is_killed_for_the_supervisors_own_pause() -> None:
    hung = replace(RUNNING, beat_ns=T - 100 * SECOND)
    assert action(replace(hung, amnesty_ns=T)) is Action.NOTHING
    assert action(replace(hung, amnesty_ns=T), T + 10 * SECOND + 1) is Action.KILL
    starting = Observed(wanted=True, alive=True, phase="STARTING", started_ns=T - 100 * SECOND, amnesty_ns=T)
    assert action(starting) is Action.NOTHING


def test_stopping_asks_then_terminates_then_kills() -> None:
    ending = replace(RUNNING, wanted=False)
    assert action(ending) is Action.ASK
    asked = replace(ending, asked_ns=T)
    assert action(asked, T + SECOND) is Action.NOTHING
    assert action(asked, T + SECOND + 1) is Action.TERMINATE
    terminated = replace(asked, terminated_ns=T + 2 * SECOND)
    assert action(terminated, T + 2 * SECOND) is Action.NOTHING
    assert action(terminated, T + 3 * SECOND) is Action.KILL


def test_a_node_begins_when_those_who_read_from_it_are_there() -> None:
    assert may_go([], 0, offline=False)
    assert may_go(["READY", "RUNNING", "DEGRADED"], 0, offline=False)
    assert not may_go(["READY", "STARTING"], 9 * SECOND, offline=False)


def test_a_live_show_does_not_wait_for_ever_and_an_offline_run_does() -> None:
    assert may_go(["NONE"], 11 * SECOND, offline=False)
    assert not may_go(["NONE"], 11 * SECOND, offline=True)

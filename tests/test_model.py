"""The protocol's model: every promise holds in every interleaving, and without any one guard some promise breaks."""

from __future__ import annotations

from typing import Any

import pytest
from model.explore import Exploration
from model.generations import Growing
from model.guards import GUARDS, Guard
from model.memory import IN_ORDER, WEAK, X86, Rules
from model.scenes import POINTS, READERS, Scene

SCENES: list[tuple[Rules, dict[str, Any]]] = [
    *((rules, dict(readers=(reader,), frames=3)) for rules in (IN_ORDER, X86, WEAK) for reader in READERS),
    *((IN_ORDER, dict(readers=(reader,), slots=2, frames=2, deaths=1, reader_deaths=1)) for reader in READERS),
    *((X86, dict(readers=(reader,), slots=2, frames=2, deaths=1)) for reader in READERS),
    (WEAK, dict(readers=("bridge",), slots=2, frames=2, deaths=1)),
    (IN_ORDER, dict(readers=("latest", "every"), frames=3)),
    (IN_ORDER, dict(readers=("bridge",), frames=1, deaths=3)),
    (IN_ORDER, dict(readers=("latest",), plan=("small", "abandoned", "small"), deaths=1)),
    (IN_ORDER, dict(readers=("every",), frames=2, deaths=1, damaged=True)),
    (IN_ORDER, dict(readers=("every", "every"), slots=2, frames=3, lossless=True)),
    (WEAK, dict(readers=("every",), slots=2, frames=3, lossless=True)),
    (IN_ORDER, dict(readers=("every", "observe"), slots=2, frames=3)),
    (WEAK, dict(readers=("until_the_end",), plan=("small", "end"))),
]


def name(value: object) -> str:
    if isinstance(value, Rules):
        return value.name
    if isinstance(value, Guard):
        return f"{value.name}, {' '.join(value.scene.get('readers', ('latest',)))}"
    return ", ".join(f"{key} {' '.join(map(str, v)) if isinstance(v, tuple) else v}" for key, v in value.items())  # type: ignore[attr-defined]


@pytest.mark.parametrize(("rules", "scene"), SCENES, ids=name)
def test_every_promise_holds_in_every_interleaving(rules: Rules, scene: dict[str, Any]) -> None:
    report = Exploration(Scene(**scene), rules).run()
    assert not report.broken, "\n".join((report.broken, *report.path))
    assert report.states > 40


@pytest.mark.parametrize(
    ("rules", "scene"),
    [
        (IN_ORDER, dict(readers=("bridge",), patience=False)),
        (X86, dict(readers=("bridge",), plan=("small", "large"), reader_deaths=1)),
        (IN_ORDER, dict(readers=("bridge",), plan=("small", "large"), deaths=1)),
        (IN_ORDER, dict(readers=("latest",), plan=("small", "large"))),
        (IN_ORDER, dict(readers=("every",), plan=("large",), reader_deaths=1)),
    ],
    ids=name,
)
def test_every_promise_holds_while_the_ring_grows(rules: Rules, scene: dict[str, Any]) -> None:
    report = Exploration(Growing(**scene), rules).run()
    assert not report.broken, "\n".join((report.broken, *report.path))


@pytest.mark.parametrize("guard", GUARDS, ids=name)
def test_without_a_guard_something_breaks(guard: Guard) -> None:
    report = Exploration(guard.kind(**guard.scene, without=guard.name), guard.rules).run()
    assert report.broken and guard.breaks in report.broken


@pytest.mark.parametrize("point", POINTS)
def test_a_stopped_writer_that_wakes_up_harms_nobody_if_it_was_stopped_outside_a_frame(point: str) -> None:
    """Elsewhere it can: hence the supervisor starts a successor only when the process is gone (engine/decide.py)."""
    reports = [
        Exploration(Scene(slots=2, readers=(reader,), stopped=point), IN_ORDER).run() for reader in ("latest", "bridge")
    ]
    harmless = point in ("between frames", "after the payload")
    assert [bool(report.broken) for report in reports] == [not harmless] * 2


def test_a_look_at_the_mark_before_the_copy_only_saves_a_copy() -> None:
    """R2 is no guard: a head that was seen tells that the frame was whole, R4 that it still is."""
    for reader in READERS:
        assert not Exploration(Scene(readers=(reader,), without="R2"), WEAK).run().broken


def test_on_x86_64_nothing_is_needed_between_stores_and_between_loads() -> None:
    """There the model's fences do nothing; with the machine's own order each guard that is no fence still matters."""
    assert not X86.early and X86.in_order
    for guard in GUARDS:
        if not guard.name.startswith("fence") and not guard.scene.get("stopped") and guard.kind is Scene:
            assert Exploration(Scene(**guard.scene, without=guard.name), X86).run().broken, guard.name


def test_a_path_to_what_broke_is_told_step_by_step() -> None:
    report = Exploration(Scene(frames=4, without="R4"), IN_ORDER).run()
    assert "torn" in report.broken
    assert report.path[0] == "start" and "latest 0: 0.payload1 is (1, 4)" in report.path

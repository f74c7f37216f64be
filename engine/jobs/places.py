"""`{prev.out}` and `{STAGE.out}` in a value: what an earlier stage has made."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from engine.config.errors import suggest

if TYPE_CHECKING:
    from engine.jobs.plan import Stage

PREV = "prev"
PLACE = re.compile(r"\{([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\}")
ALWAYS = ("stage", "event", "text", "exit_code")  # what is known of every stage that has run, failed ones too

Results = Mapping[str, Mapping[str, str | None]]


def leads_to(stage: Stage) -> list[str]:
    return [name for name in dict.fromkeys((stage.next, stage.on_fail)) if name]


def before(stage: Stage, stages: Collection[Stage]) -> list[str]:
    """The names of all stages that may have run before this one."""
    found: list[str] = []
    wanted = [stage.name]
    while wanted:
        name = wanted.pop()
        ahead = [other.name for other in stages if name in leads_to(other) and other.name not in found]
        found += ahead
        wanted += ahead
    return found


def filled(text: str, results: Results, prev: str) -> str | None:
    """`text` with what is known put in; None where something is not known yet. Braces that name no place stay."""
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        stage, name = match.groups()
        found = results.get(prev if stage == PREV else stage, {}).get(name)
        missing |= found is None
        return found or ""

    whole = PLACE.sub(value, text)
    return None if missing else whole


def wrong(text: str, stage: Stage, previous: Collection[Stage], known: Results) -> Iterable[str]:
    """What can be said against the places in `text` before anything runs. previous: who may run just before."""
    for match in PLACE.finditer(text):
        place, (name, output) = match[0], match.groups()
        if name == PREV and not previous:
            yield f"{place}: no stage runs before {stage.name!r}"
        elif name != PREV and name not in known:
            yield f"{place}: no stage {name!r} runs before {stage.name!r}{suggest(name, [PREV, *known])}"
        for source in [other.name for other in previous] if name == PREV else [name]:
            if output not in known.get(source, {output: ""}):
                yield f"{place}: {source!r} has no output {output!r}{suggest(output, known[source])}"
        if name == PREV and output not in ALWAYS:
            failed = [other.name for other in previous if other.on_fail == stage.name]
            if failed:
                yield f"{place}: {failed[0]!r} has failed when {stage.name!r} runs, so it has no outputs"

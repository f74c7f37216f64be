"""The stage table → a checked plan. Everything is checked before the first stage starts, and said all at once."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from engine.config.errors import block, checked, shown, suggest
from engine.config.yaml_source import Where, YamlSource
from engine.jobs import commands, places
from engine.jobs.options import Command, Row, Words, words_of

Cell = str | int | float | bool | None
STAGES_MOST = 100
HEADER = ["key", "value"]  # an options table may begin with the names of its columns


class StageEntry(BaseModel):
    """One row of the stage table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str = Field(
        pattern=r"^[A-Za-z0-9_-]{1,40}$", description="a name of 1 to 40 letters, digits, - and _, without blanks"
    )
    command: str = Field(min_length=1, description="what it runs")
    options: list[Annotated[list[Cell], Field(min_length=1)]] = Field([], description="rows of [key, value]")
    next: str = Field("", description="the stage that follows when this one is done; left out: the chain is done")
    on_fail: str = Field("", description="the stage that follows when this one fails; left out: the chain has failed")
    timeout: float | None = Field(None, gt=0, le=1e9, description="seconds that one try may take")
    retries: int = Field(0, ge=0, le=100, description="how often to try again after a failure")


@dataclass(frozen=True)
class Stage:
    name: str
    command: Command
    rows: tuple[Row, ...]
    next: str
    on_fail: str
    timeout: float | None
    retries: int

    def words(self, results: places.Results, prev: str) -> Words:
        """The command line, as far as `results` (a stage's outputs by its name) are known. prev: the stage before."""
        rows = [row._replace(value=places.filled(row.value or "", results, prev)) for row in self.rows]
        return words_of(self.command, rows)


@dataclass(frozen=True)
class Plan:
    stages: dict[str, Stage]
    first: str


def read(path: Path) -> Plan:
    """A job file, YAML or JSON. Raises ConfigError with every problem that was found."""
    source = YamlSource(path, "docs/JOBS.md shows what a job file looks like.")
    top = block(source, (), source.data, "stages:, and commands: if need be")
    for key in top.keys() - {"commands", "stages"}:
        sentence = f"unknown setting {shown(key)}{suggest(key, ['commands', 'stages'])}"
        source.complain((key,), sentence, at_key=True)
    listed = _listed(source, top.get("commands"))
    stages = _stages(source, top.get("stages"), listed)
    source.check()
    _check_edges(source, stages)
    source.check()
    _check_options(source, stages)
    source.check()
    return Plan({stage.name: stage for stage in stages.values()}, next(iter(stages.values())).name)


def _listed(source: YamlSource, entries: Any) -> dict[str, Command]:
    """The user's own commands."""
    found = {}
    for name, entry in (block(source, ("commands",), entries, "one entry per command") if entries else {}).items():
        where: Where = ("commands", name)
        if name in commands.own_names():
            source.complain(where, f"{name!r} is a command of Utsushi; choose another name", at_key=True)
        values = block(source, where, entry, "at least argv:")
        read = checked(source, where, commands.CommandEntry, values, about=f"command {shown(name)}: ")
        if read is not None:
            if why := commands.not_there(read.argv[0]):
                source.complain((*where, "argv", 0), why)
            found[name] = read.command(name)
    return found


def _stages(source: YamlSource, entries: Any, listed: Mapping[str, Command]) -> dict[int, Stage]:
    """The stages by their index in the file."""
    if not isinstance(entries, list) or not 0 < len(entries) <= STAGES_MOST:
        source.complain(("stages",), f"stages: must be a list of 1 to {STAGES_MOST} stages", at_key=True)
        return {}
    found: dict[int, Stage] = {}
    for index, entry in enumerate(entries):
        where: Where = ("stages", index)
        if isinstance(entry, dict) and str(entry.get("stage", "")).startswith("#"):
            continue
        values = block(source, where, entry, "stage: and command:")
        read = checked(source, where, StageEntry, values, about=f"row {index + 1}: ") if values else None
        command = _command(source, where, read.command, listed) if read else None
        if read is None or command is None:
            continue
        twin = next((other for other, stage in found.items() if stage.name == read.stage), None)
        if twin is not None or read.stage == places.PREV:
            why = f"stands in row {twin + 1} already" if twin is not None else "means the stage before"
            source.complain((*where, "stage"), f"row {index + 1}: the name {read.stage!r} {why}; choose another")
        rows = tuple(_row(source, where, read.stage, number, cells) for number, cells in enumerate(read.options))
        found[index] = Stage(read.stage, command, rows, read.next, read.on_fail, read.timeout, read.retries)
    if all(isinstance(entry, dict) and str(entry.get("stage", "")).startswith("#") for entry in entries):
        source.complain(("stages",), "there is no stage that is not commented out", at_key=True)
    return found


def _command(source: YamlSource, where: Where, name: str, listed: Mapping[str, Command]) -> Command | None:
    command = listed.get(name) or commands.own(name)
    if command is None and name not in (source.data.get("commands") or {}):
        known = suggest(name, [*listed, *commands.own_names()])
        source.complain((*where, "command"), f"row {int(where[1]) + 1}: there is no command {shown(name)}{known}")
    return command


def _row(source: YamlSource, where: Where, stage: str, number: int, cells: list[Cell]) -> Row:
    texts = [_text(cell).strip() for cell in cells]
    if number == 0 and texts == HEADER:
        return Row(number, "", "")
    if any(texts[2:]) and not texts[0].startswith("#"):
        sentence = f"stage {stage!r}, options row {number}: a row is a key and a value, and this one has more"
        source.complain((*where, "options", number), sentence)
    return Row(number, texts[0], texts[1] if len(texts) > 1 else "")


def _text(cell: Cell) -> str:
    return "" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)


def _check_edges(source: YamlSource, stages: Mapping[int, Stage]) -> None:
    """Every name leads somewhere, every stage can be reached, and nothing goes round for ever."""
    by_name = {stage.name: stage for stage in stages.values()}
    for index, stage in stages.items():
        for column, name in (("next", stage.next), ("on_fail", stage.on_fail)):
            if name and name not in by_name:
                sentence = f"stage {stage.name!r}: {column} names {shown(name)}, which is no stage"
                source.complain(("stages", index, column), f"{sentence}{suggest(name, by_name)}")
    source.check()
    try:
        _backwards(stages)
    except graphlib.CycleError as error:
        circle = error.args[1][::-1]
        index = next(index for index, stage in stages.items() if stage.name == circle[0])
        sentence = f"the stages {' → '.join(circle)} would go round for ever; to try a stage again, give it retries"
        source.complain(("stages", index), sentence)
        return
    first, *others = stages.items()
    for index, stage in others:
        if not any(stage.name in places.leads_to(other) for other in stages.values()):
            sentence = (
                f"row {index + 1}: no stage leads to {stage.name!r}; name it under next or on_fail, or put # before"
            )
            source.complain(("stages", index), sentence)
    if any(first[1].name in places.leads_to(other) for other in stages.values()):
        source.complain(("stages", first[0]), f"the chain begins with {first[1].name!r}, so none may lead to it")


def _backwards(stages: Mapping[int, Stage]) -> list[str]:
    """The stages' names, each after all that may follow it. Raises graphlib.CycleError."""
    return [
        *graphlib.TopologicalSorter({stage.name: places.leads_to(stage) for stage in stages.values()}).static_order()
    ]


def _check_options(source: YamlSource, stages: Mapping[int, Stage]) -> None:
    """In the order in which they may run, so that what a stage will make is known to those after it."""
    by_name = {stage.name: (index, stage) for index, stage in stages.items()}
    results: dict[str, dict[str, str | None]] = {}
    for name in reversed(_backwards(stages)):
        index, stage = by_name[name]
        known = {name: results[name] for name in places.before(stage, stages.values())}
        before = [other for other in stages.values() if name in (other.next, other.on_fail)]
        bad: list[tuple[int | None, str]] = [
            (row.number, f"row {row.number} ({row.key}): {why}")
            for row in stage.rows
            for why in places.wrong(row.value or "", stage, before, known)
            if row.key and not row.key.startswith("#")
        ]  # fmt: skip
        made = Words()
        if not bad:
            made = stage.words(known, before[0].name if before else "")
            bad = [(problem.number, problem.sentence) for problem in made.bad]
        for number, why in bad:
            where: Where = ("stages", index) if number is None else ("stages", index, "options", number)
            source.complain(where, f"stage {name!r}{', options ' if number is not None else ': '}{why}")
        results[name] = dict.fromkeys([*places.ALWAYS, *stage.command.prints]) | made.outputs

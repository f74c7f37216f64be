"""TouchDesigner's tables as a job file. Standard library only; docs/JOBS.md says what may stand in them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

COMMAND_COLUMNS = ("command", "options", "outputs", "argv")
OPTION_COLUMNS = ("key", "type", "word", "min", "max", "menu", "required", "repeat", "output", "help")
STAGE_COLUMNS = ("stage", "command", "options", "next", "on_fail", "timeout", "retries")
NUMBERS, SWITCHES = ("timeout", "retries", "min", "max"), ("required", "repeat", "output")

Rows = list[list[str]]


class JobError(Exception):
    """A sentence for a person: what is wrong with a table, or why nothing was started."""


def plan_of(stages: Rows, options: dict[str, Rows], commands: Rows) -> dict[str, Any]:
    """The tables as a job file; see docs/JOBS.md. Raises `JobError`. What the cells mean is checked by the runner."""
    found: dict[str, Any] = {"commands": {}, "stages": []}
    for row, (cells, words) in enumerate(_records("commands", commands, COMMAND_COLUMNS), 1):
        if not cells["command"] or cells["command"].startswith("#"):
            continue
        command: dict[str, Any] = {"argv": [word for word in [cells.get("argv", ""), *words] if word]}
        if outputs := [name.strip() for name in cells.get("outputs", "").split(",") if name.strip()]:
            command["outputs"] = outputs
        described = _table(options, cells.get("options", ""), f"row {row} of the commands")
        command["options"] = {}
        for entry, _ in _records(cells.get("options", ""), described, OPTION_COLUMNS):
            key = entry.pop("key")
            if key and not key.startswith("#"):
                _add(command["options"], key, _typed(entry))
        _add(found["commands"], cells["command"], command)
    for row, (cells, _) in enumerate(_records("stages", stages, STAGE_COLUMNS), 1):
        stage = _typed(cells) or {"stage": "#"}
        if str(stage.get("stage", "")).startswith("#"):  # these rows stay, so that the runner counts as the table does
            stage = {"stage": stage["stage"]}
        else:
            stage["options"] = _table(options, cells.get("options", ""), f"row {row} of the stages")
        found["stages"].append(stage)
    return found


def _add(known: dict[str, Any], name: str, entry: dict[str, Any]) -> None:
    if name in known:
        raise JobError(f"{name!r} stands twice in its table; delete one of the two rows.")
    known[name] = entry


def _table(options: dict[str, Rows], name: str, where: str) -> Rows:
    if name and name not in options:
        raise JobError(f"There is no options table {name!r}, which {where} names; known are: {', '.join(options)}.")
    return [[str(cell) for cell in row] for row in options.get(name, [])]


def _records(name: str, rows: Rows, columns: tuple[str, ...]) -> list[tuple[dict[str, str], list[str]]]:
    """Each row below the first by its columns' names, and the cells beyond the last column."""
    if not rows:
        return []
    header = [str(cell).strip() for cell in rows[0]]
    while header and not header[-1]:
        header.pop()
    for column in header:
        if column not in columns or header.count(column) > 1:
            raise JobError(f"The table {name} has a column {column!r}; it may have, once each: {', '.join(columns)}.")
    if not header or header[0] != columns[0]:
        raise JobError(f"The first row of the table {name} must name its columns: {', '.join(columns)}.")
    if "argv" in header[:-1]:
        raise JobError(
            f"The column argv of the table {name} must be the last one: the words go on in the cells after it."
        )
    found = []
    for row in rows[1:]:
        cells = [str(cell).strip() for cell in row]
        known = dict.fromkeys(columns[:1], "") | dict(zip(header, cells, strict=False))
        found.append((known, cells[len(header) :]))
    return found


def _typed(cells: dict[str, str]) -> dict[str, Any]:
    """Cells as the job file wants them; blank ones are left out, and odd ones left for the runner to name."""
    typed: dict[str, Any] = {}
    for name, text in cells.items():
        if not text:
            continue
        typed[name] = text
        if name in NUMBERS:
            with suppress(ValueError):
                typed[name] = int(text) if text.lstrip("+-").isdigit() else float(text)
        elif name in SWITCHES and text.lower() in ("0", "1", "true", "false"):
            typed[name] = text.lower() in ("1", "true")
        elif name == "menu":
            typed[name] = [word.strip() for word in text.split(",")]
    return typed

"""Rows of `key value` → the words of a command line, each checked against what the command takes.

A blank key and a `#` are skipped, a blank value is a flag. No shell ever sees any of it.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.config.errors import shown, suggest

ALONE = "-"  # as an option's word: its value stands by itself, after everything else


@dataclass(frozen=True)
class Option:
    """One thing that a command takes.

    word: what is typed before the value; one that ends in "=" is joined with it, ALONE means nothing is typed.
    read: raises ValueError or ArgumentTypeError for a value that cannot be; None: a flag, which takes no value.
    output: its value names what the command makes.
    """

    word: str
    read: Callable[[str], object] | None = str
    required: bool = False
    repeat: bool = False
    output: bool = False


@dataclass(frozen=True)
class Command:
    """argv: the words before the options. prints: the outputs that the program itself tells while it runs.

    more: an option that is not listed by its key, or None. check: looks at all words together and raises what is wrong
    with them; returns the outputs that only such a look can know, by name. partly: it can do so without some of them.
    """

    name: str
    argv: tuple[str, ...]
    options: dict[str, Option]
    prints: tuple[str, ...] = ()
    own: bool = False  # of the project: its outputs are files
    more: Callable[[str], Option | None] = lambda key: None
    check: Callable[[Sequence[str]], dict[str, str]] = lambda words: {}
    partly: bool = False


class Row(NamedTuple):
    """One row of an options table; number: counted from 0, as TouchDesigner counts. value: None: not known yet."""

    number: int
    key: str
    value: str | None

    def __str__(self) -> str:
        return f"row {self.number} ({' '.join(shown(text) for text in (self.key, self.value) if text)})"


class BadRow(NamedTuple):
    number: int | None  # None: it is about the table as a whole
    sentence: str


@dataclass
class Words:
    """What rows come to. outputs: by name, None where not known yet; bad: what is wrong, in the order of the rows."""

    words: list[str] = field(default_factory=list)
    outputs: dict[str, str | None] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)


def words_of(command: Command, rows: Sequence[Row]) -> Words:
    """The command's words for these rows. Rows whose value is not known yet are checked as far as they can be."""
    made = Words()
    typed: list[str] = []
    alone: dict[str, list[str]] = {key: [] for key, option in command.options.items() if option.word == ALONE}
    met: dict[str, Row] = {}
    for row in rows:
        if not row.key or row.key.startswith("#"):
            continue
        key = row.key.removeprefix("--")
        option = command.options.get(key) or command.more(key)
        if option is None:
            made.bad.append(BadRow(row.number, f"{row}: {command.name} has no option {shown(key)}"
                                   f"{suggest(key, command.options)}"))  # fmt: skip
            continue
        if why := _wrong(option, row, met.get(key)):
            made.bad.append(BadRow(row.number, f"{row}: {why}"))
            continue
        met[key] = row
        if option.output:
            made.outputs[key] = row.value
        value = row.value
        if value is None:
            continue
        if option.word == ALONE:
            alone[key].append(value)
        elif option.read is None:
            typed.append(option.word)
        elif option.word.endswith("="):
            typed.append(option.word + value)
        else:
            typed += [option.word, value]
    missing = [key for key, option in command.options.items() if option.required and key not in met]
    if missing:
        made.bad.append(BadRow(None, f"{command.name} needs a row for {', '.join(missing)}"))
    made.words = [*command.argv, *typed, *(value for values in alone.values() for value in values)]
    if not made.bad and (command.partly or all(row.value is not None for row in met.values())):
        _look_at_all(command, made, met)
    if made.outputs and "out" not in made.outputs:  # what `{prev.out}` means where nothing is called so
        made.outputs["out"] = list(made.outputs.values())[-1]
    return made


def _wrong(option: Option, row: Row, before: Row | None) -> str:
    """Why this row cannot be, or nothing."""
    if before is not None and not option.repeat:
        return f"{row.key} stands in row {before.number} already, and can be given once"
    value = row.value
    if value is None:
        return "" if option.read else "it is a flag and takes no value; leave the value blank"
    if option.read is None:
        return "it is a flag and takes no value; leave the value blank" if value else ""
    if not value:
        return "it needs a value"
    if "\0" in value:
        return "the value holds a character that no command line can"
    if option.word == ALONE and value.startswith("-"):
        return "the value would be read as an option, since it starts with -; write ./ before a file of that name"
    try:
        option.read(value)
    except (ValueError, ArgumentTypeError) as error:
        return str(error)
    return ""


def _look_at_all(command: Command, made: Words, rows: Mapping[str, Row]) -> None:
    unknown = [key for key, row in rows.items() if row.value is None]
    try:
        for name, value in command.check(made.words[len(command.argv) :]).items():
            made.outputs[name] = None if any(key.startswith(f"{name}.") for key in unknown) else value
    except Exception as error:  # a parser's own type function may raise anything
        about = next((row for key, row in rows.items() if f"{key}={row.value}" in str(error)), None)
        named = f"{about}: {error}" if about else str(error)
        made.bad.append(BadRow(about.number if about else None, named))

"""YAML text → plain data that remembers where each piece stands, so that an error can point at it.

Only what a config needs is read: mappings, lists, text, numbers, true/false, null. Anchors, aliases and
tags are refused (a few lines of aliases can stand for gigabytes), and size and depth are bounded.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from engine.errors import ConfigError

MAX_BYTES = 100_000  # the parser is slow: far larger files would seem to hang
MAX_DEPTH = 16
MAX_PROBLEMS = 20
EXCERPT = 100  # characters shown of a long line
TEXT, DATE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp"
SCALARS = {TEXT, DATE, *(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null"))}
MAPPING, SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"

Where = tuple[str | int, ...]  # ("nodes", "camera", "size", 0)


class Spot(NamedTuple):
    line: int  # from 0
    column: int


class Place(NamedTuple):
    key: Spot
    value: Spot


class YamlSource:
    """A config file: `data` as plain dicts, lists and scalars, `places` of every value, and the problems found.

    Problems are collected with `complain`, so that a person sees all of them at once; `check` raises them.
    """

    def __init__(self, path: Path, example: str = "configs/demo.yaml shows what a config looks like."):
        """Read `path`. Raises ConfigError when it cannot be read or is not YAML. `example`: where to look instead."""
        self.path = path
        self.text = _read_text(path)
        self.lines = re.split("[\n\x85\u2028\u2029]", self.text)  # what PyYAML counts as line ends
        self.places: dict[Where, Place] = {(): Place(Spot(0, 0), Spot(0, 0))}
        self._problems: list[tuple[Spot, str]] = []
        self._origins: list[str] = []  # of values that are not the file's; their spots have lines below 0
        root = self._compose()
        if root is None:
            raise ConfigError(f"{path}: the file is empty. {example}")
        self.data = self._plain(root, ())
        self.check()  # what YAML itself gets wrong comes first: the rest would follow from it

    def read_value(self, text: str) -> Any:
        """A value by itself, as it would be read from the file; `text` itself where it is not YAML."""
        try:
            node = yaml.compose(text, Loader=_Loader)
        except (yaml.YAMLError, _Refused):
            return text
        if node is None:
            return None
        problems, places = self._problems, self.places
        self._problems, self.places = [], {(): Place(Spot(0, 0), Spot(0, 0))}
        value = self._plain(node, ())
        failed, self._problems, self.places = self._problems, problems, places
        return text if failed else value

    def replaced(self, where: Where, origin: str) -> None:
        """The value at `where` is not the file's: from now on `origin` is named in its place."""
        self.places = {place: spots for place, spots in self.places.items() if place[: len(where)] != where}
        self._origins.append(origin)
        spot = Spot(-len(self._origins), 0)
        self.places[where] = Place(spot, spot)

    def complain(self, where: Where, sentence: str, at_key: bool = False) -> None:
        """Note a problem at a value (or at its key); what is not in the file is reported at the block it belongs to."""
        while where not in self.places:
            where, at_key = where[:-1], True
        place = self.places[where]
        self._problems.append((place.key if at_key else place.value, sentence))

    def check(self) -> None:
        """Raise ConfigError with all problems so far, in the order of the file."""
        if not self._problems:
            return
        found = sorted(set(self._problems))
        told = [self._pointed(spot, sentence) for spot, sentence in found[:MAX_PROBLEMS]]
        if len(found) > MAX_PROBLEMS:
            told.append(f"… and {len(found) - MAX_PROBLEMS} more")
        raise ConfigError("\n".join(told), [sentence for _, sentence in found])

    def _pointed(self, spot: Spot, sentence: str) -> str:
        """`FILE:LINE:COLUMN: sentence`, the line itself, and a caret below the place."""
        if spot.line < 0:
            return f"{self._origins[-1 - spot.line]}: {sentence}"
        line = self.lines[spot.line] if spot.line < len(self.lines) else ""
        start = max(0, spot.column - EXCERPT // 2) if len(line) > EXCERPT else 0
        excerpt = "".join(c if c.isprintable() else " " for c in line[start : start + EXCERPT])
        caret = " " * (spot.column - start) + "^"
        return f"{self.path}:{spot.line + 1}:{spot.column + 1}: {sentence}\n    {excerpt}\n    {caret}"

    def _compose(self) -> yaml.Node | None:
        try:
            return yaml.compose(self.text, Loader=_Loader)
        except yaml.reader.ReaderError as error:
            before = self.text[: error.position]
            spot = Spot(before.count("\n"), error.position - before.rfind("\n") - 1)
            sentence = "there is a control character here that YAML does not allow; delete it"
        except _Refused as error:
            spot, sentence = error.spot, error.sentence
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            spot = Spot(mark.line, mark.column) if mark else Spot(0, 0)
            sentence = self._syntax(spot, str(error.problem))
        raise ConfigError(self._pointed(spot, sentence))

    def _syntax(self, spot: Spot, problem: str) -> str:
        line = self.lines[spot.line] if spot.line < len(self.lines) else ""
        if "\t" in line[: len(line) - len(line.lstrip())]:
            return "this line is indented with a tab; YAML wants spaces"
        return f"this is not YAML: {problem}. Look for a missing colon, quote or bracket here or on the line above"

    def _plain(self, node: yaml.Node, where: Where) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == MAPPING:
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode) and node.tag == SEQUENCE:
            for index, item in enumerate(node.value):
                self.places[*where, index] = Place(_spot(item), _spot(item))
            return [self._plain(item, (*where, index)) for index, item in enumerate(node.value)]
        if node.tag in SCALARS:
            try:
                return (
                    node.value
                    if node.tag in (TEXT, DATE)
                    else yaml.constructor.SafeConstructor().construct_object(node)
                )
            except (ValueError, KeyError):
                self.complain(where, "this value cannot be read as its kind; put it in quotes if it is text")
                return None
        self.complain(where, "YAML tags such as !!binary mean nothing here; write the value without one")
        return None

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        block: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != TEXT:
                said = key.value if isinstance(key, yaml.ScalarNode) else "a list or block"
                sentence = (
                    f"a name is wanted before the colon, and YAML reads {said} as something else; put it in quotes"
                )
                self._problems.append((_spot(key), sentence))
            elif key.value in block:
                first = self.places[*where, key.value].key.line + 1
                sentence = f"{key.value!r} stands twice in this block, first in line {first}; delete one of the two"
                self._problems.append((_spot(key), sentence))
            else:
                self.places[*where, key.value] = Place(_spot(key), _spot(value))
                block[key.value] = self._plain(value, (*where, key.value))
        return block


class _Refused(Exception):
    def __init__(self, spot: Spot, sentence: str):
        super().__init__(sentence)
        self.spot, self.sentence = spot, sentence


class _Loader(yaml.SafeLoader):
    """Refuses while parsing, before anything grows, what a config never needs."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._refuse("YAML anchors (&) and aliases (*) are not used here; write the value out, or put it in quotes")
        if self.depth == MAX_DEPTH:
            self._refuse(f"blocks or lists are nested more than {MAX_DEPTH} deep here; a config never needs that")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _refuse(self, sentence: str) -> None:
        mark = self.peek_event().start_mark
        raise _Refused(Spot(mark.line, mark.column), sentence)


def _spot(node: yaml.Node) -> Spot:
    return Spot(node.start_mark.line, node.start_mark.column)


def _read_text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # also a pipe, which would block for ever
            raise ConfigError(f"{path}: this is a folder or a device; give the path of a YAML file.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file. configs/demo.yaml is a config to start from.") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: the file cannot be read ({error}); check its name and permissions.") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: the file is larger than {MAX_BYTES // 1000} kB; a config is a page or two of text.")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ConfigError(f"{path}:{line}:{column}: the file is not UTF-8 text; save it as UTF-8.") from None

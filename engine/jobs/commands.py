"""What a stage may run: the project's own commands, described by their parsers and configs, and what the user lists."""

from __future__ import annotations

import argparse
import importlib
import math
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field

from engine import config as configs
from engine.config.errors import shown
from engine.jobs.options import ALONE, Command, Option
from engine.process import ROOT

# By name, as `run_engine.py` knows them: the engine imports no node of itself.
PARSERS = {
    "engine": "engine.main",
    "notify": "engine.jobs.notify",
    "performer": "nodes.generator.training.commands",
}
OUTPUTS = ("out", "stats", "snapshot", "json", "grid", "onnx")  # options of ours that name a file or folder to write


class OptionEntry(BaseModel):
    """One option of a program that the user lists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["str", "path", "int", "float", "bool", "menu", "flag"] = "str"
    word: str = Field("", description="what is typed, such as -i or --size=; left out: --key")
    min: float = -math.inf
    max: float = math.inf
    menu: list[str] = []
    required: bool = False
    repeat: bool = False
    output: bool = Field(False, description="its value names what the program makes")
    help: str = ""

    def option(self, key: str) -> Option:
        read = None if self.type == "flag" else self.read
        return Option(self.word or f"--{key}", read, self.required, self.repeat, self.output)

    def read(self, text: str) -> object:
        if self.type in ("int", "float"):
            return self._number(text)
        if self.type == "bool" and text not in ("0", "1", "true", "false"):
            raise ValueError(f"{shown(text)} is neither true nor false (nor 1 nor 0)")
        if self.type == "menu" and text not in self.menu:
            raise ValueError(f"{shown(text)} is none of {', '.join(self.menu)}")
        return text

    def _number(self, text: str) -> float:
        kind = int if self.type == "int" else float
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if self.min <= value <= self.max and math.isfinite(value):
            return value
        limits = "" if (self.min, self.max) == (-math.inf, math.inf) else f" from {self.min:g} to {self.max:g}"
        raise ValueError(f"{shown(text)} is no {'whole ' if kind is int else ''}number{limits}")


class CommandEntry(BaseModel):
    """A program that the user lists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    argv: list[str] = Field(min_length=1, description="the program and its first words; python is Utsushi's own")
    options: dict[str, OptionEntry] = {}
    outputs: list[str] = Field([], description="names of outputs that the program prints")

    def command(self, name: str) -> Command:
        first, *rest = self.argv
        argv = (sys.executable if first == "python" else first, *rest)
        return Command(name, argv, {key: entry.option(key) for key, entry in self.options.items()}, tuple(self.outputs))


def not_there(program: str) -> str:
    """Why a program cannot be started, or nothing."""
    if program == "python" or shutil.which(program) or shutil.which(ROOT / program):
        return ""
    return f"there is no program {shown(program)}: neither on the PATH nor, as a path, from {ROOT} on"


def own(name: str) -> Command | None:
    """A command of the project, named as it is typed after run_engine.py: "performer train"; the engine is "engine"."""
    first, *rest = name.split() or [""]
    if first not in PARSERS:
        return None
    parser = importlib.import_module(PARSERS[first]).command_parser()
    for word in rest:
        parser = _subparsers(parser).get(word)
        if parser is None:
            return None
    if _subparsers(parser):
        return None
    argv = (sys.executable, str(ROOT / "run_engine.py"), *(() if name == "engine" else (first, *rest)))
    parser.error = _complain
    if name == "engine":
        return Command(
            name, argv, _options(parser), own=True, more=_setting,
            check=lambda words: _written(parser, words), partly=True,
        )  # fmt: skip
    return Command(name, argv, _options(parser), own=True, check=lambda words: _looked_at(parser, words))


def _complain(message: str) -> NoReturn:
    raise ValueError(message)


def own_names() -> list[str]:
    """What `own` knows."""
    names = []
    for first, module in PARSERS.items():
        below = _subparsers(importlib.import_module(module).command_parser())
        names += [f"{first} {word}" for word in below] or [first]
    return names


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


def _options(parser: argparse.ArgumentParser) -> dict[str, Option]:
    """argparse says all that is wanted of its actions in public attributes, but lists them in a private one."""
    options = {}
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction) or action.dest == "command":
            continue
        word = next((text for text in action.option_strings if text.startswith("--")), ALONE)
        key = action.dest if word == ALONE else word.removeprefix("--")
        flag = action.nargs == 0
        options[key] = Option(
            word=word if flag or word == ALONE else f"{word}=",  # joined, so that a value may start with -
            read=None if flag else _reader(action),
            required=action.required,
            repeat=isinstance(action, argparse._AppendAction) or action.nargs in ("*", "+"),
            output=key in OUTPUTS,
        )
    return options


def _reader(action: argparse.Action) -> Callable[[str], object]:
    kind: Any = action.type or str

    def read(text: str) -> object:
        value = kind(text)
        if action.choices is not None and value not in action.choices:
            raise ValueError(f"{shown(text)} is none of {', '.join(map(str, action.choices))}")
        return value

    return read


def _setting(key: str) -> Option | None:
    """A setting of the config that the engine is to run, as in the row `camera.source`."""
    return Option(f"--set={key}=") if key.count(".") == 1 and key[0] != "." != key[-1] else None


def _looked_at(parser: argparse.ArgumentParser, words: Sequence[str]) -> dict[str, str]:
    parser.parse_args(words)  # says what is missing, and what excludes each other
    return {}


def _written(parser: argparse.ArgumentParser, words: Sequence[str]) -> dict[str, str]:
    """The files that the nodes at the end of the config write, by the node's name."""
    options = parser.parse_args(words)
    config = configs.load(options.config, options.set)
    if config.engine.mode == "live" and not options.seconds:
        raise ValueError("this config is live and never ends; give a row `seconds`, or a config of mode: offline")
    last = [node for node in config.nodes if not node.node_class.outputs]
    paths = {node.name: getattr(node.config, "path", None) for node in last}
    return {name: path for name, path in paths.items() if isinstance(path, str)}

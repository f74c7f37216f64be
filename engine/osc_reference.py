"""The generated part of docs/OSC.md: every address there is. `run_engine.py schema` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.config import registry
from engine.panel import Parameter, address, parameters
from engine.process import ROOT

PAGE = ROOT / "docs" / "OSC.md"
MARK = "<!-- From here on `python3 run_engine.py schema` writes this page. -->"
COMMANDS = (
    ("/utsushi/engine/start", "node, or nothing for all", "go on after a pause", '"pose"'),
    ("/utsushi/engine/pause", "node, or nothing for all", "stop making frames, stay ready", '"pose"'),
    ("/utsushi/engine/stop", "nothing", "end the engine", ""),
    (
        "/utsushi/engine/subscribe",
        "port",
        "tell that UDP port of the sender's machine everything now, and what changes for the next 10 s; "
        "send it again every few seconds",
        "9001",
    ),
    ("/utsushi/engine/ask", "nothing", "tell the sender's own port everything, once", ""),
)
TOLD = (
    (
        "/utsushi/engine/answer",
        "ok, address, version, text",
        "to each message that came in: ok 1 or 0, what it was for, the version of that node's settings, and a sentence "
        "where it was refused",
        "each time",
        '1 "/utsushi/node/pose/calm" 7 ""',
    ),
    (
        "/utsushi/engine/state",
        "state, text",
        "STARTING, RUNNING, DEGRADED (a node has trouble; the text says which), PAUSED, STOPPING, STOPPED",
        "1 Hz, change",
        '"RUNNING" ""',
    ),
    (
        "/utsushi/engine/progress",
        "share, seconds",
        "offline: how much is done, 0 to 1, and how long the rest will take; -1 while nobody can say",
        "1 Hz",
        "0.25 90.0",
    ),
    (
        "/utsushi/engine/log",
        "level, node, text",
        "a line as it stands on the engine's screen: INFO, WARNING, ERROR or CRITICAL",
        "each time",
        '"WARNING" "pose" "pose was killed by signal 9. Starting it again in 0.1 s."',
    ),
    (
        "/utsushi/event/NODE/NAME",
        "up to 8 numbers or texts",
        "something has happened at that node, such as `entered` and `left` with the number of a person at a pose node",
        "each time",
        "3",
    ),
    (
        "/utsushi/status/NODE/state",
        "state, text",
        "STARTING, RUNNING, DEGRADED, PAUSED, RESTARTING, STOPPING, STOPPED, FINISHED; text: what is the matter",
        "1 Hz, change",
        '"DEGRADED" "no camera 0"',
    ),
    ("/utsushi/status/NODE/fps", "number", "steps in the last second", "1 Hz", "30.0"),
    ("/utsushi/status/NODE/step_ms", "number", "median time of a step in the last second, ms", "1 Hz", "12.5"),
    ("/utsushi/status/NODE/skipped", "whole number", "frames it did not read, since the start", "1 Hz", "3"),
    ("/utsushi/status/NODE/restarts", "whole number", "how often its process was started again", "1 Hz", "0"),
    ("/utsushi/status/NODE/metric/NAME", "number or text", "what the node says of itself", "1 Hz", "2.0"),
    (
        "/utsushi/node/NODE/PARAMETER",
        "value or values, version",
        "what holds now, and the version of the settings since when it does",
        "change",
        "0.5 7",
    ),
)


def renewed(page: str) -> str:
    """The page with everything after the mark written anew."""
    return page[: page.index(MARK)] + MARK + "\n\n" + text()


def text() -> str:
    commands = _table(
        ("address", "values", "what it does", "example"),
        [(_code(where), values, does, _code(f"{where} {example}")) for where, values, does, example in COMMANDS],
    )
    told = _table(
        ("address", "values", "meaning", "when", "example of the values"),
        [(_code(where), values, means, when, _code(example)) for where, values, means, when, example in TOLD],
    )
    nodes = [f"### `{kind}`\n\n{_knobs(kind)}" for kind in registry.known_types() if parameters(kind)]
    silent = [f"`{kind}`" for kind in registry.known_types() if not parameters(kind)]
    return "\n".join(
        [
            "## Commands\n",
            commands,
            "## What an engine tells\n",
            told,
            "## Settings\n",
            "`NODE` is the name that the node has in your config; the examples call it by the last word of its type.",
            f"Nothing can be changed while these run: {', '.join(silent)}.\n",
            *nodes,
        ]
    )


def _knobs(kind: str) -> str:
    name = kind.rpartition(".")[2]
    rows = [
        (_code(address("NODE", one.name)), one.type + _how_many(one), _range(one), one.unit, _default(one), one.help,
         _code(f"{address(name, one.name)} {_shown(example(one))}"))
        for one in parameters(kind)
    ]  # fmt: skip
    return _table(("address", "type", "range", "unit", "default", "meaning", "example"), rows)


def example(parameter: Parameter) -> Any:
    """A value that is allowed and not the default."""
    default = parameter.default[0] if isinstance(parameter.default, (list, tuple)) else parameter.default
    match parameter.type:
        case "menu":
            one: Any = [choice for choice in parameter.menu or () if choice != default][-1]
        case "bool":
            one = int(not default)
        case "str":
            one = "assets/performer.safetensors" if "path" in parameter.help else "text"
        case _:
            doubled = default * 2 if default > 0 else 10
            one = doubled if parameter.max is None or doubled <= parameter.max else default / 2
            one = int(one) if parameter.type == "int" else float(one)
    return [one] * parameter.size if parameter.size > 1 else one


def _range(parameter: Parameter) -> str:
    if parameter.type == "menu":
        return ", ".join(_code(choice) for choice in parameter.menu or ())
    if parameter.type in ("bool", "str"):
        return "0 or 1" if parameter.type == "bool" else ""
    low = "" if parameter.min is None else f"{'more than' if parameter.exclusive_min else 'from'} {parameter.min:g}"
    high = "" if parameter.max is None else f"{'less than' if parameter.exclusive_max else 'to'} {parameter.max:g}"
    return (", " if parameter.exclusive_min else " ").join(side for side in (low, high) if side)


def _how_many(parameter: Parameter) -> str:
    if parameter.most == 1:
        return ""
    return f" × {parameter.size}" if parameter.size == parameter.most else f" × {parameter.size} to {parameter.most}"


def _default(parameter: Parameter) -> str:
    return "as configured" if parameter.default is None else _code(_shown(parameter.default))


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(_shown, value))
    if isinstance(value, bool):
        return str(int(value))
    return f'"{value}"' if isinstance(value, str) else str(value)


def _code(words: str) -> str:
    return f"`{words.strip()}`" if words.strip() else ""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)

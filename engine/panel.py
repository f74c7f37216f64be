"""What an engine says of itself: its streams, and every setting that may change while it runs.

Panels are made from it, TouchDesigner's parameter pages among them. A running engine keeps it in the file
<home>/<engine>.panel.json; `run_engine.py describe` prints the same without starting anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from engine.clock import now_ns
from engine.config import Config, NodeSpec, OscConfig, StreamSpec, live_fields, registry
from engine.node import Keypoints, NodeConfig
from engine.session import home, replace_file
from engine.wake import LOOPBACK

FORMAT = "utsushi.panel/1"
RENEW_NS = 1_000_000_000  # a slider that is being dragged changes sixty times a second, a file need not
TYPES = {"number": "float", "integer": "int", "boolean": "bool", "string": "str"}


@dataclass(frozen=True)
class Parameter:
    """One live setting of a node type.

    type: float, int, bool, str, or menu (text that stands in `menu`). size: how many values it takes, most: up to
    how many it may take. min, max: None where there is no limit; exclusive_*: the limit itself is not allowed.
    """

    name: str
    type: str
    size: int
    most: int
    default: Any
    min: float | None
    max: float | None
    exclusive_min: bool
    exclusive_max: bool
    menu: tuple[str, ...] | None
    unit: str
    help: str


def address(node: str, parameter: str) -> str:
    """Where the parameter is reached by OSC."""
    return f"/utsushi/node/{node}/{parameter}"


@cache
def parameters(node_type: str) -> tuple[Parameter, ...]:
    """The live settings of a node type such as "pose.blazepose", in the order in which they are declared.

    What is no number, text, choice or list of these has no knob: it can be set through the control port only.
    """
    node_class = registry.find(node_type)
    properties = node_class.Config.model_json_schema()["properties"]
    found = (_parameter(name, properties[name]) for name in live_fields(node_class))
    return tuple(parameter for parameter in found if parameter)


def _parameter(name: str, schema: dict[str, Any]) -> Parameter | None:
    one, size, most = _shape(schema)
    kind = "menu" if _is_menu(one) else TYPES.get(one.get("type", ""))
    if kind is None:
        return None
    low, high = one.get("minimum"), one.get("maximum")
    return Parameter(
        name, kind, size, most, schema.get("default"),
        one.get("exclusiveMinimum", low), one.get("exclusiveMaximum", high),
        "exclusiveMinimum" in one, "exclusiveMaximum" in one,
        tuple(one.get("enum") or [one["const"]]) if kind == "menu" else None,
        schema.get("unit", ""), schema.get("description", ""),
    )  # fmt: skip


def _is_menu(schema: dict[str, Any]) -> bool:
    choices = schema.get("enum") or [schema.get("const")]
    return all(isinstance(choice, str) for choice in choices)


def _shape(schema: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
    """The schema of one value, how many there are, and up to how many there may be."""
    if "prefixItems" in schema:
        return schema["prefixItems"][0], len(schema["prefixItems"]), len(schema["prefixItems"])
    if schema.get("type") == "array":
        return schema["items"], schema.get("minItems", 0), schema.get("maxItems", 64)
    if "anyOf" in schema:  # one value or a list of them
        shapes = [_shape(member) for member in schema["anyOf"]]
        return shapes[0][0], min(size for _, size, _ in shapes), max(most for _, _, most in shapes)
    return schema, 1, 1


def describe(
    config: Config,
    nodes: Iterable[tuple[NodeSpec, NodeConfig, Mapping[str, int]]] = (),
    osc_port: int | None = None,
    session: int = 0,
    pid: int = 0,
) -> dict[str, Any]:
    """The panel as JSON data; docs/OSC.md says what each key holds.

    nodes: spec, the settings that hold now and, per parameter, the version of its newest change; left out: as
    configured. osc_port: the port that was taken, None where it is off or the engine does not run.
    """
    osc = config.engine.osc
    if isinstance(osc, OscConfig):
        port = osc.port if osc_port is None else osc_port
        host = LOOPBACK if IPv4Address(osc.host).is_unspecified else osc.host
        told: dict[str, Any] | None = {"host": host, "port": port}
    else:
        told = None
    specs = {spec.name: spec for spec in config.nodes}
    return {
        "format": FORMAT,
        "engine": config.engine.name,
        "session": session,
        "pid": pid,
        "config": str(config.path),
        "logs": str(home() / "logs" / config.engine.name),
        "mode": config.engine.mode,
        "osc": told,
        "streams": [_stream(stream, specs[stream.node]) for stream in config.streams],
        "nodes": [_node(*node) for node in nodes or ((spec, spec.config, {}) for spec in config.nodes)],
    }


def _stream(stream: StreamSpec, spec: NodeSpec) -> dict[str, Any]:
    port = spec.outputs[stream.port]
    people = {"people": getattr(spec.config, "people", 1)} if isinstance(port, Keypoints) else {}
    return {"name": stream.name, "node": stream.node, "kind": type(port).__name__.lower(), **asdict(port), **people}


def _node(spec: NodeSpec, settings: NodeConfig, versions: Mapping[str, int]) -> dict[str, Any]:
    values = settings.model_dump(mode="json")
    return {
        "name": spec.name,
        "type": spec.type,
        "parameters": [
            asdict(one)
            | {"address": address(spec.name, one.name), "value": values[one.name], "version": versions.get(one.name, 0)}
            for one in parameters(spec.type)
        ],
    }


def text(panel: dict[str, Any]) -> str:
    return json.dumps(panel, indent=1, ensure_ascii=False) + "\n"


class PanelFile:
    """<home>/<engine>.panel.json, kept by the supervisor."""

    def __init__(self, engine: str):
        self.path: Path = home() / f"{engine}.panel.json"
        self._written: Any = None
        self._written_ns = 0

    def due(self, state: Any) -> bool:
        """Whether the file tells of another `state` than this one, and is old enough to be written again."""
        return state != self._written and now_ns() - self._written_ns >= RENEW_NS

    def write(self, state: Any, panel: dict[str, Any]) -> None:
        """Raises OSError; the next try is when `state` is another one."""
        self._written, self._written_ns = state, now_ns()
        replace_file(self.path, text(panel).encode())

    def remove(self) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

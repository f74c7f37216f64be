"""A config file as a checked model: what the supervisor needs to know before it starts any process.

    engine: {name: demo}
    nodes:
      camera: {type: camera.opencv, source: assets/visitor.mp4}
      pose: {type: pose.blazepose, input: camera}

docs/CONFIG.md says it in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.config.errors import Invalid, block, checked, shown, suggest, validate
from engine.config.graph import NodeSpec, StreamSpec, connect
from engine.config.model import EngineConfig, OscConfig
from engine.config.nodes import read_node
from engine.config.overrides import override
from engine.config.profiles import smaller
from engine.config.schema import json_schema, schema_text
from engine.config.yaml_source import YamlSource
from engine.errors import ConfigError
from engine.layout import DIRECTORY_BYTES, MAX_NODES, ring_bytes
from engine.node import Node

__all__ = [
    "Config", "EngineConfig", "NodeSpec", "OscConfig", "StreamSpec",
    "change", "json_schema", "live_fields", "load", "needed_bytes", "schema_text",
]  # fmt: skip


@dataclass(frozen=True)
class Config:
    """A whole config; nodes stand in topological order, producers first."""

    engine: EngineConfig
    nodes: tuple[NodeSpec, ...]
    streams: tuple[StreamSpec, ...]
    path: Path


def load(path: Path, sets: Sequence[str] = ()) -> Config:
    """Read and check a config file. sets: `NODE.KEY=VALUE` each, instead of what the file says there.

    Raises ConfigError with every problem that was found, each as `FILE:LINE:COLUMN: sentence`, the line and a caret,
    or as `--set NODE.KEY=VALUE: sentence`.
    """
    source = YamlSource(path)
    for text in sets:
        override(source, text)
    top = block(source, (), source.data, "engine: and nodes:")
    source.check()
    for key in top.keys() - {"engine", "nodes"}:
        source.complain((key,), f"unknown setting {shown(key)}{suggest(key, ['engine', 'nodes'])}", at_key=True)
    settings = block(source, ("engine",), top["engine"], "name:, mode:, port: or osc:") if "engine" in top else {}
    engine = checked(source, ("engine",), EngineConfig, settings) or EngineConfig()
    offline = settings.get("mode") == "offline"
    entries = block(source, ("nodes",), top.get("nodes"), "one entry per node")
    if len(entries) > MAX_NODES:
        source.complain(("nodes",), f"there are {len(entries)} nodes; an engine runs up to {MAX_NODES}", at_key=True)
        source.check()
    specs = {name: read_node(source, name, entry, offline) for name, entry in entries.items()}
    whole = [spec for spec in specs.values() if spec]
    nodes, streams = connect(source, whole, specs.keys() - {spec.name for spec in whole}, offline)
    source.check()
    return Config(engine, nodes, streams, path.resolve())


def needed_bytes(config: Config) -> int:
    """Shared memory that the engine will reserve: the directory and one ring per stream."""
    return DIRECTORY_BYTES + sum(ring_bytes(stream.slots, stream.capacity) for stream in config.streams)


def live_fields(node_class: type[Node]) -> tuple[str, ...]:
    """The settings that may change while the node runs: those declared with `engine.node.live`."""
    fields = node_class.Config.model_fields.items()
    return tuple(n for n, f in fields if isinstance(f.json_schema_extra, dict) and f.json_schema_extra.get("live"))


def _names_a_share(value: Any) -> bool:
    """Is it, or is in it, a path such as `\\\\machine\\share`? To look at one, Windows logs in there.

    A message may come from a stranger, and he would learn a name and the hash of a password.
    """
    if isinstance(value, (list, tuple)):
        return any(map(_names_a_share, value))
    return isinstance(value, str) and value.lstrip()[:2].replace("\\", "/") == "//"


def change(spec: NodeSpec, values: dict[str, Any]) -> NodeSpec:
    """`spec` with some live settings changed. Raises ConfigError, and changes nothing, unless all are good."""
    can_change = live_fields(spec.node_class)
    for key, value in values.items():
        if key in can_change:
            if _names_a_share(value):
                raise ConfigError(
                    f"{spec.name}: {key!r} cannot name a share of another machine while the node runs; "
                    "set it in the config and restart"
                )
            continue
        if key in spec.node_class.Config.model_fields:
            raise ConfigError(
                f"{spec.name}: {key!r} cannot change while the node runs; set it in the config and restart"
            )
        raise ConfigError(f"{spec.name}: no live setting {shown(key)}{suggest(str(key), can_change)}")
    old = spec.config.model_dump(mode="json", exclude_unset=True)
    try:
        config = validate(spec.node_class.Config, old | values)
        return replace(spec, config=config, smaller=smaller(spec.node_class, config))
    except (Invalid, ConfigError) as error:
        raise ConfigError(f"{spec.name}: {error}; the old value stays") from None

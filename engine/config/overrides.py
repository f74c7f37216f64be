"""`--set NODE.KEY=VALUE`: another value for one setting of a config, checked as if it stood in the file."""

from __future__ import annotations

from typing import Any

from engine.config.errors import shown, suggest
from engine.config.yaml_source import Where, YamlSource
from engine.errors import ConfigError

EXAMPLE = "write NODE.KEY=VALUE, such as camera.source=clip.mp4, or engine.KEY=VALUE"


def override(source: YamlSource, text: str) -> None:
    """Put a value into `source`. Raises ConfigError where there is nothing that it could be put into."""
    path, equals, value = text.partition("=")
    block, dot, key = path.strip().partition(".")
    if not (equals and block and dot and key):
        raise ConfigError(f"--set {shown(text)}: {EXAMPLE}.")
    top = source.data if isinstance(source.data, dict) else {}
    if block == "engine":
        where: Where = ("engine", key)
        entry = top.setdefault("engine", {})
    else:
        where = ("nodes", block, key)
        nodes = top.get("nodes")
        names = [name for name, found in nodes.items() if isinstance(found, dict)] if isinstance(nodes, dict) else []
        if block not in names:
            raise ConfigError(f"--set {text}: this config has no node {shown(block)}{suggest(block, names)}")
        entry = top["nodes"][block]
    if isinstance(entry, dict):  # what else it may be is complained of in the file
        entry[key] = _value(source, value)
        source.replaced(where, f"--set {text}")


def _value(source: YamlSource, text: str) -> Any:
    """As YAML reads it where that is a number or a list; other text as it is, since paths hold ` #` and `: `."""
    found = source.read_value(text)
    plain_text = isinstance(found, str) and text.strip()[:1] not in ("'", '"')
    plain_block = isinstance(found, dict) and not text.strip().startswith("{")
    return text if plain_text or plain_block else found

"""The smaller profiles of a node: what it falls back to when the machine cannot carry the configured settings."""

from __future__ import annotations

from typing import Any

from engine.config.errors import Invalid, validate
from engine.errors import ConfigError
from engine.node import Node, NodeConfig


def smaller(node_class: type[Node], config: NodeConfig) -> tuple[NodeConfig, ...]:
    """`config` in each of the node's profiles, checked. Raises ConfigError when one does not fit these settings."""
    return tuple(_apply(config, number, profile) for number, profile in enumerate(node_class.profiles, 1))


def _apply(config: NodeConfig, number: int, profile: dict[str, Any]) -> NodeConfig:
    values = config.model_dump(mode="json", exclude_unset=True)
    for key, value in profile.items():
        configured = getattr(config, key, None)
        values[key] = min(value, configured) if _is_number(value) and _is_number(configured) else value
    try:
        return validate(type(config), values)
    except Invalid as error:
        raise ConfigError(f"its smaller profile {number} does not fit these settings: {error}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

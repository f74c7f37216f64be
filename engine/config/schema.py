"""The JSON schema of a config, for editors: it completes names, shows what they mean, and underlines mistakes.

An editor reads it from the first line of each file in configs/. `run_engine.py schema` writes it.
"""

from __future__ import annotations

import inspect
import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from engine.config import registry
from engine.config.model import NODE_NAME, EdgeConfig, EngineConfig
from engine.node import Node


class _Untitled(GenerateJsonSchema):
    """Without a title per setting, which would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The schema of a config with every node type there is. Raises ConfigError when one of them cannot be imported."""
    types = registry.known_types()
    definitions = {"engine": _model("engine", EngineConfig), "edge": _model("edge", EdgeConfig)}
    definitions |= {name: _entry(name, registry.find(name)) for name in types}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Utsushi config",
        "type": "object",
        "required": ["nodes"],
        "additionalProperties": False,
        "properties": {
            "engine": {"$ref": "#/$defs/engine"},
            "nodes": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": f"^{NODE_NAME}$"},
                "additionalProperties": {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in types]},
            },
        },
        "$defs": definitions,
    }


def schema_text() -> str:
    """The schema as it stands in configs/utsushi.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _model(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """One definition; what it shares within itself stays inside, so that names never clash between nodes."""
    return model.model_json_schema(ref_template=f"#/$defs/{name}/$defs/{{model}}", schema_generator=_Untitled)


def _entry(name: str, node_class: type[Node]) -> dict[str, Any]:
    """A node's block: its settings, its type, and what it reads."""
    schema = _model(name, node_class.Config)
    about = inspect.cleandoc(node_class.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    own: dict[str, Any] = {"type": {"const": name, "description": about}}
    edge = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/edge"}]}
    ports = list(node_class.inputs)
    if len(ports) == 1:
        own["input"] = {**edge, "description": "the node it reads from"}
    if ports:
        own["inputs"] = {
            "type": "object",
            "description": "the node to read from, per input",
            "properties": {port: edge for port in ports},
            "required": ports,
            "additionalProperties": False,
        }
    if node_class.gathers:
        named = {"propertyNames": {"pattern": f"^{NODE_NAME}$"}, "additionalProperties": edge, "minProperties": 1}
        own["inputs"] = {"type": "object", "description": "the streams to read, each under a name of yours", **named}
    schema |= {"title": name, "description": about, "properties": own | schema.get("properties", {})}
    schema["required"] = ["type", *schema.get("required", [])]
    return schema

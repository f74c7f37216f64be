"""One entry of `nodes:` → a NodeSpec."""

from __future__ import annotations

import re
from typing import Any

from engine.config import registry
from engine.config.errors import block, checked, shown, suggest
from engine.config.graph import Edge, NodeSpec
from engine.config.model import NODE_NAME, OWN_KEYS, EdgeConfig
from engine.config.profiles import smaller
from engine.config.yaml_source import Where, YamlSource
from engine.errors import ConfigError, EngineError
from engine.node import Node
from engine.ring_reader import Policy


def read_node(source: YamlSource, name: str, entry: Any, offline: bool) -> NodeSpec | None:
    """The node `name`, or None after complaining in `source`."""
    where: Where = ("nodes", name)
    if not re.fullmatch(NODE_NAME, name):
        sentence = f"a node cannot be called {shown(name)}: use 1 to 31 small letters, digits, - and _"
        source.complain(where, sentence, at_key=True)
    values = block(source, where, entry, "at least type:")
    node_class = _node_class(source, where, values, offline) if values else None
    if node_class is None:
        return None
    settings = {key: value for key, value in values.items() if key not in OWN_KEYS}
    config = checked(source, where, node_class.Config, settings, OWN_KEYS)
    inputs = _inputs(source, where, values, node_class, offline)
    if config is None or len(inputs) < (1 if node_class.gathers else len(node_class.inputs)):
        return None
    try:
        outputs = node_class.outputs_of(config)
        return NodeSpec(name, values["type"], node_class, config, inputs, outputs, smaller(node_class, config))
    except EngineError as error:
        source.complain(where, str(error), at_key=True)
        return None


def _node_class(source: YamlSource, where: Where, values: dict[str, Any], offline: bool) -> type[Node] | None:
    type_name = values.get("type")
    if not isinstance(type_name, str):
        source.complain((*where, "type"), f"this node needs type:, one of {', '.join(registry.known_types())}")
        return None
    try:
        node_class = registry.find(type_name)
    except ConfigError as error:
        source.complain((*where, "type"), str(error))
        return None
    if offline and node_class.paced:
        sentence = f"{type_name} runs at a rate of its own, which an offline engine cannot wait for; use output.video"
        source.complain((*where, "type"), sentence)
    return node_class


def _inputs(
    source: YamlSource, where: Where, values: dict[str, Any], node_class: type[Node], offline: bool
) -> dict[str, Edge]:
    """The edges into a node by port; those that cannot be used are left out after a complaint."""
    edges = {}
    ports = node_class.inputs
    given = _given(source, where, values, list(ports), node_class.gathers)
    if node_class.gathers:  # all like the one that it declares
        ports = dict.fromkeys(given, *ports.values())
    for port, default in ports.items():
        if port in given:
            place = (*where, "input") if "input" in values else (*where, "inputs", port)
            edge = _edge(source, place, given[port], default, offline)
            if edge:
                edges[port] = edge
    return edges


def _given(
    source: YamlSource, where: Where, values: dict[str, Any], ports: list[str], any_names: bool
) -> dict[str, Any]:
    """What the entry says about each of its ports, from `input:` or `inputs:`. any_names: the config names them."""
    if "input" in values:
        if len(ports) == 1 and "inputs" not in values:
            return {ports[0]: values["input"]}
        if not ports:
            sentence = f"{values['type']} reads nothing; delete this line"
        else:
            sentence = f"write inputs: {{{', '.join(f'{port}: …' for port in ports)}}} instead, and nothing else"
        source.complain((*where, "input"), sentence, at_key=True)
        return {}
    if "inputs" not in values and not ports:
        return {}
    if "inputs" not in values and len(ports) == 1:
        source.complain(where, "this node needs input:, the name of the node it reads from", at_key=True)
        return {}
    wanted = f"a stream for each of: {', '.join(ports)}"
    given = block(source, (*where, "inputs"), values.get("inputs"), "a stream for each" if any_names else wanted)
    if any_names:
        for port in [port for port in given if not re.fullmatch(NODE_NAME, port)]:
            sentence = f"an input cannot be called {shown(port)}: use 1 to 31 small letters, digits, - and _"
            source.complain((*where, "inputs", port), sentence, at_key=True)
            del given[port]
        return given
    unknown = given.keys() - set(ports)
    for port in unknown:
        sentence = f"{values['type']} has no input {shown(port)}{suggest(port, ports)}"
        source.complain((*where, "inputs", port), sentence, at_key=True)
    for port in set(ports) - given.keys() if given and not unknown else ():
        source.complain((*where, "inputs"), f"the input {port!r} is missing; name the node it reads from", at_key=True)
    return given


def _edge(source: YamlSource, place: Where, value: Any, default: Policy, offline: bool) -> Edge | None:
    read = checked(source, place, EdgeConfig, value if isinstance(value, dict) else {"stream": value})
    if read is None:
        return None
    if default is Policy.PAIRED and read.policy:
        sentence = "this input goes by the time of the first one, so it has no policy; delete this line"
        source.complain((*place, "policy"), sentence, at_key=True)
    policy = Policy(read.policy) if read.policy else default
    if offline:
        policy = Policy.LOSSLESS
    elif policy is Policy.LOSSLESS:
        sentence = (
            "lossless lets a reader hold up the whole show, so a live engine refuses it; "
            "write latest or every, or set mode: offline"
        )
        source.complain((*place, "policy") if isinstance(value, dict) else place, sentence)
        return None
    return Edge(read.stream, policy)

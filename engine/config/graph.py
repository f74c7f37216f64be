"""How the nodes of a config hang together: edges, streams, order."""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from engine.config.errors import shown, suggest
from engine.config.yaml_source import Where, YamlSource
from engine.layout import MAX_READERS, MAX_STREAMS
from engine.node import Node, NodeConfig, Port
from engine.ring_reader import Policy

NodeClass = type[Node]

EVERY_SLOTS = 16  # half a second at 30 fps


@dataclass(frozen=True)
class Edge:
    """What an input port reads, and what it may skip."""

    stream: str
    policy: Policy


@dataclass(frozen=True)
class NodeSpec:
    """One node of the config, checked."""

    name: str
    type: str
    node_class: NodeClass
    config: NodeConfig
    inputs: dict[str, Edge]
    outputs: dict[str, Port]
    smaller: tuple[NodeConfig, ...] = ()  # the same in each of the node's profiles

    def stream_name(self, port: str) -> str:
        """A node's first output is called like the node, a further one "node.port"."""
        return self.name if port == next(iter(self.outputs)) else f"{self.name}.{port}"


@dataclass(frozen=True)
class StreamSpec:
    """One output of one node, and who reads it."""

    name: str
    node: str
    port: str
    capacity: int  # bytes of payload per frame
    slots: int
    lossless: bool
    readers: tuple[tuple[str, str], ...]  # (node, input port)


def connect(
    source: YamlSource, nodes: Sequence[NodeSpec], broken: Collection[str], offline: bool
) -> tuple[tuple[NodeSpec, ...], tuple[StreamSpec, ...]]:
    """The nodes in topological order, and their streams. What is wrong is noted in `source`.

    broken: names of nodes that were refused already; what reads from them is not refused for that.
    """
    nodes = _in_full(nodes)
    streams = _streams(nodes, offline)
    if len(streams) > MAX_STREAMS:
        source.complain(("nodes",), f"these nodes make {len(streams)} streams; an engine carries {MAX_STREAMS}")
    for stream in streams:
        if len(stream.readers) > MAX_READERS:
            sentence = f"{len(stream.readers)} inputs read the stream {stream.name!r}; {MAX_READERS} can"
            source.complain(("nodes", stream.node), sentence, at_key=True)
    known = {stream.name: stream.node for stream in streams}
    for node in nodes:
        for port, edge in node.inputs.items():
            if edge.stream not in known and edge.stream.partition(".")[0] not in broken:
                sentence = f"no node makes the stream {shown(edge.stream)}{_instead(edge.stream, nodes, known, broken)}"
                source.complain(_stream_place(source, node.name, port), sentence)
    return _ordered(source, nodes, known), streams


def _in_full(nodes: Sequence[NodeSpec]) -> list[NodeSpec]:
    """The nodes, with every stream under its own name: "camera.image" is just "camera" if that is the first output."""
    names = {f"{node.name}.{next(iter(node.outputs))}": node.name for node in nodes if node.outputs}
    return [
        replace(node, inputs={p: replace(e, stream=names.get(e.stream, e.stream)) for p, e in node.inputs.items()})
        for node in nodes
    ]


def _stream_place(source: YamlSource, node: str, port: str) -> Where:
    """Where the config names the stream that an input reads, in its short form or its long one."""
    short: Where = ("nodes", node, "input")
    edge = short if short in source.places else ("nodes", node, "inputs", port)
    return (*edge, "stream") if (*edge, "stream") in source.places else edge


def _slots(node: NodeSpec, policies: Sequence[Policy]) -> int:
    """A reader of every frame needs room for its slow moments, and a paired one for those of the stream it goes by;
    one of the newest only pays for it with cold memory."""
    return max(node.node_class.slots, EVERY_SLOTS if {Policy.EVERY, Policy.PAIRED}.intersection(policies) else 0)


def _streams(nodes: Sequence[NodeSpec], offline: bool) -> tuple[StreamSpec, ...]:
    by_place = {(node.name, port): edge for node in nodes for port, edge in node.inputs.items()}
    readers: dict[str, list[tuple[str, str]]] = {}
    for node in nodes:
        for port, edge in node.inputs.items():
            readers.setdefault(edge.stream, []).append((node.name, port))
    return tuple(
        StreamSpec(
            name=node.stream_name(port),
            node=node.name,
            port=port,
            capacity=output.capacity(node.config),
            slots=_slots(node, [by_place[reader].policy for reader in readers.get(node.stream_name(port), ())]),
            lossless=offline,
            readers=tuple(readers.get(node.stream_name(port), ())),
        )
        for node in nodes
        for port, output in node.outputs.items()
    )


def _instead(name: str, nodes: Sequence[NodeSpec], known: dict[str, str], broken: Collection[str]) -> str:
    node, _, port = name.partition(".")
    settings = next((spec.node_class.Config.model_fields for spec in nodes if spec.name == node), {})
    if port in settings and settings[port].annotation is bool:
        return f"; write {port}: true into {node}"
    ports = [stream for stream, owner in known.items() if owner == node]
    return f"; that node makes {', '.join(ports)}" if ports else suggest(name, [*known, *broken])


def _ordered(source: YamlSource, nodes: Sequence[NodeSpec], known: dict[str, str]) -> tuple[NodeSpec, ...]:
    """Producers before consumers."""
    before = {n.name: [known[e.stream] for e in n.inputs.values() if e.stream in known] for n in nodes}
    by_name = {node.name: node for node in nodes}
    try:
        return tuple(by_name[name] for name in graphlib.TopologicalSorter(before).static_order())
    except graphlib.CycleError as error:
        circle = error.args[1]
        sentence = f"these nodes wait for one another in a circle: {' → '.join(circle)}; cut one of the inputs"
        source.complain(("nodes", circle[0]), sentence, at_key=True)
        return ()

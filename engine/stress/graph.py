"""What runs: the synthetic graph, or somebody's own config with a small numbered stream beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engine import config as configs
from engine.errors import BadInput
from engine.stress import pattern

BESIDE = "stress"  # the names of what is put beside an own config begin with it


@dataclass(frozen=True)
class Load:
    """How much of it."""

    size: tuple[int, int] = (320, 180)
    fps: float = 120.0
    readers: int = 2
    frames: int = 0


def synthetic(name: str, folder: Path, load: Load) -> configs.Config:
    """A source, its readers (every and latest by turns), and a relay with a reader of its own, "tail".

    Raises `BadInput` for a size that cannot be, ConfigError for more than an engine carries.
    """
    nodes: dict[str, Any] = {"source": _source(folder, "source", load)}
    for index in range(load.readers):
        policy = ("every", "latest")[index % 2]
        nodes[f"reader-{index + 1}"] = _node(folder, f"reader-{index + 1}", "reader", "source", policy)
    nodes["relay"] = {**_node(folder, "relay", "relay", "source", "every"), "size": list(load.size)}
    nodes["tail"] = _node(folder, "tail", "reader", "relay", "every")
    return _written(name, folder, nodes)


def beside(name: str, folder: Path, path: Path) -> configs.Config:
    """The config at `path` under another name and with ports of its own, so that a show that runs is left alone.

    A small numbered stream is put beside its nodes: the same faults happen to it, and its pictures can be judged.
    Raises ConfigError, `BadInput`.
    """
    if configs.load(path).engine.mode == "offline":  # and whatever is wrong is told with the file's own lines
        raise BadInput(f"{path} is an offline config. stress needs one that is live: offline nobody may be killed.")
    nodes = yaml.safe_load(path.read_text(encoding="utf-8"))["nodes"]
    if taken := [node for node in nodes if node.startswith(BESIDE)]:
        raise BadInput(f"{path} has a node called {taken[0]!r}; stress uses such names for its own. Rename it.")
    source, reader = f"{BESIDE}-source", f"{BESIDE}-reader"
    nodes[source] = _source(folder, source, Load((64, 64), 30.0))
    nodes[reader] = _node(folder, reader, "reader", source, "every")
    return _written(name, folder, nodes)


def is_numbered(spec: configs.NodeSpec) -> bool:
    """Is it a node of ours, which deals in numbered pictures and keeps a tally?"""
    return hasattr(spec.config, "tally")


def is_source(spec: configs.NodeSpec) -> bool:
    return is_numbered(spec) and not spec.inputs


def is_reader(spec: configs.NodeSpec) -> bool:
    """Is it one of ours that only reads?"""
    return is_numbered(spec) and not spec.outputs


def tally_of(folder: Path, node: str) -> Path:
    return folder / f"{node}.tally"


def _source(folder: Path, name: str, load: Load) -> dict[str, Any]:
    pattern.require_size(*load.size)
    return {
        "type": "stress.source", "size": list(load.size), "fps": load.fps, "frames": load.frames, "step_timeout": 2.0,
        "tally": str(tally_of(folder, name)),
    }  # fmt: skip


def _node(folder: Path, name: str, kind: str, stream: str, policy: str) -> dict[str, Any]:
    return {
        "type": f"stress.{kind}", "input": {"stream": stream, "policy": policy}, "step_timeout": 2.0,
        "tally": str(tally_of(folder, name)),
    }  # fmt: skip


def _written(name: str, folder: Path, nodes: dict[str, Any]) -> configs.Config:
    path = folder / "config.yaml"
    engine = {"name": name, "osc": {"port": 0}}
    path.write_text(yaml.safe_dump({"engine": engine, "nodes": nodes}, sort_keys=False), encoding="utf-8")
    return configs.load(path)

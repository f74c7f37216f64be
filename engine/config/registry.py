"""Node types by name: `camera.opencv` is the one class deriving from Node in nodes/camera/opencv.py.

The engine knows no node by name; it looks the folder through. Only modules below nodes/ can be reached.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from pathlib import Path

from engine.config.errors import shown, suggest
from engine.errors import ConfigError
from engine.node import Node

PACKAGE = "nodes"
TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


def find(type_name: str) -> type[Node]:
    """The class of a node type such as "camera.opencv".

    Raises ConfigError when there is none, and when its module cannot be imported.
    """
    parts = type_name.split(".") if TYPE.fullmatch(type_name) else []
    places = [folder.joinpath(*parts).with_suffix(".py") for folder in _folders()] if parts else []
    path = next((place for place in places if place.is_file() and _defines_node(place)), None)
    if path is None:
        raise ConfigError(f"there is no node type {shown(type_name)}{suggest(type_name, known_types())}")
    name = f"{PACKAGE}.{type_name}"
    try:
        module = importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and (error.name or PACKAGE).split(".")[0] not in (PACKAGE, "engine"):
            raise ConfigError(
                f"the node type {type_name!r} needs the Python module {error.name!r}, which is not installed; "
                "run: python3 run_engine.py --setup"
            ) from error
        raise ConfigError(f"{path} cannot be imported ({type(error).__name__}: {error}); mend that file") from error
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Node) and c.__module__ == name]
    if len(classes) != 1:
        raise ConfigError(f"{path} defines {len(classes)} node classes; a node type is a file with exactly one")
    return classes[0]


def known_types() -> list[str]:
    """All node types, found without importing any of them."""
    found = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for folder in _folders()
        for path in folder.rglob("*.py")
        if _defines_node(path)
    }
    return sorted(name for name in found if TYPE.fullmatch(name))


def _folders() -> list[Path]:
    """nodes/ beside engine/, and any other folder of that name on PYTHONPATH: a namespace package."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"the folder {PACKAGE}/ is missing beside engine/; the checkout is incomplete")
    return [Path(place) for place in spec.submodule_search_locations]


def _defines_node(path: Path) -> bool:
    """Whether the file has a class that names Node as its base."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return True  # importing it will say what is wrong
    return any(
        isinstance(base, ast.Name) and base.id == "Node"
        for item in tree.body
        if isinstance(item, ast.ClassDef)
        for base in item.bases
    )

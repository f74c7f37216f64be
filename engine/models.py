"""The model files: where they lie, and that they are what they should be. Standard library only.

assets/models.json names each with its size, its sha256, its licence and where to get it. They lie in `models/`, which
`run_engine.py --setup` fills (engine/setup/fetch.py).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from engine.errors import BadInput

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "assets" / "models.json"
FOLDER = ROOT / "models"
COMMAND = ("py" if os.name == "nt" else "python3") + " run_engine.py"  # as a person types it here


def entries() -> dict[str, dict]:
    """What the manifest says of each model file: bytes, sha256, license, sources, optional."""
    return json.loads(MANIFEST.read_text(encoding="utf-8"))["files"]


def model_path(name: str) -> Path:
    """The model file of that name, read once to make sure that it is whole. Raises `BadInput`."""
    path = FOLDER / name
    try:
        wrong = fault(path, entries()[name])
    except KeyError:
        raise BadInput(f"There is no model file {name!r}. {MANIFEST} names those there are.") from None
    except OSError as error:
        wrong = f"cannot be read ({error})"
    if wrong:
        raise BadInput(f"The model file {path} {wrong}. Fetch it with: {COMMAND} --setup")
    return path


def fault(path: Path, entry: dict) -> str | None:
    """What is wrong with a model file, as the end of a sentence; None if nothing is. Raises `OSError`."""
    if not path.exists():
        return "is missing"
    size = path.stat().st_size
    if size != entry["bytes"]:
        return f"is damaged: it has {size} bytes instead of {entry['bytes']}"
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
            return "is damaged: its content is not what the manifest's sha256 stands for"
    return None

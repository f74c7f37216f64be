"""The engine: processes, shared-memory rings and control, with no knowledge of any particular node."""

__version__ = "0.1.0"

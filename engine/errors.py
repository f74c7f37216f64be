"""Typed errors and exit codes.

Every message is a sentence that says what happened, where, and what to do next. Expected absence
(no new frame yet) is a value, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `run_engine.py` and of a node's process (documented in docs/FAULTS.md)."""

    OK = 0
    FAILED = 1  # something broke that has no code of its own
    USAGE = 2  # bad command line, bad config
    ALREADY_RUNNING = 3  # an engine of this name runs already
    NO_SPACE = 4  # shared memory is full
    NOT_PROVEN = 5  # `stress`: a frame or a count was wrong
    OVER_BUDGET = 6  # `stress`: frames and counts were right, a promise or a budget was not kept
    BAD_INPUT = 10  # a source, model or target that the config names cannot be used
    STEP_FAILED = 20  # a node gave up after many failed steps in a row
    FENCED = 21  # a newer process writes this stream
    ORPHANED = 22  # the supervisor is gone
    DEVICE_FAILED = 41  # the graphics card failed
    OUT_OF_MEMORY = 42  # the graphics card's memory is full, or the machine's


class EngineError(Exception):
    """Base of all errors that carry a sentence for a person."""

    exit_code: Exit = Exit.FAILED


class ConfigError(EngineError):
    """The config cannot be used. The message starts with FILE:LINE:COLUMN where there is one.

    sentences: the same without places, for whoever does not see the file.
    """

    exit_code = Exit.USAGE

    def __init__(self, message: str, sentences: Sequence[str] = ()):
        super().__init__(message)
        self.sentences = tuple(sentences) or (message,)


class AlreadyRunning(EngineError):
    """An engine of this name holds the session lock."""

    exit_code = Exit.ALREADY_RUNNING


class BadInput(EngineError):
    """A file, device, model or target that the config names cannot be used."""

    exit_code = Exit.BAD_INPUT


class SegmentError(EngineError):
    """Base of what can be wrong with a shared-memory segment."""


class SegmentMissing(SegmentError):
    """No segment of this name: the engine is not running, or not yet."""


class NotReady(SegmentError):
    """The segment exists but its owner has not finished filling it in; try again shortly."""


class LayoutMismatch(SegmentError):
    """The segment was laid out by another version, or is not ours at all."""


class ShmFull(SegmentError):
    """There is not enough shared memory."""

    exit_code = Exit.NO_SPACE


class FrameTooLarge(EngineError):
    """A frame does not fit a slot of its ring."""

    def __init__(self, message: str, needed: int):
        super().__init__(message)
        self.needed = needed


class Unrecoverable(EngineError):
    """Base of what no further step of this process can mend: raised from a step it ends the process at once."""


class WriterFenced(Unrecoverable):
    """The supervisor has granted this stream to a newer writer; this one must stop."""

    exit_code = Exit.FENCED


class DeviceFailed(Unrecoverable):
    """The graphics card failed. What CUDA has once refused it refuses until the process ends."""

    exit_code = Exit.DEVICE_FAILED


class OutOfMemory(Unrecoverable):
    """The memory of the graphics card or of the machine is full."""

    exit_code = Exit.OUT_OF_MEMORY


class BadMessage(EngineError):
    """A control message was refused."""

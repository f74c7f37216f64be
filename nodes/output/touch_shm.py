"""The native protocol of TouchDesigner's Shared Mem In TOP, as its sender: no Python runs in TouchDesigner.

A picture lies in a named section behind a header and is written under a named mutex. A second, small section, the info
block, says which section holds the picture now, and when the sender leaves. The layout is that of Derivative's "Write a
Shared Memory TOP" and of the SDK's sample (TouchDesigner 2023 to 2025). Tried under Wine against a receiver of our own,
never with TouchDesigner; docs/OUTPUT.md lists what is unconfirmed.
"""

from __future__ import annotations

import random
import string
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple, Protocol

import numpy as np

from engine.errors import EngineError
from nodes.output.sink import Sink

PREFIX, INFO_SUFFIX, MUTEX_SUFFIX = "TouchSHM", "4jhd783h", "Mutex"

# magic, version, width, height, aspect x, aspect y, pixel format, 4 pad, image bytes, offset of the image, 4 pad
HEADER = struct.Struct("<IIiiffI4xqi4x")
MAGIC, VERSION = 0xD95EF835, 1
PIXEL_FORMATS = {"rgba8": 37, "rgba8_srgb": 43, "bgra8": 44, "bgra8_srgb": 50}  # Vulkan's numbers

# magic, version, supported (the receiver sets it), 1 pad, postfix as 32 UTF-16 units, detach, 1 pad
INFO = struct.Struct("<II?x64s?x")
INFO_MAGIC, INFO_VERSION = 0x56ED34BA, 2
POSTFIX_LETTERS = 31

LOCK_S = 0.05  # a receiver holds a mutex for one copy; a show rather misses a picture than waits for longer
STUCK_S = 2.0


def header(width: int, height: int, pixel_format: str) -> bytes:
    """The 48 bytes before a picture of tightly packed 4-byte pixels."""
    image = width * height * 4
    return HEADER.pack(
        MAGIC, VERSION, width, height, 1.0, 1.0, PIXEL_FORMATS[pixel_format], image, HEADER.size
    )  # fmt: skip


class Info(NamedTuple):
    """What an info block says."""

    supported: bool = False
    postfix: str = ""
    detach: bool = False

    def pack(self) -> bytes:
        return INFO.pack(INFO_MAGIC, INFO_VERSION, self.supported, self.postfix.encode("utf-16-le"), self.detach)

    @classmethod
    def unpack(cls, data: bytes) -> Info:
        """A block that was just made, or that holds anything else, says nothing yet."""
        magic, _, supported, units, detach = INFO.unpack(data)
        postfix = units.decode("utf-16-le", "replace").split("\0", 1)[0]
        known = magic == INFO_MAGIC and set(postfix) <= set(string.ascii_lowercase)
        return cls(supported, postfix, detach) if known else cls()


def info_names(name: str, which: str) -> dict[str, str]:
    """Where the info block is published. which: "double", "single" or "both".

    The SDK's source adds its prefix twice; another implementation adds it once. One too many harms nobody.
    """
    names = {"double": f"{PREFIX}{PREFIX}{name}{INFO_SUFFIX}", "single": f"{PREFIX}{name}{INFO_SUFFIX}"}
    return {key: full for key, full in names.items() if which in (key, "both")}


class Section(Protocol):
    """Named memory: zeroed when it is made, gone when nobody holds it any more."""

    data: np.ndarray  # all of it, uint8

    def close(self) -> None: ...


class Mutex(Protocol):
    """A named lock of one thread. `acquire` also gets one whose holder has died."""

    def acquire(self, seconds: float) -> bool: ...
    def release(self) -> None: ...
    def close(self) -> None: ...


class System(Protocol):
    """What Windows gives: nodes/output/named_windows.py. Raises OSError."""

    def section(self, name: str, size: int) -> Section:
        """Open or make `size` bytes. Raises PermissionError where there are fewer under that name."""

    def mutex(self, name: str) -> Mutex: ...


class TouchSender(Sink):
    """Pictures for every Shared Mem In TOP that names `name`. Use it from one thread, which holds its mutexes.

    The other parameters are those of `SharedMem.Config`. A section that a receiver still holds from an earlier life of
    the sender is used again, so that a restart shows in TouchDesigner as nothing but a pause.
    """

    def __init__(self, name: str, system: System, *, info: str, row_order: str, pixel_format: str):
        self.name, self._system, self._which, self._format = name, system, info, pixel_format
        self.row_order = "BOTTOM_UP" if row_order == "bottom_up" else "TOP_DOWN"
        self.pixel_format = "BGRA" if pixel_format.startswith("bgra") else "RGBA"
        self._open = ExitStack()
        self._infos: dict[str, tuple[Section, Mutex]] = {}
        self._data: Section | None = None
        self._header = b""
        self._busy_since_s = 0.0  # 0: it is not

    def open(self, width: int, height: int) -> None:
        with self._named():
            self._claim()
            self._mutex = self._make_mutex(f"{PREFIX}{self.name}{MUTEX_SUFFIX}")
            for key, full in info_names(self.name, self._which).items():
                section = self._system.section(full, INFO.size)
                self._open.callback(section.close)
                self._infos[key] = section, self._make_mutex(full + MUTEX_SUFFIX)
            self._place(width, height)

    def resize(self, width: int, height: int) -> None:
        with self._named():
            self._place(width, height)

    def write(self, picture: np.ndarray) -> None:
        assert self._data is not None
        try:
            with _held(self._mutex):
                self._data.data[: HEADER.size] = np.frombuffer(self._header, np.uint8)
                self._data.data[HEADER.size : HEADER.size + picture.size] = picture.reshape(-1)
        except _Busy:
            now = time.perf_counter()
            self._busy_since_s = self._busy_since_s or now
            if now - self._busy_since_s > STUCK_S:
                raise EngineError(
                    f"The program that reads {self.name!r} has not let go of the picture for {STUCK_S:g} s. "
                    "Restart that program if it hangs."
                ) from None
        else:
            self._busy_since_s = 0.0

    def close(self) -> None:
        """Tell the receivers to let go, then let go of everything."""
        for section, mutex in self._infos.values():
            with suppress(_Busy), _held(mutex):
                _write(section, _read(section)._replace(detach=True))
        self._infos = {}
        self._let_go()
        self._open.close()

    @property
    def answered(self) -> str:
        """Under which names of the info block a receiver has said that it reads it: "no" while there is none."""
        return " and ".join(key for key, (section, _) in self._infos.items() if _read(section).supported) or "no"

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say what Windows refuses in a sentence."""
        try:
            yield
        except _Busy:
            raise EngineError(
                f"The program that reads {self.name!r} does not let go of it. Restart that program if it hangs."
            ) from None
        except OSError as error:
            raise EngineError(
                f"Windows refuses the shared memory {self.name!r}: {error}. Choose another name or a smaller size."
            ) from error

    def _claim(self) -> None:
        """Two senders of one name would take the memory away from one another for ever."""
        claim = self._make_mutex(f"UtsushiSends{self.name}")
        if not claim.acquire(0):
            raise EngineError(f"Another output of Utsushi sends as {self.name!r} already. Choose another name.")
        self._open.callback(claim.release)

    def _make_mutex(self, name: str) -> Mutex:
        mutex = self._system.mutex(name)
        self._open.callback(mutex.close)
        return mutex

    def _place(self, width: int, height: int) -> None:
        """Have a section for pictures of this size, and say in the info blocks which one it is."""
        size = HEADER.size + width * height * 4
        self._header = header(width, height, self._format)
        with ExitStack() as locks:
            for _, mutex in self._infos.values():
                locks.enter_context(_held(mutex))
            said = [_read(section) for section, _ in self._infos.values()]
            resuming = self._data is None
            self._let_go()
            postfix = next((info.postfix for info in said if info.postfix), "") if resuming else ""
            self._data = self._reuse(postfix, size, exact=any(info.supported for info in said))
            if self._data is None:
                postfix = "".join(random.choices(string.ascii_lowercase, k=POSTFIX_LETTERS))
                self._data = self._system.section(f"{PREFIX}{self.name}{postfix}", size)
            for (section, _), info in zip(self._infos.values(), said, strict=True):
                _write(section, Info(info.supported, postfix))
        self._busy_since_s = 0.0

    def _reuse(self, postfix: str, size: int, exact: bool) -> Section | None:
        """The section of that postfix, made where there is none; None where somebody holds one that will not do.

        exact: only one of the very same form will do, since a receiver that reads the info block comes along to a new
        name. Any other receiver has the one that it found, and only its header to tell it of a smaller picture.
        """
        try:
            section = self._system.section(f"{PREFIX}{self.name}{postfix}", size)
        except PermissionError:
            return None
        if exact and section.data[: HEADER.size].tobytes() not in (self._header, bytes(HEADER.size)):
            section.close()
            return None
        return section

    def _let_go(self) -> None:
        if self._data is not None:
            self._data.close()
            self._data = None


class _Busy(Exception):
    """The other side did not let go of a mutex in time."""


@contextmanager
def _held(mutex: Mutex) -> Iterator[None]:
    if not mutex.acquire(LOCK_S):
        raise _Busy
    try:
        yield
    finally:
        mutex.release()


def _read(section: Section) -> Info:
    return Info.unpack(section.data[: INFO.size].tobytes())


def _write(section: Section, info: Info) -> None:
    section.data[: INFO.size] = np.frombuffer(info.pack(), np.uint8)

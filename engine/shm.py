"""Named shared-memory segments on three systems: create, attach untracked, pre-fault, close.

Why not `SharedMemory` as it is: until Python 3.13 a process that merely attaches and exits deletes the
segment for everyone (cpython #82300); a full tmpfs kills with SIGBUS at the first touch instead of raising;
and closing under a live NumPy view must neither crash nor warn.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from engine import atomics, layout
from engine.errors import LayoutMismatch, NotReady, SegmentError, SegmentMissing, ShmFull

NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
MADV_POPULATE_WRITE = 23  # Linux 5.14: map every page now, without changing it
_tracker_lock = threading.Lock()
_parked: list[SharedMemory] = []  # mappings whose views outlived `close`; the process's end frees them


class _Quiet(SharedMemory):
    """A mapping that is never handed to the resource tracker and never complains at interpreter exit."""

    def __del__(self) -> None:
        with suppress(BufferError, OSError):
            self.close()


@contextmanager
def _untracked() -> Iterator[None]:
    with _tracker_lock:
        kept = resource_tracker.register
        resource_tracker.register = lambda *_: None
        try:
            yield
        finally:
            resource_tracker.register = kept


def _open(name: str, create: bool = False, size: int = 0) -> SharedMemory:
    if sys.version_info >= (3, 13):
        return _Quiet(name, create=create, size=size, track=False)
    with _untracked():
        return _Quiet(name, create=create, size=size)


def unlink(name: str) -> None:
    """Remove a name; those who have it mapped keep it. On Windows the last handle does this by itself."""
    if sys.platform != "win32" and NAME.fullmatch(name):
        import _posixshmem

        with suppress(FileNotFoundError):
            _posixshmem.shm_unlink("/" + name)


def free_bytes() -> int | None:
    """Bytes of shared memory still to be had, where the system tells (Linux)."""
    if sys.platform != "linux":
        return None
    status = os.statvfs("/dev/shm")
    return status.f_bavail * status.f_frsize


def require_space(needed: int, what: str) -> None:
    """Raise `ShmFull` when `needed` bytes are known not to fit."""
    free = free_bytes()
    if free is not None and needed > free:
        raise _full(what, needed)


class Segment:
    """One mapped segment.

    words: the control words, as u64 (index = offset // 8). One store or load is one machine instruction.
    data: every byte, as uint8. Views of it must be dropped before `close`; if not, the mapping stays until exit.
    """

    def __init__(self, shm: SharedMemory, size: int):
        self._shm = shm
        self.name = shm.name
        self.size = size
        assert shm.buf is not None
        self.buffer: memoryview = memoryview(shm.buf)[:size]
        self.words = self.buffer.cast("Q")
        # frombuffer holds the mapping open; ndarray(buffer=) would not, and crash after close.
        self.data = np.frombuffer(self.buffer, np.uint8)

    @classmethod
    def create(cls, name: str, size: int, session: int) -> Segment:
        """Make a zeroed segment with every page in memory, and fill in the common words except `magic`.

        `size` is a multiple of a page. A stale segment of this name is replaced; where TouchDesigner still
        holds it (Windows), it is taken over. Raises `ShmFull`, `SegmentError`.
        """
        require_space(size, f"segment {name}")
        try:
            if sys.platform != "win32":
                unlink(name)
            shm = _open(name, create=True, size=size)
        except FileExistsError:
            shm = _open(name)
            if shm.size < size:
                shm.close()
                raise SegmentError(
                    f"Another program still holds shared memory {name} of another size. Close that program."
                ) from None
        except PermissionError as error:
            raise SegmentError(
                f"Shared memory {name} belongs to another user. Stop that engine, or give this one another name."
            ) from error
        except OSError as error:
            raise _full(f"segment {name}", size) from error
        if sys.platform == "linux":
            try:  # without this a full tmpfs is a SIGBUS at the first touch
                os.posix_fallocate(shm._fd, 0, size)  # type: ignore[attr-defined]
            except OSError as error:
                shm.close()
                unlink(name)
                if error.errno == errno.ENOSPC:
                    raise _full(f"segment {name}", size) from error
                raise
        segment = cls(shm, size)
        segment.words[layout.COMMON["magic"] >> 3] = 0  # a taken-over segment is not ready while it is zeroed
        segment.data[:] = 0
        for word, value in (
            ("abi", layout.ABI),
            ("digest", layout.DIGEST),
            ("byte_order", layout.BYTE_ORDER),
            ("session", session),
            ("segment_bytes", size),
        ):
            segment.words[layout.COMMON[word] >> 3] = value
        return segment

    def publish(self) -> None:
        """The owner has filled in the header: others may attach."""
        atomics.fence()
        self.words[layout.COMMON["magic"] >> 3] = layout.MAGIC

    @classmethod
    def attach(cls, name: str) -> Segment:
        """Map an existing segment. Raises `SegmentMissing`, `NotReady`, `LayoutMismatch`."""
        if not NAME.fullmatch(name):  # it may come from the directory, where anything may stand
            raise LayoutMismatch(f"{name[:80]!r} is no name of an engine's shared memory. Restart the engine.")
        try:
            shm = _open(name)
        except FileNotFoundError:
            raise SegmentMissing(f"There is no shared memory {name}: the engine is not running.") from None
        except ValueError:  # created, but its size not yet set
            raise NotReady(f"Shared memory {name} is just being created. Try again.") from None
        except PermissionError as error:
            raise SegmentError(f"Shared memory {name} belongs to another user.") from error
        try:
            if sys.platform != "win32" and os.fstat(shm._fd).st_uid != os.geteuid():  # type: ignore[attr-defined]
                raise SegmentError(f"Shared memory {name} belongs to another user.")  # who could cut it short any time
            size = _check(name, shm)
        except SegmentError:
            shm.close()
            raise
        segment = cls(shm, size)
        segment._prefault()
        return segment

    def _prefault(self) -> None:
        """Map every page now: the first touch of a 1080p slot costs milliseconds that no frame should pay."""
        try:
            self._shm._mmap.madvise(MADV_POPULATE_WRITE)  # type: ignore[attr-defined]
        except (AttributeError, OSError, ValueError):
            int(self.data[:: layout.PAGE].sum(dtype=np.int64))

    def is_linked(self) -> bool:
        """Does its name still lead here? The end of a login session (RemoveIPC) or a cleaner may remove names."""
        if sys.platform == "win32":
            return True
        import _posixshmem

        try:
            named = _posixshmem.shm_open("/" + self.name, os.O_RDONLY, mode=0)
        except OSError:
            return False
        try:
            return os.path.samestat(os.fstat(named), os.fstat(self._shm._fd))  # type: ignore[attr-defined]
        finally:
            os.close(named)

    def close(self) -> None:
        """Unmap. Idempotent. Views that are still alive keep the mapping until the process ends."""
        self.data = np.empty(0, np.uint8)
        with suppress(BufferError):
            self.words.release()
        try:
            self.buffer.release()
            self._shm.close()
        except BufferError:
            _parked.append(self._shm)

    def unlink(self) -> None:
        unlink(self.name)


def _full(what: str, needed: int) -> ShmFull:
    free = free_bytes()
    left, larger = "", "."
    if free is not None:  # on Linux, where it can also be made larger
        left = f" and {free / 1e6:.1f} MB is free"
        larger = ", or make it larger: sudo mount -o remount,size=1G /dev/shm"
    return ShmFull(
        f"There is not enough shared memory: {what} needs {needed / 1e6:.1f} MB{left}. "
        f"Use smaller sizes in the config, close other programs{larger}"
    )


def _check(name: str, shm: SharedMemory) -> int:
    """The segment's true size, after its common words were found to be ours."""
    if shm.size < layout.PAGE:
        raise NotReady(f"Shared memory {name} is just being created. Try again.")
    assert shm.buf is not None
    if not any(shm.buf[layout.COMMON["magic"] : layout.COMMON["magic"] + 8]):
        raise NotReady(f"Shared memory {name} is just being filled in. Try again.")
    atomics.fence()  # magic was written last
    head = bytes(shm.buf[: layout.PAGE])
    word = {key: int.from_bytes(head[at : at + 8], "little") for key, at in layout.COMMON.items()}
    if word["magic"] != layout.MAGIC or word["byte_order"] != layout.BYTE_ORDER:
        raise LayoutMismatch(f"Shared memory {name} is not Utsushi's. Give the engine another name.")
    if word["abi"] != layout.ABI or word["digest"] != layout.DIGEST:
        raise LayoutMismatch(
            f"Shared memory {name} was laid out by another version of Utsushi "
            f"(layout {word['digest']:016x}, this one is {layout.DIGEST:016x}). Use the same version on both sides."
        )
    if not layout.PAGE <= word["segment_bytes"] <= shm.size or word["segment_bytes"] % 8:
        raise LayoutMismatch(f"Shared memory {name} says it has {word['segment_bytes']} bytes but has {shm.size}.")
    return word["segment_bytes"]

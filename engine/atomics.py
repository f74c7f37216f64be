"""A memory fence for the ring's control words.

The protocol needs store-store order in the writer and load-load order in the reader. x86-64 keeps both by
itself, so there `fence` does nothing. ARM64 keeps neither: there it calls the system's own full barrier.
The choice is made once, at import; docs/PROTOCOL.md argues why it is enough.

Never run on real hardware here: the ARM64 branches.
"""

from __future__ import annotations

import ctypes
import platform
import sys
import threading
from collections.abc import Callable


def _nothing() -> None:
    pass


def _lock_fence() -> Callable[[], None]:
    """Release, then acquire, a private lock: a store-release followed by a load-acquire is ordered on ARMv8."""
    lock = threading.Lock()
    lock.acquire()

    def fence() -> None:
        lock.release()
        lock.acquire()

    return fence


def choose(machine: str, system: str) -> tuple[str, Callable[[], None]]:
    """The name and the function of the fence for a processor and system."""
    if machine.lower() in ("x86_64", "amd64"):
        return "none needed (x86-64)", _nothing
    try:
        if system == "darwin":
            return "OSMemoryBarrier", ctypes.CDLL("/usr/lib/libSystem.B.dylib").OSMemoryBarrier
        if system == "linux":
            barrier = ctypes.CDLL("libatomic.so.1").atomic_thread_fence
            return "atomic_thread_fence", lambda: barrier(5)  # memory_order_seq_cst
        if system == "win32":
            return "FlushProcessWriteBuffers", ctypes.windll.kernel32.FlushProcessWriteBuffers  # type: ignore[attr-defined]
    except (OSError, AttributeError):
        pass
    return "lock", _lock_fence()


FENCE_NAME, fence = choose(platform.machine(), sys.platform)

"""Passes pictures on, until it does the wrong thing that the config names, in the life and the phase that it names."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Literal

from engine.clock import now_ns
from engine.errors import WriterFenced
from engine.frame import Frame
from engine.node import Image, Latest, Node, NodeConfig, live

LONG_S = 1000
HOG_BYTES = 256 << 20  # more than it had, and no more: the machine is not to suffer
ZOMBIE_S = 20  # after that even one that nobody fences off ends


def killed(_: Node) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exits(_: Node) -> None:
    """As if all were well."""
    os._exit(0)


def raises(_: Node) -> None:
    raise ValueError("as the test wished")


def hangs(_: Node) -> None:
    time.sleep(LONG_S)


def hangs_in_c(_: Node) -> None:
    """In a C call that does not let go of the interpreter: no other thread of this process runs either."""
    ctypes.PyDLL(None).sleep(LONG_S)


def is_frozen(_: Node) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def is_deaf(_: Node) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(LONG_S)


def has_a_child(_: Node) -> None:
    """A process of its own, in a session of its own, that knows nothing of the engine's end."""
    subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONG_S})"], start_new_session=True)
    time.sleep(LONG_S)


def eats_memory(_: Node) -> None:
    import resource

    pages = int(open("/proc/self/statm", encoding="ascii").read().split()[0])  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + HOG_BYTES,) * 2)
    eaten = []
    while True:
        eaten.append(bytearray(16 << 20))


def lies(_: Node) -> bool:
    """Says that it is well, and passes nothing on."""
    return True


def leaves_a_zombie(node: Node) -> None:
    """Dies, but its twin goes on writing in its name, out of the supervisor's reach."""
    if os.fork():
        os._exit(1)
    end = now_ns() + ZOMBIE_S * 1_000_000_000
    try:
        while now_ns() < end:
            with node.out.begin((64, 64, 3), pixel_format="RGB") as slot:
                slot.array[:] = 254
            time.sleep(0.005)
    except WriterFenced:
        pass
    os._exit(1)


FAULTS: dict[str, Callable[[Any], bool | None]] = {
    function.__name__: function
    for function in (
        killed, exits, raises, hangs, hangs_in_c, is_frozen, is_deaf, has_a_child, eats_memory, lies, leaves_a_zombie,
    )
}  # fmt: skip


class Faulty(Node):
    class Config(NodeConfig):
        fault: Literal["none", *FAULTS] = live("none", "what it does wrong")  # type: ignore[valid-type]
        phase: Literal["setup", "step", "close"] = live("step", "when")
        life: int = live(0, "in which of its lives; 0: in each")

    inputs = {"image": Latest}
    outputs = {"image": Image(channels=3)}

    def setup(self) -> None:
        self._perhaps("setup")

    def step(self, image: Frame) -> None:
        if self._perhaps("step"):
            return
        with self.out.begin(image.shape, image.dtype, source=image, pixel_format="RGB") as slot:
            slot.array[:] = image.array

    def close(self) -> None:
        self._perhaps("close")

    def _perhaps(self, phase: str) -> bool | None:
        config = self.config
        if config.fault == "none" or config.phase != phase or config.life not in (0, self.out.ring.epoch):
            return None
        print("doing wrong:", config.fault, file=sys.stderr, flush=True)
        return FAULTS[config.fault](self)

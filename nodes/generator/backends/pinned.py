"""Shared memory that the graphics card reads and writes by itself: whether that works here, and how it is done.

Registering memory with the CUDA driver ("pinning" it) saves the copy between a staging buffer and the ring. Where it
goes wrong, it does so out of sight: as an error of some later, unrelated call, or as a driver that hangs or takes the
process with it. So a process to be thrown away tries it first, and only a good verdict lets the real one do the same.

`tests/test_cuda.py` runs it on a card. The other tests try it without one, and with a stand-in for torch that works,
refuses, crashes, hangs and garbles.
"""

from __future__ import annotations

import faulthandler
import json
import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

import numpy as np

from engine.decide import describe_exit
from engine.errors import EngineError
from engine.process import ROOT
from engine.shm import Segment

LONGEST_S = 30.0  # half of what a node may take to get ready
SIZE = 1 << 20  # bytes to try it with
PORTABLE = 1  # cudaHostRegisterPortable: pinned for every CUDA context of this process

_registered: dict[int, int] = {}  # where registered memory begins, and its bytes


@dataclass(frozen=True)
class Verdict:
    """`good`: `register` may be used on this machine. The sentence is for the log. Both fit JSON (`asdict`)."""

    good: bool
    sentence: str


def probe(timeout_s: float = LONGEST_S) -> Verdict:
    """Let a child process try it. Takes seconds, `timeout_s` and a little at most. Raises nothing."""
    options: dict = {}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NO_WINDOW}
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "nodes.generator.backends.pinned"], cwd=ROOT, env={**os.environ, "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            errors="replace", **options,
        )  # fmt: skip
    except OSError as error:
        return _refusal(f"no process to try it could be started: {error}")
    try:
        said, complained = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        child.kill()
        with suppress(subprocess.TimeoutExpired):  # a process inside a driver may not even heed that
            child.communicate(timeout=5)
        return _refusal(f"a process that tried it was not done after {timeout_s:g} s")
    return _verdict(child.returncode, said, complained)


def _verdict(code: int, said: str, complained: str) -> Verdict:
    """What a child's end and its last line mean."""
    with suppress(IndexError, ValueError, TypeError):
        verdict = Verdict(**json.loads(said.splitlines()[-1]))
        if verdict.good == (code == 0):
            return verdict
    last = complained.strip().splitlines()[-1:]
    return _refusal(f"a process that tried it {describe_exit(code)}" + "".join(f" ({line})" for line in last))


def _refusal(why: str) -> Verdict:
    return Verdict(False, f"Shared memory is not pinned: {why}. Frames take one more copy through a staging buffer.")


def register(array: np.ndarray) -> Callable[[], None]:
    """Pin the memory of `array`, after `probe` has found that this works here. Slow: once per mapping, not per frame.

    array: the whole of one mapping (`Segment.data`). It begins and ends on a page, so that no neighbour is pinned too.
    Returns what undoes it: to be called when the last copy has ended, and before the memory is unmapped.
    Raises EngineError where it cannot be pinned; nothing has changed then.
    """
    import torch

    address, size = array.ctypes.data, array.nbytes
    if not size or address % mmap.PAGESIZE or size % mmap.PAGESIZE or not array.flags.c_contiguous:
        raise EngineError(
            f"Memory of {size} bytes that does not fill whole pages cannot be pinned. Pass a whole mapping."
        )
    if address in _registered:
        raise EngineError("This memory is pinned already. Keep what undoes it, and pin it once.")
    try:
        code = int(torch.cuda.cudart().cudaHostRegister(address, size, PORTABLE))
    except (AssertionError, RuntimeError) as error:
        raise EngineError(f"This torch cannot pin memory: {error}.") from error
    if code:
        with suppress(RuntimeError):  # CUDA tells a refusal once more, to whatever launches next: let it be this
            torch.ones(1, device="cuda")
        raise EngineError(f"The driver does not pin this memory (CUDA error {code}). Go on with a staging buffer.")
    _registered[address] = size

    def undo() -> None:
        if address in _registered:
            del _registered[address]
            torch.cuda.cudart().cudaHostUnregister(address)

    return undo


def is_registered(array: np.ndarray) -> bool:
    """Whether a contiguous array lies in memory that `register` has pinned: the card may then write it itself."""
    begin, end = array.ctypes.data, array.ctypes.data + array.nbytes
    return any(address <= begin and end <= address + size for address, size in _registered.items())


class RingPin:
    """Keeps the ring that a node writes pinned while its frames stay as large as they are.

    A ring that must grow for a larger frame is unmapped, and pinned memory must not be. So it is let go whenever the
    size changes, and the ring pinned that took a frame of the new size. say: hears why it cannot be pinned, once.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._refused = say, False
        self._nbytes = 0
        self._undo: Callable[[], None] | None = None

    def before_frame(self, ring: np.ndarray, nbytes: int) -> None:
        """ring: the whole mapping that took the frame before. nbytes: of the frame that comes. Raises nothing."""
        if nbytes != self._nbytes:
            self.close()
            self._nbytes = nbytes
        elif self._undo is None and not self._refused:
            try:
                self._undo = register(ring)
            except EngineError as error:
                self._refused = True
                self._say(str(error))

    def close(self) -> None:
        """Let the ring go; before it is unmapped."""
        if self._undo is not None:
            self._undo()
        self._undo, self._nbytes = None, 0


# --- in the process to be thrown away ---


def _try() -> Verdict:
    """Copy noise from the card into registered shared memory and back, and compare."""
    import torch

    if not torch.cuda.is_available():
        return _refusal("torch finds no CUDA graphics card here")
    segment = Segment.create(f"utsu_pin_{os.getpid()}", SIZE, session=0)
    segment.unlink()  # now: whatever becomes of this process, no memory stays behind
    undo = register(segment.data)
    held = torch.from_numpy(segment.data)
    noise = torch.randint(0, 256, (SIZE,), dtype=torch.uint8, device="cuda")
    held.copy_(noise, non_blocking=True)
    torch.cuda.synchronize()
    back = held.to("cuda", non_blocking=True)
    torch.cuda.synchronize()
    same = np.array_equal(segment.data, noise.cpu().numpy()) and torch.equal(back, noise)
    pinned = held.is_pinned()
    undo()
    torch.ones(1, device="cuda")
    torch.cuda.synchronize()  # what went wrong late shows here
    if not same:
        return _refusal("what was copied came out changed")
    if not pinned:
        return _refusal("the driver took it and did not pin it")
    return Verdict(True, "Shared memory is pinned: the graphics card reads and writes it by itself.")


def main() -> int:
    faulthandler.dump_traceback_later(2 * LONGEST_S, exit=True)  # should nobody be left to kill it
    try:
        verdict = _try()
    except Exception as error:
        verdict = _refusal(f"{type(error).__name__}: {error}".rstrip("."))
    print(json.dumps(asdict(verdict)), flush=True)
    return 0 if verdict.good else 1


if __name__ == "__main__":
    os._exit(main())  # libraries' own clean-up at exit is where native code likes to hang

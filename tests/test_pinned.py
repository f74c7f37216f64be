"""Whether shared memory may be pinned is found out by a process to be thrown away, and every end of it is a sentence.

Only the first test has to do with the real torch. No test has to do with a real graphics card.
"""

from __future__ import annotations

import importlib.util
import mmap
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import EngineError
from engine.shm import Segment
from nodes.generator.backends import pinned
from nodes.generator.backends.pinned import RingPin, Verdict, is_registered, probe, register

STUB = Path(__file__).parent / "stub_torch"
GOOD = "Shared memory is pinned: the graphics card reads and writes it by itself."


def segments() -> set[str]:
    """The names of what probes have left in shared memory (Linux shows them)."""
    folder = Path("/dev/shm")
    return {path.name for path in folder.glob("utsu_pin_*")} if folder.is_dir() else set()


@pytest.fixture(name="stub")
def stub_fixture(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in for torch, in this process."""
    spec = importlib.util.spec_from_file_location("torch", STUB / "torch.py")
    assert spec is not None and spec.loader is not None
    stub = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stub)
    monkeypatch.setitem(sys.modules, "torch", stub)
    monkeypatch.setattr(pinned, "_registered", {})
    return stub


@pytest.fixture(name="memory")
def memory_fixture() -> Any:
    segment = Segment.create(f"utsu_p{os.getpid()}", 4 * mmap.PAGESIZE, session=0)
    yield segment.data
    segment.close()
    segment.unlink()


# --- trying it ---


def test_without_a_graphics_card_the_answer_is_no() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA graphics card here")
    assert probe() == Verdict(
        False,
        "Shared memory is not pinned: torch finds no CUDA graphics card here. "
        "Frames take one more copy through a staging buffer.",
    )


@pytest.mark.parametrize(
    ("how", "good", "sentence"),
    [
        ("work", True, GOOD),
        ("refuse", False, "not pinned: EngineError: The driver does not pin this memory (CUDA error 712)."),
        (
            "raise",
            False,
            "not pinned: EngineError: This torch cannot pin memory: CUDA error: unspecified launch failure",
        ),
        ("garble", False, "not pinned: what was copied came out changed."),
        ("pretend", False, "not pinned: the driver took it and did not pin it."),
        ("late", False, "not pinned: RuntimeError: CUDA error: an illegal memory access was encountered."),
        ("abort", False, "not pinned: a process that tried it "),  # "was killed by signal 6", or what Windows calls it
    ],
)
def test_what_the_child_finds_is_the_verdict(
    monkeypatch: pytest.MonkeyPatch, how: str, good: bool, sentence: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(STUB))
    monkeypatch.setenv("STUB_TORCH", how)
    verdict = probe()
    assert verdict.good == good and sentence in verdict.sentence
    assert Verdict(**asdict(verdict)) == verdict
    assert segments() == set()


def test_a_child_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(STUB))
    monkeypatch.setenv("STUB_TORCH", "hang")
    children: list[Any] = []
    popen = pinned.subprocess.Popen
    monkeypatch.setattr(pinned.subprocess, "Popen", lambda *a, **k: children.append(popen(*a, **k)) or children[-1])
    verdict = probe(timeout_s=2)
    assert not verdict.good and "was not done after 2 s" in verdict.sentence
    assert children[0].poll() is not None and segments() == set()


def test_a_machine_that_starts_no_process_is_no_reason_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned.sys, "executable", "/nowhere/python")
    assert "no process to try it could be started" in probe().sentence


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, ""), (0, "hello"), (0, "[1]"), (0, "3"), (0, '{"good": true}'),
        (1, '{"good": true, "sentence": "x"}'), (0, '{"good": false, "sentence": "x"}'),
    ],
)  # fmt: skip
def test_a_child_whose_word_and_end_do_not_agree_is_not_believed(code: int, said: str) -> None:
    verdict = pinned._verdict(code, said, "its last\nwords\n")
    assert not verdict.good and f"exited with code {code} (words)" in verdict.sentence


# --- doing it ---


def test_memory_is_pinned_once_and_let_go_once(stub: Any, memory: np.ndarray) -> None:
    address = memory.ctypes.data
    undo = register(memory)
    with pytest.raises(EngineError, match="pinned already"):
        register(memory)
    undo()
    undo()
    assert stub.calls == [("register", address), ("unregister", address)]
    register(memory)()
    assert len(stub.calls) == 4


def test_only_whole_pages_are_pinned(stub: Any, memory: np.ndarray) -> None:
    page = mmap.PAGESIZE
    for part in (memory[:0], memory[1 : page + 1], memory[: page + 1], memory[::2], memory[8 : page + 8]):
        with pytest.raises(EngineError, match="does not fill whole pages"):
            register(part)
    assert stub.calls == []


def test_a_refusal_is_a_sentence_and_no_later_call_stumbles_over_it(stub: Any, memory: np.ndarray) -> None:
    stub.refuse = True
    with pytest.raises(EngineError, match="CUDA error 712"):
        register(memory)
    assert stub.launches == [1]
    stub.refuse = False
    register(memory)()  # nothing has remembered the refusal
    assert [what for what, _ in stub.calls] == ["register", "unregister"]


# --- keeping a ring pinned ---


def test_what_lies_in_a_pinned_ring_is_known(stub: Any, memory: np.ndarray) -> None:
    assert not is_registered(memory[8:64])
    undo = register(memory)
    assert is_registered(memory) and is_registered(memory[8:64]) and not is_registered(np.empty(64, np.uint8))
    undo()
    assert not is_registered(memory[8:64])


def test_a_ring_is_pinned_while_frames_keep_their_size(stub: Any, memory: np.ndarray) -> None:
    pin = RingPin(print)
    pin.before_frame(memory, 100)
    assert stub.calls == []  # this frame may still make the ring grow
    for _ in range(3):
        pin.before_frame(memory, 100)
    assert [what for what, _ in stub.calls] == ["register"]
    pin.before_frame(memory, 200)
    assert [what for what, _ in stub.calls] == ["register", "unregister"]
    pin.before_frame(memory, 200)
    pin.close()
    pin.close()
    assert [what for what, _ in stub.calls] == ["register", "unregister"] * 2


def test_a_ring_that_cannot_be_pinned_is_tried_once(stub: Any, memory: np.ndarray) -> None:
    stub.refuse = True
    said: list[str] = []
    pin = RingPin(said.append)
    for _ in range(4):
        pin.before_frame(memory, 100)
    assert len(said) == 1 and "CUDA error 712" in said[0] and stub.launches == [1]

"""Which fence is taken where. The ARM64 ones are not run here; that each can be chosen and called is."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from engine import atomics


@pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_x86_64_needs_none(machine: str, system: str) -> None:
    name, fence = atomics.choose(machine, system)
    fence()
    assert name == "none needed (x86-64)"


@pytest.mark.parametrize(
    ("machine", "system", "library", "expected", "arguments"),
    [
        ("arm64", "darwin", "/usr/lib/libSystem.B.dylib", "OSMemoryBarrier", ()),
        ("aarch64", "linux", "libatomic.so.1", "atomic_thread_fence", (5,)),
        ("ARM64", "win32", "kernel32", "FlushProcessWriteBuffers", ()),
    ],
)
def test_arm64_calls_the_systems_own(
    monkeypatch: pytest.MonkeyPatch, machine: str, system: str, library: str, expected: str, arguments: tuple
) -> None:
    calls: list[Any] = []

    def load(name: str) -> Any:
        assert name == library
        return SimpleNamespace(**{expected: lambda *given: calls.append(given)})

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(
        ctypes, "windll", SimpleNamespace(kernel32=load("kernel32") if system == "win32" else None), raising=False
    )
    name, fence = atomics.choose(machine, system)
    fence()
    assert (name, calls) == (expected, [arguments])


@pytest.mark.parametrize("system", ["linux", "darwin", "freebsd"])
def test_where_the_system_offers_none_a_lock_does_it(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    def missing(_: str) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", missing)
    name, fence = atomics.choose("aarch64", system)
    for _ in range(3):
        fence()
    assert name == "lock"

"""Somebody removes the names of the engine's shared memory: the end of a login session does, and eager cleaners do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_kit import Engine, chain, leftovers, until
from fake_engine import RingReader

from engine import layout, shm
from engine.directory import Directory, segment_name
from engine.errors import Exit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows segments as files to be removed")


SESSION = layout.COMMON["session"] >> 3
SHOW = """\
  camera: {type: camera.pattern, size: [320, 240]}
  out: {type: output.touchdesigner, input: camera, size: [320, 240]}
"""


def names(engine: Engine) -> list[str]:
    return leftovers(engine.name)


@pytest.mark.parametrize("which", ["all", "directory", "ring"])
def test_a_live_engine_starts_anew_and_readers_follow(
    launch: Callable[..., Engine], tmp_path: Path, which: str
) -> None:
    engine = launch(SHOW)
    until(lambda: engine.running(), 20, engine)
    before = engine.directory().segment.words[SESSION]
    reader = RingReader(engine.name, "out")
    until(lambda: reader.poll() is not None or reader.seq, 20, engine)
    directory = segment_name(engine.name)
    gone = {"all": names(engine), "directory": [directory], "ring": [n for n in names(engine) if n != directory][:1]}
    for name in gone[which]:
        shm.unlink(name)

    def anew() -> bool:
        try:
            found = Directory.attach(engine.name)
        except Exception:
            return False
        fresh = bool(found.segment.words[SESSION] != before)
        found.close()
        return fresh

    until(anew, 20, engine)
    until(lambda: reader.poll() is not None and reader.restarts, 20, engine)
    assert "Somebody has removed the engine's shared memory" in engine.output
    reader.close()
    engine._directory = None
    until(lambda: engine.running(), 20, engine)
    assert engine.stop() == Exit.OK, engine.output
    assert names(engine) == []


def test_an_offline_run_ends_with_a_sentence(launch: Callable[..., Engine], tmp_path: Path) -> None:
    engine = launch(chain(tmp_path), "offline")
    engine.directory()
    for name in names(engine):
        shm.unlink(name)
    assert engine.wait() == Exit.FAILED, engine.output
    assert "Run it again" in engine.output and names(engine) == []


def test_a_name_that_leads_to_another_segment_is_not_ours() -> None:
    name = f"utsu_unlinked_{id(object()):x}"
    one = shm.Segment.create(name, 4096, session=1)
    assert one.is_linked()
    other = shm.Segment.create(name, 4096, session=2)
    assert other.is_linked() and not one.is_linked()
    other.unlink()
    assert not other.is_linked()
    one.close(), other.close()

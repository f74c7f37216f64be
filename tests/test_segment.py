"""Shared-memory segments: made whole or not at all, let go of entirely, refused with a sentence."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from types import SimpleNamespace

import psutil
import pytest

from engine import layout, shm
from engine.errors import LayoutMismatch, NotReady, SegmentError, SegmentMissing, ShmFull
from engine.process import ROOT
from engine.shm import Segment

NAME = f"utsu_s{os.getpid() % 100000}"
SIZE = 2 * layout.PAGE
posix = pytest.mark.skipif(sys.platform == "win32", reason="on Windows segments end with their last handle")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reserves the pages and tells what is free")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    shm.unlink(NAME)


def create(size: int = SIZE, session: int = 1) -> Segment:
    segment = Segment.create(NAME, size, session)
    segment.publish()
    return segment


def word(segment: Segment, name: str) -> int:
    return segment.words[layout.COMMON[name] >> 3]


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@posix
def test_a_stale_segment_of_another_size_is_replaced() -> None:
    stale = create()
    stale.data[layout.PAGE :] = 9
    create(4 * layout.PAGE, session=2)
    found = Segment.attach(NAME)
    assert found.size == 4 * layout.PAGE and word(found, "session") == 2
    assert not found.data[layout.PAGE :].any() and stale.data[-1] == 9


def as_windows(patch: pytest.MonkeyPatch) -> None:
    """A name that another program holds cannot be taken away from it."""
    patch.setattr(shm, "sys", SimpleNamespace(platform="win32", version_info=sys.version_info))


@posix
def test_where_a_name_cannot_be_taken_away_its_segment_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    held = create(4 * layout.PAGE)
    held.data[layout.PAGE :] = 9
    as_windows(monkeypatch)
    taken = Segment.create(NAME, SIZE, 2)
    assert word(held, "magic") == 0 and word(held, "session") == 2
    assert not held.data[layout.PAGE : SIZE].any()
    with pytest.raises(NotReady):
        Segment.attach(NAME)
    taken.publish()
    assert Segment.attach(NAME).size == SIZE


@posix
def test_a_segment_that_is_taken_over_is_not_ready_before_it_is_zeroed(monkeypatch: pytest.MonkeyPatch) -> None:
    held, made = create(), shm.Segment.__init__
    as_windows(monkeypatch)

    def init(self: Segment, *arguments: object) -> None:
        made(self, *arguments)  # type: ignore[arg-type]
        data, self.data = self.data, SimpleNamespace(__setitem__=None)  # type: ignore[assignment]

        class Zeroing:
            def __setitem__(self, place: slice, value: int) -> None:
                assert word(held, "magic") == 0
                data[place] = value

        self.data = Zeroing()  # type: ignore[assignment]

    monkeypatch.setattr(shm.Segment, "__init__", init)
    Segment.create(NAME, SIZE, 2)
    assert word(held, "session") == 2


@posix
def test_one_that_is_too_small_to_be_taken_over_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    held = create()
    as_windows(monkeypatch)
    with pytest.raises(SegmentError, match="Close that program"):
        Segment.create(NAME, 4 * layout.PAGE, 2)
    assert word(held, "session") == 1


@linux
def test_memory_that_runs_out_while_it_is_reserved_is_a_sentence_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", raising(OSError(errno.ENOSPC, "full")))
    with pytest.raises(ShmFull, match="needs 0.0 MB"):
        create()
    monkeypatch.setattr(os, "posix_fallocate", raising(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"):
        create()
    with pytest.raises(SegmentMissing):
        Segment.attach(NAME)


def test_what_is_known_not_to_fit_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shm, "free_bytes", lambda: SIZE - 1)
    monkeypatch.setattr(shm, "_open", raising(AssertionError("was tried")))
    with pytest.raises(ShmFull, match="MB is free"):
        create()
    monkeypatch.setattr(shm, "free_bytes", lambda: SIZE)
    shm.require_space(SIZE, "this")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(PermissionError(errno.EACCES, "no"), "another user"), (OSError(errno.ENOMEM, "no"), "not enough")],
)
def test_what_the_system_refuses_is_a_sentence(monkeypatch: pytest.MonkeyPatch, error: OSError, sentence: str) -> None:
    monkeypatch.setattr(shm, "_open", raising(error))
    with pytest.raises(SegmentError, match=sentence):
        create()


def test_a_segment_of_another_user_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shm, "_open", raising(PermissionError(errno.EACCES, "no")))
    with pytest.raises(SegmentError, match="another user"):
        Segment.attach(NAME)


@pytest.mark.parametrize("size", [0, 8, layout.PAGE + 4])
def test_a_size_that_cannot_be_is_refused(size: int) -> None:
    segment = create()
    segment.words[layout.COMMON["segment_bytes"] >> 3] = size
    with pytest.raises(LayoutMismatch):
        Segment.attach(NAME)


@posix
def test_a_segment_without_a_size_or_with_a_small_one_is_not_ready() -> None:
    import _posixshmem

    file = _posixshmem.shm_open("/" + NAME, os.O_CREAT | os.O_RDWR, mode=0o600)
    for size in (0, 8, 100):
        os.ftruncate(file, size)
        with pytest.raises(NotReady):
            Segment.attach(NAME)
    os.close(file)


@posix
def test_a_closed_and_a_refused_segment_are_let_go_of_at_once() -> None:
    owner = create()
    gc.collect()
    before = psutil.Process().num_fds()
    attached = Segment.attach(NAME)
    assert psutil.Process().num_fds() > before
    attached.close()
    attached.close()
    assert psutil.Process().num_fds() == before
    owner.words[layout.COMMON["digest"] >> 3] = 1
    with pytest.raises(LayoutMismatch) as caught:  # its traceback keeps whatever was not closed
        Segment.attach(NAME)
    assert caught.value and psutil.Process().num_fds() == before


def test_a_view_that_outlives_its_segment_can_still_be_read() -> None:
    segment = create()
    segment.data[:] = 7
    view = segment.data[100:]
    segment.close()
    segment.unlink()
    del segment
    gc.collect()
    assert (view == 7).all()


def test_an_exit_with_live_views_is_silent() -> None:
    create()
    code = f"""
        from engine.shm import Segment
        segment = Segment.attach({NAME!r})
        view, words = segment.data[:10], segment.words[:2]
        del segment
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_resource_tracker_works_for_others_as_before() -> None:
    before = resource_tracker.register
    create().close()
    assert resource_tracker.register is before


@posix
def test_a_system_that_cannot_map_pages_in_advance_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    create()
    monkeypatch.setattr(shm, "MADV_POPULATE_WRITE", 9999)
    assert Segment.attach(NAME).size == SIZE

"""Loads performers beside the show, in a thread, and hands a new cast over between two frames."""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from engine.errors import BadInput, Unrecoverable
from nodes.generator.backends import choose
from nodes.generator.network import checkpoint
from nodes.generator.playing.cast import Cast, Performer

LOOK_S = 0.25  # between two looks at the files
SETTLED_S = 0.5  # a file that has not changed for so long is not being written any more
Stamp = tuple[int, ...] | None  # None: there is no such file
UNTRIED: Stamp = ()


@dataclass(frozen=True)
class Wish:
    """What is to play. watch: load a file again when it changes. side: of the picture; None: as the largest has it."""

    paths: tuple[Path, ...]
    watch: bool
    side: int | None


@dataclass
class File:
    """A performer's file. tried, seen: what it looked like when it was last loaded, and at the last look, at `since`.

    makeshift: torch runs it until it is known what runs it best.
    """

    tried: Stamp
    seen: Stamp
    since: float
    performer: Performer | None = None
    makeshift: bool = False
    trouble: str = ""


class Loader:
    """One thread that loads what was wished for last. backend, device, threads: as for `choose.prepare`.

    trouble: a sentence about what could not be loaded, or "". What runs then goes on running, and the file is tried
    again when it changes.
    """

    def __init__(self, backend: str, device: str, threads: int, people: int):
        self._how, self._people = (backend, device, threads), people
        self.trouble = ""
        self._wish: Wish | None = None
        self._files: dict[Path, File] = {}
        self._newest: Cast | None = None
        self._made: list[Performer] = []  # and not closed yet
        self._lock = threading.Lock()  # for the next two
        self._ready: Cast | None = None
        self._playing: tuple[Cast, ...] = ()
        self._failure: BaseException | None = None
        self._wake, self._closing, self._answered = threading.Event(), False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="performers", daemon=True)
        self._thread.start()

    # --- for the hot loop: none of these waits ---

    def want(self, wish: Wish) -> None:
        """Whatever was wished for before and is not there yet is not wanted any more."""
        self._wish = wish
        self._wake.set()

    def take(self) -> Cast | None:
        """A new cast, if there is one. The one before stays usable until `release`.

        Raises `OutOfMemory`, `DeviceFailed` or MemoryError where loading ended that way.
        """
        if self._failure is not None:
            raise self._failure
        with self._lock:
            cast, self._ready = self._ready, None
            if cast is not None:
                self._playing = (*self._playing[-1:], cast)
        return cast

    def release(self) -> None:
        """Only the newest cast that was taken is in use any more; the thread closes the others."""
        with self._lock:
            self._playing = self._playing[-1:]

    # --- before and after ---

    def wait(self, seconds: float) -> None:
        """Until the first wish has been tried."""
        self._answered.wait(seconds)

    def close(self) -> None:
        self._closing = True
        self._wake.set()
        self._thread.join(1)  # it may be waiting for a process; then it ends with ours

    # --- the thread ---

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(LOOK_S)
            self._wake.clear()
            try:
                self._look()
            except (Unrecoverable, MemoryError) as error:
                self._failure = error
                return
            except Exception as error:  # a mistake of ours must not end the watch
                traceback.print_exc()
                self.trouble = f"Performers cannot be loaded: {type(error).__name__}: {error}"
            finally:
                if self._wish is not None:
                    self._answered.set()

    def _look(self) -> None:
        """Load what is due, hand over what came of it, and close what nobody uses any more."""
        wish = self._wish
        if wish is not None:
            self._files = {path: file for path, file in self._files.items() if path in wish.paths}
            for path in dict.fromkeys(wish.paths):
                if self._due(path, wish):
                    self._load(path)
            self._hand_over(wish)
            if any(file.makeshift for file in self._files.values()):
                self._wake.set()
        self._close_unused()

    def _due(self, path: Path, wish: Wish) -> bool:
        """Whether it is to be loaded now: it is new, or has changed and settled, or is to be run better."""
        stamp, now = stamp_of(path), time.monotonic()
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = File(UNTRIED, stamp, now)
        if file.tried == UNTRIED:
            return True
        if stamp != file.seen:
            file.seen, file.since = stamp, now
        if stamp == file.tried:
            return file.makeshift
        return (wish.watch or bool(file.trouble)) and now - file.since >= SETTLED_S

    def _load(self, path: Path) -> None:
        """Load a file; on failure what was loaded before stays."""
        file = self._files[path]
        before, file.tried = file.tried, stamp_of(path)
        quickly = self._newest is None
        try:
            performer, makeshift = self._performer(path, quickly)
            if stamp_of(path) != file.tried:
                performer.backend.close()
                raise BadInput(f"The performer {path} was replaced while it was loaded. It is loaded again.")
        except choose.Unwanted:
            file.tried = before
            return
        except BadInput as error:
            file.makeshift, file.trouble = False, str(error)
            return
        if file.performer and file.performer.repertoire == performer.repertoire:
            performer.fitter = file.performer.fitter  # the same performer, trained on: visitors stay where they are
        file.performer, file.makeshift, file.trouble = performer, makeshift, ""
        self._made.append(performer)

    def _performer(self, path: Path, quickly: bool) -> tuple[Performer, bool]:
        """Raises `BadInput`. quickly: rather within a second than in the best way, which is then still to be found."""
        about, plate = checkpoint.look(path)
        name, device, threads = self._how
        makeshift = quickly and name == "auto" and not choose.remembered(path, *self._how)
        if makeshift or name == "torch":
            backend = choose.load_with_torch(path, device, threads, about.network.size, self._people)
        else:
            prepared = choose.prepare(path, *self._how, wanted=lambda: self._wanted(path))
            backend = choose.load(prepared, self._people)
        return Performer(backend, about.repertoire, plate, self._people), makeshift

    def _wanted(self, path: Path) -> bool:
        return not self._closing and self._wish is not None and path in self._wish.paths

    def _hand_over(self, wish: Wish) -> None:
        """A new cast, if it is another one. Who could not be loaded is played by whoever had that part before."""
        before = self._newest.performers if self._newest else []
        found = [
            self._files[path].performer or (before[number % len(before)] if before else None)
            for number, path in enumerate(wish.paths)
        ]
        performers = [performer for performer in found if performer is not None]
        side = wish.side or max((performer.size for performer in performers), default=0)
        if performers and (self._newest is None or (performers, side) != (self._newest.performers, self._newest.side)):
            self._newest = Cast(performers, side)
            with self._lock:
                self._ready = self._newest

    def _close_unused(self) -> None:
        self.trouble = " ".join(file.trouble for file in self._files.values() if file.trouble)
        with self._lock:
            casts = [cast for cast in (*self._playing, self._ready) if cast is not None]
        used = {id(performer) for cast in casts for performer in cast.performers}
        for performer in self._made:
            if id(performer) not in used:
                performer.backend.close()
        self._made = [performer for performer in self._made if id(performer) in used]


def stamp_of(path: Path) -> Stamp:
    """Changes whenever the file does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns

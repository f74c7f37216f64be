"""One engine of a name at a time, and nothing of a dead one left.

The lock is the kernel's: it is free the moment its holder dies, however it dies. Whoever holds it knows that
every segment in the manifest is garbage. Process ids are shown to people and never used to decide anything.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from engine import shm
from engine.errors import AlreadyRunning, BadInput, EngineError


def home() -> Path:
    """Where locks, manifests and logs live: one folder per user. UTSUSHI_HOME overrides it."""
    if chosen := os.environ.get("UTSUSHI_HOME"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "utsushi"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "utsushi"
    return Path.home() / ".local" / "state" / "utsushi"


def private(folder: Path) -> Path:
    """Make a folder in `home()`. Where the system allows it, no other user can look into what is made here: the home
    itself is closed to them. One that is there already stays as it is. Raises OSError."""
    home().mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


class Session:
    """Holds the lock of an engine name from creation to `close`. Raises `AlreadyRunning`."""

    def __init__(self, engine: str):
        self.engine = engine
        self.id = secrets.randbits(63) | 1
        self._manifest = home() / f"{engine}.json"
        self._segments: list[str] = []
        try:
            private(self._manifest.parent)
            self._lock = FileLock(self._manifest.with_suffix(".lock"))
            self._lock.acquire(timeout=0)
            self.swept = self._sweep()
            self._write()
        except Timeout:
            raise AlreadyRunning(
                f"An engine named {engine!r} runs already (process {self._read().get('pid', 'unknown')}). "
                "Stop it first, or give this one another name under engine: name:."
            ) from None
        except OSError as error:
            raise self._unusable(error) from error

    @property
    def logs(self) -> Path:
        return private(home() / "logs" / self.engine)

    def note(self, segment: str) -> str:
        """Remember a segment before it is made, so that a kill in between leaves nothing unknown.

        Raises `EngineError` when that cannot be written down; then it must not be made.
        """
        self._segments.append(segment)
        try:
            self._write()
        except OSError as error:
            self._segments.remove(segment)
            raise self._unusable(error) from error
        return segment

    def forget(self, segment: str) -> None:
        """The segment was unlinked."""
        self._segments.remove(segment)
        with suppress(OSError):  # a name too many in the manifest does no harm
            self._write()

    def ring_name(self, stream: int, generation: int) -> str:
        """At most 30 characters, which is what macOS allows."""
        return f"utsu_{self.engine}_{self.id & 0xFFFF:04x}{stream:02x}{generation & 0xFF:02x}"

    def close(self) -> None:
        """Remove what is left and let go of the lock."""
        for name in self._segments:
            shm.unlink(name)
        with suppress(OSError):
            self._manifest.unlink(missing_ok=True)
        self._lock.release()

    def _unusable(self, error: OSError) -> EngineError:
        return EngineError(
            f"The folder {self._manifest.parent} cannot be written to: {error.strerror}. "
            "Make room or give yourself the right, or name another one in UTSUSHI_HOME."
        )

    def _sweep(self) -> int:
        """Remove what a dead engine of this name left; returns how many segments that were."""
        names = self._read().get("segments", [])
        names = names if isinstance(names, list) else []
        ours = [name for name in names if isinstance(name, str) and name.startswith(f"utsu_{self.engine}_")]
        for name in ours:
            shm.unlink(name)
        return len(ours)

    def _read(self) -> dict:
        try:
            found = json.loads(self._manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self) -> None:
        text = json.dumps({"pid": os.getpid(), "session": self.id, "segments": self._segments})
        replace_file(self._manifest, text.encode())


def part_of(path: Path) -> Path:
    """Where a file is written until it is whole."""
    return path.with_name(path.name + ".part")


def replace_file(path: Path, data: bytes, durable: bool = False) -> None:
    """Write a file so that a reader sees the old or the new one, never half of it. A failure leaves the old one alone.

    durable: a power cut leaves the old or the new one, too; for what took long to make, since disks are slow.
    """
    part = part_of(path)
    try:
        with open(part, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        _replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _replace(part: Path, path: Path) -> None:
    for attempt in range(10):
        try:
            os.replace(part, path)
            return
        except PermissionError:  # Windows: somebody is just reading it
            if attempt == 9:
                raise
            time.sleep(0.02)


def require_writable(target: Path | None) -> None:
    """Find out before something long, not after it. Raises `BadInput`."""
    if target is None:
        return
    if target.exists() and not target.is_file():
        raise BadInput(f"{target} is a folder or a device. Choose another file.")
    try:
        part_of(target).write_bytes(b"")
        part_of(target).unlink()
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}. Choose another file.") from error

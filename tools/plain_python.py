"""A plain Python 3.11 with NumPy and nothing else, as TouchDesigner has one, in three versions of NumPy.

    python3 tools/plain_python.py [FOLDER]    FOLDER: $UTSUSHI_PLAIN_PYTHON, else ~/.cache/utsushi/plain-python

tests/test_conformance.py runs the bridge's reader in each. It takes a Python 3.11 that the machine has and lets pip
fetch the NumPys, about 60 MB; what is there is not fetched again. Whatever cannot be had is said, and its tests are
skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = {"1.24.4": "numpy==1.24.4", "2.0.2": "numpy==2.0.2", "newest": "numpy"}
INTERPRETER = "interpreter.txt"  # which Python 3.11 it is
PIP_S = 120.0


def folder() -> Path:
    """Where everything lies."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("UTSUSHI_PLAIN_PYTHON") or cache / "utsushi" / "plain-python")


def command(place: Path, version: str) -> list[str] | None:
    """The words that start Python 3.11 without any package, then NumPy's folder; None where one is missing."""
    try:
        python = Path((place / INTERPRETER).read_text(encoding="utf-8"))
    except OSError:
        return None
    there = python.is_file() and (place / version / "numpy").is_dir()
    return [str(python), "-I", "-S", "-X", "utf8", "-B"] if there else None


def find_python() -> str | None:
    """Some Python 3.11 of this machine; run, because a name on the path may be a shim with nothing behind it."""
    own = Path.home() / ".pyenv" / "versions"
    names = [getattr(sys, "_base_executable", ""), shutil.which("python3.11"), "/usr/bin/python3.11"]
    names += sorted(str(path) for path in own.glob("3.11.*/bin/python3.11"))
    words = [[name] for name in names if name] + ([["py", "-3.11"]] if sys.platform == "win32" else [])
    for word in words:
        code = "import sys; print(sys.executable if sys.version_info[:2] == (3, 11) else '')"
        try:
            said = subprocess.run([*word, "-I", "-c", code], capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        if said.stdout.strip():
            return said.stdout.strip()
    return None


def main() -> int:
    place = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else folder()
    python = find_python()
    if python is None:
        print("plain_python: this machine has no Python 3.11; the bridge's reader will be tried in this one alone.")
        return 1
    place.mkdir(parents=True, exist_ok=True)
    missing = [version for version in VERSIONS if not (place / version / "numpy").is_dir()]
    pip = place / "pip" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    try:
        if missing and not pip.exists():
            subprocess.run([python, "-m", "venv", str(place / "pip")], check=True, timeout=PIP_S)
        for number, version in enumerate(missing, 1):
            print(f"plain_python: [{number}/{len(missing)}] NumPy {version}", flush=True)
            half = place / f"{version}.part"
            shutil.rmtree(half, ignore_errors=True)
            words = ["install", "--quiet", "--no-deps", "--only-binary=:all:", "--target", str(half), VERSIONS[version]]
            subprocess.run([str(pip), "-m", "pip", *words], check=True, timeout=PIP_S)
            os.replace(half, place / version)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"plain_python: {error}. The bridge's reader will be tried in what is there.")
    (place / INTERPRETER).write_text(python, encoding="utf-8")
    there = [version for version in VERSIONS if command(place, version)]
    print(f"plain_python: {python} with NumPy {', '.join(there) or 'in no version'}, in {place}")
    return 0 if len(there) == len(VERSIONS) else 1


if __name__ == "__main__":
    sys.exit(main())

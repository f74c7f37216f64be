"""Which packages belong here, which of them are there, and how pip is asked for the rest."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys

from engine.errors import EngineError
from engine.models import COMMAND, ROOT

PYPROJECT, CONSTRAINTS = ROOT / "pyproject.toml", ROOT / "constraints.txt"


def dependencies() -> list[str]:
    """What the engine itself needs, as pyproject.toml words it."""
    return _project()["dependencies"]


def extra(name: str) -> list[str]:
    """What one of the extras of pyproject.toml adds."""
    return _project()["optional-dependencies"][name]


def _project() -> dict:
    import tomllib  # not in the old Pythons that launch.py has to turn away

    return tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]


def missing(wanted: list[str]) -> list[str]:
    """The names of those requirements of which no version is installed in this Python."""
    return [name for name in map(_name, wanted) if not _installed(name)]


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def pinned(name: str) -> str:
    """The version of a package in constraints.txt."""
    found = re.search(rf"^{re.escape(name)}==(\S+)", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"constraints.txt does not pin {name}"
    return found[1]


def install(wanted: list[str]) -> bool:
    """Ask pip for them at their pinned versions, its progress shown. False if it failed; it has said why."""
    return subprocess.run(_pip_install(*wanted)).returncode == 0


def available(requirement: str) -> bool:
    """Whether pip knows where to get this; asked silently."""
    command = _pip_install("--dry-run", "--no-deps", requirement)
    return subprocess.run(command, capture_output=True).returncode == 0


def _pip_install(*words: str) -> list[str]:
    # Wheels only: without one, a package would be compiled for many minutes, and mostly in vain.
    options = ["--disable-pip-version-check", "--no-input", "--only-binary", ":all:", "--constraint", str(CONSTRAINTS)]
    return [sys.executable, "-m", "pip", "install", *options, *words]


def provide_pip() -> None:
    """Put pip into this virtual environment. Raises `EngineError` where Python came without the means."""
    if importlib.util.find_spec("pip"):
        return
    if importlib.util.find_spec("ensurepip"):
        command = [sys.executable, "-m", "ensurepip", "--default-pip"]
    else:  # Debian packs ensurepip apart; perhaps it has pip
        base = sys._base_executable  # type: ignore[attr-defined]
        command = [base, "-m", "pip", "--python", sys.executable, "install", "pip"]
    if subprocess.run(command).returncode:
        package = f"python3.{sys.version_info[1]}-venv"
        remedy = (
            f"sudo apt-get install {package}" if shutil.which("apt-get") else "your system's package for Python's pip"
        )
        raise EngineError(f"This Python has no pip to install with. Install it with: {remedy}. Then: {COMMAND} --setup")


def digest() -> str:
    """Changes with anything that decides what is installed."""
    text = PYPROJECT.read_bytes() + CONSTRAINTS.read_bytes() + repr(sys.version_info[:2]).encode()
    return hashlib.sha256(text).hexdigest()


def load_opencv() -> None:
    """Raises `EngineError` if OpenCV is installed but lacks a library of the system, as on a bare Linux."""
    tried = subprocess.run([sys.executable, "-c", "import cv2"], capture_output=True, text=True)
    if tried.returncode:
        why = (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
        remedy = " On Debian or Ubuntu: sudo apt-get install libgl1 libglib2.0-0." if sys.platform == "linux" else ""
        raise EngineError(f"OpenCV is installed but does not load: {why}.{remedy} Then run: {COMMAND} --setup")

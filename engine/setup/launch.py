"""From `python3 run_engine.py …`, with whichever Python that is, to the engine in `.venv`.

Its syntax is that of Python 3.8, so that an old Python can still say that it is too old.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from engine.errors import EngineError, Exit
from engine.models import COMMAND, ROOT

VENV = ROOT / ".venv"
OLDEST, NEWEST = (3, 11), (3, 13)  # as `requires-python` in pyproject.toml
INTERRUPTED = 130  # what a shell reports for a command that Ctrl+C ended


def launch(argv: list[str], commands: Mapping[str, str]) -> int:
    """Returns the exit code. On Linux and macOS this process becomes the one in `.venv`, with the same pid.

    commands: first word → the module whose `main(argv)` runs it. Everything else is the engine's.
    """
    try:
        return _launch(argv, commands)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return INTERRUPTED


def _launch(argv: list[str], commands: Mapping[str, str]) -> int:
    if venv_exists() and not in_venv():
        return rerun(argv)
    require_python(sys.version_info[:2])
    if "--setup" in argv:
        if not in_venv():
            make_venv()
            return rerun(argv)
        from engine.setup.steps import setup

        options, rest = setup(argv)
        return Exit.OK if options.no_run else rerun(rest)
    testing = argv[:1] == ["test"]
    require_packages(testing)
    if testing:
        return run_tests(argv[1:])
    try:
        main = importlib.import_module(commands.get(argv[0] if argv else "", "engine.main")).main
    except KeyboardInterrupt:  # nothing was started yet, so nothing is to be ended
        return Exit.OK
    return main(argv)


def venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def venv_exists() -> bool:
    # Without pyvenv.cfg its Python would not know that it is in `.venv`, and would start itself over for ever.
    return venv_python().exists() and (VENV / "pyvenv.cfg").exists()


def in_venv() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def rerun(argv: list[str]) -> int:
    """Start over in `.venv`. Returns on Windows only, with the exit code."""
    command = [str(venv_python()), str(ROOT / "run_engine.py"), *argv]
    sys.stdout.flush()
    try:
        if sys.platform != "win32":
            os.execv(command[0], command)  # the same pid: signals must reach the engine itself
        return _run_as_child(command)
    except OSError as error:
        raise EngineError(
            f"The Python in {VENV} does not start ({error}). Delete that folder, then run: {COMMAND} --setup"
        ) from error


def _run_as_child(command: list[str]) -> int:
    """Windows has no exec. Ctrl+C reaches the child by itself, and the child must not outlive us."""
    from engine.job import contain

    contain()
    for name in ("SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    return subprocess.call(command, env={**os.environ, "PYTHONUTF8": "1"})


def require_python(version: tuple[int, ...]) -> None:
    """Raises `EngineError` if this Python cannot run Utsushi."""
    if not OLDEST <= version <= NEWEST:
        raise EngineError(
            f"This is Python {version[0]}.{version[1]} ({sys.executable}), and Utsushi runs on Python 3.11 to 3.13. "
            + (f"Delete the folder {VENV}, then start" if in_venv() else "Start")
            + " run_engine.py with one of those, for example: "
            + ("py -3.12" if sys.platform == "win32" else "python3.12")
            + " run_engine.py --setup"
        )


def make_venv() -> None:
    """Make `.venv` without pip; the first step of the setup adds it. Raises `EngineError`."""
    print(f"Making .venv with Python {sys.version.split()[0]} ({sys.executable})", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(VENV)])
    if made.returncode:
        raise EngineError(f"{VENV} could not be made; the lines above say why. Then run: {COMMAND} --setup")


def require_packages(testing: bool) -> None:
    """Raises `EngineError` that names what is not installed in this Python."""
    from engine.setup.packages import dependencies, extra, missing

    absent = missing(dependencies() + (extra("test") if testing else []))
    if absent:
        raise EngineError(f"Python packages are missing: {', '.join(absent)}. Install them with: {COMMAND} --setup")


def run_tests(pytest_arguments: list[str]) -> int:
    """Lint, types and tests, all three whatever the first ones say."""
    failed = []
    for tool in (["ruff", "check"], ["mypy"], ["pytest", *pytest_arguments]):
        print(f"\n$ python -m {' '.join(tool)}", flush=True)
        if subprocess.run([sys.executable, "-m", *tool], cwd=ROOT).returncode:
            failed.append(tool[0])
    print(f"\nFailed: {', '.join(failed)}." if failed else "\nAll passed.")
    return Exit.FAILED if failed else Exit.OK

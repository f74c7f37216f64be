"""From any Python to the engine in .venv: what is missing is said, and nothing starts over for ever."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import EngineError
from engine.models import ROOT
from engine.setup import launch

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no exec")

# --- from any Python into .venv, with real processes ---

STUB = """
import json, os, sys
def main(argv):
    print(json.dumps({"pid": os.getpid(), "prefix": sys.prefix, "argv": argv}))
    return 7
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what runs before anything is installed, and an engine that only tells how it was called."""
    shutil.copytree(ROOT / "engine" / "setup", tmp_path / "engine" / "setup")
    for name in ("__init__", "errors", "models", "job", "clock"):
        shutil.copy(ROOT / "engine" / f"{name}.py", tmp_path / "engine")
    for name in ("run_engine.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "engine" / "main.py").write_text(STUB, encoding="utf-8")
    return tmp_path


def bare_python(folder: Path) -> Path:
    """A Python in which nothing is installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def start(python: Path | str, checkout: Path, *words: str) -> tuple[int, subprocess.CompletedProcess]:
    """Run run_engine.py from another folder. Returns the pid that was started, and what came of it."""
    with subprocess.Popen(
        [str(python), str(checkout / "run_engine.py"), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd=checkout.parent,
    ) as process:  # fmt: skip
        out, err = process.communicate(timeout=60)
    return process.pid, subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_any_python_goes_on_in_the_venv(checkout: Path) -> None:
    python = bare_python(checkout / ".venv")
    site = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    (Path(site.strip()) / "packages.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pid, result = start(sys.executable, checkout, "--config", "a b.yaml", "--seconds", "3")
    assert result.returncode == 7, result.stderr
    told = json.loads(result.stdout)
    assert told["argv"] == ["--config", "a b.yaml", "--seconds", "3"]
    assert Path(told["prefix"]).resolve() == (checkout / ".venv").resolve()
    assert told["pid"] == pid or sys.platform == "win32"  # a signal sent to what was started reaches the engine


def test_missing_packages_are_named_with_the_remedy(checkout: Path) -> None:
    _, result = start(bare_python(checkout / "bare"), checkout)
    assert result.returncode == 1
    assert "numpy" in result.stderr and "pyzmq" in result.stderr and "run_engine.py --setup" in result.stderr
    assert "Traceback" not in result.stderr and "hypothesis" not in result.stderr
    assert not (checkout / ".venv").exists()


def test_for_the_tests_their_tools_are_missing_too(checkout: Path) -> None:
    _, result = start(bare_python(checkout / "bare"), checkout, "test")
    assert result.returncode == 1 and "hypothesis" in result.stderr


@posix_only
def test_a_venv_whose_python_does_not_start_is_a_sentence(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").write_text("not a program", encoding="utf-8")
    (checkout / ".venv" / "pyvenv.cfg").write_text("", encoding="utf-8")
    _, result = start(sys.executable, checkout)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "Delete that folder" in result.stderr and "--setup" in result.stderr


def test_a_venv_that_is_none_is_not_started_for_ever(checkout: Path) -> None:
    bare_python(checkout / ".venv")
    (checkout / ".venv" / "pyvenv.cfg").unlink()
    _, result = start(bare_python(checkout / "bare"), checkout)
    assert result.returncode == 1 and "--setup" in result.stderr


@posix_only
def test_a_venv_whose_python_is_gone_is_made_anew(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(checkout / "uninstalled")
    monkeypatch.setattr(launch, "VENV", checkout / ".venv")
    assert not launch.venv_python().exists()
    launch.make_venv()
    assert subprocess.run([launch.venv_python(), "-c", ""]).returncode == 0


def test_a_place_where_no_venv_can_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setattr(launch, "VENV", tmp_path / "file" / ".venv")
    with pytest.raises(EngineError, match="could not be made"):
        launch.make_venv()


# --- which Python ---


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14), (4, 0)])
def test_a_python_too_old_or_too_new_is_a_sentence(version: tuple[int, int]) -> None:
    with pytest.raises(EngineError, match=r"This is Python .*3\.11 to 3\.13.*--setup"):
        launch.require_python(version)


def test_the_supported_pythons_are_those_of_pyproject() -> None:
    launch.require_python(launch.OLDEST)
    launch.require_python(launch.NEWEST)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (_, oldest), (_, newest) = launch.OLDEST, launch.NEWEST
    assert project["requires-python"] == f">=3.{oldest},<3.{newest + 1}"


@pytest.mark.parametrize("name", ["engine/setup/launch", "engine/models", "engine/errors", "engine/__init__"])
def test_an_old_python_understands_what_tells_it_that_it_is_too_old(name: str) -> None:
    source = (ROOT / f"{name}.py").read_text(encoding="utf-8")
    assert ast.parse(source, feature_version=(3, 8)).body


def test_a_very_old_python_understands_the_first_file() -> None:
    source = (ROOT / "run_engine.py").read_text(encoding="ascii")
    assert "__future__ import" not in source and not any(
        isinstance(n, ast.JoinedStr) for n in ast.walk(ast.parse(source))
    )


# --- running the tests ---


@pytest.mark.parametrize("failing", [None, "ruff", "mypy", "pytest"])
def test_the_test_command_runs_all_three_and_fails_with_any(failing: str | None, monkeypatch: Any, capsys: Any) -> None:
    ran = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        ran.append(command[2:])
        return SimpleNamespace(returncode=int(command[2] == failing))

    monkeypatch.setattr(launch.subprocess, "run", run)
    assert launch.run_tests(["-k", "ring"]) == (1 if failing else 0)
    assert ran == [["ruff", "check"], ["mypy"], ["pytest", "-k", "ring"]]
    assert "$ python -m pytest -k ring" in capsys.readouterr().out


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "_launch", interrupted)
    assert launch.launch([], {}) == 130
    assert "Stopped" in capsys.readouterr().err


def test_a_command_of_its_own_gets_all_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tailor.py").write_text("def main(argv):\n    return len(argv)\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(launch, "venv_exists", lambda: False)
    assert launch.launch(["sew", "two", "shirts"], {"sew": "tailor"}) == 3

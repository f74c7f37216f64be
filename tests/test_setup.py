"""From a bare Python to the engine: what is missing is said, what is there is not done twice."""

from __future__ import annotations

import ast
import json
import os
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
from engine.setup import launch, packages, steps

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


# --- the setup ---


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands in for pip: records what it was asked for, and fails at what is in `lacks`."""
    fake = SimpleNamespace(asked=[], lacks=set())

    def install(wanted: list[str]) -> bool:
        fake.asked.append(wanted)
        return not any(word in item for item in wanted for word in fake.lacks)

    monkeypatch.setattr(packages, "install", install)
    monkeypatch.setattr(packages, "available", lambda wanted: not any(word in wanted for word in fake.lacks))
    monkeypatch.setattr(packages, "provide_pip", lambda: None)
    monkeypatch.setattr(packages, "load_opencv", lambda: None)
    monkeypatch.setattr(packages, "missing", lambda wanted: [])
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    monkeypatch.setattr(packages, "CONSTRAINTS", tmp_path / "constraints.txt")
    monkeypatch.setattr(steps, "STAMP", tmp_path / "stamp.json")
    monkeypatch.setattr(steps.fetch, "fetch_all", lambda: None)
    return fake


def asked(pip: SimpleNamespace) -> str:
    return " ".join(" ".join(wanted) for wanted in pip.asked)


def test_the_setup_installs_once(pip: SimpleNamespace) -> None:
    _, rest = steps.setup(["--setup", "test", "-k", "ring"])
    assert rest == ["test", "-k", "ring"]
    for package in ("numpy", "av", "pytest", "iceoryx2", f"torch=={packages.pinned('torch')}"):
        assert package in asked(pip)
    pip.asked.clear()
    steps.setup(["--setup"])
    assert not pip.asked


def test_what_the_engine_understands_is_left_to_it(pip: SimpleNamespace) -> None:
    options, rest = steps.setup(["--config", "x.yaml", "--setup", "--no-run", "--seconds", "3"])
    assert options.no_run and rest == ["--config", "x.yaml", "--seconds", "3"]


def test_a_changed_version_is_installed(pip: SimpleNamespace) -> None:
    steps.setup(["--setup"])
    pip.asked.clear()
    with packages.CONSTRAINTS.open("a", encoding="utf-8") as file:
        file.write("another==1\n")
    steps.setup(["--setup"])
    assert "numpy" in asked(pip)


def test_a_removed_package_is_installed_again(pip: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    steps.setup(["--setup"])
    pip.asked.clear()
    monkeypatch.setattr(packages, "missing", lambda wanted: ["numpy"])
    steps.setup(["--setup"])
    assert "numpy" in asked(pip)


def test_a_failed_setup_is_tried_again(pip: SimpleNamespace) -> None:
    steps.setup(["--setup", "--torch", "none"])
    pip.lacks = {"numpy"}
    with pytest.raises(EngineError, match=r"pip could not install.*--setup"):
        steps.setup(["--setup", "--torch", "cpu"])
    assert not steps.STAMP.exists()
    pip.lacks = set()
    steps.setup(["--setup"])
    assert steps.STAMP.exists()


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"torch": null}'])
def test_a_broken_stamp_is_as_none(pip: SimpleNamespace, content: str) -> None:
    steps.STAMP.write_text(content, encoding="utf-8")
    steps.setup(["--setup"])
    assert "numpy" in asked(pip)


def test_a_missing_system_library_ends_the_setup(pip: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking() -> None:
        raise EngineError("libGL")

    monkeypatch.setattr(packages, "load_opencv", lacking)
    with pytest.raises(EngineError, match="libGL"):
        steps.setup(["--setup"])
    assert not steps.STAMP.exists()  # so that the next setup looks again


def test_the_benchmarks_rivals_are_not_needed(pip: SimpleNamespace) -> None:
    pip.lacks = {"iceoryx2"}
    steps.setup(["--setup"])
    assert steps.STAMP.exists()


def test_the_choice_of_torch_is_remembered(pip: SimpleNamespace) -> None:
    steps.setup(["--setup", "--torch", "none"])
    steps.setup(["--setup"])
    assert "torch" not in asked(pip)
    steps.setup(["--setup", "--torch", "2.13.0+cu130"])
    assert "torch==2.13.0+cu130" in asked(pip)


def test_torch_is_left_out_by_default_where_it_is_not_to_be_had(
    pip: SimpleNamespace, capsys: pytest.CaptureFixture
) -> None:
    pip.lacks = {"torch"}
    steps.setup(["--setup"])
    assert "torch is left out" in capsys.readouterr().out
    assert "torch" not in asked(pip)
    pip.asked.clear()
    steps.setup(["--setup"])
    assert not pip.asked
    with pytest.raises(EngineError, match=r"torch==.* could not be installed.*docs/SETUP\.md"):
        steps.setup(["--setup", "--torch", "cpu"])


def test_on_linux_torch_comes_without_cuda(pip: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    steps.setup(["--setup"])
    assert f"torch=={packages.pinned('torch')}+cpu" in asked(pip)
    pip.asked.clear()
    steps.STAMP.unlink()
    monkeypatch.setattr(sys, "platform", "darwin")
    steps.setup(["--setup"])
    assert "torch" in asked(pip) and "+cpu" not in asked(pip)


@pytest.mark.parametrize("build", ["gpu", "", "--index-url=x", "2.13.0 other"])
def test_a_torch_that_is_none_is_refused(pip: SimpleNamespace, build: str) -> None:
    with pytest.raises(SystemExit):
        steps.setup(["--setup", f"--torch={build}"])
    assert not pip.asked


# --- packages ---


def test_what_is_missing_is_found_by_name() -> None:
    assert packages.missing(["numpy", "nothing-like-it>=2", "PyYAML", "neither[x]==1"]) == [
        "nothing-like-it",
        "neither",
    ]


def test_all_that_is_asked_for_is_pinned() -> None:
    wanted = packages.dependencies()
    for name in ("record", "test", "bench", "torch"):
        wanted += packages.extra(name)
    for requirement in wanted:
        assert packages.pinned(packages._name(requirement))


def test_where_ensurepip_is_missing_the_base_pythons_pip_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    results = iter([0, 1])

    def run(command: list[str]) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=next(results))

    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(packages.shutil, "which", lambda name: "/usr/bin/apt-get")
    monkeypatch.setattr(packages.subprocess, "run", run)
    packages.provide_pip()
    assert commands[0][1:5] == ["-m", "pip", "--python", sys.executable]
    with pytest.raises(EngineError, match=rf"sudo apt-get install python3\.{sys.version_info[1]}-venv.*--setup"):
        packages.provide_pip()


def test_a_library_that_opencv_misses_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(
        returncode=1, stderr="Traceback\nImportError: libGL.so.1: cannot open shared object file\n"
    )
    monkeypatch.setattr(packages.subprocess, "run", lambda *_, **__: failed)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(EngineError, match=r"libGL\.so\.1.*apt-get install libgl1 libglib2\.0-0.*--setup"):
        packages.load_opencv()


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
    def interrupted(argv: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "_launch", interrupted)
    assert launch.launch([]) == 130
    assert "Stopped" in capsys.readouterr().err


# --- what lies in assets ---


def test_the_visitor_is_what_its_readme_says() -> None:
    cv2 = pytest.importorskip("cv2")
    path = ROOT / "assets" / "visitor.mp4"
    assert os.path.getsize(path) <= 3_000_000
    video, count = cv2.VideoCapture(str(path)), 0
    while True:
        good, picture = video.read()
        if not good:
            break
        assert picture.shape == (640, 540, 3)
        count += 1
    assert count == 198 and video.get(cv2.CAP_PROP_FPS) == 30
    text = (ROOT / "assets" / "README.md").read_text(encoding="utf-8")
    assert "198 pictures, 540 × 640, 30 a second" in text and (ROOT / "assets" / "LICENSE-pose2sim.txt").exists()

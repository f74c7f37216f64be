"""The setup: what is there is not done twice, what fails is said and tried again."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import EngineError
from engine.models import ROOT
from engine.setup import packages, steps

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


@pytest.mark.parametrize("lacking", ["iceoryx2", "pyrealsense2"])
def test_some_packages_are_not_needed(pip: SimpleNamespace, lacking: str) -> None:
    pip.lacks = {lacking}
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
    pip.asked.clear()
    steps.setup(["--setup"])
    assert not pip.asked
    with pytest.raises(EngineError, match=r"torch==.* could not be installed.*docs/SETUP\.md"):
        steps.setup(["--setup", "--torch", "cpu"])


def test_on_linux_torch_comes_without_cuda_where_pip_has_that(
    pip: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    steps.setup(["--setup"])
    assert f"torch=={packages.pinned('torch')}+cpu" in asked(pip)
    pip.asked.clear()
    steps.STAMP.unlink()
    pip.lacks = {"+cpu"}
    steps.setup(["--setup"])
    assert "torch==" in asked(pip) and "+cpu" not in asked(pip)
    assert "some 3 GB" in capsys.readouterr().out
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
    for name in ("record", "test", "bench", "realsense", "torch"):
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

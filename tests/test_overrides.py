"""`--set NODE.KEY=VALUE`: checked as if it stood in the file, and named where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine import config as configs
from engine import main
from engine.errors import ConfigError, Exit

TEXT = """\
engine: {name: one, mode: offline}
nodes:
  camera: {type: camera.opencv, source: a.mp4, size: [640, 480]}
  mirror: {type: filter.mirror, input: camera}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "show.yaml"
    path.write_text(TEXT)
    return path


def setting(file: Path, *sets: str) -> Any:
    config = configs.load(file, sets)
    return config.engine.model_dump() | config.nodes[0].config.model_dump() | config.nodes[1].config.model_dump()


@pytest.mark.parametrize(
    "given, key, value",
    [
        ("camera.source=b.mp4", "source", "b.mp4"),
        ("camera.source=take #2: best.mp4", "source", "take #2: best.mp4"),
        ("camera.source=C:\\clips\\b.mp4", "source", "C:\\clips\\b.mp4"),
        ("camera.source=[a].mp4", "source", "[a].mp4"),
        ("camera.source=&a *b !c.mp4", "source", "&a *b !c.mp4"),
        ("camera.source=a=b.mp4", "source", "a=b.mp4"),
        ("camera.source=7", "source", 7),
        ('camera.source="7"', "source", "7"),
        ("camera.size=[320, 240]", "size", (320, 240)),
        ("camera.size=", "size", None),
        ("camera.fps=25", "fps", 25.0),
        ("mirror.axis=y", "axis", "y"),
        ("engine.name=two", "name", "two"),
        ("engine.osc={port: 9417}", "osc", {"host": "127.0.0.1", "port": 9417, "targets": []}),
    ],
)
def test_a_value_takes_the_place_of_the_files(file: Path, given: str, key: str, value: Any) -> None:
    assert setting(file, given)[key] == value


def test_the_last_one_counts(file: Path) -> None:
    assert setting(file, "camera.fps=25", "camera.fps=50")["fps"] == 50


@pytest.mark.parametrize(
    "given, sentence",
    [
        ("camera.fps=abc", "'fps' must be a number, found the text 'abc'"),
        ("camera.sise=3", "unknown setting 'sise'; did you mean 'size'?"),
        ("camera.size=[640, 3]", "must be greater than or equal to 16, found 3"),
        ("cam.fps=3", "this config has no node 'cam'; did you mean 'camera'?"),
        ("mirror.input=nobody", "no node makes the stream 'nobody'"),
        ("camera.type=camera.nothing", "there is no node type 'camera.nothing'"),
        ("engine.name=Not Good", "'name' cannot be 'Not Good'"),
    ],
)
def test_what_is_wrong_is_said_of_the_option_that_said_it(file: Path, given: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configs.load(file, [given])
    assert str(caught.value).startswith(f"--set {given}: ") and sentence in str(caught.value)


@pytest.mark.parametrize("given", ["", "camera", "camera=3", "camera.=3", ".fps=3", "fps=3"])
def test_what_is_no_setting_at_all(file: Path, given: str) -> None:
    with pytest.raises(ConfigError, match="write NODE.KEY=VALUE"):
        configs.load(file, [given])


def test_what_is_wrong_in_the_file_is_still_said_of_the_file(file: Path) -> None:
    file.write_text(TEXT.replace("size: [640, 480]", "size: 3"), encoding="utf-8")
    with pytest.raises(ConfigError, match="show.yaml:3:"):
        configs.load(file, ["camera.fps=25"])
    assert setting(file, "camera.size=[320, 240]")["size"] == (320, 240), "what is replaced is not complained of"


def test_from_the_command_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--config", str(file), "--set", "camera.fps=abc", "--set=mirror.axis=z"]) == Exit.USAGE
    said = capsys.readouterr().err
    assert "--set camera.fps=abc: " in said and "--set mirror.axis=z: " in said

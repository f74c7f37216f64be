"""What an engine says of itself, for those who make panels from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import config as configs
from engine import panel
from engine.config import registry
from engine.main import main

NODES = """\
nodes:
  camera: {type: camera.pattern, size: [16, 16]}
  pose: {type: pose.blazepose, input: camera, calm: 0.2, people: 2}
  figure: {type: generator.figure, input: pose}
  output: {type: output.touchdesigner, input: figure}
"""


def described(folder: Path, engine: str = "{name: demo}", nodes: str = NODES) -> dict[str, Any]:
    path = folder / "show.yaml"
    path.write_text(f"engine: {engine}\n{nodes}")
    return panel.describe(configs.load(path))


def parameter(found: dict[str, Any], node: str, name: str) -> dict[str, Any]:
    (one,) = (n for n in found["nodes"] if n["name"] == node)
    (it,) = (p for p in one["parameters"] if p["name"] == name)
    return it


def test_a_number_with_its_range_unit_default_and_value(tmp_path: Path) -> None:
    found = described(tmp_path)
    calm = parameter(found, "pose", "calm")
    assert calm["help"].startswith("how calm") and calm["address"] == "/utsushi/node/pose/calm"
    assert {key: calm[key] for key in ("type", "size", "default", "value", "min", "max", "menu", "version")} == {
        "type": "float", "size": 1, "default": 0.5, "value": 0.2, "min": 0, "max": 1, "menu": None, "version": 0,
    }  # fmt: skip
    hold = parameter(found, "output", "hold_after")
    assert (hold["unit"], hold["min"], hold["exclusive_min"], hold["exclusive_max"]) == ("s", 0, True, False)


def test_menus_switches_lists_and_paths(tmp_path: Path) -> None:
    performer = "  performer: {type: generator.performer, input: pose, performer: [a.safetensors, b.safetensors]}\n"
    found = described(tmp_path, nodes=NODES + performer)
    fit = parameter(found, "output", "fit")
    assert (fit["type"], fit["menu"], fit["value"]) == ("menu", ("contain", "cover", "stretch"), "contain")
    assert parameter(found, "figure", "mirror")["type"] == "bool"
    background = parameter(found, "figure", "background")
    assert [background[key] for key in ("type", "size", "most", "value", "min", "max")] == [
        "int", 4, 4, [0, 0, 0, 0], 0, 255,
    ]  # fmt: skip
    path = parameter(found, "performer", "performer")
    assert (path["type"], path["size"], path["most"], path["default"]) == ("str", 1, 16, None)
    assert path["value"] == ["a.safetensors", "b.safetensors"]


def test_only_live_settings_are_parameters(tmp_path: Path) -> None:
    found = described(tmp_path)
    names = {node["name"]: [one["name"] for one in node["parameters"]] for node in found["nodes"]}
    assert names["camera"] == [] and "people" not in names["pose"] and "startup_timeout" not in names["output"]


def test_every_live_setting_of_every_node_type_has_a_knob_and_a_sentence() -> None:
    for node_type in registry.known_types():
        live = configs.live_fields(registry.find(node_type))
        found = panel.parameters(node_type)
        assert tuple(one.name for one in found) == live, node_type
        assert all(one.help for one in found), node_type


def test_the_streams_and_where_the_engine_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    found = described(tmp_path)
    assert (found["format"], found["engine"], found["session"], found["pid"], found["mode"]) == (
        "utsushi.panel/1", "demo", 0, 0, "live",
    )  # fmt: skip
    assert found["config"] == str((tmp_path / "show.yaml").resolve())
    assert found["logs"] == str(tmp_path / "home" / "logs" / "demo") and not (tmp_path / "home").exists()
    assert found["streams"][0] == {"name": "camera", "node": "camera", "kind": "image", "channels": 3}
    assert found["streams"][1] == {"name": "pose", "node": "pose", "kind": "keypoints", "points": 33, "people": 2}


@pytest.mark.parametrize(
    "engine, osc",
    [
        ("{name: demo}", {"host": "127.0.0.1", "port": 9000}),
        ("{osc: {port: 7000}}", {"host": "127.0.0.1", "port": 7000}),
        ("{osc: {host: 0.0.0.0}}", {"host": "127.0.0.1", "port": 9000}),
        ("{osc: false}", None),
    ],
)
def test_where_it_listens_for_osc(tmp_path: Path, engine: str, osc: Any) -> None:
    assert described(tmp_path, engine)["osc"] == osc


@pytest.mark.parametrize(
    "engine, sentence",
    [
        ("{osc: 5}", "'osc' must be a block of settings, found 5"),
        ("{osc: true}", "'osc' must be a block of settings, found true"),
        ("{osc: {host: localhost}}", "'localhost' is not an IPv4 address such as 127.0.0.1"),
        ("{osc: {port: 70000}}", "'osc.port' must be less than or equal to 65535, found 70000"),
        ("{osc: {targets: [here]}}", "'here' is not an address and a port, such as 127.0.0.1:9001"),
        ("{osc: {targets: ['127.0.0.1:0']}}", "'127.0.0.1:0' is not an address and a port"),
        ("{osc: {prot: 1}}", "unknown setting 'prot'"),
    ],
)
def test_settings_of_osc_that_cannot_be_are_said(tmp_path: Path, engine: str, sentence: str) -> None:
    with pytest.raises(configs.ConfigError) as caught:
        described(tmp_path, engine)
    assert sentence in str(caught.value) and str(caught.value).count("show.yaml") == 1


def test_describe_prints_it_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    found = described(tmp_path)
    assert main(["describe", "--config", str(tmp_path / "show.yaml")]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(panel.text(found))
    assert not (tmp_path / "home").exists()
    assert main(["describe", "--config", str(tmp_path / "none.yaml")]) == 2

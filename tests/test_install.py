"""What install.py builds: the same tree each time, in either TouchDesigner, with what the artist has made of it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import install
import network
import pytest
from fake_engine import BRIDGE, new_name
from fake_td import COMP, OP
from fake_td.families import DAT
from td_kit import Desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desk]]:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    desks: list[Desk] = []

    def desk(build: int = 2025) -> Desk:
        desks.append(Desk(new_name(), build))
        return desks[-1]

    yield desk
    for one in desks:
        one.close()


def tree(comp: COMP) -> list[tuple]:
    """Every operator: where it is, what it holds, what comes in, and its parameters."""
    return [
        (node.name, node.OPType, node.nodeX, node.nodeY, getattr(node, "text", ""), [one.name for one in node.inputs],
         tuple((par.name, par.style, par.label, par.expr or par.val) for par in node.par))
        for node in comp.everything()
    ]  # fmt: skip


@pytest.mark.parametrize("build", [2023, 2025])
def test_building_again_changes_nothing(desk: Callable[..., Desk], build: int) -> None:
    one = desk(build)
    before = tree(one.comp)
    kept = list(one.comp.children)
    one.install()
    assert tree(one.comp) == before and one.comp.children == kept, "the very same operators"
    one.frame()
    one.install()
    one.frame()
    names = [node.name for node in one.comp.children]
    assert names == [node.name for node in network.NODES] and one.comp.path == "/project1/utsushi"


def test_what_the_artist_has_made_stays(desk: Callable[..., Desk]) -> None:
    one = desk()
    comp = one.comp
    one.par.Stream, one.par.Loglines, one.par.Folder = "figure", 33, "/elsewhere"
    one.par.People.expr = "1 + 1"
    comp.op("picture").par.Flip = True
    comp.op("stages").appendRow(["a", "python", "options", "", "", "", ""])
    comp.op("job_callbacks").text = "def onDone(info):\n    print(info)\n"
    comp.op("picture").nodeX = 55
    mine = comp.create("nullTOP", "mine")
    mine.inputConnectors[0].connect(comp.op("picture"))
    one.install()
    assert (one.par.Stream.eval(), one.par.Loglines.eval(), one.par.Folder.eval()) == ("figure", 33, "/elsewhere")
    assert one.par.People.mode == "EXPRESSION" and one.par.People.eval() == 2
    assert comp.op("picture").par.Flip.mode == "CONSTANT" and comp.op("picture").par.Flip.eval() is True
    assert comp.op("stages").numRows == 2 and "print(info)" in comp.op("job_callbacks").text
    assert comp.op("picture").nodeX == 55 and comp.op("mine").inputs == [comp.op("picture")]


def test_an_older_components_texts_are_replaced(desk: Callable[..., Desk]) -> None:
    one = desk()
    one.comp.op("component").text = "this does not even compile"
    one.comp.op("frame").text = "older"
    one.comp.op("log").destroy()
    one.comp.create("textDAT", "log")
    one.install()
    assert one.comp.op("component").text == (BRIDGE / "component.py").read_text("utf-8")
    assert "onFrameStart" in one.comp.op("frame").text and one.comp.op("log").OPType == "tableDAT"
    one.frame()


def test_the_folder_of_the_engine_is_known_from_the_line_in_the_textport(desk: Callable[..., Desk]) -> None:
    assert Path(desk().par.Folder.eval()) == BRIDGE.parent


def test_the_line_in_the_textport_is_all(desk: Callable[..., Desk], capsys: pytest.CaptureFixture[str]) -> None:
    one = desk()
    one.comp.destroy()
    with one.running():
        import runpy

        names = runpy.run_path(str(BRIDGE / "install.py"))
    assert one.td.root.op("project1/utsushi/picture") is not None and "/project1/utsushi" in capsys.readouterr().out
    assert callable(names["save"])


def test_a_saved_component_holds_no_path_and_nothing_of_the_artist(desk: Callable[..., Desk], tmp_path: Path) -> None:
    one = desk()
    one.par.Stream, one.par.Config = "figure", str(tmp_path / "mine.yaml")
    one.frame()
    before = [node.path for node in one.td.everything()]
    with one.running():
        import runpy

        target = tmp_path / "utsushi.tox"
        assert runpy.run_path(str(BRIDGE / "install.py"))["save"](target) == target
    saved = json.loads(target.read_text("utf-8"))
    assert saved["name"] == "utsushi" and saved["pars"]["Stream"] == "output" and saved["pars"]["Folder"] == ""
    assert [child["name"] for child in saved["children"]] == [node.name for node in network.NODES]
    for place in (tmp_path, BRIDGE.parent, Path.home()):
        assert str(place) not in target.read_text("utf-8")
    assert [node.path for node in one.td.everything()] == before, "what was built for it is gone"


def test_nothing_that_is_alive_is_saved_with_the_project(desk: Callable[..., Desk], tmp_path: Path) -> None:
    one = desk()
    one.frame()
    one.td.root.save(tmp_path / "project.toe")


def test_every_operator_is_there_with_its_switches_on(desk: Callable[..., Desk]) -> None:
    comp = desk().comp
    for name in ("framestart", "exit", "active"):
        assert comp.op("frame").par[name].eval(), "off by default, and silent then"
    for name in ("valuechange", "onpulse", "custom", "active"):
        assert comp.op("parameters").par[name].eval()
    assert comp.op("parameters").par.op.eval() is comp
    for name in ("picture", "info", "pose", "osc_in", "job_events"):
        assert isinstance(comp.op(name).par.callbacks.eval(), DAT), name
    assert comp.op("job_events").par.format.eval() == "permessage"
    assert {node.name for node in network.NODES if node.to} == {"picture", "info", "pose"}


def test_the_callbacks_of_the_component_are_those_that_are_called(desk: Callable[..., Desk]) -> None:
    comp = desk().comp
    offered = vars(comp.op("component").module)
    for dat in ("frame", "parameters", "osc_callbacks", "job_event_callbacks", "chop_callbacks"):
        for node in ast.walk(ast.parse(comp.op(dat).text)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(".module"):
                assert callable(offered[node.attr]), (dat, node.attr)


def test_only_three_files_know_touchdesigner() -> None:
    names = {"op", "me", "parent", "project", "absTime", "licenses", "CookLevel", "td"}
    for path in BRIDGE.glob("*.py"):
        tree_ = ast.parse(path.read_text("utf-8"))
        bound = {node.id for node in ast.walk(tree_) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        bound |= {node.arg for node in ast.walk(tree_) if isinstance(node, ast.arg)}
        used = {node.id for node in ast.walk(tree_) if isinstance(node, ast.Name)} & names - bound
        assert not used or path.stem in ("install", "component", "script_top_callbacks"), (path, used)


def test_a_copy_of_the_component_is_one_of_its_own(desk: Callable[..., Desk]) -> None:
    one = desk()
    one.frame()
    copy: Any = one.td.root.op("project1").copy(one.comp, name="second")
    copy.par.Engine = "other"
    one.frame()
    with one.running():
        alive = {path: about.exchange.engine for path, about in one.kept.by_component.items()}
    assert alive == {"/project1/utsushi": one.par.Engine.eval(), "/project1/second": "other"}
    copy.destroy()
    third: OP = one.td.root.op("project1").copy(one.comp, name="third")
    one.frame()
    assert set(one.kept.by_component) == {"/project1/utsushi", third.path}
    assert BRIDGE.resolve() == install.HERE

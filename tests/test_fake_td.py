"""The stand-in is as strict as TouchDesigner: a builder or a callback that gets by here must not fail there."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from fake_td import COMP, TouchDesigner, net
from fake_td.families import CHOP, DAT, TOP


@pytest.fixture
def td() -> TouchDesigner:
    return TouchDesigner()


@pytest.fixture
def network(td: TouchDesigner) -> COMP:
    return td.root.op("project1")


def text(network: COMP, name: str, words: str) -> DAT:
    dat = network.create("textDAT", name)
    dat.text = words
    return dat


# --- operators ---


def test_names_are_checked_and_numbered(network: COMP) -> None:
    assert network.create("textDAT", "a").path == "/project1/a"
    assert [network.create("textDAT", "a").name, network.create("textDAT").name] == ["a1", "text1"]
    with pytest.raises(AssertionError, match="refuses"):
        network.create("textDAT", "my-text")
    with pytest.raises(AssertionError, match="no operator type"):
        network.create("scriptSOP", "b")


def test_paths_are_relative_to_the_network_of_the_script(network: COMP, td: TouchDesigner) -> None:
    inner = network.create("baseCOMP", "inner")
    dat = text(inner, "code", "here, above, whole = op('code'), parent(), op('/project1')")
    assert (dat.module.here, dat.module.above, dat.module.whole) == (dat, inner, network)
    with pytest.raises(AssertionError, match="depends"):
        network.op("inner/..")
    assert network.op("inner/code") is dat and network.op("nothing") is None


def test_a_dat_imports_its_neighbours_and_is_compiled_anew_after_an_edit(network: COMP) -> None:
    tools = text(network, "tools", "value = 1")
    user = text(network, "user", "from tools import value\nimport math")
    assert user.module.value == 1
    tools.text = "value = 2"
    assert user.module.value == 1
    user.text += "\n"
    assert user.module.value == 2


def test_a_byte_order_mark_is_refused(network: COMP) -> None:
    with pytest.raises(AssertionError, match="BOM"):
        text(network, "a", "\ufeffvalue = 1")


def test_operators_that_call_back_come_with_a_docked_dat(network: COMP) -> None:
    top = network.create("scriptTOP", "top")
    assert [dat.name for dat in top.docked] == ["top_callbacks"] and top.par.callbacks.eval() is top.docked[0]
    top.destroy()
    assert not top.valid and network.children == []


def test_a_copy_has_its_own_parameters_and_connections(network: COMP) -> None:
    box = network.create("baseCOMP", "box")
    top, out = box.create("scriptTOP", "top"), box.create("outTOP", "out")
    out.inputConnectors[0].connect(top)
    box.appendCustomPage("Page").appendFloat("Size")[0].val = 3
    copy = network.copy(box, name="other")
    copy.par.Size = 4
    assert (box.par.Size.eval(), copy.par.Size.eval()) == (3, 4)
    assert copy.op("out").inputs == [copy.op("top")]


def test_only_one_family_is_connected(network: COMP) -> None:
    with pytest.raises(AssertionError, match="family"):
        network.create("outCHOP", "out").inputConnectors[0].connect(network.create("scriptTOP", "top"))


# --- parameters ---


@pytest.mark.parametrize("name", ["engine", "MyEngine", "My_engine", "Min-max", ""])
def test_custom_names_follow_the_rule(network: COMP, name: str) -> None:
    with pytest.raises((AssertionError, IndexError)):
        network.appendCustomPage("Page").appendFloat(name)


def test_appending_again_makes_the_parameter_anew(network: COMP) -> None:
    page = network.appendCustomPage("Page")
    page.appendInt("Size", size=2)
    network.par.Size1, network.par.Size2 = 1, 2
    again = page.appendInt("Size", size=2)
    assert [par.eval() for par in again] == [0, 0] and len(page.pars) == 2
    with pytest.raises(AssertionError, match="page Page already"):
        network.appendCustomPage("Page")
    with pytest.raises(AssertionError, match="exists"):
        page.appendInt("Size1", replace=False)


def test_destroying_one_parameter_makes_the_others_that_are_held_invalid(network: COMP) -> None:
    page = network.appendCustomPage("Page")
    first, second = page.appendInt("A")[0], page.appendInt("B")[0]
    network.par.B = 7
    first.destroy()
    with pytest.raises(AssertionError, match="ask for this one again"):
        second.eval()
    assert network.par.B.eval() == 7 and network.par["A"] is None
    page.destroy()
    assert network.customPars == network.customPages == []


def test_values_are_held_to_their_kind(network: COMP) -> None:
    page = network.appendCustomPage("Page")
    number, toggle, menu = page.appendFloat("A")[0], page.appendToggle("B")[0], page.appendMenu("C")[0]
    menu.menuNames = ["x", "y"]
    network.par.A, network.par.B, network.par.C = 5, 1, "y"
    assert (number.eval(), toggle.eval(), menu.eval()) == (5.0, True, "y")
    for name, bad in (("A", "5"), ("C", "z")):
        with pytest.raises(AssertionError):
            setattr(network.par, name, bad)
    number.max, number.clampMax = 2, True
    network.par.A = 9
    assert number.eval() == 2
    with pytest.raises(AttributeError):
        network.par.Unknown = 1
    assert network.par["Unknown"] is None and not hasattr(network.par, "Unknown")


def test_what_is_read_only_stays(network: COMP) -> None:
    par = network.appendCustomPage("Page").appendStr("A")[0]
    with pytest.raises(AttributeError, match="read-only"):
        par.hidden = True
    with pytest.raises(AttributeError, match="custom"):
        network.par.opshortcut.default = "a"
    par.readOnly = True
    par.val = "by a script"
    with pytest.raises(AssertionError, match="by hand"):
        par.typed("by hand")


def test_an_expression_follows_another_parameter(network: COMP) -> None:
    network.appendCustomPage("Page").appendInt("Size")[0].val = 3
    inner = network.create("textDAT", "inner")
    inner.appendCustomPage("Page").appendInt("Size")[0].expr = "parent().par.Size"
    network.par.Size = 5
    assert inner.par.Size.eval() == 5 and inner.par.Size.mode == "EXPRESSION"


# --- callbacks ---


def execute(network: COMP, kind: str, words: str, **pars: object) -> DAT:
    dat = network.create(kind, "watch")
    dat.text = "seen = []\n" + words
    for name, value in pars.items():
        setattr(dat.par, name, value)
    return dat


def test_callbacks_are_off_until_they_are_switched_on(network: COMP, td: TouchDesigner) -> None:
    dat = execute(network, "executeDAT", "def onFrameStart(frame): seen.append(frame)")
    td.frame(2)
    assert dat.module.seen == []
    dat.par.framestart = True
    td.frame(2)
    assert len(dat.module.seen) == 2


def test_a_change_is_told_once_per_frame_with_the_value_before(network: COMP, td: TouchDesigner) -> None:
    network.appendCustomPage("Page").appendInt("Size")
    words = "def onValueChange(par, prev): seen.append((par.name, prev, par.eval()))"
    dat = execute(network, "parameterexecuteDAT", words, op=network, pars="*", valuechange=True)
    network.par.Size = 1
    td.frame()
    assert dat.module.seen == [], "'Custom' is off"
    dat.par.custom = True
    network.par.Size = 2
    network.par.Size = 3
    td.frame(2)
    assert dat.module.seen == [("Size", 1, 3)]


def test_a_pulse_is_told_at_once(network: COMP, td: TouchDesigner) -> None:
    network.appendCustomPage("Page").appendPulse("Go")
    words = "def onPulse(par): seen.append(par.name)"
    dat = execute(network, "parameterexecuteDAT", words, op=network, pars="Go", onpulse=True, custom=True)
    network.par.Go.pulse()
    assert dat.module.seen == ["Go"]


def test_an_exception_goes_to_the_textport_and_stops_nothing(network: COMP, td: TouchDesigner) -> None:
    execute(network, "executeDAT", "def onFrameStart(frame): 1 / 0", framestart=True)
    td.frame(2)
    assert len(td.textport) == 2 and "ZeroDivisionError" in td.textport[0]


@pytest.mark.parametrize(("build", "moves"), [(2023, True), (2025, False)])
def test_time_pauses_with_the_timeline_since_2025(build: int, moves: bool) -> None:
    td = TouchDesigner(build)
    before = td.absTime.frame
    td.playing = False
    td.frame(3)
    assert (td.absTime.frame > before) == moves


@pytest.mark.parametrize(("kind", "data"), [("oscinDAT", net.encode("/a", [1, 0.5, "b"])), ("udpinDAT", b"a\nb")])
def test_messages_arrive_once_the_port_is_open(network: COMP, td: TouchDesigner, kind: str, data: bytes) -> None:
    words = (
        "seen = []\n"
        "def onReceiveOSC(dat, row, message, data, time, address, args, peer): seen.append((address, args))\n"
        "def onReceive(dat, row, message, data, peer): seen.append(message)"
    )
    callbacks = text(network, "callbacks", words)
    dat = network.create(kind, "listen")
    dat.par.callbacks = "callbacks"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        dat.par.port = port = probe.getsockname()[1]
    td.frame()
    dat.par.active = True
    td.frame()
    net.send("127.0.0.1", port, data)
    td.frame()
    if kind == "udpinDAT":
        dat.par.format = "permessage"
        net.send("127.0.0.1", port, data)
        td.frame()
        assert callbacks.module.seen == ["a", "b", "a\nb"]
    else:
        assert callbacks.module.seen == [("/a", [1, 0.5, "b"])]
    other = network.create(kind, "second")
    other.par.port, other.par.active = port, True
    td.frame()
    assert "in use" in other.scriptErrors()
    td.quit()


# --- pictures, channels, saving ---


def test_a_picture_is_held_to_numpys_rules(network: COMP) -> None:
    node = network.create("scriptTOP", "top")
    assert isinstance(node, TOP)
    good = np.zeros((2, 2, 4), np.uint8)
    with pytest.raises(AssertionError, match="outside"):
        node.copyNumpyArray(good)
    node.cooking = True
    node.copyNumpyArray(good)
    for bad in (good[::-1], good.astype(np.float64), good[..., 0], np.zeros((2, 2, 5), np.uint8)):
        with pytest.raises(AssertionError):
            node.copyNumpyArray(bad)
    node.cooking = False
    node.par.modoutsidecook = True
    node.copyNumpyArray(good)
    assert node.copies == 2


def test_2023_does_not_know_what_came_later() -> None:
    td = TouchDesigner(2023)
    node = td.root.op("project1").create("scriptTOP", "top")
    assert not hasattr(node.par, "modoutsidecook") and "CookLevel" not in td.names_for(node)


def test_channels_are_made_while_cooking(network: COMP) -> None:
    chop = network.create("scriptCHOP", "chop")
    assert isinstance(chop, CHOP)
    text(network, "code", "def onCook(op):\n    op.clear()\n    op.numSamples = 1\n    op.appendChan('a')[0] = 2.0")
    chop.par.callbacks = "code"
    chop.cook(force=True)
    assert chop.values() == {"a": 2.0}
    with pytest.raises(AssertionError):
        chop.appendChan("b")


def test_saving_refuses_what_is_alive(network: COMP, tmp_path: Path) -> None:
    network.store("plain", {"a": [1, "b"]})
    network.save(tmp_path / "a.tox")
    network.store("alive", {"a": [socket]})
    with pytest.raises(AssertionError, match="live dict"):
        network.save(tmp_path / "a.tox")


def test_use_does_not_pass_the_edge_of_a_component(network: COMP) -> None:
    td = TouchDesigner(2023)
    box = td.root.op("project1").create("baseCOMP", "box")
    top, out = box.create("scriptTOP", "top"), box.create("outTOP", "out")
    out.inputConnectors[0].connect(top)
    td.watched = {box}
    td.frame()
    assert top.cooks == 0
    td.watched = {out}
    td.frame()
    assert top.cooks == 1

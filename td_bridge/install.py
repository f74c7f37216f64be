"""Build the component `utsushi` in TouchDesigner, or bring one that is there up to date. One line in the Textport:

    import runpy; runpy.run_path(r'C:/utsushi/td_bridge/install.py')

What the artist has set, wired or written stays: values and expressions of parameters, the tables `stages` and
`options`, the texts of `job_callbacks` and `event_callbacks`. The other texts are replaced by those of this folder,
and what they say is network.py's matter. Nothing is installed into TouchDesigner itself.

To ship a .tox instead:

    import runpy; runpy.run_path(r'C:/utsushi/td_bridge/install.py')['save'](r'C:/Desktop/utsushi.tox')
"""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).resolve().parent


def build(parent: Any, folder: Path = HERE) -> Any:
    """Make the component in the network `parent`, or renew it; returns it. folder: where the texts are."""
    plan = SimpleNamespace(**runpy.run_path(str(folder / "network.py")))  # the folder is on nobody's search path
    comp = parent.op(plan.NAME)
    if comp is None:
        comp = parent.create("baseCOMP", plan.NAME)
    else:
        _rest(comp)
    for node in plan.NODES:
        text = node.text
        if node.name in plan.MODULES:
            text = (folder / f"{node.name}.py").read_text(encoding="utf-8-sig")  # its tokenizer refuses a BOM
        _make(comp, node, text)
    _lay_out(comp, plan)
    for node in plan.NODES:
        if node.to and not comp.op(node.to).inputs:
            comp.op(node.to).inputConnectors[0].connect(comp.op(node.name))
    return comp


def _rest(comp: Any) -> None:
    """Let the older component close what it has open; whatever is wrong with it must not stop the new one."""
    try:
        comp.op("component").module.restart()
    except Exception as error:
        print(
            f"The older component could not be closed ({type(error).__name__}: {error}). It is replaced all the same."
        )


def _make(comp: Any, node: Any, text: str) -> None:
    """The operator that `node` describes; one of that name and type is kept."""
    there = comp.op(node.name)
    if there is not None and there.OPType != node.kind:
        there.destroy()
        there = None
    fresh = there is None
    if fresh:
        there = comp.create(node.kind, node.name)
        for docked in list(there.docked):  # the callbacks DAT that TouchDesigner makes: ours is another
            docked.destroy()
        there.nodeX, there.nodeY, there.color, there.comment = node.x, node.y, node.color, node.comment
        if node.kind == "tableDAT":
            there.clear()
            for row in node.first:
                there.appendRow(row)
        elif node.first:
            there.text = node.first
    if text:
        there.text = text
    for name, value in node.pars.items():
        par = getattr(there.par, name)
        if isinstance(value, str) and value.startswith("="):
            par.expr = value[1:]
        elif fresh or name != "active":  # a port that is open stays open
            par.val = value


def _lay_out(comp: Any, plan: Any) -> None:
    """The fixed pages; the engine's own come when it runs."""
    panel = comp.op("panel").module
    lines = []
    for one in plan.PARAMETERS:
        shows_only = one.default is None and one.style != "Pulse"
        value = (("" if one.style in ("Str", "Pulse") else 0.0) if one.default is None else one.default,)
        lines.append(panel.Row(
            one.name, one.page, one.label, one.style, value, value, one.low, one.high, one.menu, one.help,
            read_only=shows_only,
        ))  # fmt: skip
    panel.lay_out(comp, lines)
    picture = comp.op("picture")
    fresh = not hasattr(picture.par, "Stream")
    comp.op("script_top_callbacks").module.onSetupParameters(picture)
    for own, above in plan.FOLLOW.items() if fresh else ():
        getattr(picture.par, own).expr = f"parent().par.{above}"


def install(folder: Path = HERE) -> Any:
    """Build it where a new project has its network, and tell it where its engine is."""
    import td

    comp = build(td.op("/project1") or td.root, folder)
    if not comp.par.Folder.eval():
        comp.par.Folder = str(folder.parent)
    print(f"Utsushi is at {comp.path}. Press 'Start' on its page 'Engine', unless the engine runs already.")
    return comp


def save(path: str | Path, folder: Path = HERE) -> Path:
    """Write a .tox of a component that nobody has used yet, so that no path of this computer is in it."""
    import td

    holder = td.root.create("baseCOMP", "utsushi_to_save")
    try:
        return Path(build(holder, folder).save(str(path)))
    finally:
        holder.destroy()


if __name__ in ("__main__", "<run_path>"):
    install()

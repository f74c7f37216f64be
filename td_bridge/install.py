"""Build the component `utsushi` in TouchDesigner, or bring one that is there up to date. One line in the Textport:

    import runpy; runpy.run_path(r'C:/utsushi/td_bridge/install.py')

What the artist has set, wired or written stays: values of parameters, the tables `stages` and `options`, the text of
`job_callbacks`. The other texts are replaced by those of this folder. Nothing is installed into TouchDesigner itself.

`save` writes a .tox of a component that nobody has used yet, so there is no path of this computer in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

NAME = "utsushi"
MODULES = (
    "ring_mapping", "ring_reader", "panel", "health", "channels", "launcher", "job_tables", "jobs",
    "script_top_callbacks", "component",
)  # fmt: skip
FORWARD = "# The work is done in the Text DAT 'component', which install.py replaces.\n"
GREEN, BLUE, GREY = (0.25, 0.55, 0.4), (0.3, 0.4, 0.65), (0.35, 0.35, 0.35)


def _forward(*functions: str) -> str:
    """The text of a callbacks DAT: each function hands its arguments to the one of that name in `component`."""
    lines = [FORWARD]
    for function in functions:
        name, arguments = function.rstrip(")").split("(")
        lines.append(f"\ndef {name}({arguments}):\n    return op('component').module.{name}({arguments})\n")
    return "".join(lines)


class Node(NamedTuple):
    """One operator of the component. pars: a value, or "=" and an expression. `text` is replaced at every build, `first` is written once; `to`: its output."""

    name: str
    kind: str
    x: int
    y: int
    comment: str
    pars: dict[str, Any] = {}
    text: str = ""
    first: Any = ()
    to: str = ""
    color: tuple[float, float, float] = GREY


OSC_HEARD = (
    FORWARD + "\ndef onReceiveOSC(dat, rowIndex, message, bytes, timeStamp, address, args, peer):\n"
    "    return op('component').module.onReceiveOSC(address, args)\n"
)
JOB_HEARD = (
    FORWARD + "\ndef onReceive(dat, rowIndex, message, byteData, peer):\n"
    "    return op('component').module.onReceive(byteData)\n"
)
CHOP = FORWARD + ("\ndef onCook(scriptOp):\n    return op('component').module.onCook(scriptOp)\n")
JOB_CALLBACKS = """# Yours: what shall happen when a job has news. install.py leaves this text alone.
# info: a dict with "job", "stage", "event", "progress" (0 to 1), "eta_s", "text", "outputs", "exit_code".


def onStart(info):
    return


def onProgress(info):
    return


def onLog(info):
    return


def onDone(info):
    return


def onFail(info):
    return


def onCancel(info):
    return
"""
STAGES = (("stage", "command", "options", "next", "on_fail", "timeout", "retries"),)
OPTIONS = (("key", "value"),)
FRAME = {"active": True, "framestart": True, "exit": True}
WATCH = {
    "active": True,
    "op": "=parent()",
    "pars": "*",
    "valuechange": True,
    "onpulse": True,
    "custom": True,
    "builtin": False,
}
LISTEN = {"active": False, "localaddress": "127.0.0.1", "protocol": "msging"}
NODES = (
    Node("picture", "scriptTOP", 0, 400, "the stream that 'Stream' names", {"callbacks": "script_top_callbacks"},
         to="out_picture", color=GREEN),
    Node("out_picture", "outTOP", 200, 400, "the component's picture", color=GREEN),
    Node("info", "scriptCHOP", 0, 0, "state, fps, age, latency …", {"callbacks": "chop_callbacks"}, to="out_info",
         color=GREEN),
    Node("out_info", "outCHOP", 200, 0, "", color=GREEN),
    Node("pose", "scriptCHOP", 0, -130, "the newest pose", {"callbacks": "chop_callbacks"}, to="out_pose", color=GREEN),
    Node("out_pose", "outCHOP", 200, -130, "", color=GREEN),
    Node("frame", "executeDAT", 400, 400, "at every frame, and at exit", FRAME,
         _forward("onFrameStart(frame)", "onExit()"), color=BLUE),
    Node("parameters", "parameterexecuteDAT", 400, 270, "changes go to the engine", WATCH,
         _forward("onValueChange(par, prev)", "onPulse(par)"), color=BLUE),
    Node("osc_in", "oscinDAT", 400, 140, "the engine speaks", {**LISTEN, "callbacks": "osc_callbacks", "splitbundle": True},
         color=BLUE),
    Node("osc_out", "oscoutDAT", 400, 10, "values and orders to the engine", {"active": False, "address": "127.0.0.1"},
         color=BLUE),
    Node("job_events", "udpinDAT", 400, -120, "news of the jobs",
         {**LISTEN, "callbacks": "job_event_callbacks", "format": "permessage"}, color=BLUE),
    Node("log", "tableDAT", 600, 400, "what has happened"),
    Node("nodes", "tableDAT", 600, 270, "how the engine's nodes are"),
    Node("output", "textDAT", 600, 140, "the engine's last lines"),
    Node("stages", "tableDAT", 600, 10, "yours: the chain of jobs", first=STAGES, color=GREEN),
    Node("options", "tableDAT", 600, -120, "yours: options of a stage", first=OPTIONS, color=GREEN),
    Node("job_callbacks", "textDAT", 600, -250, "yours: what a job's news sets off", first=JOB_CALLBACKS, color=GREEN),
    Node("osc_callbacks", "textDAT", 800, 10, "", text=OSC_HEARD),
    Node("job_event_callbacks", "textDAT", 800, -120, "", text=JOB_HEARD),
    Node("chop_callbacks", "textDAT", 800, -250, "", text=CHOP),
)  # fmt: skip
# page, parameter, style, label, default, help; menus and limits below
COOK = ("auto", "force", "direct")
PARAMETERS = (
    ("Utsushi", "Active", "Toggle", "Active", True, "Off lets go of the engine and keeps the last picture"),
    ("Utsushi", "Engine", "Str", "Engine", "utsushi", "The name that stands in the engine's config: engine: {name: …}"),
    ("Utsushi", "Stream", "StrMenu", "Stream", "output", "What 'picture' shows"),
    ("Utsushi", "Morestreams", "Str", "More Streams", "", "Further streams, with spaces between: a Script TOP for each"),
    ("Utsushi", "Posestream", "StrMenu", "Pose Stream", "pose", "What 'pose' shows; empty for none"),
    ("Utsushi", "People", "Int", "People", 1, "For how many people 'pose' has channels"),
    ("Utsushi", "Status", "Str", "Status", None, "How it goes, in a sentence"),
    ("Utsushi", "State", "Str", "State", None, "LIVE, HELD, PLACEHOLDER, WAITING, STALE, STOPPED, MISMATCH, ERROR or OFF"),
    ("Utsushi", "Sendmine", "Toggle", "Send My Values to a New Engine", True, "What was set here goes to an engine that starts"),
    ("Utsushi", "Useengine", "Pulse", "Use the Engine's Values", None, "Forget what was set here and show what the engine holds"),
    ("Utsushi", "Loglines", "Int", "Lines of the Log", 100, "Older lines are removed"),
    ("Engine", "Start", "Pulse", "Start", None, "Start the engine, or attach to one that runs"),
    ("Engine", "Stop", "Pulse", "Stop", None, "Stop the engine"),
    ("Engine", "Restart", "Pulse", "Restart", None, "Stop the engine and start it again"),
    ("Engine", "Launcher", "Str", "Launcher", None, "What Start, Stop and Restart have come to"),
    ("Engine", "Folder", "Folder", "Folder", "", "The folder of Utsushi, with run_engine.py in it"),
    ("Engine", "Config", "File", "Config", "", "The engine's config; empty for the demo"),
    ("Engine", "Python", "File", "Python", "", "Its interpreter; empty for the one in the folder's .venv"),
    ("Engine", "Keeprunning", "Toggle", "Engine Outlives TouchDesigner", True, "Off stops an engine started here when TouchDesigner closes"),
    ("Jobs", "Runjobs", "Pulse", "Run", None, "Run the chain in the table 'stages'"),
    ("Jobs", "Canceljobs", "Pulse", "Cancel", None, "Cancel the stage that runs"),
    ("Jobs", "Jobstatus", "Str", "Jobs", None, "What the jobs are doing"),
    ("Jobs", "Jobprogress", "Float", "Progress", None, "Of the stage that runs"),
    ("Switches", "Cookmode", "Menu", "Cooking", "auto",
     "auto: as this TouchDesigner does it best; force: from the Execute DAT; direct: copy without cooking (2025)"),
    ("Switches", "Flip", "Toggle", "Turn Upside Down", False, "Should the picture stand on its head"),
    ("Switches", "Swapredblue", "Toggle", "Swap Red and Blue", False, "Should the colours be wrong"),
    ("Switches", "Copyalways", "Toggle", "Copy at Every Cook", False, "Should the last picture vanish between two new ones"),
)  # fmt: skip
LIMITS = {"People": (1, 8), "Loglines": (10, 1000), "Jobprogress": (0, 1)}
# the Script TOP's own parameters follow the component's
FOLLOW = {"Active": "Active", "Engine": "Engine", "Cook": "Cookmode", "Flip": "Flip", "Swapredblue": "Swapredblue",
          "Copyalways": "Copyalways"}  # fmt: skip


def build(network: Any, folder: Path) -> Any:
    """Make the component in `network`, or renew it; returns it. folder: where the texts are."""
    comp = network.op(NAME)
    fresh = comp is None
    if fresh:
        comp = network.create("baseCOMP", NAME)
        comp.comment = "Utsushi: the figure that the person in front of the camera drives"
    else:
        _rest(comp)
    for place, name in enumerate(MODULES):
        text = (folder / f"{name}.py").read_text(encoding="utf-8-sig")
        _make(comp, Node(name, "textDAT", 1000 + place // 5 * 200, 400 - place % 5 * 130, "", text=text))
    for node in NODES:
        _make(comp, node)
    _lay_out(comp)
    picture = comp.op("picture")
    comp.op("script_top_callbacks").module.onSetupParameters(picture)
    for own, above in FOLLOW.items():
        getattr(picture.par, own).expr = f"parent().par.{above}"
    picture.par.Stream.expr = "parent().par.Stream"
    for node in NODES:
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


def _make(comp: Any, node: Node) -> None:
    """The operator that `node` describes; one of that name and type is kept."""
    there = comp.op(node.name)
    if there is not None and there.OPType != node.kind:
        there.destroy()
        there = None
    fresh = there is None
    if fresh:
        there = comp.create(node.kind, node.name)
        for docked in list(there.docked):  # TouchDesigner makes a callbacks DAT; ours is another
            docked.destroy()
        there.nodeX, there.nodeY, there.color = node.x, node.y, node.color
        there.comment = node.comment
        if node.kind == "tableDAT":
            there.clear()
            for row in node.first:
                there.appendRow(row)
        elif node.first:
            there.text = node.first
    if node.text:
        there.text = node.text
    for name, value in node.pars.items():
        if fresh or name != "active":  # a port that is open stays open
            par = getattr(there.par, name)
            if isinstance(value, str) and value.startswith("="):
                par.expr = value[1:]
            else:
                par.val = value


def _lay_out(comp: Any) -> None:
    """The fixed pages; the engine's own come when it runs."""
    panel = comp.op("panel").module
    lines = []
    for page, name, style, label, default, about in PARAMETERS:
        read_only = default is None and style != "Pulse"
        value = ("" if style == "Str" else 0.0,) if default is None else (default,)
        menu = COOK if name == "Cookmode" else ()
        low, high = LIMITS.get(name, (None, None))
        lines.append(panel.Row(name, page, label, style, value, value, low, high, menu, about, read_only=read_only))
    panel.lay_out(comp, lines)


def install(folder: Path, network: Any = None) -> Any:
    """Build it where a new project has its network, and tell it where its engine is."""
    import td

    comp = build(network or td.op("/project1") or td.root, folder)
    if not comp.par.Folder.eval():
        comp.par.Folder = str(folder.parent)
    print(f"Utsushi is at {comp.path}. Press 'Start' on its page 'Engine', unless the engine runs already.")
    return comp


def save(path: Path, folder: Path) -> Path:
    """Write a .tox: of a new component, built beside everything else and taken away again."""
    import td

    holder = td.root.create("baseCOMP", "utsushi_to_save")
    try:
        return Path(build(holder, folder).save(str(path)))
    finally:
        holder.destroy()


if __name__ in ("__main__", "<run_path>"):
    install(Path(__file__).resolve().parent)

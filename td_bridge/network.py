"""What the component `utsushi` consists of: tables of its operators and parameters, which install.py builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

NAME = "utsushi"
MODULES = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - {"install", "network"})
FORWARD = "# The work is done in the Text DAT 'component'. install.py replaces this text.\n"
GREEN, BLUE, GREY = (0.25, 0.55, 0.4), (0.3, 0.4, 0.65), (0.35, 0.35, 0.35)


class Node(NamedTuple):
    """One operator. pars: a value each, or "=" and an expression. to: the operator that its output goes to.

    text is replaced at every build. first (rows, or a text) is written once and is the artist's from then on.
    """

    name: str
    kind: str
    x: int
    y: int
    comment: str = ""
    color: tuple[float, float, float] = GREY
    pars: dict[str, Any] = {}
    text: str = ""
    first: Any = ()
    to: str = ""


class Parameter(NamedTuple):
    """One parameter of the component. default: None where it only shows something."""

    page: str
    name: str
    style: str
    label: str
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    menu: tuple[str, ...] = ()


def _callback(signature: str, call: str = "") -> str:
    """A callback that hands over to `component`. call: which of its functions, with what; left out: the same."""
    return f"\n\ndef {signature}:\n    return op('component').module.{call or signature}\n"


JOB_CALLBACKS = """# Yours: what shall happen when a job has news. install.py leaves this text alone.
# info: a dict with job, seq, stage ("" for the whole chain), event, progress (0 to 1), eta_s, text, outputs, exit_code.


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
EVENT_CALLBACKS = """# Yours: what shall happen when a node tells an event. install.py leaves this text alone.
# node: its name in the config. name, values: such as "entered", (3,): docs/POSE.md says what a pose node tells.


def onEvent(node, name, values):
    return
"""
STAGES = (("stage", "command", "options", "next", "on_fail", "timeout", "retries"),)
COMMANDS = (("command", "options", "outputs", "argv"),)
LISTEN = {"active": False, "localaddress": "127.0.0.1", "protocol": "msging"}
WATCH = {
    "active": True, "op": "=parent()", "pars": "*", "valuechange": True, "onpulse": True, "custom": True,
    "builtin": False,
}  # fmt: skip
NODES = (
    Node("picture", "scriptTOP", 0, 400, "what 'Stream' names", GREEN, {"callbacks": "script_top_callbacks"},
         to="out_picture"),
    Node("out_picture", "outTOP", 200, 400, "", GREEN),
    Node("info", "scriptCHOP", 0, -120, "state, fps, latency", GREEN, {"callbacks": "chop_callbacks"}, to="out_info"),
    Node("out_info", "outCHOP", 200, -120, "", GREEN),
    Node("pose", "scriptCHOP", 0, -250, "the newest pose", GREEN, {"callbacks": "chop_callbacks"}, to="out_pose"),
    Node("out_pose", "outCHOP", 200, -250, "", GREEN),
    Node("frame", "executeDAT", 400, 400, "at every frame, at exit", BLUE,
         {"active": True, "framestart": True, "exit": True},
         FORWARD + _callback("onFrameStart(frame)") + _callback("onExit()")),
    Node("parameters", "parameterexecuteDAT", 400, 270, "changes go to the engine", BLUE, WATCH,
         FORWARD + _callback("onValueChange(par, prev)") + _callback("onPulse(par)")),
    Node("osc_out", "oscoutDAT", 400, 140, "values and orders", BLUE, {"active": False, "address": "127.0.0.1"}),
    Node("osc_in", "oscinDAT", 400, 10, "what the engine says", BLUE,
         {**LISTEN, "callbacks": "osc_callbacks", "splitbundle": True}),
    Node("job_events", "udpinDAT", 400, -120, "news of the jobs", BLUE,
         {**LISTEN, "callbacks": "job_event_callbacks", "format": "permessage"}),
    Node("log", "tableDAT", 600, 400, "what has happened", first=(("time", "level", "node", "text"),)),
    Node("nodes", "tableDAT", 600, 270, "how the nodes are"),
    Node("output", "textDAT", 600, 140, "the engine's last lines"),
    Node("osc_callbacks", "textDAT", 600, 10, text=FORWARD + _callback(
         "onReceiveOSC(dat, rowIndex, message, bytes, timeStamp, address, args, peer)", "onReceiveOSC(address, args)")),
    Node("job_event_callbacks", "textDAT", 600, -120, text=FORWARD + _callback(
         "onReceive(dat, rowIndex, message, byteData, peer)", "onReceive(byteData)")),
    Node("stages", "tableDAT", 800, 10, "yours: a chain of jobs", GREEN, first=STAGES),
    Node("options", "tableDAT", 800, -120, "yours: a stage's options", GREEN, first=(("key", "value"),)),
    Node("commands", "tableDAT", 800, -250, "yours: programs", GREEN, first=COMMANDS),
    Node("job_callbacks", "textDAT", 600, -250, "yours: what news sets off", GREEN, first=JOB_CALLBACKS),
    Node("event_callbacks", "textDAT", 400, -250, "yours: what events set off", GREEN, first=EVENT_CALLBACKS),
    Node("chop_callbacks", "textDAT", -200, -185, text=FORWARD + _callback("onCook(scriptOp)")),
    Node("script_top_callbacks", "textDAT", -200, 400),
    *(Node(name, "textDAT", 1000 + place // 6 * 200, 400 - place % 6 * 130)
      for place, name in enumerate(name for name in MODULES if name != "script_top_callbacks")),
)  # fmt: skip

STATES = "LIVE, HELD, PLACEHOLDER, WAITING, STALE, STOPPED, MISMATCH, ERROR or OFF"
COOKING = "auto: as this TouchDesigner does it best; force: from the Execute DAT; direct: copy without cooking (2025)"
PARAMETERS = (
    Parameter("Utsushi", "Active", "Toggle", "Active", True, "Off lets go of the engine and keeps the last picture"),
    Parameter("Utsushi", "Engine", "Str", "Engine", "utsushi", "The name in the engine's config: engine: {name: …}"),
    Parameter("Utsushi", "Stream", "StrMenu", "Stream", "output", "What 'picture' shows"),
    Parameter("Utsushi", "Morestreams", "Str", "More Streams", "", "Names with spaces between: a Script TOP for each"),
    Parameter("Utsushi", "Posestream", "StrMenu", "Pose Stream", "pose", "What 'pose' shows; empty for none"),
    Parameter("Utsushi", "People", "Int", "People", 1, "For how many people 'pose' has channels", 1, 8),
    Parameter("Utsushi", "Status", "Str", "Status", None, "How it goes, in a sentence"),
    Parameter("Utsushi", "State", "Str", "State", None, STATES),
    Parameter(
        "Utsushi", "Sendmine", "Toggle", "Send My Values", True, "What was set here goes to an engine that starts"
    ),
    Parameter("Utsushi", "Useengine", "Pulse", "Use the Engine's Values", None, "Forget what was set here"),
    Parameter("Utsushi", "Loglines", "Int", "Lines of the Log", 100, "Older lines are removed", 10, 1000),
    Parameter("Engine", "Start", "Pulse", "Start", None, "Start the engine, or attach to one that runs"),
    Parameter("Engine", "Stop", "Pulse", "Stop", None, "Stop the engine"),
    Parameter("Engine", "Restart", "Pulse", "Restart", None, "Stop the engine and start it again"),
    Parameter("Engine", "Launcher", "Str", "Launcher", None, "What these buttons have come to"),
    Parameter("Engine", "Folder", "Folder", "Folder", "", "Utsushi's folder, with run_engine.py in it"),
    Parameter("Engine", "Config", "File", "Config", "", "The engine's config; empty for the demo"),
    Parameter("Engine", "Python", "File", "Python", "", "Its interpreter; empty for the one in the folder's .venv"),
    Parameter("Engine", "Keeprunning", "Toggle", "Keep Running", True, "Off stops it when TouchDesigner closes"),
    Parameter("Jobs", "Runjobs", "Pulse", "Run", None, "Run the chain in the table 'stages'"),
    Parameter("Jobs", "Canceljobs", "Pulse", "Cancel", None, "Cancel the chain"),
    Parameter("Jobs", "Jobstatus", "Str", "Jobs", None, "What the jobs are doing"),
    Parameter("Jobs", "Jobprogress", "Float", "Progress", None, "Of the stage that runs", 0, 1),
    Parameter("Switches", "Cookmode", "Menu", "Cooking", "auto", COOKING, menu=("auto", "force", "direct")),
    Parameter("Switches", "Flip", "Toggle", "Turn Upside Down", False, "Should the picture stand on its head"),
    Parameter("Switches", "Swapredblue", "Toggle", "Swap Red and Blue", False, "Should the colours be wrong"),
    Parameter("Switches", "Copyalways", "Toggle", "Copy at Every Cook", False, "Should the last picture not stay"),
)
# the Script TOP's own parameters follow the component's
FOLLOW = {
    "Active": "Active", "Engine": "Engine", "Stream": "Stream", "Cook": "Cookmode", "Flip": "Flip",
    "Swapredblue": "Swapredblue", "Copyalways": "Copyalways",
}  # fmt: skip

# ruff: noqa: F821
# mypy: disable-error-code="name-defined"
"""What the component `utsushi` does: the callbacks of its nodes, which call these functions.

`me` and `parent` are TouchDesigner's own names; `me` is the Text DAT `component`, so `me.parent()` is the component. The
thinking is done in plain modules (panel, health, launcher, jobs); here it is brought to parameters, tables and
channels. What is alive is kept in `sys.modules`, never in TouchDesigner's storage, which is saved with the project.
"""

import socket
import sys
import time
from types import ModuleType, SimpleNamespace

import channels
from health import Health
from launcher import Launcher
from panel import PanelFile, Settings, lay_out
from ring_reader import RingReader

TICK_S, SUBSCRIBE_S, ANSWER_S = 0.1, 3.0, 5.0
START_HINT = " Or press 'Start' on the page 'Engine'."
_kept = sys.modules.setdefault("_utsushi_bridge", ModuleType("_utsushi_bridge")).__dict__
_alive = _kept.setdefault("by_component", {})
_missing = _kept.setdefault("missing", {})


def _this():
    """What is alive of this component; made at the first need."""
    comp = me.parent()
    for other in [other for other in _alive.values() if not other.comp.valid]:  # deleted in the network
        _close(other)
    if comp.path not in _alive:
        _alive[comp.path] = SimpleNamespace(
            comp=comp, engine="", file=None, settings=None, health=Health(), pose=None, launcher=None, launch=None,
            port=0, due=0.0, subscribe=0.0, notice="", notice_until=0.0, streams=None,
        )  # fmt: skip
    return _alive[comp.path]


# --- the Execute DAT `frame` ---


def onFrameStart(frame):
    this = _this()
    comp, now = this.comp, time.monotonic()
    pictures = comp.op("script_top_callbacks").module
    for top in _pictures(comp):
        pictures.drive(top)
    for name in ("info", "pose"):
        comp.op(name).cook(force=True)
    if now < this.due:
        return
    this.due = now + TICK_S
    _follow_engine(this)
    _follow_launcher(this)
    _follow_streams(this)
    _exchange(this, now)
    _say(this, now)


def onExit():
    this = _this()
    if this.launcher is not None:
        this.launcher.close()
    _close(this)


def restart():
    """Let go of everything, so that rebuilt modules begin anew. An engine that runs goes on running."""
    this = _this()
    pictures = this.comp.op("script_top_callbacks").module
    for top in _pictures(this.comp):
        pictures.let_go(top)
    _close(this)


def _close(this):
    if this.pose is not None:
        this.pose.close()
    _missing.pop(this.engine, None)
    for path in [path for path, other in _alive.items() if other is this]:
        del _alive[path]


def _pictures(comp):
    return [top for top in comp.children if top.OPType == "scriptTOP" and top.name.startswith("picture")]


# --- the engine: its panel, its streams ---


def _follow_engine(this):
    engine = this.comp.par.Engine.eval() if this.comp.par.Active.eval() else ""
    if engine != this.engine:
        _missing.pop(this.engine, None)
        this.engine, this.file = engine, PanelFile(engine) if engine else None
        this.settings = Settings(this.comp.fetch("mine", []))
        this.health.forget()
    if this.file is None or not this.file.changed():
        return
    panel = this.file.panel
    another = this.settings.load(panel)
    if another:
        this.health.forget()
        this.subscribe = 0.0
    if panel is None:
        return
    lay_out(this.comp, this.settings.rows)
    _drop_pages(
        this.comp, {row.page for row in this.settings.rows}, {name for row in this.settings.rows for name in row.names}
    )
    for name, kind in (("Stream", "image"), ("Posestream", "keypoints")):
        par = getattr(this.comp.par, name)
        par.menuNames = par.menuLabels = [one["name"] for one in panel["streams"] if one["kind"] == kind]
    if another and this.comp.par.Sendmine.eval():
        for row in this.settings.rows:
            if row.address in this.settings.mine:
                _send(this, row)


def _drop_pages(comp, pages, names):
    """Remove what an engine before had, and this one has not: parameters whose name begins with N and a node's page."""
    for par in comp.customPars:
        if par.name.startswith("N") and par.name not in names:
            par.destroy()
    for page in list(comp.customPages):
        if page.name[0].islower() and page.name not in pages:
            page.destroy()


def _follow_streams(this):
    """One Script TOP and one Out TOP for each name in 'More Streams'; those that it names no longer are removed."""
    names = this.comp.par.Morestreams.eval().split()
    if names == this.streams:
        return
    this.streams = names
    wanted = {"picture_" + name.replace("-", "_").replace(".", "_"): name for name in names}
    for top in _pictures(this.comp):
        if top.name != "picture" and top.name not in wanted:
            this.comp.op("out_" + top.name).destroy()
            top.destroy()
    for place, (name, stream) in enumerate(wanted.items(), 1):
        if this.comp.op(name) is None:
            top = this.comp.copy(this.comp.op("picture"), name=name)
            out = this.comp.copy(this.comp.op("out_picture"), name="out_" + name)
            top.par.Stream = stream
            out.inputConnectors[0].connect(top)
            for node in (top, out):
                node.nodeY -= 130 * place


# --- values, both ways ---


def onValueChange(par, prev):
    """Parameter Execute DAT: a parameter has another value. Those of the engine are sent to it."""
    this = _this()
    row = this.settings.row_of(par.name) if this.settings is not None else None
    if row is not None:
        _send(this, row, by_hand=_is_constant(par))


def _send(this, row, by_hand=True):
    values = tuple(getattr(this.comp.par, name).eval() for name in row.names)
    if this.settings.edit(row.address, values, by_hand):
        _osc(this, row.address, _for_osc(row, values))
        this.comp.store("mine", sorted(this.settings.mine))


def _for_osc(row, values):
    if row.listed:
        return [part.strip() for part in values[0].split(";")]
    return [int(value) if row.style == "Toggle" else value for value in values]


def _show(this):
    """Bring the engine's values to the parameters; one that an expression drives stays the artist's."""
    for row in this.settings.to_show():
        for name, value in zip(row.names, this.settings.held(row.address), strict=True):
            par = getattr(this.comp.par, name)
            if _is_constant(par) and par.eval() != value:
                par.val = value


def _is_constant(par):
    return "CONSTANT" in str(par.mode)


def _exchange(this, now):
    """Keep the subscription, send again what was lost, and show what came."""
    panel = this.file.panel if this.file is not None else None
    reachable = panel is not None and panel["osc"] is not None
    comp, out = this.comp, this.comp.op("osc_out")
    if reachable:
        for name, value in (("address", panel["osc"]["host"]), ("port", panel["osc"]["port"]), ("active", True)):
            if getattr(out.par, name).eval() != value:
                setattr(out.par, name, value)
        if not this.port:
            this.port = _free_port()
            comp.op("osc_in").par.port, comp.op("osc_in").par.active = this.port, True
        if now >= this.subscribe:
            this.subscribe = now + SUBSCRIBE_S
            _osc(this, "/utsushi/engine/subscribe", [this.port])
        for address, values in this.settings.overdue():
            row = next(row for row in this.settings.rows if row.address == address)
            _osc(this, address, _for_osc(row, values))
    elif out.par.active.eval():
        out.par.active = False
    if this.settings is not None:
        _show(this)


def _osc(this, address, values):
    out = this.comp.op("osc_out")
    if out.par.active.eval():
        out.sendOSC(address, values)


def _free_port():
    """A UDP port that nobody listens at: two TouchDesigners on one computer cannot share one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def onReceiveOSC(address, values):
    """OSC In DAT: the engine has said something."""
    this = _this()
    values = tuple(values)
    if this.settings is None or not values:
        return
    if address == "/utsushi/engine/answer" and len(values) == 4:
        ok, about, version, text = values
        refused = this.settings.answer(bool(ok), about, int(version))
        if refused or not ok:
            _notice(this, "WARNING", about.removeprefix("/utsushi/node/"), f"Refused: {text}")
        if refused:
            this.comp.store("mine", sorted(this.settings.mine))
    elif address.startswith("/utsushi/node/"):
        row = next((row for row in this.settings.rows if row.address == address), None)
        if row is not None:
            held = ("; ".join(map(str, values[:-1])),) if row.listed else _typed(row, values[:-1])
            if len(held) == len(row.value):
                this.settings.learn(address, held, int(values[-1]))
    else:
        this.health.hear(address, values)
    _show(this)


def _typed(row, values):
    make = {"Float": float, "Int": int, "Toggle": bool}.get(row.style, str)
    return tuple(make(value) for value in values)


# --- the buttons ---


def onPulse(par):
    """Parameter Execute DAT: a button was pressed."""
    this = _this()
    if par.name in ("Start", "Stop", "Restart"):
        _follow_launcher(this)
        getattr(this.launcher, par.name.lower())()
    elif par.name == "Useengine" and this.settings is not None:
        this.settings.mine.clear()
        this.settings.show |= {row.address for row in this.settings.rows}
        this.comp.store("mine", [])
        _show(this)


def _follow_launcher(this):
    """One launcher for what stands on the page 'Engine'; it starts nothing by itself."""
    par = this.comp.par
    launch = (par.Folder.eval(), par.Python.eval(), par.Config.eval(), par.Engine.eval())
    if launch != this.launch:
        this.launch, this.launcher = launch, Launcher(*launch)
    this.launcher.keep_running = par.Keeprunning.eval()
    this.launcher.poll()


# --- what it says ---


def _notice(this, level, node, text):
    """A line in the log, and for a while the status line."""
    this.notice, this.notice_until = text, time.monotonic() + ANSWER_S
    this.health.log.append((level, node, text))


def _say(this, now):
    comp, par = this.comp, this.comp.par
    reader = _reader(comp)
    missing = this.health.missing()
    if this.engine:
        _missing[this.engine] = missing
    texts = {"Status": _status(this, reader, missing, now), "State": reader.state if reader is not None else "OFF"}
    texts["Launcher"] = f"{this.launcher.state}. {this.launcher.message}".strip()
    for name, text in texts.items():
        if getattr(par, name).eval() != text:
            setattr(par, name, text)
    _write(comp.op("nodes"), this.health.table())
    _write_log(comp.op("log"), this.health.log, par.Loglines.eval())
    tail = "\n".join(this.launcher.log_tail(20))
    if comp.op("output").text != tail:
        comp.op("output").text = tail


def _status(this, reader, missing, now):
    if now < this.notice_until:
        return this.notice
    if this.launcher.state in ("STARTING", "STOPPING", "FAILED"):
        return this.launcher.message
    if not this.engine:
        return "Off. 'Active' begins it again."
    if reader is None:
        return "Looking for the engine."
    if reader.state in ("WAITING", "STOPPED") and this.file.panel is None:
        return reader.message + START_HINT
    if missing or reader.message:
        return " ".join(part for part in (reader.message, missing) if part)
    return f"{reader.state}: {reader.fps:.0f} pictures per second, {reader.latency_ms:.0f} ms from capture to here."


def _reader(comp):
    """The reader of the node `picture`, or None while it has none."""
    return comp.op("script_top_callbacks").module.bridge_of(comp.op("picture")).reader


def _write(table, rows):
    if [[cell.val for cell in row] for row in table.rows()] != rows:
        table.clear()
        for row in rows:
            table.appendRow(row)


def _write_log(table, lines, most):
    if table.numRows == 0:
        table.appendRow(["time", "level", "node", "text"])
    for line in lines:
        table.appendRow([time.strftime("%H:%M:%S"), *line])
    lines.clear()
    while table.numRows > max(1, most) + 1:
        table.deleteRow(1)


# --- the Script CHOPs ---


def onCook(scriptOp):
    this, comp = _this(), me.parent()
    if scriptOp.name == "pose":
        values = channels.of_pose(_pose_reader(this), comp.par.People.eval())
    else:
        settings, up = this.settings, this.file is not None and this.file.panel is not None
        version = settings.version if settings is not None else 0
        values = channels.of_info(_reader(comp), up, version, this.health.progress)
    scriptOp.clear()
    scriptOp.numSamples = 1
    for name, value in values.items():
        scriptOp.appendChan(name)[0] = value


def _pose_reader(this):
    par = this.comp.par
    wanted = (par.Engine.eval(), par.Posestream.eval()) if par.Active.eval() and par.Posestream.eval() else None
    if this.pose is not None and (this.pose.engine, this.pose.stream) != wanted:
        this.pose.close()
        this.pose = None
    if this.pose is None and wanted:
        this.pose = RingReader(*wanted)
    if this.pose is not None:
        this.pose.poll()
    return this.pose

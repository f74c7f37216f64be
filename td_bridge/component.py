# ruff: noqa: F821
# mypy: disable-error-code="name-defined"
"""What the component `utsushi` does: the callbacks of its nodes call these functions.

`me` is TouchDesigner's own name: the Text DAT that holds this, so `me.parent()` is the component. The thinking is done
in plain modules (panel, settings, health, channels, launcher, jobs); here it is brought to parameters, tables and
channels. What is alive is kept in `sys.modules`, never in TouchDesigner's storage, which is saved with the project.
"""

import socket
import sys
import time
from types import ModuleType, SimpleNamespace

import channels
from health import Health, sentence
from jobs import JobClient, JobError
from launcher import Launcher
from panel import PanelFile, lay_out
from ring_reader import RingReader
from settings import Settings

TICK_S, SUBSCRIBE_S, NOTICE_S = 0.1, 3.0, 5.0
OUR_TABLES = ("log", "nodes", "stages", "commands")  # every other table in here may hold a stage's options
_kept = sys.modules.setdefault("_utsushi_bridge", ModuleType("_utsushi_bridge")).__dict__
_alive = _kept.setdefault("by_component", {})
_missing = _kept.setdefault("missing", {})


def _this():
    """What is alive of this component; made at the first need."""
    comp = me.parent()
    if comp.path not in _alive:
        for path in [path for path, other in _alive.items() if not other.comp.valid]:  # deleted in the network
            _close(path)
        _alive[comp.path] = SimpleNamespace(
            comp=comp, engine="", file=None, settings=Settings([]), health=Health(), pose=None, launcher=None,
            launch=None, jobs=None, ports={}, due=0.0, subscribe=0.0, notice="", notice_until=0.0, streams=None,
        )  # fmt: skip
    return _alive[comp.path]


def _close(path):
    this = _alive.pop(path)
    if this.pose is not None:
        this.pose.close()
    _missing.pop(this.engine, None)


def _pictures(comp):
    return [top for top in comp.children if top.OPType == "scriptTOP" and top.name.startswith("picture")]


def _set(owner, **values):
    """Set parameters that differ: a parameter that is set tells whoever watches it."""
    for name, value in values.items():
        if getattr(owner.par, name).eval() != value:
            setattr(owner.par, name, value)


# --- the Execute DAT `frame` ---


def onFrameStart(frame):
    this, now = _this(), time.monotonic()
    for top in _pictures(this.comp):
        this.comp.op("script_top_callbacks").module.drive(top)
    for name in ("info", "pose"):
        this.comp.op(name).cook(force=True)
    if this.jobs is not None:
        this.jobs.poll()
    if now >= this.due:
        this.due = now + TICK_S
        _follow_engine(this)
        _follow_launcher(this)
        _follow_streams(this)
        _exchange(this, now)
        _say(this, now)


def onExit():
    this = _this()
    if this.jobs is not None:
        this.jobs.cancel()
    if this.launcher is not None:
        this.launcher.close()
    _close(this.comp.path)


def restart():
    """Let go of everything, so that new modules begin anew. An engine and a chain of jobs that run go on running."""
    this = _this()
    for top in _pictures(this.comp):
        this.comp.op("script_top_callbacks").module.let_go(top)
    _close(this.comp.path)
    _this().jobs, _this().ports = this.jobs, this.ports


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
    is_another = this.settings.load(this.file.panel)
    if this.file.panel is None:
        return
    rows = this.settings.rows
    lay_out(this.comp, rows)
    _drop(this.comp, {name for row in rows for name in row.names}, {row.page for row in rows})
    for name, kind in (("Stream", None), ("Posestream", "keypoints")):
        par = getattr(this.comp.par, name)
        found = [one["name"] for one in this.file.panel["streams"] if kind in (None, one["kind"])]
        par.menuNames = par.menuLabels = found
    if is_another:
        this.health.forget()
        this.subscribe = 0.0
        if this.comp.par.Sendmine.eval():
            for row in rows:
                if row.address in this.settings.mine:
                    _send(this, row)


def _drop(comp, names, pages):
    """Remove what only an engine before this one had, and nothing that the artist has made."""
    ours = comp.fetch("pages", [])
    gone = [par.name for page in comp.customPages if page.name in ours for par in page.pars if par.name[0] == "N"]
    for name in gone:  # by name: destroying one parameter makes every other that is held invalid
        if name not in names and hasattr(comp.par, name):
            getattr(comp.par, name).destroy()
    for name in [name for name in ours if name not in pages]:
        for page in [page for page in comp.customPages if page.name == name and not page.pars]:
            page.destroy()
    comp.store("pages", sorted(pages))


def _follow_streams(this):
    """A Script TOP and an Out TOP for each name in 'More Streams'; those that it names no longer are removed."""
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
            top.par.Stream, top.comment = stream, f"the stream {stream}"
            out.inputConnectors[0].connect(top)
            top.nodeY = out.nodeY = this.comp.op("picture").nodeY - 130 * place


# --- values, both ways ---


def onValueChange(par, prev):
    """Parameter Execute DAT: a parameter has another value. One of the engine's goes to it."""
    this = _this()
    row = this.settings.row_of(par.name)
    if row is not None:
        _send(this, row, by_hand=_is_constant(par))


def _send(this, row, by_hand=True):
    values = _values(this, row)
    if this.settings.edit(row.address, values, by_hand):
        _osc(this, row.address, row.to_osc(values))
        this.comp.store("mine", sorted(this.settings.mine))


def _show(this):
    """Bring the engine's values to the parameters; one that an expression drives stays the artist's."""
    for row in this.settings.to_show():
        for name, value in zip(row.names, this.settings.shown(row.address, _values(this, row)) or (), strict=False):
            if _is_constant(getattr(this.comp.par, name)):
                _set(this.comp, **{name: value})


def _values(this, row):
    return tuple(getattr(this.comp.par, name).eval() for name in row.names)


def _is_constant(par):
    return "CONSTANT" in str(par.mode)


def _exchange(this, now):
    """Keep the subscription, send again what was lost, and show what has come."""
    osc = this.file.panel["osc"] if this.file is not None and this.file.panel is not None else None
    out = this.comp.op("osc_out")
    if osc is None:
        _set(out, active=False)
    else:
        _set(out, address=osc["host"], port=osc["port"], active=True)
        if now >= this.subscribe:
            this.subscribe = now + SUBSCRIBE_S
            _osc(this, "/utsushi/engine/subscribe", [_listen(this, "osc_in")])
        for row, values in this.settings.overdue():
            _osc(this, row.address, row.to_osc(values))
    _show(this)


def _osc(this, address, values):
    out = this.comp.op("osc_out")
    if out.par.active.eval():
        out.sendOSC(address, values)


def _listen(this, name):
    """Open this DAT at a port that nobody has: two TouchDesigners on one computer cannot share one."""
    if name not in this.ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            this.ports[name] = probe.getsockname()[1]
        _set(this.comp.op(name), port=this.ports[name], active=True)
    return this.ports[name]


def onReceiveOSC(address, values):
    """OSC In DAT: the engine has said something."""
    this = _this()
    try:
        _hear(this, address, tuple(values))
    except (IndexError, TypeError, ValueError):  # not the engine's: any program on this computer can send here
        return
    _show(this)


def _hear(this, address, values):
    row = this.settings.row_of(address)
    if address == "/utsushi/engine/answer" and len(values) == 4:
        ok, about, version, text = values
        if this.settings.answer(bool(ok), about, int(version)):
            this.comp.store("mine", sorted(this.settings.mine))
        if not ok:
            _notice(this, about.removeprefix("/utsushi/node/"), f"Refused: {text}")
    elif row is not None and values:
        held = row.from_osc(values[:-1])
        if held is not None:
            this.settings.learn(address, held, int(values[-1]))
    elif values:
        this.health.hear(address, values)


# --- the buttons ---


def onPulse(par):
    """Parameter Execute DAT: a button was pressed."""
    this = _this()
    if par.name in ("Start", "Stop", "Restart"):
        _follow_launcher(this)
        getattr(this.launcher, par.name.lower())()
    elif par.name == "Useengine":
        this.settings.mine.clear()
        this.settings.show |= {row.address for row in this.settings.rows}
        this.comp.store("mine", [])
        _show(this)
    elif par.name == "Runjobs":
        _run_jobs(this)
    elif par.name == "Canceljobs" and this.jobs is not None:
        this.jobs.cancel()


def _follow_launcher(this):
    """One launcher for what stands on the page 'Engine'; it starts nothing by itself."""
    par = this.comp.par
    launch = (par.Folder.eval(), par.Python.eval(), par.Config.eval(), par.Engine.eval())
    if launch != this.launch:
        this.launch, this.launcher = launch, Launcher(*launch)
    this.launcher.keep_running = par.Keeprunning.eval()
    this.launcher.poll()


def _run_jobs(this):
    comp = this.comp
    tables = {node.name: _texts(node) for node in comp.children if node.OPType == "tableDAT"}
    options = {name: rows for name, rows in tables.items() if name not in OUR_TABLES}
    try:
        if this.jobs is None or not this.jobs.busy:
            this.jobs = JobClient(comp.par.Folder.eval(), comp.par.Python.eval(), comp.op("job_callbacks").module)
        notify = f"127.0.0.1:{_listen(this, 'job_events')}"
        this.jobs.start(tables["stages"], options, tables["commands"], notify=notify)
    except JobError as error:
        _notice(this, "jobs", str(error))


def onReceive(data):
    """UDP In DAT: news of the jobs."""
    if _this().jobs is not None:
        _this().jobs.receive(bytes(data))


# --- what it says ---


def _notice(this, node, text):
    """A line in the log, and for a while the status line."""
    this.notice, this.notice_until = text, time.monotonic() + NOTICE_S
    this.health.log.append(("WARNING", node, text))


def _say(this, now):
    comp, reader, missing = this.comp, _reader(this), this.health.missing()
    if this.engine:
        _missing[this.engine] = missing
    status = sentence(reader, this.launcher, this.engine, missing)
    _set(
        comp, Status=this.notice if now < this.notice_until else status, State=reader.state if reader else "OFF",
        Launcher=f"{this.launcher.state}. {this.launcher.message}",
    )  # fmt: skip
    if this.jobs is not None:
        _set(comp, Jobstatus=f"{this.jobs.stage}: {this.jobs.message}".lstrip(": "), Jobprogress=this.jobs.progress)
    if _texts(comp.op("nodes")) != this.health.table():
        comp.op("nodes").clear()
        for row in this.health.table():
            comp.op("nodes").appendRow(row)
    for line in this.health.log:
        comp.op("log").appendRow([time.strftime("%H:%M:%S"), *line])
    this.health.log.clear()
    while comp.op("log").numRows > comp.par.Loglines.eval() + 1:
        comp.op("log").deleteRow(1)
    tail = "\n".join(this.launcher.log_tail(20))
    if comp.op("output").text != tail:
        comp.op("output").text = tail


def _texts(table):
    return [[cell.val for cell in row] for row in table.rows()]


def _reader(this):
    """The reader of the node `picture`, or None while it has none."""
    return this.comp.op("script_top_callbacks").module.bridge_of(this.comp.op("picture")).reader


# --- the Script CHOPs ---


def onCook(scriptOp):
    this, par = _this(), me.parent().par
    if scriptOp.name == "pose":
        values = channels.of_pose(_pose_reader(this, par), par.People.eval())
    else:
        values = channels.of_info(_reader(this), this.settings.version, this.health.progress)
    scriptOp.clear()
    scriptOp.numSamples = 1
    for name, value in values.items():
        scriptOp.appendChan(name)[0] = value


def _pose_reader(this, par):
    wanted = (par.Engine.eval(), par.Posestream.eval()) if par.Active.eval() and par.Posestream.eval() else None
    if this.pose is not None and (this.pose.engine, this.pose.stream) != wanted:
        this.pose.close()
        this.pose = None
    if this.pose is None and wanted:
        this.pose = RingReader(*wanted)
    if this.pose is not None:
        this.pose.poll()
    return this.pose

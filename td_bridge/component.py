# ruff: noqa: F821
# mypy: disable-error-code="name-defined"
"""What the component `utsushi` does: the callbacks of its nodes call these functions.

`me` is TouchDesigner's own name: the Text DAT that holds this, so `me.parent()` is the component. The thinking is done
in plain modules (exchange, channels, launcher, jobs); here it is brought to the nodes. What is alive is kept in
`sys.modules`, never in TouchDesigner's storage, which is saved with the project.
"""

import re
import sys
import time
from types import ModuleType, SimpleNamespace

import channels
from exchange import Exchange, set_par
from health import sentence
from jobs import JobClient, JobError
from launcher import Launcher
from ring_reader import RingReader

TICK_S = 0.1
OUR_TABLES = ("log", "nodes", "stages", "commands")  # every other table in here may hold a stage's options
_kept = sys.modules.setdefault("_utsushi_bridge", ModuleType("_utsushi_bridge")).__dict__
_alive = _kept.setdefault("by_component", {})
_missing = _kept.setdefault("missing", {})


def _this():
    """What is alive of this component; made at the first need."""
    comp = me.parent()
    if comp.path not in _alive:
        for path, other in list(_alive.items()):
            if not other.comp.valid:  # deleted in the network
                _close(path)
            elif other.comp.path == comp.path:  # renamed or moved: its jobs and its engine stay its own
                _alive[comp.path] = _alive.pop(path)
    if comp.path not in _alive:
        _alive[comp.path] = SimpleNamespace(
            comp=comp,
            exchange=Exchange(comp),
            pose=None,
            launcher=None,
            launch=None,
            jobs=None,
            due=0.0,
            streams=None,
            named="",
            posed=None,
        )
    return _alive[comp.path]


def _close(path):
    this = _alive.pop(path)
    if this.pose is not None:
        this.pose.close()
    _missing.pop(this.named, None)


def _pictures(comp):
    """The Script TOPs that are ours, and no copy of one that the artist has made."""
    ours = [top for top in comp.children if top.OPType == "scriptTOP" and re.match("picture(_|$)", top.name)]
    return [top for top in ours if comp.op("out_" + top.name) is not None]


# --- the Execute DAT `frame` ---


def onFrameStart(frame):
    this, now = _this(), time.monotonic()
    for top in _pictures(this.comp):
        this.comp.op("script_top_callbacks").module.drive(top)
    this.comp.op("info").cook(force=True)
    _follow_pose(this)
    if this.jobs is not None:
        _follow_jobs(this)
    if now >= this.due:
        this.due = now + TICK_S
        this.exchange.turn()
        _follow_launcher(this)
        _follow_streams(this)
        _say(this)


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
    _this().jobs = this.jobs


# --- callbacks of the other DATs ---


def onValueChange(par, prev):
    """Parameter Execute DAT: a parameter has another value."""
    _this().exchange.changed(par)


def onReceiveOSC(address, values):
    """OSC In DAT: the engine has said something."""
    this, path = _this(), address.split("/")
    this.exchange.hear(address, tuple(values))
    if path[1:3] == ["utsushi", "event"] and len(path) == 5:
        this.comp.op("event_callbacks").module.onEvent(path[3], path[4], tuple(values))


def onReceive(data):
    """UDP In DAT: news of the jobs."""
    if _this().jobs is not None:
        _this().jobs.receive(bytes(data))


def onPulse(par):
    """Parameter Execute DAT: a button was pressed."""
    this = _this()
    if par.name in ("Start", "Stop", "Restart"):
        _follow_launcher(this)
        getattr(this.launcher, par.name.lower())()
    elif par.name == "Useengine":
        this.exchange.use_engines_values()
    elif par.name == "Runjobs":
        _run_jobs(this)
    elif par.name == "Canceljobs" and this.jobs is not None:
        this.jobs.cancel()


# --- following the parameters ---


def _follow_streams(this):
    """A Script TOP and an Out TOP for each name in 'More Streams'; those that it names no longer are removed."""
    names = this.comp.par.Morestreams.eval().split()
    if names == this.streams:
        return
    this.streams = names
    wanted = {"picture_" + re.sub("[^A-Za-z0-9_]", "_", name): name for name in names}
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
        notify = f"127.0.0.1:{this.exchange.listen('job_events')}"
        this.jobs.start(tables["stages"], options, tables["commands"], notify=notify)
    except JobError as error:
        this.exchange.note("jobs", str(error))


def _follow_jobs(this):
    """Call back for what is new; that a chain has failed is said once more where all else is said that goes wrong."""
    busy = this.jobs.busy
    this.jobs.poll()
    if busy and this.jobs.state == "failed":
        this.exchange.note("jobs", this.jobs.message, "ERROR")


# --- what it says ---


def _say(this):
    comp, reader, exchange, health = this.comp, _reader(this), this.exchange, this.exchange.health
    _missing.pop(this.named, None)
    this.named = exchange.engine
    _missing[this.named] = health.missing()
    set_par(
        comp, State=reader.state if reader else "OFF", Launcher=f"{this.launcher.state}. {this.launcher.message}",
        Status=exchange.notice or sentence(reader, this.launcher, exchange.engine, health.missing()),
    )  # fmt: skip
    if this.jobs is not None:
        set_par(comp, Jobstatus=f"{this.jobs.stage}: {this.jobs.message}".lstrip(": "), Jobprogress=this.jobs.progress)
    if _texts(comp.op("nodes")) != health.table():
        comp.op("nodes").clear()
        for row in health.table():
            comp.op("nodes").appendRow(row)
    for line in health.log:
        comp.op("log").appendRow([time.strftime("%H:%M:%S"), *line])
    health.log.clear()
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
    this = _this()
    if scriptOp.name == "pose":
        values = channels.of_pose(this.pose, this.comp.par.People.eval())
    else:
        values = channels.of_info(_reader(this), this.exchange.settings.version, this.exchange.health.progress)
    scriptOp.clear()
    scriptOp.numSamples = 1
    for name, value in values.items():
        scriptOp.appendChan(name)[0] = value


def _follow_pose(this):
    """Look for a newer pose; its many channels are made anew only when there is one."""
    par = this.comp.par
    wanted = (par.Engine.eval(), par.Posestream.eval()) if par.Active.eval() and par.Posestream.eval() else None
    if this.pose is not None and (this.pose.engine, this.pose.stream) != wanted:
        this.pose.close()
        this.pose = None
    if this.pose is None and wanted:
        this.pose = RingReader(*wanted)
    if this.pose is not None:
        this.pose.poll()
    known = (wanted, par.People.eval(), *((this.pose.seq, this.pose.state) if this.pose is not None else ()))
    if known != this.posed:
        this.posed = known
        this.comp.op("pose").cook(force=True)

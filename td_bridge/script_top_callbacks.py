# ruff: noqa: F821
# mypy: disable-error-code="name-defined"
"""Callbacks of a Script TOP that shows one stream of a running Utsushi engine. Set-up: docs/TOUCHDESIGNER.md.

`absTime`, `CookLevel`, `licenses` and `op` are TouchDesigner's own names. What must outlive one cook is kept in
`sys.modules`: this module is made anew at every edit, and TouchDesigner's storage would be saved with the project.
"""

import sys
import time
from types import ModuleType, SimpleNamespace

import numpy as np

SHOWS_A_PICTURE = ("LIVE", "HELD", "PLACEHOLDER")
NON_COMMERCIAL_LIMIT = 1280
REPORT_EVERY_S = 0.5
COOK = {
    "auto": "Let TouchDesigner 2025 cook at every frame",
    "force": "Cook from the Execute DAT",
    "direct": "Copy without cooking (2025)",
}
_kept = sys.modules.setdefault("_utsushi_bridge", ModuleType("_utsushi_bridge")).__dict__
_bridges = _kept.setdefault("by_node", {})
_missing = _kept.setdefault("missing", {})  # engine -> a sentence: what the component has heard by OSC


def onSetupParameters(scriptOp):
    """Make the page 'Utsushi'. What the artist has set already is kept."""
    pages = [page for page in scriptOp.customPages if page.name == "Utsushi"]
    page = pages[0] if pages else scriptOp.appendCustomPage("Utsushi")
    for style, name, label, default, is_setting in (
        ("Toggle", "Active", "Active", True, True),
        ("Str", "Engine", "Engine", "utsushi", True),
        ("Str", "Stream", "Stream", "output", True),
        ("Menu", "Cook", "Cook", "auto", True),
        ("Toggle", "Flip", "Turn Upside Down", False, True),
        ("Toggle", "Swapredblue", "Swap Red and Blue", False, True),
        ("Toggle", "Copyalways", "Copy at Every Cook", False, True),
        ("Str", "State", "State", "", False),
        ("Str", "Message", "Message", "", False),
        ("Float", "Fps", "Pictures per Second", 0.0, False),
        ("Float", "Latencyms", "Capture to Here (ms)", 0.0, False),
        ("Int", "Skipped", "Skipped Pictures", 0, False),
        ("Int", "Restarts", "Restarts of the Engine", 0, False),
    ):
        fresh = not hasattr(scriptOp.par, name)
        if fresh:
            getattr(page, "append" + style)(name, label=label)
        par = getattr(scriptOp.par, name)
        if style == "Menu":
            par.menuNames, par.menuLabels = list(COOK), list(COOK.values())
        par.default, par.readOnly = default, not is_setting
        if fresh or not is_setting:
            par.val = default


def onGetCookLevel(scriptOp):
    """TouchDesigner 2025 asks how often to cook; shared memory is invisible to its own rules."""
    by_itself = not hasattr(scriptOp.par, "Cook") or scriptOp.par.Cook.eval() == "auto"
    try:
        return CookLevel.ALWAYS if by_itself else CookLevel.AUTOMATIC
    except NameError:
        return None


def onCook(scriptOp):
    absTime.frame  # noqa: B018  TouchDesigner 2023: a Script TOP cooks again when something it has read changes
    show(scriptOp)


def drive(scriptOp):
    """Called at every frame by the Execute DAT, for what TouchDesigner does not do by itself."""
    how = scriptOp.par.Cook.eval()
    can_copy = hasattr(scriptOp.par, "modoutsidecook")
    if can_copy and scriptOp.par.modoutsidecook.eval() != (how == "direct"):
        scriptOp.par.modoutsidecook = how == "direct"
    if how == "direct" and can_copy:
        show(scriptOp)
    elif how != "auto" or onGetCookLevel(scriptOp) is None:
        scriptOp.cook(force=True)


def show(scriptOp):
    """Hand over the newest picture, if there is one, and say in words what is wrong, if anything is."""
    bridge = bridge_of(scriptOp)
    complaint = _follow_settings(scriptOp, bridge)
    if bridge.reader is not None:
        picture = bridge.reader.poll()
        if picture is None and scriptOp.par.Copyalways.eval():
            picture = bridge.reader.array
        if picture is not None:
            if not len(picture):  # nobody: TouchDesigner takes no array without a row
                picture = np.zeros((1, *picture.shape[1:]), picture.dtype)
            _fit(scriptOp, *picture.shape[1::-1])
            scriptOp.copyNumpyArray(_turned(scriptOp.par, picture))
        complaint = _complaint(bridge.reader)
        _report(scriptOp, bridge)
    if complaint != bridge.complaint:
        scriptOp.clearScriptErrors(error="Utsushi*")
        if complaint:
            scriptOp.addScriptError("Utsushi: " + complaint)
        bridge.complaint = complaint


def bridge_of(scriptOp):
    """`.reader` and `.complaint` of a node."""
    return _bridges.setdefault(scriptOp.path, SimpleNamespace(reader=None, wanted=None, complaint="", reported=0.0))


def let_go(scriptOp):
    """Close what this node reads from; its next cook opens it again."""
    _let_go(bridge_of(scriptOp))
    del _bridges[scriptOp.path]


def _follow_settings(scriptOp, bridge):
    """Make `bridge.reader` what the settings ask for (None while inactive); return what stands in the way."""
    if not hasattr(scriptOp.par, "Copyalways"):
        return "Press 'Setup Parameters' in this node's parameters, on the page 'Script'."
    settings = scriptOp.par
    wanted = (settings.Engine.eval(), settings.Stream.eval()) if settings.Active.eval() else None
    if wanted != bridge.wanted:
        _let_go(bridge)
        settings.State = settings.Message = ""
        for path in [path for path in _bridges if op(path) is None]:  # nodes that were deleted or renamed
            _let_go(_bridges.pop(path))
    if wanted and bridge.reader is None:
        try:
            from ring_reader import RingReader
        except ImportError as error:
            return f"Beside this node there must be Text DATs ring_reader, ring_frames and ring_mapping ({error})."
        bridge.reader, bridge.wanted = RingReader(*wanted), wanted
    return ""


def _let_go(bridge):
    if bridge.reader is not None:
        bridge.reader.close()
    bridge.reader = bridge.wanted = None


def _fit(scriptOp, width, height):
    """Give the node the picture's size."""
    settings = scriptOp.par
    if (settings.resolutionw.eval(), settings.resolutionh.eval()) != (width, height):
        settings.outputresolution, settings.resolutionw, settings.resolutionh = "custom", width, height


def _turned(settings, picture):
    """The picture itself, unless a switch asks for another order of its rows or channels."""
    if settings.Flip.eval():
        picture = picture[::-1]
    if settings.Swapredblue.eval() and picture.shape[2] == 4:
        picture = picture[:, :, [2, 1, 0, 3]]
    return np.ascontiguousarray(picture)


def _complaint(reader):
    if reader.state not in SHOWS_A_PICTURE:
        return reader.message
    if max(reader.width, reader.height) > NON_COMMERCIAL_LIMIT and getattr(licenses, "isNonCommercial", False):
        return (
            f"TouchDesigner Non-Commercial shows at most {NON_COMMERCIAL_LIMIT} x {NON_COMMERCIAL_LIMIT} pixels; "
            f"this picture has {reader.width} x {reader.height}. Set a smaller size for the engine's output node."
        )
    return _missing.get(reader.engine, "") if reader.state != "LIVE" else ""


def _report(scriptOp, bridge):
    """Show on the page how it goes; not at every cook, because setting parameters costs time."""
    reader, settings, now = bridge.reader, scriptOp.par, time.perf_counter()
    if settings.State.eval() == reader.state and now - bridge.reported < REPORT_EVERY_S:
        return
    bridge.reported = now
    settings.State, settings.Message = reader.state, reader.message
    settings.Fps, settings.Latencyms = round(reader.fps, 1), round(reader.latency_ms, 1)
    settings.Skipped, settings.Restarts = reader.skipped, reader.restarts

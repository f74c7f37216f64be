# ruff: noqa: F821
# mypy: disable-error-code="name-defined"
"""Callbacks of a Script TOP that shows the picture of a running Utsushi engine. Set-up: README.md beside this file.

`absTime`, `CookLevel`, `licenses` and `op` are TouchDesigner's own names. What must outlive one cook is kept in
`sys.modules`: this module is made anew at every edit, and TouchDesigner's storage would be saved with the project.
"""

import sys
import time
from types import ModuleType, SimpleNamespace

SHOWS_A_PICTURE = ("LIVE", "HELD", "PLACEHOLDER")
NON_COMMERCIAL_LIMIT = 1280
REPORT_EVERY_S = 0.5
_bridges = sys.modules.setdefault("_utsushi_bridge", ModuleType("_utsushi_bridge")).__dict__.setdefault("by_node", {})


def onSetupParameters(scriptOp):
    """Make the page 'Utsushi'. What the artist has set already is kept."""
    page = scriptOp.appendCustomPage("Utsushi")
    for append, name, label, default, is_setting in (
        (page.appendToggle, "Active", "Active", True, True),
        (page.appendStr, "Engine", "Engine", "utsushi", True),
        (page.appendStr, "Stream", "Stream", "output", True),
        (page.appendStr, "State", "State", "", False),
        (page.appendStr, "Message", "Message", "", False),
        (page.appendFloat, "Fps", "Pictures per Second", 0.0, False),
        (page.appendFloat, "Latencyms", "Capture to Here (ms)", 0.0, False),
        (page.appendInt, "Skipped", "Skipped Pictures", 0, False),
        (page.appendInt, "Restarts", "Restarts of the Engine", 0, False),
    ):
        value = getattr(scriptOp.par, name).eval() if is_setting and hasattr(scriptOp.par, name) else default
        par = append(name, label=label)[0]
        par.default, par.val, par.readOnly = default, value, not is_setting


def onGetCookLevel(scriptOp):
    """TouchDesigner 2025 asks how often to cook; shared memory is invisible to its own rules."""
    try:
        return CookLevel.ALWAYS
    except NameError:
        return None


def onCook(scriptOp):
    absTime.frame  # noqa: B018  TouchDesigner 2023: a Script TOP cooks again when something it has read changes
    bridge = _bridges.setdefault(scriptOp.path, SimpleNamespace(reader=None, wanted=None, complaint="", reported=0.0))
    complaint = _follow_settings(scriptOp, bridge)
    if bridge.reader is not None:
        picture = bridge.reader.poll()
        if picture is not None:
            _fit(scriptOp, *picture.shape[1::-1])
            scriptOp.copyNumpyArray(picture)
        complaint = _complaint(bridge.reader)
        _report(scriptOp, bridge)
    if complaint != bridge.complaint:
        scriptOp.clearScriptErrors(error="Utsushi*")
        if complaint:
            scriptOp.addScriptError("Utsushi: " + complaint)
        bridge.complaint = complaint


def _follow_settings(scriptOp, bridge):
    """Make `bridge.reader` what the settings ask for (None while inactive); return what stands in the way."""
    if not hasattr(scriptOp.par, "Engine"):
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
            return f"Beside this node there must be Text DATs named ring_reader and ring_mapping ({error})."
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


def _complaint(reader):
    if reader.state not in SHOWS_A_PICTURE:
        return reader.message
    if max(reader.width, reader.height) > NON_COMMERCIAL_LIMIT and getattr(licenses, "isNonCommercial", False):
        return (
            f"TouchDesigner Non-Commercial shows at most {NON_COMMERCIAL_LIMIT} x {NON_COMMERCIAL_LIMIT} pixels; "
            f"this picture has {reader.width} x {reader.height}. Set a smaller size for the engine's output node."
        )
    return ""


def _report(scriptOp, bridge):
    """Show on the page how it goes; not at every cook, because setting parameters costs time."""
    reader, settings, now = bridge.reader, scriptOp.par, time.perf_counter()
    if settings.State.eval() == reader.state and now - bridge.reported < REPORT_EVERY_S:
        return
    bridge.reported = now
    settings.State, settings.Message = reader.state, reader.message
    settings.Fps, settings.Latencyms = round(reader.fps, 1), round(reader.latency_ms, 1)
    settings.Skipped, settings.Restarts = reader.skipped, reader.restarts

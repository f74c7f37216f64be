"""The built-in parameters of the operator types that the component is made of, each with TouchDesigner's own default.

From TouchDesigner's documentation of each operator. Where it does not say whether a toggle is on, this says off, so
that the builder has to say what it needs.
"""

from __future__ import annotations

from typing import Any

Builtin = dict[str, tuple[str, Any]]
TEXT: Builtin = {"file": ("File", ""), "syncfile": ("Toggle", False), "loadonstart": ("Toggle", False)}
NETWORK: Builtin = {
    "active": ("Toggle", False), "port": ("Int", 10000), "localaddress": ("Str", ""), "callbacks": ("DAT", ""),
    "clamp": ("Toggle", True), "maxlines": ("Int", 100), "protocol": ("Str", "msging"),
}  # fmt: skip
SCRIPT: Builtin = {"callbacks": ("DAT", ""), "setuppars": ("Pulse", "")}
BUILTIN: dict[str, Builtin] = {
    "baseCOMP": {"opshortcut": ("Str", ""), "parentshortcut": ("Str", ""), "opviewer": ("OP", "")},
    "textDAT": TEXT,
    "tableDAT": TEXT,
    "executeDAT": {
        **TEXT, "active": ("Toggle", True), "start": ("Toggle", False), "create": ("Toggle", False),
        "exit": ("Toggle", False), "framestart": ("Toggle", False), "frameend": ("Toggle", False),
        "playstatechange": ("Toggle", False),
    },
    "parameterexecuteDAT": {
        **TEXT, "active": ("Toggle", True), "op": ("OP", ""), "pars": ("Str", ""), "valuechange": ("Toggle", False),
        "valueschanged": ("Toggle", False), "onpulse": ("Toggle", False), "custom": ("Toggle", False),
        "builtin": ("Toggle", False),
    },
    "oscinDAT": {**NETWORK, "splitbundle": ("Toggle", False), "splitmessage": ("Toggle", False)},
    "oscoutDAT": {**NETWORK, "address": ("Str", "localhost")},
    "udpinDAT": {**NETWORK, "format": ("Str", "perline")},
    "scriptTOP": {
        **SCRIPT, "outputresolution": ("Str", "useinput"), "resolutionw": ("Int", 256), "resolutionh": ("Int", 256),
    },
    "scriptCHOP": SCRIPT,
    "outTOP": {},
    "outCHOP": {},
    "nullTOP": {},
}  # fmt: skip
SINCE_2025: dict[str, Builtin] = {"scriptTOP": {"modoutsidecook": ("Toggle", False)}}
DOCKS_CALLBACKS = ("scriptTOP", "scriptCHOP", "oscinDAT", "udpinDAT", "oscoutDAT")


def builtin(kind: str, build: int) -> Builtin:
    """What `op.par` has for an operator of this type."""
    return {**BUILTIN[kind], **(SINCE_2025.get(kind, {}) if build >= 2025 else {})}

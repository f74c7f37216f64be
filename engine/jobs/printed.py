"""What a program's output says of its progress. Any program may say more by printing a line of JSON.

{"progress": 0.4, "eta_s": 12, "text": "sharpening", "outputs": {"out": "sharp.mp4"}}      any of these
Extracting    40%  12.3 pictures/s  95 s left            a percentage, and the time left
[####......] 12/60 frames, 1.5 min left                  so many of so many
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

PERCENT = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d+)?) ?%")
SHARE = re.compile(r"(?<![\w./-])(\d{1,9}) ?/ ?(\d{1,9})(?![\w./])(?! *ms\b)")
LEFT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?) ?(s|min|h) left\b")
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
OUTPUTS_MOST, LONGEST = 100, 4000


@dataclass
class Said:
    """What one line tells; None: nothing of that. log: whether it is worth showing as a line of its own."""

    progress: float | None = None
    eta_s: float | None = None
    text: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    log: bool = False


def read(line: str) -> Said:
    """Never raises: a line that means nothing here is a line of log."""
    if line.startswith("{") and (said := _message(line)):
        return said
    share = _share(line)
    if share is None:
        return Said(text=line, log=True)
    left = LEFT.search(line)
    return Said(share, float(left[1]) * SECONDS[left[2]] if left else None, line)


def _share(line: str) -> float | None:
    if (found := PERCENT.search(line)) and float(found[1]) <= 100:
        return float(found[1]) / 100
    if (found := SHARE.search(line)) and 0 < int(found[2]) >= int(found[1]):
        return int(found[1]) / int(found[2])
    return None


def _message(line: str) -> Said | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not found.keys() & {"progress", "eta_s", "text", "outputs"}:
        return None
    progress, eta_s = _number(found.get("progress")), _number(found.get("eta_s"))
    outputs = found.get("outputs")
    kept = list(outputs.items())[:OUTPUTS_MOST] if isinstance(outputs, dict) else []
    return Said(
        None if progress is None else min(max(progress, 0.0), 1.0),
        None if eta_s is None else max(eta_s, 0.0),
        str(found.get("text", ""))[:LONGEST],
        {name[:LONGEST]: str(value)[:LONGEST] for name, value in kept},
        log="progress" not in found and bool(found.get("text")),
    )


def _number(value: Any) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None

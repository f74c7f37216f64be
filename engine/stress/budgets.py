"""What a run has cost, held against budgets.yaml. Only ratios and slopes: see there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from engine.clock import now_ns
from engine.stress.measure import growth

FILE = Path(__file__).with_name("budgets.yaml")
GROWING = {"memory_growth": "memory_mb", "descriptor_growth": "descriptors", "shared_memory_growth": "shared_mb"}
MET, MISSED, NOT_JUDGED = "met", "MISSED", "not judged"


@dataclass
class Budget:
    """One line of the report. measured: in the unit of `limit`; None where it could not be judged, and `note` why."""

    name: str
    what: str
    limit: float
    verdict: str
    measured: float | None = None
    note: str = ""


def judge(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One budget after the other.

    measured: by name a number, or what `growth` returns, which counts as missed where even its lower bound is above
    the limit, and as met where its upper one is not; a sentence, or nothing, where there is none to judge.
    """
    table = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return [asdict(_judge(name, row, measured.get(name))) for name, row in table.items()]


def _judge(name: str, row: Mapping[str, Any], value: Any) -> Budget:
    budget = Budget(name, row["what"], row["limit"], NOT_JUDGED)
    if value is None or isinstance(value, str):
        budget.note = value or "too short a run, or none of the faults that it takes"
    elif isinstance(value, dict):
        budget.measured = round(value["growth"], 6) + 0.0
        if value["least"] > budget.limit:
            budget.verdict = MISSED
        elif value["most"] <= budget.limit:
            budget.verdict = MET
        budget.note = f"{value['least']:+.1%} to {value['most']:+.1%} with 99 % confidence"
        budget.note += "; a longer run would tell" if budget.verdict == NOT_JUDGED else ""
    else:
        budget.measured = round(float(value), 6)
        good = value >= budget.limit if row.get("at_least") else value <= budget.limit
        budget.verdict = MET if good else MISSED
    return budget


def growths(samples: list[dict]) -> dict[str, dict | None]:
    return {name: growth(samples, of) for name, of in GROWING.items()}


def yardstick_s() -> float:
    """How long a bare Python takes to start and import NumPy here and now: the quickest of three."""
    took = []
    for _ in range(3):
        began = now_ns()
        subprocess.run([sys.executable, "-c", "import numpy"], check=True)
        took.append((now_ns() - began) / 1e9)
    return min(took)


def writer_pace(samples: list[dict], faults: list[dict], source: str, readers: set[str]) -> float | None:
    """The pace of `source` while one of its readers was slow or stopped, in times of its pace without any fault."""
    calm, pressed = [], []
    for a, b in zip(samples, samples[1:], strict=False):
        pace = (b["steps"][source] - a["steps"][source]) / (b["at_s"] - a["at_s"])
        during = [f for f in faults if f["at_s"] < b["at_s"] and a["at_s"] < (f["ended_s"] or b["at_s"])]
        if not (a["whole"] and b["whole"]):
            continue  # a Python that starts takes a processor, whoever else wants it
        if not during:
            calm.append(pace)
        elif all(f["kind"] in ("slow reader", "stop/continue") and f["target"] in readers for f in during):
            pressed.append(pace)
    return median(pressed) / median(calm) if len(calm) > 2 and pressed and median(calm) else None

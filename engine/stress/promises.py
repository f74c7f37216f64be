"""The promises P1 to P9 (docs/FAULTS.md) as far as one run can speak of them, each with what was seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from engine.stress import budgets

KEPT, BROKEN, NOT_TRIED = "kept", "BROKEN", "not tried"
GROWTH = ("memory_growth", "descriptor_growth", "shared_memory_growth")
OF_FRAMES = ("P1", "P2", "P4")  # whichever of these is broken, a frame or a count was wrong


@dataclass
class Promise:
    """name: P1 … P9."""

    name: str
    text: str
    verdict: str
    seen: str


def judge(report: dict[str, Any]) -> list[dict[str, Any]]:
    """All of them. `report` is what `Run.report` returned, with "orphans" where the supervisor was killed."""
    promises = [
        _whole(report), _forward(report), _unhindered(report), _counted(report), _back(report), _shown(report),
        _gone(report), _flat(report), _visits(report),
    ]  # fmt: skip
    return [asdict(promise) for promise in promises]


def _verdict(good: bool) -> str:
    return KEPT if good else BROKEN


def _whole(report: dict[str, Any]) -> Promise:
    totals = report["totals"]
    seen = f"{totals['torn']} torn of {totals['seen']} frames that were looked at"
    return Promise("P1", "no reader gets a mixture of two frames", _verdict(not totals["torn"]), seen)


def _forward(report: dict[str, Any]) -> Promise:
    repeated, back = report["totals"]["repeated"], report["totals"]["back"]
    restarts = sum(report["restarts"].values())
    seen = f"{repeated} repeated and {back} back, over {restarts} restarts"
    return Promise("P2", "numbers never repeat and never go back", _verdict(not repeated and not back), seen)


def _unhindered(report: dict[str, Any]) -> Promise:
    (pace,) = (budget for budget in report["budgets"] if budget["name"] == "writer_pace")
    text = "no reader, slow, stopped or dead, slows a writer down"
    if pace["measured"] is None:
        return Promise("P3", text, NOT_TRIED, pace["note"])
    seen = f"with a slow or stopped reader the source kept {pace['measured']:.0%} of its pace"
    return Promise("P3", text, _verdict(pace["verdict"] == budgets.MET), seen)


def _counted(report: dict[str, Any]) -> Promise:
    wrong = complaints(report)
    seen = (
        wrong[0]
        if wrong
        else f"the books of {len(report['readers'])} readers and {len(report['writers'])} writers balance"
    )
    return Promise("P4", "every frame that a reader missed is counted once, by cause", _verdict(not wrong), seen)


def _back(report: dict[str, Any]) -> Promise:
    text = "a node that was killed or hung is back within step_timeout + delay + startup_timeout"
    tried = [fault for fault in report["faults"] if fault["limit_s"] is not None]
    late = [fault for fault in tried if fault["back_s"] is None or fault["back_s"] > fault["limit_s"]]
    caused, all_of_them = sum(fault["restarts"] for fault in report["faults"]), sum(report["restarts"].values())
    if not tried and not all_of_them and not report["down"]:
        return Promise("P5", text, NOT_TRIED, "no node was killed or stopped for long")
    slowest = max((fault["back_s"] or 0 for fault in tried), default=0)
    seen = f"{len(tried) - len(late)} of {len(tried)} came back in time, the slowest after {slowest:.1f} s"
    if all_of_them > caused:
        seen += f"; {all_of_them - caused} restarts had no fault of ours as their cause"
    if report["down"]:
        seen += f"; not back at the end: {', '.join(report['down'])}"
    return Promise("P5", text, _verdict(not late and all_of_them <= caused and not report["down"]), seen)


def _shown(report: dict[str, Any]) -> Promise:
    polls, empty = (sum(viewer[key] for viewer in report["viewers"]) for key in ("polls", "empty"))
    seen = f"{empty} of {polls} looks found nothing to show after the first picture"
    pictures = all(viewer["seen"] for viewer in report["viewers"])
    return Promise("P6", "the output always shows something", _verdict(not empty and pictures), seen)


def _gone(report: dict[str, Any]) -> Promise:
    text = "nothing outlives a killed supervisor by 5 s, and the next start needs no cleaning"
    orphans = report["orphans"] or {"left": [], "outlived": 0, "exit": 0}
    left = report["left_behind"] + orphans["left"]
    good = not left and not orphans["outlived"] and report["engine_exit"] == orphans["exit"] == 0
    if good and not report["orphans"]:
        return Promise("P7", text, NOT_TRIED, "only with --chaos; it ended as asked and left nothing behind")
    seen = f"it ended with code {report['engine_exit']}"
    if report["orphans"]:
        seen += f"; killed, {orphans['outlived']} of its processes lived on; it was up again in "
        seen += f"{orphans['started_again_s']:.1f} s"
    seen += f"; left behind: {', '.join(left)}" if left else "; nothing was left behind"
    return Promise("P7", text, _verdict(good), seen)


def _flat(report: dict[str, Any]) -> Promise:
    text = "memory, descriptors and shared memory are flat"
    slopes = [budget for budget in report["budgets"] if budget["name"] in GROWTH]
    seen = ", ".join(f"{b['name'].removesuffix('_growth').replace('_', ' ')} {b['measured'] + 0.0:+.1%}"
                     for b in slopes if b["measured"] is not None)  # fmt: skip
    if any(budget["verdict"] == budgets.MISSED for budget in slopes):
        return Promise("P8", text, BROKEN, seen)
    if any(budget["verdict"] != budgets.MET for budget in slopes):
        return Promise("P8", text, NOT_TRIED, "too short a run to be sure" + (f": {seen}" if seen else ""))
    return Promise("P8", text, KEPT, seen)


def _visits(report: dict[str, Any]) -> Promise:
    text = "TouchDesigner may come and go at any moment"
    if not report["visits"]:
        return Promise("P9", text, NOT_TRIED, "nobody opened or closed")
    blind = [reader["name"] for reader in report["readers"] if reader["name"].startswith("visit ") and reader["wrong"]]
    disturbed = [f for f in report["faults"] if f["kind"] == "TouchDesigner" and f["restarts"]]
    seen = f"{report['visits']} visits, {len(blind)} of them with something wrong"
    return Promise("P9", text, _verdict(not blind and not disturbed), seen)


def complaints(report: dict[str, Any]) -> list[str]:
    """What is wrong with frames and counts, a sentence each."""
    writers = [f"{w['stream']}, written by {w['node']}: {wrong}." for w in report["writers"] for wrong in w["wrong"]]
    return writers + [
        f"{r['stream']}, read by {r['name']}: {wrong}." for r in report["readers"] for wrong in r["wrong"]
    ]

"""The report as one page that needs nothing else: no script, no picture, no network. For light and for dark."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from engine.stress import plots

KINDS = ("kill", "stop/continue", "slow reader", "bad messages", "size change", "TouchDesigner")
CLASSES = {"kept": "good", "met": "good", "BROKEN": "bad", "MISSED": "bad"}
STYLE = """
:root { color-scheme: light dark; --paper: #fbfbfa; --ink: #1c1d20; --soft: #64676f; --line: #dcdde1; --good: #1a7f4b;
  --bad: #c22f2f; --c0: #2f6fd0; --c1: #d9730d; --c2: #178a6e; --c3: #b23a8c; --c4: #7a5bd0; --c5: #94801a;
  --c6: #1692b0; --c7: #8a5a3c; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171b; --ink: #e7e8ea; --soft: #9a9ea8; --line: #31343b;
  --good: #4cc38a; --bad: #ff7b72; --c0: #6ea8ff; --c1: #ffa657; --c2: #4fd1ad; --c3: #f08bd0; --c4: #b39dff;
  --c5: #d8c356; --c6: #56cfee; --c7: #d2a283; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 960px; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0.2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 0.5rem; }
h3 { font-size: 0.95rem; font-weight: 600; margin: 1rem 0 0; }
h3 .soft { font-weight: 400; } p { margin: 0.4rem 0; } .soft, figcaption { color: var(--soft); font-size: 0.9rem; }
.verdict { border-left: 5px solid var(--good); font-size: 1.05rem; padding: 0.3rem 0 0.3rem 0.8rem; }
.verdict.bad { border-color: var(--bad); }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.9rem; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: 0.25rem 0.6rem 0.25rem 0; text-align: left;
  vertical-align: top; }
td.n, th.n { font-variant-numeric: tabular-nums; text-align: right; }
code { font: 0.88em ui-monospace, monospace; overflow-wrap: anywhere; }
svg { display: block; height: auto; width: 100%; } svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg .grid { stroke: var(--line); } svg .mark { stroke: var(--ink); stroke-dasharray: 3 3; }
svg polyline { fill: none; stroke-linejoin: round; stroke-width: 1.6; } svg .restart { fill: var(--bad); }
.legend { display: flex; flex-wrap: wrap; font-size: 0.88rem; gap: 0.2rem 1rem; }
.legend i { border-radius: 2px; display: inline-block; height: 0.7em; margin-right: 0.35em; width: 0.9em; }
.pair { display: grid; gap: 0 1.5rem; grid-template-columns: repeat(auto-fit, minmax(400px, 1fr)); }
"""


def html(report: dict[str, Any]) -> str:
    """The page of what `engine.stress.main.run` returned."""
    sections = [_head(report), _promises(report), _pace(report), _time_line(report), _latency(report), _drops(report),
                _cost(report), _budgets(report), _faults(report)]  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Utsushi under stress</title>\n<style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )


def _head(report: dict[str, Any]) -> str:
    machine, when = report["machine"], time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(report["wall_ns"] / 1e9))
    bad = "" if report["exit"] == 0 else " bad"
    published, totals = sum(writer["published"] for writer in report["writers"]), report["totals"]
    return (
        f"<h1>Utsushi under stress</h1>\n<p class='soft'>{when} · {escape(machine['system'])}, "
        f"{machine['processors']} processors · Python {machine['python']}, NumPy {machine['numpy']}</p>\n"
        f"<p class='verdict{bad}'>{escape(report['sentence'])}</p>\n"
        f"<p>{report['seconds']:.0f} s · {published} frames published · {totals['seen']} looked at, of them "
        f"<b>{totals['torn']} torn, {totals['repeated']} repeated, {totals['back']} out of order</b> "
        f"· {len(report['faults'])} faults · {sum(report['restarts'].values())} restarts</p>\n"
        f"<p><code>{escape(report['command'])}</code> <span class='soft'>exit code {int(report['exit'])}, "
        f"seed {report['seed']}</span></p>"
    )


def _promises(report: dict[str, Any]) -> str:
    rows = [(p["name"], p["text"], _verdict(p["verdict"]), escape(p["seen"])) for p in report["promises"]]
    return "<h2>Promises</h2>\n" + _table(("", "promise", "", "seen"), rows)


def _pace(report: dict[str, Any]) -> str:
    samples = report["samples"]
    series = {
        name: plots.thinned([
            (b["at_s"], (b["steps"][name] - a["steps"][name]) / (b["at_s"] - a["at_s"]))
            for a, b in zip(samples, samples[1:], strict=False)
        ])
        for name in report["restarts"]
    }  # fmt: skip
    return (f"<h2>Frames per second</h2>\n{plots.legend(list(series))}"
            f"{plots.lines(series, report['seconds'], 'frames per second')}")  # fmt: skip


def _time_line(report: dict[str, Any]) -> str:
    if not report["faults"]:
        return ""
    lanes = [*report["restarts"], "supervisor", "control port", "TouchDesigner"]
    spans = []
    for fault in report["faults"]:
        lane = fault["target"] if fault["target"] in lanes else "TouchDesigner"
        words = f"{fault['kind']} {fault['target']} at {fault['at_s']:.1f} s {fault['note']}"
        end_s = fault["ended_s"] or report["seconds"]
        spans.append((lane, fault["at_s"], end_s, KINDS.index(fault["kind"]), words))
    marks = [
        (name, b["at_s"], f"{name} was started again before {b['at_s']:.1f} s")
        for a, b in zip(report["samples"], report["samples"][1:], strict=False)
        for name in report["restarts"]
        if b["restarts"][name] > a["restarts"][name]
    ]
    used = [lane for lane in lanes if any(lane == item[0] for item in [*spans, *marks])]
    drawn = plots.legend(KINDS) + plots.time_line(used, spans, marks, report["seconds"])
    return f"<h2>Faults and restarts</h2>\n{drawn}<p class='soft'>A triangle is a new process of that node.</p>"


def _latency(report: dict[str, Any]) -> str:
    charts = []
    for name, hop in report["hops"].items():
        marks = {"p50": hop["p50"], "p99": hop["p99"]}
        figures = ", ".join(f"{mark} {ms:.3g} ms" if ms < 100 else f"{mark} {ms:.0f} ms" for mark, ms in marks.items())
        caption = f"<h3>{escape(name)} <span class='soft'>{hop['since']}<br>{figures}</span></h3>"
        charts.append(f"<div>{caption}{plots.histogram(hop['bins'], marks)}</div>")
    return f"<h2>Latency of each hop</h2>\n<div class='pair'>{''.join(charts)}</div>"


def _drops(report: dict[str, Any]) -> str:
    readers = {f"{r['stream']} → {r['name']}": r for r in report["readers"] if not r["name"].startswith("visit ")}
    drops = {name: {cause: r[cause] for cause in ("skipped", "overrun", "lost")} for name, r in readers.items()}
    beside = {name: f"{r['received']} of {r['published']} received" for name, r in readers.items()}
    rows = [
        (escape(r["stream"]), escape(r["name"]), r["policy"],
         *(_n(r[key]) for key in ("published", "before", "received", "skipped", "overrun", "lost", "torn_retries")),
         f"<span class='bad'>{escape('; '.join(r['wrong']))}</span>" if r["wrong"] else _verdict("kept", "balance"))
        for r in report["readers"]
    ]  # fmt: skip
    head = ("stream", "reader", "policy", *map(_n, ("published", "before", "received", "skipped", "overrun", "lost",
            "torn, read again")), "books")  # fmt: skip
    return f"<h2>What was not received, by cause</h2>\n{plots.bars(drops, beside)}\n{_table(head, rows)}"


def _cost(report: dict[str, Any]) -> str:
    charts = []
    for title, key in (("resident memory, MB", "memory_mb"), ("descriptors", "descriptors"),
                       ("shared memory, MB", "shared_mb")):  # fmt: skip
        points = plots.thinned([(sample["at_s"], sample[key]) for sample in report["samples"]])
        charts.append(
            f"<div><h3>{title}</h3>{plots.lines({title: points}, report['seconds'], '', plots.HALF, 150)}</div>"
        )
    return f"<h2>Cost over time</h2>\n<div class='pair'>{''.join(charts)}</div>"


def _budgets(report: dict[str, Any]) -> str:
    rows = [
        (escape(b["name"].replace("_", " ")), escape(b["what"]),
         _n("" if b["measured"] is None else f"{b['measured']:.3g}"), _n(f"{b['limit']:g}"), _verdict(b["verdict"]),
         escape(b["note"]))
        for b in report["budgets"]
    ]  # fmt: skip
    return "<h2>Budgets</h2>\n" + _table(("", "what", _n("measured"), _n("limit"), "", ""), rows)


def _faults(report: dict[str, Any]) -> str:
    if not report["faults"]:
        return ""
    rows = [
        (_n(f"{f['at_s']:.1f}"), escape(f["kind"]), escape(f["target"]), escape(f["note"]), _n(f["restarts"] or ""),
         *(_n("" if f[key] is None else f"{f[key]:.2f}") for key in ("back_s", "limit_s")))
        for f in report["faults"]
    ]  # fmt: skip
    head = (_n("at, s"), "fault", "", "", _n("restarts"), _n("back after, s"), _n("promised, s"))
    told = "" if report["rejected"] is None else f"<p>{report['rejected']} bad control messages were refused.</p>"
    return f"<h2>All faults</h2>\n{told}<details><summary>{len(rows)} faults</summary>{_table(head, rows)}</details>"


class _n(str):
    """A cell that is a number."""


def _verdict(word: str, shown: str = "") -> str:
    return f"<span class='{CLASSES.get(word, 'soft')}'>{shown or word}</span>"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    def line(cells: Sequence[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}{' class=n' if isinstance(c, _n) else ''}>{c}</{tag}>" for c in cells) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return f"<div class='wide'><table>{line(head, 'th')}\n{body}</table></div>"

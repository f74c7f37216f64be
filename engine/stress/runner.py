"""One run: start, load, faults, quiet, books, idle, end. Returns the report as a plain dictionary."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from engine import config as configs
from engine.clock import now_ns
from engine.errors import EngineError
from engine.histogram import Histogram, middle_of, percentile_ms
from engine.progress import Line, duration
from engine.stress import books, budgets
from engine.stress.chaos import Chaos
from engine.stress.graph import is_numbered, is_source, tally_of
from engine.stress.leftovers import leftovers
from engine.stress.measure import Sampler, idle_cpu
from engine.stress.show import Show
from engine.stress.tally import Tally
from engine.stress.visitor import Visitor

BACK_S = 120.0  # how long a node may take to come back after the last fault: the slowest retry and a start
QUIET_S = 30.0  # how long frames under way may take to arrive
IDLE_S = 2.0
UNPACED = "the source has no pace of its own, it takes what the others leave: --fps 0"


@dataclass(frozen=True)
class Options:
    """frames: 0 for no limit. chaos_s: from one fault to the next; 0 for none."""

    seconds: float
    frames: int
    chaos_s: float
    seed: int


class Run:
    """One engine under one load. folder: where everything lies that it leaves behind."""

    def __init__(self, config: configs.Config, folder: Path, options: Options):
        self.config, self.folder, self.options = config, folder, options
        self.line = Line()
        self.tallies = {spec.name: Tally(tally_of(folder, spec.name)) for spec in config.nodes if is_numbered(spec)}
        self.source = next(spec.name for spec in config.nodes if is_source(spec))
        self.viewers: list[Visitor] = []
        self.visits: list[Visitor] = []

    def report(self) -> dict[str, Any]:
        """Raises `EngineError` when the engine does not start or ends by itself."""
        yardstick_s = budgets.yardstick_s()
        with Show(self.config, self.folder, self.options.seconds) as show:
            try:
                start_up_s = show.wait_for_start()
                return self._report(show, start_up_s, yardstick_s)
            finally:
                self.line.done()
                for viewer in self.viewers + self.visits:
                    viewer.close()

    def _report(self, show: Show, start_up_s: float, yardstick_s: float) -> dict[str, Any]:
        self.viewers = [self._viewer(stream, stream) for stream in self._shown()]
        chaos = Chaos(show, self.options.seed, self.options.chaos_s, self._visit)
        sampler = Sampler(show, chaos.began_ns, 0.25 if self.options.seconds < 120 else 1.0)
        try:
            self._load(show, chaos, sampler)
        finally:
            chaos.close()
        seconds = (now_ns() - chaos.began_ns) / 1e9
        down = [name for name in show.names if not show.lively(name)]
        quiet = self._make_quiet(show)
        counts = {name: tally.read() for name, tally in self.tallies.items()}
        writers, readers = books.audit(show, counts, quiet)
        readers += self._viewers_books(show, writers)
        figures = show.figures()
        idle = idle_cpu(show, IDLE_S)
        ages = self._hops(show)
        restarts = {name: show.node(name)["restarts"] for name in show.names}
        exit_code = show.stop()
        faults = [asdict(fault) for fault in chaos.faults]
        start = {"engine_s": start_up_s, "yardstick_s": yardstick_s}
        return {
            "seconds": seconds, "start_up": start, "samples": sampler.samples, "faults": faults,
            "restarts": restarts, "down": down,
            "writers": books.as_dicts(writers), "readers": books.as_dicts(readers), "totals": books.totals(readers),
            "hops": ages, "idle_cpu": idle, "rejected": figures.get("control", {}).get("rejected"),
            "visits": len(self.visits), "viewers": self._screens(), "engine_exit": exit_code,
            "left_behind": leftovers(self.config.engine.name),
            "budgets": budgets.judge(self._measured(sampler.samples, faults, start, idle, ages)),
        }  # fmt: skip

    # --- the load ---

    def _load(self, show: Show, chaos: Chaos, sampler: Sampler) -> None:
        """Let it run until the time or the frames are over and the last fault is undone."""
        until_ns = chaos.began_ns + round(self.options.seconds * 1e9)
        while True:
            if not show.alive:
                raise EngineError(f"The engine ended by itself during the run. {show.last_words()}")
            done = self.tallies[self.source].read()["number"]
            over = now_ns() >= until_ns or 0 < self.options.frames <= done
            if over and not chaos.busy:
                break
            chaos.turn(more=self.options.chaos_s > 0 and not over)
            sampler.turn()
            if self.line.due():
                self.line.show(self._progress(chaos, done))
            time.sleep(0.005)
        self.line.done()
        print("The load is over; the nodes are paused one after the other, until no frame is under way.", flush=True)
        show.until(show.lively, BACK_S)
        sampler.turn()

    def _progress(self, chaos: Chaos, done: int) -> str:
        elapsed = (now_ns() - chaos.began_ns) / 1e9
        share = max(elapsed / self.options.seconds, done / self.options.frames if self.options.frames else 0)
        left = duration(elapsed / share - elapsed) if share else "?"
        torn = sum(tally.read()["torn"] for tally in self.tallies.values())
        fault = f", {chaos.faults[-1].kind} {chaos.faults[-1].target}" if chaos.busy else ""
        return f"{share:4.0%} {left} left, {done} frames, {torn} torn, {len(chaos.faults)} faults{fault}"

    def _make_quiet(self, show: Show) -> set[str]:
        """Pause the nodes in the order in which frames pass them; returns the streams that were read to their end."""
        quiet = set()
        for spec in self.config.nodes:
            show.pause(spec.name)
            node = show.node(spec.name)
            if not show.until(lambda node=node: node.phase == "PAUSED", QUIET_S):  # type: ignore[misc]
                continue
            rows = [row for row, stream in enumerate(self.config.streams) if stream.node == spec.name]
            quiet |= {
                self.config.streams[row].name
                for row in rows
                if show.until(lambda row=row: self._all_read(show, row), QUIET_S)  # type: ignore[misc]
            }
        return quiet

    def _all_read(self, show: Show, row: int) -> bool:
        head = show.heads().get(name := self.config.streams[row].name, -1)
        watching = [viewer.tally.read()["latest"] for viewer in self.viewers if viewer.stream == name]
        return all(seq == head for seq in [*(b.last_seq for _, _, b in show.books(row)), *watching])

    # --- readers of TouchDesigner's kind ---

    def _shown(self) -> list[str]:
        """The streams that such a reader looks at all the time: the numbered one, and an own config's last picture."""
        own = [s.name for s in self.config.streams if not self._is_numbered(s.name) and self._is_picture(s)]
        return [self.source, *own[-1:]]

    def _is_numbered(self, stream: str) -> bool:
        owner = next(s.node for s in self.config.streams if s.name == stream)
        return owner in self.tallies

    def _is_picture(self, stream: configs.StreamSpec) -> bool:
        owner = next(spec for spec in self.config.nodes if spec.name == stream.node)
        return hasattr(owner.outputs[stream.port], "channels")

    def _viewer(self, stream: str, name: str) -> Visitor:
        path = tally_of(self.folder, f"viewer-{name}")
        return Visitor(self.config.engine.name, stream, path, self._is_numbered(stream))

    def _visit(self) -> tuple[Callable[[], int], Callable[[bool], None]]:
        visit = self._viewer(self.viewers[-1].stream, f"visit-{len(self.visits)}")
        self.visits.append(visit)
        return lambda: visit.tally.read()["polls"], visit.close

    def _viewers_books(self, show: Show, writers: list[books.Writer]) -> list[books.Reader]:
        of = {writer.stream: writer for writer in writers}
        found = [
            books.viewer(viewer.stream, "TouchDesigner", viewer.tally.read(),
                         of[viewer.stream].published, of[viewer.stream].numbers, viewer.numbered)
            for viewer in self.viewers
        ]  # fmt: skip
        for number, visit in enumerate(self.visits):
            counts = visit.tally.read()
            found.append(books.viewer(visit.stream, f"visit {number + 1}", counts, counts["ordinal"], counts["seq"],
                                      visit.numbered))  # fmt: skip
        return found

    def _screens(self) -> list[dict[str, Any]]:
        return [
            {"stream": v.stream, **{k: v.tally.read()[k] for k in ("polls", "empty", "seen")}} for v in self.viewers
        ]

    # --- figures ---

    def _hops(self, show: Show) -> dict[str, dict[str, Any]]:
        """Time from a frame's publication to its reader, and of an own config's nodes the frames' age at each."""
        hops = {}
        for row, stream in enumerate(self.config.streams):
            for node, _, _ in show.books(row):
                if node in self.tallies:
                    hops[f"{stream.name} → {node}"] = _histogram(self.tallies[node].ages, "since publication")
                else:
                    hops[f"capture → {node}"] = _histogram(show.node(node).latency_ns, "since capture")
        for viewer in self.viewers:
            hops[f"{viewer.stream} → TouchDesigner"] = _histogram(viewer.tally.ages, "since publication")
        return {name: hop for name, hop in hops.items() if hop["count"]}

    def _measured(self, samples: list[dict], faults: list[dict], start: dict, idle: dict, hops: dict) -> dict[str, Any]:
        readers = {node for stream in self.config.streams if stream.node == self.source for node, _ in stream.readers}
        fps = next(getattr(s.config, "fps", 0.0) for s in self.config.nodes if s.name == self.source)
        quick = [hop["p50"] for name, hop in hops.items() if name.startswith(f"{self.source} → ")
                 and "TouchDesigner" not in name]  # fmt: skip
        ups = [fault["up_s"] for fault in faults if fault["kind"] == "kill" and fault["up_s"] is not None]
        return {
            "cpu_idle_supervisor": idle["supervisor"],
            "cpu_idle_node": max(cpu for name, cpu in idle.items() if name != "supervisor"),
            **budgets.growths(samples),
            "start_up": start["engine_s"] / start["yardstick_s"],
            "restart": median(ups) / start["engine_s"] if ups else None,
            "hop_latency": median(quick) / 1e3 * fps if fps and quick else UNPACED,
            "writer_pace": budgets.writer_pace(samples, faults, self.source, readers) if fps else UNPACED,
        }  # fmt: skip


def _histogram(histogram: Histogram, since: str) -> dict[str, Any]:
    """bins: [milliseconds, frames], four to the octave."""
    counts = histogram.counts()
    coarse = counts.reshape(-1, 16).sum(axis=1)
    bins = [[round(middle_of(16 * i + 7) / 1e6, 4), int(n)] for i, n in enumerate(coarse) if n]
    return {
        "since": since, "count": int(counts.sum()), **{f"p{p}": percentile_ms(counts, p) for p in (50, 95, 99)},
        "max": histogram.max_ms, "bins": bins,
    }  # fmt: skip

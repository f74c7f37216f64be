"""What an engine has counted, for --stats, the status line and whoever asks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine import layout
from engine.histogram import Histogram, percentile_ms
from engine.life import Life
from engine.rings import Rings


def milliseconds(histograms: Sequence[Histogram], percents: Sequence[int]) -> dict[str, float]:
    """Percentiles and maximum of one or more histograms together."""
    counts = sum((h.counts() for h in histograms), np.zeros(layout.HISTOGRAM_BINS, np.uint64))
    most = max((h.max_ms for h in histograms), default=0.0)  # exact, while a bin's middle may lie beyond it
    values = {f"p{percent}": round(min(percentile_ms(counts, percent), most), 3) for percent in percents}
    return {**values, "max": round(most, 3)}


def node(life: Life) -> dict:
    """fps: steps over the time from the end of the first to the end of the last, restarts included.

    profile: 0 as configured, else which of the node's smaller profiles. metrics: what the node says of itself.
    """
    row = life.row
    steps, span_ns = row["steps"], row["last_step_ns"] - row["first_step_ns"]
    return {
        "fps": round((steps - 1) * 1e9 / span_ns, 2) if span_ns > 0 else 0.0,
        "steps": steps,
        "step_ms": milliseconds([row.step_ns], (50, 95)),
        "restarts": row["restarts"],
        "errors": row["errors"],
        "state": life.state,
        "profile": life.profile,
        "metrics": life.metrics,
    }


def figures(lives: Sequence[Life], last: Sequence[Life], rings: Rings) -> dict:
    """latency_ms: from light on the sensor to the end of the step of the `last` nodes."""
    return {
        "nodes": {life.name: node(life) for life in lives},
        "streams": rings.figures(),
        "latency_ms": milliseconds([life.row.latency_ns for life in last], (50, 95, 99)),
    }

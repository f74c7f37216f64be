"""The bridge's reader on Windows' Python with TouchDesigner's NumPy. One command a line on stdin, one JSON answer each.

take COUNT FILE    poll as a Script TOP does, until there were COUNT new pictures or 90 s are over; they go to FILE
until STATE        poll until the reader's state is that one, or 90 s are over

bridge.py ENGINE STREAM
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "td_bridge"))

from ring_reader import RingReader

FRAME_S, PATIENCE_S = 1 / 60, 90.0
reader = RingReader(*sys.argv[1:])

for line in sys.stdin:
    command, *rest = line.split()
    deadline = time.perf_counter() + PATIENCE_S
    pictures = []
    while time.perf_counter() < deadline:
        new = reader.poll()
        if new is not None:
            pictures.append(new.copy())
        if reader.state == rest[0] if command == "until" else len(pictures) == int(rest[0]):
            break
        time.sleep(FRAME_S)
    if command == "take":
        with open(rest[1], "wb") as file:
            file.writelines(picture.tobytes() for picture in pictures)
    answer = {
        "state": reader.state, "message": reader.message, "seq": reader.seq, "pictures": len(pictures),
        "shape": None if reader.array is None else reader.array.shape, "restarts": reader.restarts,
        "latency_ms": reader.latency_ms, "numpy": np.__version__, "platform": sys.platform,
    }  # fmt: skip
    print(json.dumps(answer), flush=True)

"""The bridge's launcher on Windows' Python with TouchDesigner's NumPy. One command a line, one JSON answer each.

start, stop, restart, close, forget (as a TouchDesigner that has just begun)
until STATE    poll until the launcher's state is that one, or 90 s are over

launch.py FOLDER CONFIG ENGINE
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "td_bridge"))

from launcher import Launcher

PATIENCE_S = 90.0
folder, config, engine = sys.argv[1:]
launcher = Launcher(folder, sys.executable, config, engine)  # here that is a Python

for line in sys.stdin:
    command, *rest = line.split()
    deadline = time.perf_counter() + PATIENCE_S
    if command == "forget":
        launcher._started.clear()
        launcher = Launcher(folder, sys.executable, config, engine)
    elif command != "until":
        getattr(launcher, command)()
    while command == "until" and launcher.state != rest[0] and time.perf_counter() < deadline:
        launcher.poll()
        time.sleep(0.02)
    answer = {"state": launcher.state, "message": launcher.message, "log": launcher.log_tail(5), "pid": launcher._pid}
    print(json.dumps(answer), flush=True)

"""What an engine leaves behind when it ends, and when it is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from engine import config as configs
from engine.stress.show import Show


def leftovers(engine: str) -> list[str]:
    """Segments of that engine that are still there (Linux shows them)."""
    folder = Path("/dev/shm")
    return sorted(path.name for path in folder.glob(f"utsu_{engine}_*")) if folder.is_dir() else []


def orphan_check(config: configs.Config, folder: Path) -> dict[str, Any]:
    """Kill a supervisor, and start again: does anything live on, does anything need cleaning?"""
    print("The supervisor of a second engine is killed, and a third one started.", flush=True)
    with Show(config, folder, 0) as show:
        show.wait_for_start()
        nodes = list(show.processes().values())
        show.process.kill()
        show.process.wait()
        _, alive = psutil.wait_procs(nodes, timeout=5)
        for process in alive:
            process.kill()
    with Show(config, folder, 0) as again:
        seconds = again.wait_for_start()
        code = again.stop()
    return {"outlived": len(alive), "started_again_s": seconds, "exit": code, "left": leftovers(config.engine.name)}

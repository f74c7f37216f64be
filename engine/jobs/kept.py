"""How many jobs are remembered: the files of older ones are removed when a new one begins."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

JOBS_MOST = 50
YOUNG_S = 86400.0  # what was written within a day may still be running, or be read
OF_A_JOB = re.compile(r"(.+?-[0-9a-f]{6})\.(?:.*\.)?(?:json|log|cancel|part)")


def forget_old_jobs(folder: Path) -> None:
    """Keep the newest 50 jobs of `home() / "jobs"`, and all of the last day. What has another name is somebody else's.

    A job that runs for days and tells its progress is never old; one that does not gets its status file anew with its
    next event. Never raises.
    """
    jobs: dict[str, list[tuple[float, Path]]] = {}
    with suppress(OSError):
        for path in folder.iterdir():
            if match := OF_A_JOB.fullmatch(path.name):
                with suppress(OSError):
                    jobs.setdefault(match[1], []).append((path.stat().st_mtime, path))
    newest_first = sorted(jobs.values(), key=max, reverse=True)
    for files in newest_first[JOBS_MOST:]:
        if max(files)[0] < time.time() - YOUNG_S:
            for _, path in files:
                with suppress(OSError):
                    path.unlink()

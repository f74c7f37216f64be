"""The files of old jobs are removed when a new one begins, and nothing else."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from jobs_kit import job_file, script, shell, stage

from engine.jobs.kept import JOBS_MOST, YOUNG_S, forget_old_jobs

ENDS = ("plan.json", "json", "log", "a-stage.log", "b-abcdef.log")


def old(path: Path, seconds: float) -> None:
    path.write_bytes(b"")
    os.utime(path, (time.time() - seconds,) * 2)


def jobs(folder: Path, count: int, age: float) -> list[str]:
    """The first is the newest."""
    names = [f"20260101-{number:06}-0000{number % 256:02x}" for number in range(count)]
    for number, name in enumerate(names):
        for end in ENDS:
            old(folder / f"{name}.{end}", age + number)
    return names


def test_the_newest_are_kept(tmp_path: Path) -> None:
    names = jobs(tmp_path, JOBS_MOST + 3, YOUNG_S + 100)
    others = ("mine.yaml", "notes.json", "20260101-000000-0000ff.mp4", "my.chain-zzzzzz.json")
    for name in others:
        old(tmp_path / name, YOUNG_S * 100)
    forget_old_jobs(tmp_path)
    left = {f"{name}.{end}" for name in names[:JOBS_MOST] for end in ENDS}
    assert {path.name for path in tmp_path.iterdir()} == left | set(others)


def test_a_job_with_one_new_file_is_no_old_job(tmp_path: Path) -> None:
    names = jobs(tmp_path, JOBS_MOST + 2, YOUNG_S + 100)
    (tmp_path / f"{names[-1]}.json").write_bytes(b"progress")
    forget_old_jobs(tmp_path)
    assert len(list(tmp_path.glob(f"{names[-1]}.*"))) == len(ENDS)
    assert list(tmp_path.glob(f"{names[-2]}.*")) == list(tmp_path.glob(f"{names[-3]}.*")) == []


def test_what_is_young_is_kept_however_much_it_is(tmp_path: Path) -> None:
    jobs(tmp_path, JOBS_MOST * 2, 0)
    forget_old_jobs(tmp_path)
    assert len(list(tmp_path.iterdir())) == JOBS_MOST * 2 * len(ENDS)


def test_a_folder_that_is_none_is_no_trouble(tmp_path: Path) -> None:
    forget_old_jobs(tmp_path / "nothing")


def test_a_new_job_forgets_old_ones(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    names = jobs(tmp_path / "jobs", JOBS_MOST + 1, YOUNG_S + 100)
    plan = job_file(tmp_path, [stage("one", "tell")], {"tell": script("print('hello')")})
    done = subprocess.run(**shell("jobs", str(plan), home=tmp_path, capture_output=True, text=True, timeout=60))
    assert done.returncode == 0, done.stderr
    left = {path.name for path in (tmp_path / "jobs").iterdir()}
    assert f"{names[0]}.json" in left and not [name for name in left if name.startswith(names[-1])]
    assert [name for name in left if name.startswith("job-") and name.endswith(".one.log")], "its own are there"

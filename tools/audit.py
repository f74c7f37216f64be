"""Are there known faults in the packages that this project installs? Asks two public databases of advisories.

    python3 tools/audit.py      every version that constraints.txt pins, on every system

Exit code 0: none is known. 1: there are some, listed with the version that mends each. 2: nobody could be asked; that
is said, and means nothing: there is no such database to be had offline. It runs pip-audit in a virtual environment of
its own in ~/.cache/utsushi/audit, so that nothing is installed beside the project. Only names and versions of packages
are sent.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([A-Za-z0-9.+!-]+)", re.M)
TOOL = "pip-audit>=2.7,<3"
DATABASES = ("pypi", "osv")
ROOT = Path(__file__).resolve().parent.parent
INSTALL_S, ASK_S = 120.0, 120.0
# Advisories that were looked at and do not matter here: id → why.
ACCEPTED: dict[str, str] = {}


def tool() -> Path:
    """pip-audit's own environment, made once. Raises OSError or SubprocessError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "utsushi" / "audit"
    python = cache / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        print("audit: fetching pip-audit", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(cache)], check=True, timeout=INSTALL_S)
    have = subprocess.run([str(python), "-m", "pip_audit", "--version"], capture_output=True, timeout=INSTALL_S)
    if have.returncode:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", TOOL], check=True, timeout=INSTALL_S)
    return python


def ask(python: Path, database: str, pins: Path) -> list[dict]:
    """What one database says of each package. Raises OSError, SubprocessError or ValueError where it says nothing."""
    words = ["--requirement", str(pins), "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    said = subprocess.run(
        [str(python), "-m", "pip_audit", *words, "--vulnerability-service", database, "--timeout", "10"],
        capture_output=True, text=True, timeout=ASK_S,
    )  # fmt: skip
    if not said.stdout.strip():
        raise ValueError((said.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return json.loads(said.stdout)["dependencies"]


def verdict(answers: dict[str, list[dict]], pinned: int) -> tuple[int, list[str]]:
    """Exit code and lines, from what each database said. A package that none of them knows was not audited."""
    known: set[str] = set()
    told: set[tuple[str, str]] = set()  # the databases have numbers of their own for the same fault
    lines = []
    for package in (package for packages in answers.values() for package in packages if "skip_reason" not in package):
        name = package["name"].lower()
        known.add(name)
        for fault in package["vulns"]:
            numbers = {fault["id"], *fault.get("aliases", [])}
            if not numbers & ACCEPTED.keys() and not {(name, number) for number in numbers} & told:
                mended = ", ".join(fault["fix_versions"]) or "no version yet"
                lines.append(f"{name} {package['version']}: {fault['id']}, mended by {mended}")
            told |= {(name, number) for number in numbers}
    if not known:
        return 2, ["no database of advisories could be reached: nothing was audited"]
    return int(bool(lines)), [*sorted(lines), f"{len(known)} of {pinned} packages audited, {len(lines)} known faults"]


def main() -> int:
    pins = ROOT / "constraints.txt"
    pinned = len(PIN.findall(pins.read_text(encoding="utf-8")))
    answers: dict[str, list[dict]] = {}
    for database in DATABASES:
        try:
            answers[database] = ask(tool(), database, pins)
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            print(f"audit: {database} did not answer: {str(error)[:200]}", flush=True)
    code, lines = verdict(answers, pinned)
    print("\n".join(f"audit: {line}" for line in lines), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())

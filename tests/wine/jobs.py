"""run_engine.py jobs, without its look at what is installed and with less patience, on Windows' Python."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.jobs import child
from engine.jobs.main import main

if __name__ == "__main__":
    child.ASK_S = 1.0
    sys.exit(main(["jobs", *sys.argv[1:]]))

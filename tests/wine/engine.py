"""run_engine.py without its look at what is installed: only what the test's nodes need is, on Windows' Python."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

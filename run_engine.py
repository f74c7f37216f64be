"""The one command: sets up this folder, runs its tests, and starts the engine. Any Python may run it.

python3 run_engine.py --setup           make .venv, install, fetch the models, then run the demo
python3 run_engine.py --setup test      the same, then the tests
python3 run_engine.py [--config FILE]   start the engine
python3 run_engine.py test [-k NAME]    the tests alone
"""

from __future__ import annotations

import sys

from engine.setup.launch import launch

if __name__ == "__main__":
    sys.exit(launch(sys.argv[1:]))

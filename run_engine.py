"""The one command: sets up this folder, runs its tests, and starts the engine. Any Python may run it.

python3 run_engine.py --setup           make .venv, install, fetch the models, then run the demo
python3 run_engine.py --setup test      the same, then the tests
python3 run_engine.py [--config FILE]   start the engine
python3 run_engine.py devices           list the cameras of this machine
python3 run_engine.py performer ...     make a performer: record, extract, train, eval, export, bench
python3 run_engine.py calibrate ...     find the floor before a depth camera
python3 run_engine.py recording FILE    what a recording of frames holds
python3 run_engine.py jobs FILE         run a chain of programs, such as configs/jobs.yaml
python3 run_engine.py stress [--chaos]  the engine under load and faults: every frame and count checked
python3 run_engine.py test [-k NAME]    the tests alone
"""

import sys  # no `from __future__` here: a very old Python would choke on it before it could say anything

if __name__ == "__main__":
    if sys.version_info < (3, 8):  # noqa: UP036
        sys.exit(
            "error: This is Python " + sys.version.split()[0] + ", and Utsushi runs on Python 3.11 to 3.13. "
            "Start run_engine.py with one of those, for example: python3.12 run_engine.py --setup"
        )
    from engine.setup.launch import launch

    TRAINING = "nodes.generator.training.commands"  # the engine itself knows no node
    COMMANDS = {"train": TRAINING, "performer": TRAINING, "jobs": "engine.jobs.main", "notify": "engine.jobs.notify",
                "stress": "engine.stress.main", "devices": "nodes.camera.devices.main",
                "calibrate": "nodes.pose.floor.command", "recording": "nodes.recording.command"}  # fmt: skip
    sys.exit(launch(sys.argv[1:], COMMANDS))

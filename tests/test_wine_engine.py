"""The engine, the bridge and the native output as Windows processes beside one another (under Wine).

The engine's camera draws numbered test pictures, of which every byte is known: nodes/camera/testcard.py.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from engine_kit import until
from wine_kit import FOLDER, PROGRAMS, Program, Windows, compiled, needs_wine, windows_path

from engine.bus import Client, Stop
from nodes.camera import testcard

pytestmark = needs_wine

NAME = f"w{os.getpid()}"
CONFIG = """\
engine: {{name: {name}}}
nodes:
  camera: {{type: camera.pattern, size: [{size}], fps: 30, start: {start}}}
  output: {{type: output.touchdesigner, input: camera, size: [{size}], fade: 0}}
  native: {{type: output.sharedmem, input: camera, name: {name}}}
"""


class Stage:
    def __init__(self, windows: Windows, folder: Path):
        self.windows, self.folder = windows, folder

    def engine(self, size: tuple[int, int], start: int) -> Program:
        config = self.folder / "config.yaml"
        config.write_text(CONFIG.format(name=NAME, size=f"{size[0]}, {size[1]}", start=start), "utf-8")
        return self.windows.python(
            PROGRAMS / "engine.py", "--config", windows_path(config), UTSUSHI_HOME=windows_path(self.folder / "home")
        )

    def bridge(self, stream: str = "output") -> Program:
        return self.windows.python(PROGRAMS / "bridge.py", NAME, stream, PYTHONPATH=windows_path(FOLDER / "td"))

    def take(self, bridge: Program, count: int, size: tuple[int, int]) -> tuple[list[int], dict[str, Any]]:
        """The numbers of the next pictures that come over the bridge."""
        file = self.folder / "pictures.raw"
        about = json.loads(bridge.ask(f"take {count} {windows_path(file)}"))
        assert about["pictures"] == count, about
        return numbers(file, size), about

    def workers(self) -> list[psutil.Process]:
        """The engine's processes, as Linux sees them."""
        home = windows_path(self.folder / "home")
        found = []
        for process in psutil.process_iter(["environ", "cmdline"]):
            ours = (process.info["environ"] or {}).get("UTSUSHI_HOME") == home
            if ours and any("engine.worker" in word for word in process.info["cmdline"] or ()):
                found.append(process)
        return found


def numbers(file: Path, size: tuple[int, int]) -> list[int]:
    """Which test pictures these are: RGBA, bottom row first. One that is not whole is -1."""
    pictures = np.fromfile(file, np.uint8).reshape(-1, size[1], size[0], 4)
    assert (pictures[..., 3] == 255).all()
    known = (testcard.number_of(np.ascontiguousarray(picture[::-1, :, 2::-1])) for picture in pictures)
    return [-1 if number is None else number for number in known]


@pytest.fixture
def stage(windows: Windows, tmp_path: Path) -> Stage:
    return Stage(windows, tmp_path)


def rising(seen: list[int], start: int) -> bool:
    """Whole pictures, in order; the output repeats one while there is no newer."""
    return min(seen) >= start and all(b >= a for a, b in zip(seen, seen[1:], strict=False)) and seen[-1] > seen[0]


def test_the_bridge_reads_beside_the_engine_through_its_death_and_its_end(stage: Stage) -> None:
    bridge = stage.bridge()
    about = json.loads(bridge.ask("until WAITING"))
    assert (about["platform"], about["numpy"]) == ("win32", "1.24.1")
    assert f"No engine named '{NAME}' runs on this computer" in about["message"]

    engine = stage.engine((320, 240), 1)
    json.loads(bridge.ask("until LIVE"))
    seen, about = stage.take(bridge, 60, (320, 240))
    assert rising(seen, 1) and (about["state"], about["restarts"]) == ("LIVE", 0)

    # The bridge keeps no handle, so that names go with the engine; another program may keep one.
    holder = stage.windows.python(PROGRAMS / "holder.py", NAME)
    assert holder.hear() == "held"
    engine.kill()
    until(lambda: not stage.workers(), 60)
    about = json.loads(bridge.ask("until STALE"))
    assert "no sign of life" in about["message"] and about["shape"] == [240, 320, 4]  # the last picture stays

    engine = stage.engine((200, 160), 1000)  # takes over the memory that is held, in another size
    json.loads(bridge.ask("until LIVE"))
    seen, about = stage.take(bridge, 30, (200, 160))
    assert rising(seen, 1000) and (about["state"], about["restarts"]) == ("LIVE", 1)

    while not (port := re.search(r"control port (\d+)", engine.hear())):
        pass  # a taken OSC port is said first
    client = Client(int(port[1]))
    client.send(Stop())
    assert engine.process.wait(60) == 0
    client.close()
    about = json.loads(bridge.ask("until STOPPED"))
    assert "was stopped" in about["message"] and about["shape"] == [160, 200, 4]
    holder.kill()
    about = json.loads(bridge.ask("until WAITING"))
    assert "No engine" in about["message"]


def test_touchdesigner_sees_the_camera_and_the_native_shared_memory(stage: Stage, tmp_path: Path) -> None:
    receiver = stage.windows.run(compiled(PROGRAMS / "touch_receiver.c", tmp_path), NAME, 2)
    raw = tmp_path / "native.raw"
    stage.engine((320, 240), 1)

    def get() -> str:
        return receiver.ask(f"get {windows_path(raw)}")

    until(lambda: get() != "none", 90)
    seen = []
    while len(set(seen)) < 20:
        assert get() == "1 320 240 37 1 1 48 307200 postfix="
        seen += numbers(raw, (320, 240))
    assert rising(seen, 1)

    bridge = stage.bridge("camera")
    seen, about = stage.take(bridge, 20, (320, 240))
    assert rising(seen, 1) and len(set(seen)) == 20, about

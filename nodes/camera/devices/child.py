"""A process that may be ended: asks drivers, which may hang or crash. Started by main.py.

    python -m nodes.camera.devices.child KIND FOLDER [IDENTITY]

writes answer.json into FOLDER: the devices of that kind, or of one device the size of the picture.png that it took.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from engine.errors import BadInput, EngineError
from nodes.camera.devices.device import Device

# Each has `found() -> list[Device]`, and needs no engine.
KINDS = {"camera": "nodes.camera.devices.cameras", "realsense": "nodes.camera.librealsense.devices"}
TOLD = ("kind", "name", "identity", "formats", "serial", "usb", "speed", "path", "remark")


def answer(kind: str, folder: Path, wanted: str | None) -> dict[str, Any]:
    try:
        devices: list[Device] = importlib.import_module(KINDS[kind]).found()
        if wanted is None:
            return {"devices": [{name: getattr(device, name) for name in TOLD} for device in devices]}
        return {"size": _picture(devices, wanted, folder / "picture.png")}
    except ModuleNotFoundError:  # an extra that is not installed
        return {"devices": []}
    except EngineError as error:
        return {"error": str(error)}


def _picture(devices: list[Device], wanted: str, path: Path) -> tuple[int, int]:
    from nodes.camera.capture import cv2

    device = next((device for device in devices if device.identity == wanted), None)
    if device is None:
        raise BadInput("It has been unplugged.")
    picture = device.snapshot()
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())  # imwrite knows no letters beyond ASCII on Windows
    return picture.shape[1], picture.shape[0]


if __name__ == "__main__":
    kind, folder, *wanted = sys.argv[1:]
    told = answer(kind, Path(folder), wanted[0] if wanted else None)
    (Path(folder) / "answer.json").write_text(json.dumps(told), encoding="utf-8")

"""The command line of `run_engine.py devices`: every camera there is, and the line that puts it into a config."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from engine.errors import EngineError, Exit
from engine.models import ROOT
from nodes.camera.devices.child import KINDS

LIST_S, PICTURE_S = 15.0, 15.0  # what a driver may take
NOBODY = {
    "linux": "Is it plugged in, and does `ls /dev/video*` show it? A user must be in the group video: "
    "sudo usermod -aG video $USER, then log out and in again. A container must be given the device.",
    "darwin": "Is it plugged in? In System Settings, Privacy & Security, Camera, the terminal must be allowed.",
    "win32": "Is it plugged in, and does the Camera app show it? In Settings, Privacy & security, Camera, let desktop "
    "apps access your camera.",
}
TYPES = {"camera": ("camera.opencv", "source"), "realsense": ("camera.realsense", "serial")}


def main(argv: Sequence[str]) -> int:
    """Returns the exit code."""
    options = command_parser().parse_args(argv[1:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it, what asks the drivers ends with it
    try:
        if options.snapshot:
            _make(options.snapshot)
        show(*look(options.snapshot), as_json=options.json)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return Exit.OK


def command_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_engine.py devices",
        description="List every camera of this machine with the line that puts it into a config. Nothing is opened, "
        "so a show goes on undisturbed, unless --snapshot asks for a picture of each.",
    )
    parser.add_argument("--snapshot", type=Path, metavar="DIR", help="take a picture with each one, and put it there")
    parser.add_argument("--json", action="store_true", help="for programs: a list with one object for each device")
    return parser


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"Cannot write into {folder}: {error.strerror}. Name another folder.") from error


def look(pictures: Path | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The devices, as child.py tells them, with `config` and `picture`; and sentences about what could not be asked."""
    devices: list[dict[str, Any]] = []
    troubles = []
    with Console(stderr=True).status("Looking for cameras …") as status:
        for kind in KINDS:
            told = ask(kind, LIST_S)
            devices += told.get("devices", [])
            if "error" in told:
                troubles.append(told["error"])
        if any(device["kind"] == "realsense" for device in devices):  # OpenCV sees its parts as cameras of their own
            devices = [
                one for one in devices if one["kind"] == "realsense" or "realsense" not in one["name"].casefold()
            ]
        for device in devices:
            device["config"], device["picture"] = config_line(device), None
            if pictures:
                status.update(f"Taking a picture with {device['name']} …")
                _take(device, pictures)
    return devices, troubles


def config_line(device: dict[str, Any]) -> str:
    """YAML for the nodes of a config."""
    node_type, key = TYPES[device["kind"]]
    which = device["identity"]
    written = which if key == "source" and which.isdecimal() else json.dumps(which, ensure_ascii=False)
    return f"camera: {{type: {node_type}, {key}: {written}}}"


def _take(device: dict[str, Any], pictures: Path) -> None:
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", device["identity"].removeprefix("camera:")).strip("-")
    path = pictures / f"{device['kind']}-{plain}.png"
    told = ask(device["kind"], PICTURE_S, device["identity"], path)
    if "error" in told:
        device["remark"] = " ".join(filter(None, (device["remark"], told["error"])))
    else:
        device["picture"] = {"path": str(path), "width": told["size"][0], "height": told["size"][1]}


def ask(kind: str, most_s: float, identity: str | None = None, picture: Path | None = None) -> dict[str, Any]:
    """What child.py answers within that time, {"error": a sentence} where it does not. The picture is put there."""
    with tempfile.TemporaryDirectory(prefix="utsushi-devices-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        command = [sys.executable, "-m", "nodes.camera.devices.child", kind, name]
        with (folder / "complaint").open("wb") as complaint:
            child = subprocess.Popen(
                command + ([identity] if identity is not None else []),
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=complaint,
            )  # fmt: skip
            try:
                code = child.wait(most_s)
            except subprocess.TimeoutExpired:
                late = f"not answered for {most_s:g} s."
                if identity is None:
                    return {"error": f"A driver that was asked for its cameras has {late} Unplug one after the other."}
                return {"error": f"It has {late} Unplug it and plug it in again."}
            finally:
                child.kill()
                with suppress(subprocess.TimeoutExpired):  # one that a driver holds cannot be ended yet
                    child.wait(1)
        try:
            told = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            last = (folder / "complaint").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            return {"error": f"Asking its driver has failed with exit code {code} ({(last or [str(error)])[0]})."}
        if picture and "size" in told:
            try:
                shutil.copyfile(folder / "picture.png", picture)
            except OSError as error:
                return {"error": f"Cannot write {picture}: {error.strerror}. Name another folder."}
        return told


def show(devices: list[dict[str, Any]], troubles: list[str], as_json: bool) -> None:
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for trouble in troubles:
        print(trouble, file=sys.stderr)
    if as_json:
        print(json.dumps(devices, indent=1, ensure_ascii=False))
    elif not devices and not troubles:
        console.print("No camera was found.", NOBODY.get(sys.platform, "Is it plugged in?"))
    else:
        for device in devices:
            console.print(device["name"], style="bold")
            for line in lines(device):
                console.print(f"    {line}")
            console.print(f"    {device['config']}\n", style="green")


def lines(device: dict[str, Any]) -> list[str]:
    """What is known of a device, a line for each thing."""
    usb = f"USB {device['usb']}" + (f" at {device['speed']} Mbit/s" if device["speed"] else "") if device["usb"] else ""
    about = [f"serial {device['serial']}" if device["serial"] else "", usb, device["path"]]
    told = [", ".join(filter(None, about))]
    offers: dict[str, dict[str, list[str]]] = {}
    for width, height, fps, code in device["formats"]:
        offers.setdefault(code, {}).setdefault(f"{width} x {height}", []).extend([f"{fps:g}"] if fps else [])
    for code, sizes in offers.items():
        each = (f"{size} at {', '.join(rates)}" if rates else size for size, rates in sizes.items())
        told.append(f"{code}: {'; '.join(each)}")
    if not offers:
        told.append("sizes and rates: this system does not tell them")
    if taken := device["picture"]:
        told.append(f"picture: {taken['path']}, {taken['width']} x {taken['height']}")
    return [line for line in (*told, device["remark"]) if line]

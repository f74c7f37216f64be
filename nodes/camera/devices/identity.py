"""Which camera is which: named by what it is and where it is plugged in, because numbers change with every restart.

A config says `source: "camera:046d:082d"`: after `camera:` stand words, and the one camera is meant that has them all.
A camera's words are those of its name, its VID:PID, its serial number, its place (the socket) and its path.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple

from engine.errors import BadInput
from nodes.camera.devices.sysfs import UsbFacts, usb_facts

PREFIX = "camera:"


class Camera(NamedTuple):
    """One camera as the system lists it. number: by which OpenCV opens it, now. vid_pid: "046d:082d" or ""."""

    number: int
    name: str
    path: str
    vid_pid: str
    usb: UsbFacts

    @property
    def words(self) -> set[str]:
        return {word for text in (self.name, self.path, self.vid_pid, *self.usb[:2]) for word in _words(text)}


def cameras(backend: int) -> list[Camera]:
    """All cameras that this backend of OpenCV can open, in its order. Raises BadInput when the system does not say."""
    from cv2_enumerate_cameras import enumerate_cameras

    try:
        listed = enumerate_cameras(backend)
    except Exception as error:  # a driver's, or an unknown backend's
        raise BadInput(
            f"The cameras of this machine cannot be listed ({type(error).__name__}: {error}). "
            "Name one by its number, such as 0."
        ) from error
    found = []
    for one in sorted(listed, key=lambda one: one.index):
        known = one.vid is not None and one.pid is not None
        usb = usb_facts(one.index) if sys.platform == "linux" else _facts_of_path(one.path or "")
        found.append(
            Camera(one.index, one.name or "", one.path or "", f"{one.vid:04x}:{one.pid:04x}" if known else "", usb)
        )
    return found


def _facts_of_path(path: str) -> UsbFacts:
    """Windows: \\\\?\\usb#vid_046d&pid_082d&mi_00#7&1f0e9c3f&0&0000#{…}: the third part is a serial number, or stands
    for the socket if it has a &. macOS: the path is an id that holds the socket."""
    parts = path.split("#")
    if len(parts) < 3:
        return UsbFacts(place=path)
    return UsbFacts(place=parts[2]) if "&" in parts[2] else UsbFacts(serial=parts[2])


def identity(camera: Camera, everyone: list[Camera]) -> str:
    """The shortest `source` that means this camera and no other; its number if nothing tells it apart."""
    for parts in (
        (camera.vid_pid,),
        (camera.vid_pid, camera.usb.serial),
        (camera.vid_pid, camera.usb.place),
        (camera.name,),
        (camera.name, camera.usb.place),
        (camera.path,),
    ):
        text = " ".join(" ".join(parts).split())
        if all(parts) and _having(text, everyone) == [camera]:
            return PREFIX + text
    return str(camera.number)


def find(source: str, everyone: list[Camera]) -> Camera:
    """The camera that "camera:…" means. Raises BadInput, with all cameras there are, unless it is exactly one."""
    wanted = source.removeprefix(PREFIX).strip()
    found = _having(wanted, everyone)
    if len(found) == 1:
        return found[0]
    if not found:
        others = f"There are: {_listed(everyone, everyone)}." if everyone else "This machine has none that can be seen."
        raise BadInput(f"There is no camera {wanted}. {others} Plug it in, or choose another `source`.")
    raise BadInput(
        f"{len(found)} cameras answer to {wanted!r}: {_listed(found, everyone)}. "
        "Say which one by writing that as `source`."
    )


def _having(text: str, everyone: list[Camera]) -> list[Camera]:
    wanted = _words(text)
    return [camera for camera in everyone if wanted and wanted <= camera.words]


def _listed(some: Iterable[Camera], everyone: list[Camera]) -> str:
    return ", ".join(f"{camera.name or 'a camera'} ({identity(camera, everyone)})" for camera in some)


def _words(text: str) -> set[str]:
    return set(text.casefold().split())

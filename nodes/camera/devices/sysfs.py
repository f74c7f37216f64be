"""What Linux tells of a camera without opening it.

After https://docs.kernel.org/admin-guide/abi-stable.html (sysfs of USB devices) and the kernel's usb_make_path().
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

CLASS = Path("/sys/class/video4linux")
PROC = Path("/proc")


class UsbFacts(NamedTuple):
    """serial, place: "" where there is none. version: that of USB, such as "2.0"; speed: Mbit/s.

    place: the socket, and which of the device's interfaces: it stays the same for as long as nobody moves the plug.
    """

    serial: str = ""
    place: str = ""
    version: str = ""
    speed: int = 0


def usb_facts(number: int) -> UsbFacts:
    """Of /dev/video`number`. What is not told, as for a camera that is not on USB, is left empty."""
    interface = (CLASS / f"video{number}" / "device").resolve()
    usb = next((folder for folder in (interface, interface.parent) if (folder / "idVendor").exists()), None)
    if usb is None:
        return UsbFacts(place=interface.name if interface.is_dir() and "/virtual/" not in str(interface) else "")
    root = next((folder for folder in (usb, *usb.parents) if folder.name.startswith("usb")), usb)
    _, _, inner = interface.name.partition(":")
    major, _, minor = _read(usb / "version").partition(".")
    speed = _read(usb / "speed")
    return UsbFacts(
        _read(usb / "serial"),
        f"usb-{root.parent.name}-{_read(usb / 'devpath')}" + (f":{inner}" if inner else ""),
        f"{major}.{minor[0]}" if major and minor else "",
        round(float(speed)) if speed.replace(".", "", 1).isdigit() else 0,
    )


def users(path: str) -> list[str]:
    """Which programs hold a device file open, as far as this user may know: "obs (pid 1234)"."""
    found = []
    for process in PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if int(process.name) != os.getpid() and any(os.readlink(fd) == path for fd in (process / "fd").iterdir()):
                found.append(f"{_read(process / 'comm') or 'a program'} (pid {process.name})")
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

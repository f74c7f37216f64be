"""pyrealsense2, and what is said where it or the camera is missing. Whatever touches the SDK's entrance stands here."""

from __future__ import annotations

from typing import Any

from engine.errors import BadInput

OLDEST = (2, 59)
INSTALL = 'python -m pip install "pyrealsense2>=2.59"'


def load() -> Any:
    """The module. Raises BadInput where there is none, or an old one."""
    try:
        import pyrealsense2 as rs
    except ImportError as error:
        raise BadInput(
            f"RealSense cameras and recordings need the package pyrealsense2 ({error}). Install it with: {INSTALL}. "
            "There is none for Macs with an Apple chip."
        ) from None
    version = tuple(int(part) for part in rs.__version__.split(".")[:2])
    if version < OLDEST:
        raise BadInput(f"pyrealsense2 {rs.__version__} is too old. Install a newer one with: {INSTALL}")
    return rs


def new_context() -> Any:
    """What knows the cameras of this machine. Keep it for as long as one of them is in use."""
    return load().context()


def info(device: Any, what: str) -> str:
    """Such as "name", "serial_number", "usb_type_descriptor", "physical_port"; "" where the device does not say."""
    key = getattr(load().camera_info, what)
    return device.get_info(key) if device.supports(key) else ""


def name_of(device: Any) -> str:
    return f"{info(device, 'name') or 'The RealSense camera'} ({info(device, 'serial_number') or 'without a number'})"


def devices(context: Any) -> list[Any]:
    """All RealSense cameras; under some systems the SDK lists ordinary webcams too. At once, and silently."""
    return [one for one in context.query_devices() if not info(one, "name").startswith("Platform Camera")]


def find(context: Any, serial: str) -> Any:
    """The camera of this serial number, or any if that is "". Raises BadInput at once where it is not connected.

    A pipeline that is started without a camera blocks the whole process for 15 s.
    """
    found = devices(context)
    for device in found:
        if serial in ("", info(device, "serial_number")):
            return device
    if not found:
        raise BadInput("No RealSense camera is connected. Plug it into a USB 3 port, with the cable that came with it.")
    others = ", ".join(name_of(device) for device in found)
    raise BadInput(
        f"The RealSense camera {serial} is not connected; there are: {others}. Plug it in, or check `serial`."
    )


def usb_remark(device: Any) -> str:
    """A sentence about a camera that hangs on USB 2, else ""."""
    if not info(device, "usb_type_descriptor").startswith("2"):
        return ""
    return f"{name_of(device)} is connected through USB 2, which is slow. Use a USB 3 port and the cable it came with."

"""Exposure, focus, white balance and gain of a camera: held at a value, or left to the camera.

What OpenCV's properties mean depends on the backend, after its sources (modules/videoio/src, cap_v4l.cpp,
cap_dshow.cpp, cap_msmf.cpp) and OpenCV's pull requests 22635 and 23300:

    V4L2   the driver's own numbers. Exposure: 1 by hand, 3 or 0 automatic; the time in units of 0.1 ms
           (V4L2_CID_EXPOSURE_ABSOLUTE in https://docs.kernel.org/userspace-api/media/v4l/ext-ctrls-camera.html).
    DSHOW  the switches are 0 and 1 (0.25 and 0.75, which one reads of, are rounded to these); the time is the power
           of two of a second, a whole number: -7 is 7.8 ms.
    MSMF   the same, but anything except 0 switches to automatic, 0.25 too; no switch for the white balance.
    AVFOUNDATION  nothing.

No camera was ever attached to the machine that this was written on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from nodes.camera.capture import cv2


class Locks(NamedTuple):
    """What to hold. exposure: ms; 0: automatic. white_balance: kelvin; 0: automatic. focus: the camera's own number;
    -1: automatic. gain: the camera's own number; -1: as the camera has it."""

    exposure: float = 0.0
    focus: int = -1
    white_balance: float = 0.0
    gain: int = -1


AUTOMATIC = Locks()
UNKNOWN = -1  # what OpenCV gives for a value that cannot be read
UNITS = {"exposure": " ms", "white_balance": " K"}


class Way(NamedTuple):
    """How a backend sets one of them. switch: between automatic and by hand, if it has one. automatic: values of the
    switch, to be tried in this order. to, back: from our unit to the driver's."""

    value: int
    switch: int | None = None
    automatic: tuple[float, ...] = (1,)
    by_hand: float = 0
    to: Callable[[float], float] = round
    back: Callable[[float], float] = float


GAIN = Way(cv2.CAP_PROP_GAIN)
FOCUS = Way(cv2.CAP_PROP_FOCUS, cv2.CAP_PROP_AUTOFOCUS)
POWERS_OF_TWO = Way(
    cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_AUTO_EXPOSURE,
    to=lambda ms: round(math.log2(ms / 1000)), back=lambda power: 1000 * 2.0 ** min(power, 10),
)  # fmt: skip
WAYS: dict[str, dict[str, Way]] = {
    "V4L2": {
        "exposure": Way(
            cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_AUTO_EXPOSURE, automatic=(3, 0), by_hand=1,
            to=lambda ms: max(1, round(10 * ms)), back=lambda tenths: tenths / 10,
        ),
        "focus": FOCUS,
        "white_balance": Way(cv2.CAP_PROP_WB_TEMPERATURE, cv2.CAP_PROP_AUTO_WB),
        "gain": GAIN,
    },
    "DSHOW": {
        "exposure": POWERS_OF_TWO,
        "focus": FOCUS,
        "white_balance": Way(cv2.CAP_PROP_WHITE_BALANCE_BLUE_U, cv2.CAP_PROP_AUTO_WB),
        "gain": GAIN,
    },
    "MSMF": {
        "exposure": POWERS_OF_TWO,
        "focus": FOCUS,
        "white_balance": Way(cv2.CAP_PROP_TEMPERATURE),
        "gain": GAIN,
    },
}  # fmt: skip


def apply(capture: cv2.VideoCapture, locks: Locks, held: Locks | None, name: str) -> list[str]:
    """Set what differs from `held`, or everything if that is None. Returns sentences about what the camera refused.

    That a camera which nobody has touched cannot be put on automatic is no news: it may have a fixed focus.
    """
    remarks = []
    for setting, wanted in locks._asdict().items():
        if held is not None and wanted == getattr(held, setting):
            continue
        way = WAYS.get(capture.getBackendName(), {}).get(setting)
        if wanted != getattr(AUTOMATIC, setting):
            remarks.append(_hold(capture, way, setting, wanted, name))
        elif not _release(capture, way) and held is not None:
            remarks.append(f"{name} cannot be put back to automatic {_words(setting)}. Unplug it and plug it in again.")
    return [remark for remark in remarks if remark]


def _hold(capture: cv2.VideoCapture, way: Way | None, setting: str, wanted: float, name: str) -> str | None:
    what, unit = _words(setting), UNITS.get(setting, "")
    if way and way.switch is not None:
        capture.set(way.switch, way.by_hand)  # refused by one that has no automatic, which is no harm
    if way is None or not capture.set(way.value, way.to(wanted)):
        return f"{name} does not let its {what} be set. Leave out `{setting}`, or set it in the camera's own program."
    given = capture.get(way.value)
    kept = way.back(given)
    if given == UNKNOWN or math.isclose(kept, wanted, rel_tol=0.02):
        return None
    return f"{name} has its {what} at {kept:.4g}{unit}, {wanted:g}{unit} was asked for; it has steps and limits."


def _release(capture: cv2.VideoCapture, way: Way | None) -> bool:
    """Leave it to the camera. False where that cannot be."""
    if way is GAIN:
        return True
    if way is None or way.switch is None:
        return False
    switch = way.switch
    return capture.get(switch) in way.automatic or any(capture.set(switch, value) for value in way.automatic)


def _words(setting: str) -> str:
    return setting.replace("_", " ")

"""Opening what OpenCV captures from. A failure is a BadInput with a sentence; OpenCV's own messages are silenced."""

from __future__ import annotations

import os
import re
from pathlib import Path

# All must be set before cv2 is imported: FFmpeg is to be silent, Media Foundation to open in less than minutes, and
# V4L2 to wait for a picture for 2 s and not 10.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS", "0")
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")

import cv2
import numpy as np

from engine.errors import BadInput

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

STREAM_SCHEMES = ("http", "https", "rtsp", "rtsps", "rtmp", "rtp", "udp", "tcp", "srt")
# FFmpeg would hold back more than a second of pictures to find out their rate, which nobody asks of a stream. The first
# option is OpenCV's own, which this replaces.
AT_ONCE = "rtsp_flags;prefer_tcp|fpsprobesize;0"
ONE_THREAD = [cv2.CAP_PROP_N_THREADS, 1]  # each further decoding thread holds back one more picture


def shown(source: int | str) -> str:
    """The source as a person may read it: without the password that an address may hold."""
    if isinstance(source, int) or source.startswith("camera:"):
        return "camera " + str(source).removeprefix("camera:").strip()
    return re.sub(r"//[^/]*@", "//…@", source)


def is_address(source: int | str) -> bool:
    return isinstance(source, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) is not None


def is_device(source: int | str) -> bool:
    return isinstance(source, int) or source.startswith(("camera:", "/dev/"))


def open_stream(address: str, open_timeout: float, read_timeout: float) -> cv2.VideoCapture:
    """A live stream by its address. The time-outs, in seconds, can be given at opening only."""
    scheme = address.split("://")[0].lower()
    if scheme not in STREAM_SCHEMES:
        raise BadInput(
            f"{shown(address)} is no address of a stream; those begin with {', '.join(STREAM_SCHEMES)}. "
            "Give a file by its path, without file://."
        )
    timeouts = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(open_timeout * 1000)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(read_timeout * 1000)),
    ]
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", AT_ONCE)
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, [*timeouts, *ONE_THREAD])
    if not capture.isOpened():
        raise BadInput(
            f"No video comes from {shown(address)}. "
            "Check the address, and that the camera is on and in the same network."
        )
    if (pictures := capture.get(cv2.CAP_PROP_FRAME_COUNT)) > 0:
        capture.release()
        raise BadInput(
            f"{shown(address)} is a recording of {pictures:.0f} pictures, not a live stream. "
            "Download it and give the file's path as `source`."
        )
    return capture


def check_file(path: Path, setting: str = "source") -> None:
    """Raise BadInput unless there is a file that can be read and is not empty. setting: where its path is from."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder. Name a video in it, or all its pictures: {path / '*.png'}")
    if not path.exists():
        raise BadInput(
            f"There is no file {path}. Check `{setting}`; a relative path starts at the folder of run_engine.py."
        )
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}. Check the file's permissions.") from None
    if empty:
        raise BadInput(f"{path} is empty. Copy it again, or choose another `{setting}`.")


def open_file(path: Path) -> cv2.VideoCapture:
    """A video file."""
    check_file(path)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, ONE_THREAD)
    if not capture.isOpened():
        raise BadInput(f"{path} is not a video, or it is damaged or incomplete. Try it in a player, or choose another.")
    return capture


def true_size(capture: cv2.VideoCapture) -> tuple[int, int] | None:
    """(width, height) of what was grabbed; None if that cannot be decoded.

    Not always what the capture says: a phone may store an upright video lying down.
    """
    done, picture = capture.retrieve()
    return (picture.shape[1], picture.shape[0]) if done else None


class Retriever:
    """Decodes what a capture has grabbed into the caller's array: in place where the size is the same.

    size: (width, height) of the last picture as it came.
    """

    def __init__(self) -> None:
        self.size = (0, 0)
        self._own: np.ndarray | None = None  # where pictures of another size are decoded first

    def into(self, capture: cv2.VideoCapture, array: np.ndarray) -> bool:
        """Fill `array`, (H, W, 3) uint8. False when what was grabbed cannot be decoded."""
        target = array if self._own is None else self._own
        done, picture = capture.retrieve(target)
        if not done:
            return False
        self.size = picture.shape[1], picture.shape[0]
        if picture is target is array:
            return True
        # OpenCV returns a new array, and says nothing, when the target has not the picture's size.
        self._own = picture
        fit(picture, array)
        return True


def fit(picture: np.ndarray, array: np.ndarray) -> None:
    """Fill `array` with `picture`, both (H, W, 3) uint8: scaled, and cut evenly where the proportions differ."""
    (have_h, have_w), (h, w) = picture.shape[:2], array.shape[:2]
    cut_w, cut_h = min(have_w, max(1, round(have_h * w / h))), min(have_h, max(1, round(have_w * h / w)))
    left, top = (have_w - cut_w) // 2, (have_h - cut_h) // 2
    part = picture[top : top + cut_h, left : left + cut_w]
    smaller = cut_w > w or cut_h > h
    cv2.resize(part, (w, h), dst=array, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)

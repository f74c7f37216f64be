"""An H.264 file being written with the package av (PyAV): yuv420p, BT.709, with the time stamps that it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

BT709, LIMITED_RANGE = 1, 1  # what players assume; said in the file all the same
INDEX_FIRST = {"movflags": "+faststart"}  # so that a browser plays the file while it loads
# Readable up to the last fragment, however writing ends. A fragment begins with each key frame, and is handed to the
# system whole.
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
FORMATS = {(1, False): "gray", (3, False): "rgb24", (3, True): "bgr24", (4, False): "rgba", (4, True): "bgra"}


class Movie:
    """path: ends in .mp4, .mov or .mkv, and is written over. size: (width, height), even. rate: pictures per second.

    time_base: seconds per unit of the time stamps; left out: 1 / rate. key_every: pictures from key frame to key
    frame at most. layout: INDEX_FIRST or FRAGMENTS. x264: options of the encoder. about: the file's metadata.
    Every method raises OSError; opening raises ImportError without the package, ValueError if it came without x264.
    """

    def __init__(
        self, path: Path, size: tuple[int, int], rate: float, layout: Mapping[str, str], *,
        time_base: Fraction | None = None, key_every: int | None = None, threads: int = 0,
        x264: Mapping[str, str], about: Mapping[str, str] | None = None,
    ):  # fmt: skip
        import av

        self._av, self.path, self.size = av, path, size
        self.bytes = 0  # of video, so far
        whole_rate = Fraction(rate).limit_denominator(1001)
        with self._os_errors():
            self._file: Any = av.open(str(path), "w", options=dict(layout))
            self._file.metadata.update(about or {})
            self._stream: Any = self._file.add_stream("libx264", rate=whole_rate, options=dict(x264))
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        codec = self._stream.codec_context
        codec.colorspace = codec.color_primaries = codec.color_trc = BT709
        codec.color_range = LIMITED_RANGE
        codec.thread_count = threads
        self._time_base = self._stream.time_base = codec.time_base = time_base or 1 / whole_rate
        if time_base is not None:
            codec.max_b_frames = 0  # pictures are stored in the order of their time stamps, which then stay as they are
        if key_every is not None:
            self._stream.gop_size = key_every

    def write(self, array: np.ndarray, blue_first: bool, stamp: int, key: bool = False) -> None:
        """One more picture: (H, W, 1, 3 or 4) uint8, C-contiguous, of any size; the alpha channel is dropped.

        stamp: later than the one before, in units of the time base. key: make it a key frame.
        """
        pixel_format = FORMATS[array.shape[2], blue_first]
        frame = self._av.VideoFrame.from_ndarray(array[..., 0] if array.shape[2] == 1 else array, pixel_format)
        yuv = frame.reformat(*self.size, "yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED_RANGE)
        yuv.pts, yuv.time_base = stamp, self._time_base
        yuv.pict_type = self._av.video.frame.PictureType.I if key else self._av.video.frame.PictureType.NONE
        self._mux(yuv)

    def finish(self) -> None:
        """Complete the file."""
        self._mux(None)
        self.close()

    def close(self) -> None:
        """Let go of the file, complete or not."""
        with self._os_errors():
            self._file.close()

    def _mux(self, frame: Any) -> None:
        with self._os_errors():
            for packet in self._stream.encode(frame):
                self.bytes += packet.size
                self._file.mux(packet)

    def holds_pictures(self) -> bool:
        """Whether a player would show anything of the file that was closed."""
        cut_off = self._av.InvalidDataError, self._av.EOFError, self._av.DecoderNotFoundError
        with self._os_errors():
            try:
                with self._av.open(str(self.path)) as file:
                    return bool(file.streams.video) and next(file.decode(video=0), None) is not None
            except cut_off:
                return False

    @contextmanager
    def _os_errors(self) -> Iterator[None]:
        try:
            yield
        except self._av.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error

"""An NDI receiver in a process of its own: ndi_receiver.py SENDER COUNT FILE saves COUNT pictures, RGBA, as FILE.npz.

It asks this machine for senders by its address, because containers have no service that announces them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

GIVE_UP_S = 40


def main(sender: str, count: int, path: Path) -> int:
    from cyndilib.finder import Finder
    from cyndilib.receiver import ReceiveFrameType, Receiver
    from cyndilib.video_frame import VideoRecvFrame
    from cyndilib.wrapper.ndi_recv import RecvBandwidth, RecvColorFormat

    deadline = time.monotonic() + GIVE_UP_S
    pictures: list[np.ndarray] = []
    receiver = Receiver(color_format=RecvColorFormat.RGBX_RGBA, bandwidth=RecvBandwidth.highest)
    frame = VideoRecvFrame()
    receiver.set_video_frame(frame)
    with Finder() as finder:
        while (source := next((s for s in finder if s.stream_name == sender), None)) is None:
            if time.monotonic() > deadline:
                print(f"no sender “{sender}” among {finder.get_source_names()}")
                return 1
            finder.wait_for_sources(0.5)
            finder.update_sources()
        receiver.set_source(source)
        while len(pictures) < count and time.monotonic() < deadline:
            if receiver.receive(ReceiveFrameType.recv_video, 500) & ReceiveFrameType.recv_video:
                width, height = frame.get_resolution()
                pixels = np.empty(frame.get_buffer_size(), np.uint8)
                frame.fill_p_data(pixels)
                rows = pixels.reshape(-1, frame.get_line_stride())[:height, : width * 4]  # they may be padded
                picture = rows.reshape(height, width, 4)
                if not pictures or pictures[-1].shape != picture.shape:  # one of each size
                    pictures.append(picture)
                    np.savez(path.with_suffix(".part.npz"), *pictures)
                    os.replace(path.with_suffix(".part.npz"), path)
    receiver.disconnect()
    return 0 if len(pictures) == count else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        config = json.dumps({"ndi": {"networks": {"ips": "127.0.0.1,"}}})
        Path(folder, "ndi-config.v1.json").write_text(config, encoding="utf-8")
        os.environ["NDI_CONFIG_DIR"] = folder
        sys.exit(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))

"""Cut assets/visitor.mp4 from the footage that it comes from; assets/README.md names it.

python assets/make_visitor.py FOLDER/Demo_SinglePerson/videos/cam01.mp4 assets/visitor.mp4

The part of the picture in which the visitor moves, at half the size and half the speed (60 pictures a second become
30), forward and then backward, so that the loop has no jump.
"""

from __future__ import annotations

import sys
from fractions import Fraction

import av
import cv2

WIDTH, HEIGHT, FPS = 540, 640, 30
TOP, ROWS = 220, 1280  # of the source, whose 1080 columns are all kept


def main(source: str, target: str) -> None:
    with av.open(source) as video:
        pictures = [
            cv2.resize(
                frame.to_ndarray(format="bgr24")[TOP : TOP + ROWS], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA
            )
            for frame in video.decode(video=0)
        ]
    there_and_back = pictures + pictures[-2:0:-1]  # neither end twice
    with av.open(target, "w", options={"movflags": "+faststart"}) as video:
        stream = video.add_stream("libx264", rate=FPS, options={"crf": "17", "preset": "veryslow"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, picture in enumerate(there_and_back):
            frame = av.VideoFrame.from_ndarray(picture, "bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))
    print(f"{target}: {len(there_and_back)} pictures")


if __name__ == "__main__":
    main(*sys.argv[1:])

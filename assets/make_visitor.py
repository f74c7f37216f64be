"""Cut assets/visitor.mp4 from the footage that it comes from; assets/README.md names it.

python assets/make_visitor.py FOLDER/Demo_SinglePerson/videos/cam01.mp4 assets/visitor.mp4

Half the size, half the speed (60 pictures a second shown at 30), forward and then backward, so that the loop has no jump.
"""

from __future__ import annotations

import sys
from fractions import Fraction

import av

WIDTH, HEIGHT, FPS = 540, 960, 30


def main(source: str, target: str) -> None:
    with av.open(source) as video:
        pictures = [
            frame.reformat(WIDTH, HEIGHT, "yuv420p", interpolation="AREA").to_ndarray() for frame in video.decode(video=0)
        ]
    there_and_back = pictures + pictures[-2:0:-1]  # neither end twice
    with av.open(target, "w", options={"movflags": "+faststart"}) as video:
        stream = video.add_stream("libx264", rate=FPS, options={"crf": "17", "preset": "veryslow"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, picture in enumerate(there_and_back):
            frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))
    print(f"{target}: {len(there_and_back)} pictures")


if __name__ == "__main__":
    main(*sys.argv[1:])

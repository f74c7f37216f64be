"""Make docs/img/demo.jpg: what the camera sees and what comes out, picture by picture.

python run_engine.py --config configs/offline.yaml
python docs/img/make_demo.py assets/visitor.mp4 figure.mp4 docs/img/demo.jpg
"""

from __future__ import annotations

import sys

import cv2
import numpy as np

NUMBERS, HEIGHT = (8, 48, 92), 320


def picture(video: str, number: int) -> np.ndarray:
    capture = cv2.VideoCapture(video)
    for _ in range(number + 1):
        _, image = capture.read()
    return cv2.resize(image, (HEIGHT * image.shape[1] // image.shape[0], HEIGHT), interpolation=cv2.INTER_AREA)


def main(visitor: str, figure: str, target: str) -> None:
    row = [picture(video, number)[:, 30:-30] for number in NUMBERS for video in (visitor, figure)]
    cv2.imwrite(target, np.hstack(row), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main(*sys.argv[1:])

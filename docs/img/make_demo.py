"""Make docs/img/demo.gif: what the camera sees and what comes out, side by side and moving.

python run_engine.py --config configs/offline.yaml
python docs/img/make_demo.py assets/visitor.mp4 figure.mp4 docs/img/demo.gif
"""

from __future__ import annotations

import sys

import cv2
import numpy as np

SIDE, EVERY, PICTURES = (
    288,
    3,
    33,
)  # pixels, of which pictures, how many: the first half; the clip's second runs backward
FPS = 30


def pictures(video: str) -> list[np.ndarray]:
    """Every third picture, its middle as a square."""
    capture, taken = cv2.VideoCapture(video), []
    for number in range(EVERY * PICTURES):
        image = capture.read()[1]
        if number % EVERY == 0:
            top = (image.shape[0] - image.shape[1]) // 2
            square = image[top : top + image.shape[1]]
            taken.append(cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    return taken


def main(visitor: str, figure: str, target: str) -> None:
    forward = [np.hstack(pair) for pair in zip(pictures(visitor), pictures(figure), strict=True)]
    animation = cv2.Animation()
    animation.frames = forward
    animation.durations = np.full(len(forward), 1000 * EVERY // FPS)
    cv2.imwriteanimation(target, animation)


if __name__ == "__main__":
    main(*sys.argv[1:])

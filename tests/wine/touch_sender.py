"""A sender to be told what to do, on Windows' Python: one command a line on stdin, one answer a line on stdout.

open WIDTH HEIGHT | resize WIDTH HEIGHT | write SEED | answered | close
flood COUNT    writes COUNT pictures without a pause, each of one value
half    takes the mutex and overwrites half of the picture, as one that is killed then leaves it

touch_sender.py NAME INFO
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.errors import EngineError
from nodes.output import named_windows
from nodes.output.touch_shm import TouchSender

name, info = sys.argv[1:]
sender = TouchSender(name, named_windows, info=info, row_order="bottom_up", pixel_format="rgba8")
size = (0, 0)


def picture(seed: int) -> np.ndarray:
    width, height = size
    return (np.arange(width * height * 4, dtype=np.uint64) * seed % 251).astype(np.uint8).reshape(height, width, 4)


for line in sys.stdin:
    command, *numbers = line.split()
    answer = "ok"
    try:
        if command in ("open", "resize"):
            size = int(numbers[0]), int(numbers[1])
            getattr(sender, command)(*size)
        elif command == "write":
            sender.write(picture(int(numbers[0])))
        elif command == "flood":
            for number in range(int(numbers[0])):
                sender.write(np.full((size[1], size[0], 4), number % 256, np.uint8))
        elif command == "answered":
            answer = sender.answered
        elif command == "close":
            sender.close()
        elif command == "half":
            assert sender._mutex.acquire(1) and sender._data is not None
            sender._data.data[: 48 + size[0] * size[1] * 2] = 0
    except EngineError as error:
        answer = f"EngineError: {error}"
    print(answer, flush=True)

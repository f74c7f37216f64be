"""What the bridge's reader says, as plain data; also as a program of its own, in a Python that has NumPy alone.

    python3.11 -I -S conformance_child.py FOLDER_OF_NUMPY TD_BRIDGE

answers each line (`open ENGINE`, `poll`, `watch COUNT`) with a line of JSON. It imports the standard library, NumPy and
the bridge only.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from typing import Any

WATCH_S = 30.0


def poll(reader: Any) -> dict[str, Any]:
    """One poll. `data`: the array's bytes, where there was a new one."""
    array = reader.poll()
    new = {} if array is None else {
        "seq": reader.seq, "shape": array.shape, "dtype": str(array.dtype), "canvas": reader.canvas, "ids": reader.ids,
        "sources": reader.sources, "version": reader.param_version, "pixel_format": reader.pixel_format,
        "data": base64.b64encode(array.tobytes()).decode(),
    }  # fmt: skip
    return {
        "new": new, "state": reader.state, "message": reader.message, "missed": reader.skipped,
        "restarts": reader.restarts, "torn": reader.torn_retries,
    }  # fmt: skip


def watch(reader: Any, count: int) -> dict[str, int]:
    """Poll until `count` pictures of one colour have come. mixed, back: how many were not, or came out of order."""
    seen = mixed = back = last = 0
    deadline = time.monotonic() + WATCH_S
    while seen < count and time.monotonic() < deadline:
        array = reader.poll()
        if array is not None:
            seen, mixed, back = seen + 1, mixed + (array.min() != array.max()), back + (reader.seq <= last)
            last = reader.seq
    return {"seen": seen, "mixed": int(mixed), "back": back}


def about() -> dict[str, Any]:
    """What this Python is, and all that it has loaded."""
    import numpy

    return {"python": sys.version, "numpy": numpy.__version__, "modules": sorted(sys.modules)}


def main() -> None:
    numpy_folder, bridge = sys.argv[1:]
    sys.path[:0] = [bridge, numpy_folder]
    from ring_reader import RingReader

    reader = RingReader()
    for line in sys.stdin:
        match line.split():
            case ["open", engine]:
                reader.close()
                reader = RingReader(engine)
                said: dict[str, Any] = about()
            case ["watch", count]:
                said = watch(reader, int(count))
            case _:
                said = poll(reader)
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()

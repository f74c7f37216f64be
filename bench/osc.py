"""From a value that is sent by OSC to a frame that was made with it, in frames.

python -m bench.osc [--changes N]

Starts a small engine, turns a setting of each of two nodes at random moments, and waits for the first frame that
carries the version of the change. Prints the time from sending to that frame's publication as a ratio to the time
between two frames: a value that comes at a random moment waits half a frame at best.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from engine.clock import now_ns
from engine.directory import Directory
from engine.errors import EngineError
from engine.osc_codec import decode, encode
from engine.process import ROOT
from engine.ring_reader import Policy
from engine.stream import StreamReader

NAME = f"o{os.getpid() % 100000}"
CAMERA_FPS, OUTPUT_FPS = 30, 60
CONFIG = f"""\
engine: {{name: {NAME}, osc: {{port: 0}}}}
nodes:
  camera: {{type: camera.pattern, size: [640, 480], fps: {CAMERA_FPS}}}
  mirror: {{type: filter.mirror, input: camera}}
  output: {{type: output.touchdesigner, input: mirror, size: [640, 480], fps: {OUTPUT_FPS}}}
"""
# Of each node: its stream's row, the address, two values to turn it between, frames per second.
KNOBS = {
    "mirror, which reads frames": (1, "/utsushi/node/mirror/axis", ("y", "x"), CAMERA_FPS),
    "output, which keeps a rate": (2, "/utsushi/node/output/fade", (0.2, 0.3), OUTPUT_FPS),
}
PATIENCE_S = 10.0


class Sender:
    """Sends values to one engine and waits for the answers."""

    def __init__(self, port: int):
        self._engine = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)

    def turn(self, address: str, value: object) -> tuple[int, int]:
        """The version of the change, and when the value was sent, ns."""
        sent_ns = now_ns()
        self._socket.sendto(encode(address, value), self._engine)
        ((_, (ok, _, version, text)),) = decode(self._socket.recv(65536))
        if not ok:
            raise SystemExit(text)
        return version, sent_ns


def wait_for(reader: StreamReader, version: int) -> int:
    """When the first frame with this version was published, ns."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        frame = reader.read()
        if frame is None:
            time.sleep(0.0005)
        elif frame.param_version >= version:
            return frame.publish_ns
    raise SystemExit("No frame came with that version; the engine's logs say why.")


def start(folder: Path) -> tuple[subprocess.Popen, Directory, int]:
    """An engine that runs, its directory and its OSC port."""
    os.environ["UTSUSHI_HOME"] = str(folder)
    config, panel = folder / "bench.yaml", folder / f"{NAME}.panel.json"
    config.write_text(CONFIG, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_engine.py"), "--config", str(config)], stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        try:
            directory = Directory.attach(NAME)
            if panel.exists() and all(node.phase == "RUNNING" for node in directory.health()):
                return process, directory, json.loads(panel.read_text(encoding="utf-8"))["osc"]["port"]
            directory.close()
        except EngineError:
            pass
        time.sleep(0.05)
    raise SystemExit("The engine did not start; run it by itself to see why.")


def measure(directory: Directory, sender: Sender, knob: str, changes: int) -> list[float]:
    """Frames from sending to publication, of each change."""
    row, address, values, fps = KNOBS[knob]
    reader, waits = StreamReader(directory, row, Policy.EVERY), []
    for number in range(changes):
        time.sleep(0.1 + random.random() / fps)  # any moment between two frames
        version, sent_ns = sender.turn(address, values[number % 2])
        waits.append((wait_for(reader, version) - sent_ns) / 1e9 * fps)
        print(f"\r{knob}: {number + 1}/{changes}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    reader.close()
    return waits


def main() -> None:
    parser = argparse.ArgumentParser(description="Frames from a value sent by OSC to a frame made with it.")
    parser.add_argument("--changes", type=int, default=100, metavar="N", help="of each setting (default: 100)")
    changes = parser.parse_args().changes
    with tempfile.TemporaryDirectory() as folder:
        process, directory, port = start(Path(folder))
        try:
            sender = Sender(port)
            found = {knob: measure(directory, sender, knob, changes) for knob in KNOBS}
        finally:
            process.terminate()
            process.wait()
    print("| node | frames/s | median | p95 | most | (frames from sending to publication)\n|---|---|---|---|---|")
    for knob, waits in found.items():
        p50, p95 = np.percentile(waits, (50, 95))
        print(f"| {knob} | {KNOBS[knob][3]} | {p50:.2f} | {p95:.2f} | {max(waits):.2f} |")


if __name__ == "__main__":
    main()

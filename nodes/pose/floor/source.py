"""Where `calibrate` gets depth pictures: from an engine that runs, or from one that it starts for them alone."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engine import config as configs
from engine.clock import now_ns
from engine.directory import Directory, directory_beats
from engine.errors import BadInput, SegmentError
from engine.frame import Frame, Lens
from engine.layout import MAX_STREAMS
from engine.node import Depth, Port
from engine.progress import Progress
from engine.ring_reader import Policy
from engine.stream import StreamReader
from engine.supervisor import Supervisor

OWN_ENGINE = "calibrate"
PATIENCE_S = 30.0  # for a camera to start, or to come back
PICTURES = ("BGR", "RGB", "GRAY", "BGRA", "RGBA")
OTHERS_S = 1.0
PAUSE_S = 0.01


class Seen:
    """depths: several (H, W) uint16 of one lens and size, from this stream. picture: seen meanwhile, or None."""

    def __init__(self, stream: str, depths: list[np.ndarray], lens: Lens, picture: Frame | None):
        self.stream, self.depths, self.lens, self.picture = stream, depths, lens, picture


class Engine:
    """A running engine's streams. turn: waits a moment, and does what keeps it running."""

    def __init__(self, directory: Directory, turn: Callable[[], None]):
        self._directory, self._turn = directory, turn

    def look(self, frames: int, stream: str) -> Seen:
        """So many newest frames of a depth stream; `stream` names it where there are several.

        Raises BadInput when none comes, or there is no such stream.
        """
        readers = self._readers()
        name = self._choose(readers, stream)
        depths: list[np.ndarray] = []
        lens: Lens | None = None
        progress = Progress("Looking at the floor", frames)
        for frame in self._frames(readers[name]):
            if frame.lens is None or not frame.lens.metres > 0:
                raise BadInput(
                    f"The depth pictures of {name} do not say through which lens they were seen. Calibrate with a "
                    "RealSense camera or its recording."
                )
            if frame.lens != lens or depths[0].shape != frame.shape[:2]:  # the camera was set up anew meanwhile
                depths, lens = [], frame.lens
            depths.append(frame.array.reshape(frame.shape[:2]).copy())
            progress.seen(len(depths) - 1)
            if len(depths) == frames:
                break
        progress.done()
        assert lens is not None
        node = name.partition(".")[0]
        pictures = [reader.read() for reader in readers.values() if reader.name.partition(".")[0] == node]
        picture = next((one for one in pictures if one is not None and one.pixel_format in PICTURES), None)
        return Seen(name, depths, lens, picture)

    def _readers(self) -> dict[str, StreamReader]:
        count = min(self._directory["stream_count"], MAX_STREAMS)
        rows = [StreamReader(self._directory, row, Policy.LATEST) for row in range(count)]
        return {reader.name: reader for reader in rows}

    def _choose(self, readers: dict[str, StreamReader], wanted: str) -> str:
        """The depth stream. What carries depths shows in its frames only, so this waits for the first."""
        if wanted:
            if wanted not in readers:
                raise BadInput(f"There is no stream {wanted}; there are {', '.join(readers)}.")
            return wanted
        deadline, formats = now_ns() + PATIENCE_S * 1e9, dict[str, str]()
        while now_ns() < deadline:
            formats |= {name: frame.pixel_format for name, reader in readers.items() if (frame := reader.read())}
            found = [name for name, pixel_format in formats.items() if pixel_format == "DEPTH"]
            if len(found) > 1:
                raise BadInput(f"There are several depth streams: choose with --stream one of {', '.join(found)}.")
            if found and len(formats) == len(readers):
                break
            if found:  # another camera may be about to start
                deadline = min(deadline, now_ns() + OTHERS_S * 1e9)
            self._turn()
        if found:
            return found[0]
        raise BadInput(f"No stream has carried a depth picture for {PATIENCE_S:.0f} s{self._complaints()}.")

    def _frames(self, reader: StreamReader) -> Iterator[Frame]:
        """Its frames as they come, for ever. Raises BadInput when they stop coming, or are no depths."""
        heard = now_ns()
        while now_ns() - heard < PATIENCE_S * 1e9:
            frame = reader.read()
            if frame is not None:
                if frame.pixel_format != "DEPTH" or frame.array.dtype != np.uint16:
                    raise BadInput(f"The stream {reader.name} carries no depth pictures. Choose another --stream.")
                heard = now_ns()
                yield frame
            self._turn()
        raise BadInput(f"No depth picture has come from {reader.name} for {PATIENCE_S:.0f} s{self._complaints()}.")

    def _complaints(self) -> str:
        said = "; ".join(f"{node.name}: {node.text.rstrip('.')}" for node in self._directory.health() if node.text)
        return f" ({said})" if said else ". Is the camera's `depth` on?"


@contextmanager
def running(name: str) -> Iterator[Engine]:
    """The engine of this name. Raises BadInput when it does not run."""
    if not directory_beats(name):
        raise BadInput(f"No engine named {name!r} runs. Start it, or give --config or --recording instead of --engine.")
    directory = Directory.attach(name)
    try:
        yield Engine(directory, lambda: time.sleep(PAUSE_S))
    finally:
        directory.close()


@contextmanager
def configured(path: Path) -> Iterator[Engine]:
    """The config's engine if it runs; otherwise the config's depth cameras in an engine of our own."""
    config = configs.load(path)
    if directory_beats(config.engine.name):
        print(f"The engine {config.engine.name!r} runs; taking its pictures.", flush=True)
        with running(config.engine.name) as engine:
            yield engine
        return
    if not _with_depth(config):  # a camera may have depth that this config does not ask for
        able = [node.name for node in config.nodes if _gives_depth(node.node_class.outputs)]
        config = configs.load(path, [f"{name}.depth=true" for name in able])
    cameras = _with_depth(config)
    if not cameras:
        raise BadInput(f"{path} has no camera with depth. Give a config with camera.realsense, or --recording.")
    with _own(config, cameras) as engine:
        yield engine


def _with_depth(config: configs.Config) -> list[str]:
    return [node.name for node in config.nodes if not node.inputs and _gives_depth(node.outputs)]


def _gives_depth(ports: Mapping[str, Port]) -> bool:
    return any(isinstance(port, Depth) for port in ports.values())


@contextmanager
def recorded(path: Path) -> Iterator[Engine]:
    """A RealSense recording, played again and again."""
    if not path.is_file():
        raise BadInput(f"There is no recording {path}.")
    camera = {"type": "camera.realsense", "recording": str(path.resolve()), "loop": True}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recording.yaml"
        file.write_text(json.dumps({"nodes": {"camera": camera}}), encoding="utf-8")  # JSON is YAML
        config = configs.load(file)
    with _own(config, ["camera"]) as engine:
        yield engine


@contextmanager
def _own(config: configs.Config, cameras: list[str]) -> Iterator[Engine]:
    """An engine in this process, with nothing but these cameras of the config. Raises what fails in it."""
    quiet = config.engine.model_copy(update={"name": OWN_ENGINE, "mode": "live", "port": 0, "osc": False})
    own = configs.Config(
        quiet,
        tuple(node for node in config.nodes if node.name in cameras),
        tuple(
            configs.StreamSpec(stream.name, stream.node, stream.port, stream.capacity, stream.slots, False, ())
            for stream in config.streams
            if stream.node in cameras
        ),
        config.path,
    )
    with Supervisor(own, lambda line: print(line, flush=True)) as supervisor:

        def turn() -> None:
            if not supervisor.tick():
                raise supervisor.failure or SegmentError("The camera's engine has ended. Do this again.")

        try:
            yield Engine(supervisor.directory, turn)
        finally:
            supervisor.stop()
            while supervisor.tick():
                pass

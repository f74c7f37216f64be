"""camera.replay: what was recorded comes back as it was, live at its pace and offline at its own times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from engine_kit import until
from harness import make

from engine import config
from engine.errors import BadInput, ConfigError
from engine.frame import Flags
from engine.node import Depth, Image, Keypoints
from nodes.camera import replay
from nodes.camera.replay import Replay

pytest.importorskip("mcap", reason="recording frames needs the optional package mcap")
pytest.importorskip("lz4", reason="recording frames needs the optional package lz4")

from recording_kit import PERIOD, SECOND, assert_same, depth, keypoints, picture, read, write

from nodes.recording.message import unpack

ORIGINALS = {"image": picture, "depth": depth, "kp": keypoints}
KEPT = ("pixel_format", "row_order", "canvas", "ids", "lens", "flags")
ROOT = Path(__file__).parent.parent


@pytest.fixture
def take(tmp_path: Path) -> Path:
    """Twenty frames of three streams, in the order in which they were published; the keypoints lag by a period."""
    frames = [(name, make_one(seq)) for seq in range(1, 21) for name, make_one in ORIGINALS.items()]
    frames.sort(key=lambda one: one[1].publish_ns)
    return write(tmp_path / "take.mcap", frames, order=list(ORIGINALS))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The replay's clock: it goes on while the node sleeps, and `slow` more whenever it is read."""
    clock = SimpleNamespace(ns=1_000 * SECOND, slow=0)

    def now() -> int:
        clock.ns += clock.slow
        return clock.ns

    monkeypatch.setattr(replay, "now_ns", now)
    monkeypatch.setattr(replay.time, "sleep", lambda seconds: setattr(clock, "ns", clock.ns + round(seconds * 1e9)))
    return clock


def play(node: Any, steps: int = 100_000) -> Any:
    """Until it ends. `node.shown`: (stream, when, frame) in order."""
    node.shown = []
    for name, out in node.outs.items():
        out.frames = Heard(name, node)
    while steps and not node.ended:
        node.step()
        steps -= 1
    return node


class Heard(list):
    """The frames of one output; notes when each came."""

    def __init__(self, name: str, node: Any):
        super().__init__()
        self.name, self.node = name, node

    def append(self, frame: Any) -> None:
        super().append(frame)
        self.node.shown.append((self.name, replay.now_ns(), frame))


def test_the_recorded_streams_are_its_outputs(take: Path) -> None:
    found = Replay.outputs_of(Replay.Config(path=str(take)))
    assert list(found.items()) == [("image", Image(3)), ("depth", Depth()), ("kp", Keypoints(33))]


def test_offline_every_frame_comes_once_with_its_own_times(take: Path) -> None:
    node = play(make(Replay, offline=True, path=str(take), loop=True, speed=3))
    for name, make_one in ORIGINALS.items():
        found = node.outs[name].frames
        assert [frame.capture_ns for frame in found] == [make_one(seq).capture_ns for seq in range(1, 21)]
        for seq, frame in enumerate(found, 1):
            wanted = make_one(seq)
            assert frame.array.tobytes() == wanted.array.tobytes() and frame.dtype == wanted.dtype
            assert frame.capture_wall_ns == wanted.capture_wall_ns and not frame.sources
            assert all(getattr(frame, word) == getattr(wanted, word) for word in KEPT)
    captured = [frame.capture_ns for _, _, frame in node.shown]
    assert captured == sorted(captured)


def test_offline_a_full_stream_does_not_hold_up_the_others(take: Path) -> None:
    """The reader of `image` may be waiting for a depth."""
    node = make(Replay, offline=True, path=str(take))
    node.outs["image"].has_room = False
    play(node, steps=200)
    assert [len(node.outs[name].frames) for name in ORIGINALS] == [0, 20, 20] and not node.ended
    node.outs["image"].has_room = True
    assert len(play(node).outs["image"].frames) == 20


@pytest.mark.parametrize("speed", [1.0, 2.0, 0.5])
def test_live_frames_come_at_the_recorded_pace_on_one_clock(take: Path, clock: SimpleNamespace, speed: float) -> None:
    began = clock.ns
    node = play(make(Replay, path=str(take), speed=speed))
    first = picture(1).publish_ns
    for name, when, frame in node.shown:
        wanted = ORIGINALS[name](frame.seq)
        assert when == began + round((wanted.publish_ns - first) / speed)
        assert frame.capture_ns == began + round((wanted.capture_ns - first) / speed)
    order = sorted(range(60), key=lambda place: node.shown[place][1])
    assert order == [*range(60)] and len(node.shown) == 60
    for image, other in zip(node.outs["image"].frames, node.outs["depth"].frames, strict=True):
        assert image.capture_ns == other.capture_ns


def test_a_stall_moves_the_rest_and_parts_no_pair(take: Path, clock: SimpleNamespace) -> None:
    node = make(Replay, path=str(take))
    play(node, steps=0)
    while not node.shown or node.shown[-1][0] != "image" or len(node.shown) < 12:  # between a picture and its depth
        node.step()
    shown = node.shown
    clock.ns += 10 * SECOND
    play(node)
    frames = [*shown, *node.shown]
    images, depths = ([frame.capture_ns for name, _, frame in frames if name == one] for one in ("image", "depth"))
    assert images == depths and len(images) == 20
    gaps = [later - earlier for earlier, later in zip(images, images[1:], strict=False)]
    assert sum(gap > 2 * PERIOD for gap in gaps) == 1 and max(gaps) > 9 * SECOND


def test_live_it_plays_again_and_again(take: Path, clock: SimpleNamespace) -> None:
    node = play(make(Replay, path=str(take), loop=True), steps=400)
    images = node.outs["image"].frames
    assert len(images) > 40 and images[20].array.tobytes() == images[0].array.tobytes() and not node.ended
    assert 0 < images[20].capture_ns - images[19].capture_ns < 4 * PERIOD


def test_live_what_is_damaged_is_left_out_and_said(take: Path, clock: SimpleNamespace) -> None:
    content = bytearray(take.read_bytes())
    content[len(content) // 2] ^= 1
    take.write_bytes(content)
    node = play(make(Replay, path=str(take)))
    assert 30 < len(node.shown) < 60 and node.metrics["damaged"] >= 1
    assert "is not as it was written" in node.complaints[0] and len(node.complaints) == 1
    with pytest.raises(BadInput, match="is damaged"):
        play(make(Replay, offline=True, path=str(take)))


def test_a_part_is_played_without_reading_what_comes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for first in (1, 101):
        frames = [
            pair for seq in range(first, first + 100) for pair in (("image", picture(seq)), ("depth", depth(seq)))
        ]
        write(tmp_path / f"{first:03}.mcap", frames)
    node = make(Replay, offline=True, path=str(tmp_path), start=2.5, seconds=2)
    unpacked = []
    monkeypatch.setattr("nodes.recording.reader.unpack", lambda packed: unpacked.append(1) or unpack(packed))
    play(node)
    wanted = [seq for seq in range(1, 201) if 2.5 <= (picture(seq).capture_ns - picture(1).capture_ns) / SECOND < 4.5]
    for name in ("image", "depth"):
        assert [frame.capture_ns for frame in node.outs[name].frames] == [picture(seq).capture_ns for seq in wanted]
    assert len(wanted) == 60 and wanted[0] < 101 < wanted[-1] and len(unpacked) < 2 * 60 + 30
    with pytest.raises(BadInput, match=r"ends after 6\.6 s, which is before start: 7"):
        make(Replay, path=str(tmp_path), start=7.0)


def test_times_that_cannot_be_break_nothing(tmp_path: Path, clock: SimpleNamespace) -> None:
    far = (1 << 62) - 1
    times = [(0, 0), (far, 5), (5, far), (7, 7)]
    frames = [("image", picture(seq, capture_ns=a, publish_ns=b)) for seq, (a, b) in enumerate(times, 1)]
    node = play(make(Replay, path=str(write(tmp_path / "f.mcap", frames)), speed=0.01), steps=500)
    assert len(node.shown) >= 2 and not node.complaints


def test_flags_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "f.mcap", [("image", picture(1, flags=Flags.HELD | Flags.DEGRADED, row_order="BOTTOM_UP"))])
    (frame,) = play(make(Replay, offline=True, path=str(path))).outs["image"].frames
    assert frame.flags == Flags.HELD | Flags.DEGRADED and frame.row_order == "BOTTOM_UP"


@pytest.mark.parametrize("content, why", [(None, "There is no recording"), (b"no", "cannot be used as a recording")])
def test_a_file_that_cannot_be_played_is_refused_where_the_config_names_it(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    if content:
        (tmp_path / "f.mcap").write_bytes(content)
    (tmp_path / "c.yaml").write_text(f"nodes:\n  back: {{type: camera.replay, path: {tmp_path / 'f.mcap'}}}\n")
    with pytest.raises(ConfigError, match=rf"c\.yaml:2:3: .*{why}"):
        config.load(tmp_path / "c.yaml")


def test_streams_are_called_as_in_the_recorders_config(take: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        f"nodes:\n  back: {{type: camera.replay, path: {take}}}\n"
        f"  again: {{type: output.recorder, format: frames, inputs: {{a: back, b: back.image, c: back.depth}}}}\n"
    )
    loaded = config.load(tmp_path / "c.yaml")
    assert [stream.name for stream in loaded.streams] == ["back", "back.depth", "back.kp"]
    (tmp_path / "c.yaml").write_text(
        f"nodes:\n  back: {{type: camera.replay, path: {take}}}\n  out: {{type: filter.mirror, input: back.dept}}\n"
    )
    with pytest.raises(ConfigError, match="that node makes back, back.depth, back.kp"):
        config.load(tmp_path / "c.yaml")


RECORD = """\
  {source}
  take: {{type: output.recorder, format: frames, folder: {folder}, free_gb: 0.1, inputs: {{{inputs}}}}}
"""


def recorded(launch: Callable[..., Any], folder: Path, source: str, inputs: str, mode: str = "offline") -> Path:
    """Run an engine that records, to its end."""
    folder.mkdir()
    engine = launch(RECORD.format(source=source, folder=folder, inputs=inputs), mode)
    assert engine.wait(120) == 0, engine.output
    (path,) = folder.glob("*.mcap")
    return path


def test_a_recording_of_a_replay_is_the_recording(launch: Callable[..., Any], take: Path, tmp_path: Path) -> None:
    """Through an engine, offline: every bit and every time."""
    source = f"back: {{type: camera.replay, path: {take}}}"
    again = recorded(launch, tmp_path / "again", source, "image: back, depth: back.depth, kp: back.kp")
    for name in ORIGINALS:
        first, second = read(take, name), read(again, name)
        assert len(first) == len(second) == 20
        for one, other in zip(first, second, strict=True):
            other.publish_ns, other.stream = one.publish_ns, one.stream
            assert_same(other, one)


def test_poses_of_a_replay_are_the_poses_of_the_show(launch: Callable[..., Any], tmp_path: Path) -> None:
    """A show's problem can be studied at a desk: the same network finds the same points, to the bit."""
    if not (ROOT / "models").is_dir():
        pytest.skip("pose networks are fetched by run_engine.py --setup")
    excerpt = tmp_path / "visitor.avi"
    pictures(excerpt, 12)
    source = f"camera: {{type: camera.opencv, source: {excerpt}}}\n  pose: {{type: pose.blazepose, input: camera}}"
    show = recorded(launch, tmp_path / "show", source, "image: camera, pose: pose")
    source = f"back: {{type: camera.replay, path: {show}}}\n  pose: {{type: pose.blazepose, input: back}}"
    desk = recorded(launch, tmp_path / "desk", source, "pose: pose")
    then, now = read(show, "pose"), read(desk, "pose")
    assert len(then) == len(now) == 12 and any(len(frame.array) for frame in then)
    for one, other in zip(then, now, strict=True):
        assert one.array.tobytes() == other.array.tobytes() and one.ids == other.ids
        assert one.capture_ns == other.capture_ns and one.canvas == other.canvas


def pictures(path: Path, count: int) -> None:
    """The first pictures of the visitor, as a video without loss."""
    import cv2

    film, video = cv2.VideoCapture(str(ROOT / "assets" / "visitor.mp4")), None
    for _ in range(count):
        _, array = film.read()
        video = video or cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, array.shape[1::-1])
        video.write(array)
    assert video
    video.release()
    film.release()


def test_live_in_an_engine_it_takes_the_cameras_place(launch: Callable[..., Any], take: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    engine = launch(
        RECORD.format(
            source=f"back: {{type: camera.replay, path: {take}, loop: true}}",
            folder=folder, inputs="image: back, depth: back.depth",
        )
    )  # fmt: skip
    until(lambda: engine.node(0)["steps"] >= 80, 30, engine)
    assert engine.stop() == 0, engine.output
    (path,) = folder.glob("*.mcap")
    images, depths = {one.capture_ns: one for one in read(path, "image")}, read(path, "depth")
    paired = [images[one.capture_ns] for one in depths if one.capture_ns in images]
    assert len(paired) >= len(depths) - 2 > 20
    assert all(one.publish_ns - one.capture_ns < SECOND for one in paired)

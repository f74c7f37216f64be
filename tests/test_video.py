"""The video file: every frame once and in order, and no half file under the final name."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest
from harness import frame, make
from pydantic import ValidationError

from engine.errors import BadInput, EngineError
from nodes.output.video import Video

av = pytest.importorskip("av", reason="writing videos needs the optional package av")
BITS = 8


def numbered(number, height=48, width=128, channels=3):
    """A picture that says its number in eight blocks, black or white."""
    blocks = [255 * (number >> bit & 1) for bit in range(BITS)]
    row = np.repeat(np.array(blocks, np.uint8), width // BITS)
    return np.ascontiguousarray(np.broadcast_to(np.resize(row, width)[None, :, None], (height, width, channels)))


def number_of(picture):
    middle = picture[picture.shape[0] // 2, :, 0].reshape(BITS, -1).mean(axis=1)
    return sum(int(level > 128) << bit for bit, level in enumerate(middle))


def decoded(path):
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]


def video(path, offline=True, **settings):
    return make(Video, offline=offline, path=str(path), **settings)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_every_frame_once_and_in_order(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    node = video(path, crf=23)
    for seq in range(1, 101):
        node.step(frame(numbered(seq), seq))
        assert not path.exists()
    node.finish()
    node.close()
    assert [number_of(p) for p in decoded(path)] == list(range(1, 101))
    assert list(tmp_path.iterdir()) == [path]


def test_an_offline_run_that_was_stopped_leaves_nothing_and_keeps_what_was_there(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"an earlier video")
    node = video(path)
    for seq in range(1, 40):
        node.step(frame(numbered(seq), seq))
    node.close()
    assert path.read_bytes() == b"an earlier video" and list(tmp_path.iterdir()) == [path]


def test_a_live_run_is_complete_when_it_is_stopped(tmp_path):
    path = tmp_path / "out.mp4"
    node = video(path, offline=False)
    for seq in (3, 4, 9):  # a live reader may miss frames
        node.step(frame(numbered(seq), seq))
    node.close()
    assert [number_of(p) for p in decoded(path)] == [3, 4, 9]


def test_a_gap_in_an_offline_run_is_refused_for_good(tmp_path):
    path = tmp_path / "out.mp4"
    node = video(path)
    node.step(frame(numbered(1), 1))
    for seq in (3, 2):
        with pytest.raises(EngineError, match="Picture 2 is missing"):
            node.step(frame(numbered(seq), seq))
    node.finish()
    node.close()
    assert list(tmp_path.iterdir()) == []


def test_a_recorder_that_starts_in_the_middle_refuses(tmp_path):
    node = video(tmp_path / "out.mp4")
    with pytest.raises(EngineError, match="Picture 1 is missing"):
        node.step(frame(numbered(50), 50))


@pytest.mark.parametrize("pixel_format", ["RGB", "BGR", "RGBA", "BGRA"])
def test_colours(tmp_path, pixel_format):
    colour = {"R": 200, "G": 100, "B": 40, "A": 128}
    array = np.empty((48, 64, len(pixel_format)), np.uint8)
    array[:] = [colour[c] for c in pixel_format]
    node = video(tmp_path / "out.mp4", crf=0)
    node.step(frame(array, pixel_format=pixel_format))
    node.finish()
    (picture,) = decoded(tmp_path / "out.mp4")
    assert np.abs(picture.astype(int) - (200, 100, 40)).max() <= 3
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.colorspace == 1


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 1)])
def test_grey(tmp_path, shape):
    node = video(tmp_path / "out.mp4", crf=0)
    node.step(frame(np.full(shape, 90, np.uint8), pixel_format="GRAY"))
    node.finish()
    assert np.abs(decoded(tmp_path / "out.mp4")[0].astype(int) - 90).max() <= 3


def test_rows_stand_upright(tmp_path):
    array = np.zeros((48, 64, 3), np.uint8)
    array[:24] = 255
    node = video(tmp_path / "out.mp4")
    node.step(frame(array[::-1].copy(), row_order="BOTTOM_UP"))
    node.finish()
    (picture,) = decoded(tmp_path / "out.mp4")
    assert picture[:20].min() > 240 and picture[28:].max() < 15


def test_odd_sides_repeat_their_edge(tmp_path):
    node = video(tmp_path / "out.mp4", crf=0)
    node.step(frame(np.full((47, 63, 3), 180, np.uint8)))
    node.finish()
    (picture,) = decoded(tmp_path / "out.mp4")
    assert picture.shape == (48, 64, 3) and np.abs(picture.astype(int) - 180).max() <= 3


def test_another_size_on_the_way_is_scaled_to_the_first(tmp_path):
    node = video(tmp_path / "out.mp4")
    node.step(frame(numbered(1), 1))
    node.step(frame(numbered(2, 96, 256), 2))
    node.step(frame(numbered(3, 50, 64, 4), 3))
    node.finish()
    pictures = decoded(tmp_path / "out.mp4")
    assert [number_of(p) for p in pictures] == [1, 2, 3] and {p.shape for p in pictures} == {(48, 128, 3)}


def test_configured_size_and_rate(tmp_path):
    node = video(tmp_path / "out.mp4", size=(64, 32), fps=29.97)
    for seq in (1, 2, 3):
        node.step(frame(numbered(seq), seq))
    node.finish()
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (64, 32)
        assert stream.average_rate == Fraction(2997, 100)
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"


def test_mp4_has_its_index_first(tmp_path):
    node = video(tmp_path / "out.mp4")
    node.step(frame(numbered(1)))
    node.finish()
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_no_picture_no_file(tmp_path, caplog):
    node = video(tmp_path / "out.mp4")
    node.finish()
    node.close()
    assert list(tmp_path.iterdir()) == [] and "No picture came" in caplog.text


def test_target_is_a_folder(tmp_path):
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        video(tmp_path / "out.mp4")


def test_folder_is_missing(tmp_path):
    with pytest.raises(BadInput, match="Make the folder"):
        video(tmp_path / "none" / "out.mp4")


def test_package_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(BadInput, match="pip install av"):
        video(tmp_path / "out.mp4")


@pytest.mark.parametrize("wrong", [{"path": "out.xyz"}, {"size": (63, 48)}, {"size": (64, 4)}, {"fps": 0}, {"crf": 90}])
def test_config_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Video.Config(**{"path": "out.mp4", **wrong})


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on file sizes is POSIX")
def test_a_full_disk_is_a_sentence_and_leaves_no_final_file(tmp_path):
    import resource

    node = video(tmp_path / "out.mp4", crf=0)
    noise = np.random.default_rng(1).integers(0, 256, (10, 240, 320, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(EngineError, match="Cannot go on writing .*Free some space"):
            for seq in range(1, 200):
                node.step(frame(noise[seq % 10], seq))
        with pytest.raises(EngineError, match="Cannot go on writing"):
            node.step(frame(noise[0], 1))
        node.finish()
        node.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on file sizes is POSIX")
def test_a_disk_that_is_full_at_the_end_is_a_sentence(tmp_path):
    import resource

    node = video(tmp_path / "out.mp4")
    node.step(frame(numbered(1)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(EngineError, match="Cannot complete"):
            node.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    node.close()
    assert not (tmp_path / "out.mp4").exists()

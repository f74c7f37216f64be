"""The output that TouchDesigner reads: what it shows when, and that every byte of it is a picture."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from harness import frame, make
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.frame import Flags
from nodes.output import card, touchdesigner
from nodes.output.card import Card, report
from nodes.output.fit import fit_rgba
from nodes.output.screen_state import Timing, advance
from nodes.output.touchdesigner import TouchDesigner

MS = 1_000_000
TIMING = Timing(500 * MS, 3000 * MS, 400 * MS)
PICTURE = np.random.default_rng(1).integers(0, 256, (48, 64, 4), np.uint8)


class Clock:
    def __init__(self) -> None:
        self.ns = 10_000 * MS

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(touchdesigner, "now_ns", clock)
    return clock


def health(name="camera", phase="RUNNING", text="", restarts=0, beat_age_s=0.1):
    return SimpleNamespace(
        name=name, type="x", phase=phase, text=text, restarts=restarts, beat_age_s=beat_age_s
    )  # fmt: skip


def output(**settings):
    return make(TouchDesigner, **{"size": (64, 48), "row_order": "top_down", **settings})


# --- what is shown when ---


def test_state_follows_the_age_of_the_picture():
    ages = {0: "LIVE", 499: "LIVE", 500: "HOLD", 2999: "HOLD", 3000: "PLACEHOLDER", 10**6: "PLACEHOLDER"}
    assert {age: advance(None, age * MS, 0, TIMING).state for age in ages} == ages
    assert advance(None, 0, None, TIMING) == ("PLACEHOLDER", 1.0, 0)


def test_fade_is_monotone_and_complete_both_ways():
    screen, weights = advance(None, 0, 0, TIMING), []
    for ms in range(0, 4000, 16):
        screen = advance(screen, ms * MS, 0, TIMING)
        weights.append(screen.card)
    assert weights == sorted(weights) and weights[0] == 0 and weights[-1] == 1
    assert len([w for w in weights if 0 < w < 1]) == 400 // 16 - 1
    back = []
    for ms in range(4000, 5000, 16):
        screen = advance(screen, ms * MS, ms * MS, TIMING)
        back.append(screen.card)
    assert back == sorted(back, reverse=True) and back[-1] == 0 and back[0] > 0.9


def test_fade_that_is_turned_round_starts_from_where_it_was():
    half = advance(advance(None, 2999 * MS, 0, TIMING), 3199 * MS, 0, TIMING)
    assert half.card == 0.5
    assert advance(half, 3299 * MS, 3299 * MS, TIMING).card == 0.25


def test_no_fade_switches_at_once():
    timing = TIMING._replace(fade_ns=0)
    assert advance(advance(None, 0, 0, timing), 3000 * MS, 0, timing).card == 1


def test_live_then_held_then_placeholder_and_back(clock):
    node = output()
    image = frame(PICTURE, seq=1, capture_ns=123)
    seen = []
    for ms in range(0, 4000, 100):
        clock.ns = (10_000 + ms) * MS
        node.step(image)
        seen.append(node.frames[-1].flags)
    assert seen == [Flags(0)] * 5 + [Flags.HELD] * 25 + [Flags.PLACEHOLDER] * 10
    assert all((f.array == PICTURE).all() for f in node.frames[:30])
    assert not any((f.array == PICTURE).all() for f in node.frames[30:])
    node.step(frame(PICTURE, seq=2))
    clock.ns += 400 * MS
    node.step(frame(PICTURE, seq=3))
    assert node.frames[-1].flags == Flags(0) and (node.frames[-1].array == PICTURE).all()


def test_lineage_follows_the_picture_as_long_as_it_can_be_seen(clock):
    node = output()
    node.step(None)
    assert node.frames[-1].sources == () and node.frames[-1].flags == Flags.PLACEHOLDER
    image = frame(PICTURE, seq=7, capture_ns=123)
    clock.ns += 16 * MS
    node.step(image)
    assert node.frames[-1].sources == (image.source,) and node.frames[-1].capture_ns == 123
    clock.ns += 1000 * MS
    node.step(None)
    assert node.frames[-1].sources == (image.source,) and node.frames[-1].flags == Flags.HELD
    clock.ns += 5000 * MS
    node.step(image)
    assert node.frames[-1].sources == () and node.frames[-1].capture_ns != 123


def test_same_seq_of_a_new_writer_is_a_new_picture(clock):
    node = output()
    node.step(frame(PICTURE, seq=5, epoch=1))
    clock.ns += 1000 * MS
    node.step(frame(PICTURE[::-1].copy(), seq=5, epoch=2))
    assert node.frames[-1].flags == Flags(0) and (node.frames[-1].array == PICTURE[::-1]).all()


def test_picture_is_kept_when_the_readers_buffer_changes(clock):
    node = output()
    image = frame(PICTURE.copy())
    node.step(image)
    image.array[:] = 0
    node.step(image)
    assert (node.frames[-1].array == PICTURE).all()


def test_limits_can_change_while_it_runs(clock):
    node = output()
    node.step(frame(PICTURE))
    clock.ns += 1000 * MS
    node.config = node.config.model_copy(update={"hold_after": 2.0})
    node.configured()
    node.step(None)
    assert node.frames[-1].flags == Flags(0)


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 5), np.uint8), np.zeros((1, 33, 4))])
def test_what_is_no_picture_is_told_and_never_stops_the_output(clock, bad):
    node = output()
    node.step(frame(PICTURE, seq=1))
    for seq in range(2, 40):
        clock.ns += 16 * MS
        node.step(frame(bad, seq=seq))
    assert len(node.frames) == 39 and node.frames[-1].flags == Flags.HELD
    assert (node.frames[-1].array == PICTURE).all()
    assert "pictures: uint8" in node.complaints[0]
    node.step(frame(PICTURE, seq=40))
    assert node.complaints == [] and node.frames[-1].flags == Flags(0)


@pytest.mark.parametrize("wrong", [{"size": (8, 8)}, {"hold_after": 2, "placeholder_after": 1}, {"fps": 0}])
def test_config_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        TouchDesigner.Config(**wrong)


# --- pixels ---


@pytest.mark.parametrize("row_order", ["top_down", "bottom_up"])
@pytest.mark.parametrize("came", ["TOP_DOWN", "BOTTOM_UP"])
def test_rows_are_turned_exactly(row_order, came):
    node = output(row_order=row_order)
    node.step(frame(PICTURE, row_order=came, pixel_format="RGBA"))
    published = node.frames[-1]
    assert published.row_order == row_order.upper() and published.pixel_format == "RGBA"
    same = published.row_order == came
    assert (published.array == (PICTURE if same else PICTURE[::-1])).all()
    assert published.array.flags.c_contiguous


def test_card_stands_upright_in_both_row_orders(clock):
    shown = []
    for order in ("top_down", "bottom_up"):
        node = output(row_order=order, size=(256, 256))
        node.step(None)
        shown.append(node.frames[-1].array)
    assert (shown[0] == shown[1][::-1]).all() and not (shown[0] == shown[1]).all()


CHANNELS = {"RGB": [0, 1, 2], "BGR": [2, 1, 0], "RGBA": [0, 1, 2, 3], "BGRA": [2, 1, 0, 3]}


@pytest.mark.parametrize("pixel_format", CHANNELS)
@pytest.mark.parametrize("size", [(64, 48), (32, 24), (128, 96)])
def test_every_channel_order_and_size(pixel_format, size):
    colour = (200, 100, 50, 120)
    source = np.empty((size[1], size[0], len(CHANNELS[pixel_format])), np.uint8)
    source[:] = [colour[c] for c in CHANNELS[pixel_format]]
    out = np.full((48, 64, 4), 77, np.uint8)
    fit_rgba(frame(source, pixel_format=pixel_format), "contain", out)
    assert (out == (*colour[:3], 120 if "A" in pixel_format else 255)).all()


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 1), (24, 32), (24, 32, 1)])
def test_grey(shape):
    out = np.full((48, 64, 4), 77, np.uint8)
    fit_rgba(frame(np.full(shape, 9, np.uint8), pixel_format="GRAY"), "stretch", out)
    assert (out == (9, 9, 9, 255)).all()


@pytest.mark.parametrize(("channels", "bar"), [(3, (0, 0, 0, 255)), (4, (0, 0, 0, 0))])
def test_contain_keeps_proportions_between_bars(channels, bar):
    out = np.full((48, 64, 4), 77, np.uint8)
    fit_rgba(frame(np.full((10, 10, channels), 200, np.uint8)), "contain", out)
    assert (out[:, 8:56, :3] == 200).all()
    assert (out[:, :8] == bar).all() and (out[:, 56:] == bar).all()


def test_cover_cuts_what_hangs_over():
    source = np.zeros((40, 100, 3), np.uint8)
    source[:, 40:60] = 200  # the middle square is 40 wide
    out = np.full((40, 40, 4), 77, np.uint8)
    fit_rgba(frame(source), "cover", out)
    assert (out[:, 10:30, :3] == 200).all() and (out[:, :10, :3] == 0).all() and (out[:, 30:, :3] == 0).all()


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 90)] * 2),
    st.tuples(*[st.integers(16, 70)] * 2),
    st.sampled_from(["contain", "cover", "stretch"]),
    st.sampled_from([1, 3, 4]),
)
def test_every_byte_is_written_at_any_size(size, target, fit, channels):
    outs = []
    for garbage in (77, 178):
        outs.append(np.full((*target, 4), garbage, np.uint8))
        fit_rgba(frame(np.full((*size, channels), 255, np.uint8)), fit, outs[-1])
    assert (outs[0] == outs[1]).all()


def test_an_old_pictures_bars_do_not_stay(clock):
    node = output()
    node.step(frame(np.full((48, 64, 3), 200, np.uint8), seq=1))
    node.step(frame(np.full((48, 48, 3), 100, np.uint8), seq=2))
    assert (node.frames[-1].array[:, :8, :3] == 0).all()


# --- the card ---


def test_report_names_who_does_not_run():
    lines = report(
        [
            health("camera", "DEGRADED", "No camera answers.", restarts=3),
            health("pose", "RUNNING"),
            health("generator", "STARTING"),
            health("output", "STARTING"),
        ],
        "output",
        "image",
    )
    assert [(line.name, line.text) for line in lines] == [
        ("camera · restarts: 3", "No camera answers."),
        ("generator", "is starting"),
    ]


def test_report_names_a_node_that_fell_silent():
    (line,) = report([health("pose", "RUNNING", beat_age_s=7.4), health("output")], "output", "image")
    assert (line.name, line.text) == ("pose", "has given no sign for 7 s")


@pytest.mark.parametrize("nodes", [[], [health("pose"), health("output", "STARTING")]])
def test_report_names_the_input_when_all_nodes_run(nodes):
    (line,) = report(nodes, "output", "image")
    assert "image" in line.name and "no picture" in line.text.lower()


def test_report_says_what_the_output_itself_complains_of():
    (line,) = report([health("output", "DEGRADED", "The input is float32.")], "output", "image")
    assert line.text == "The input is float32."


def test_card_shows_what_the_health_says_and_then_something_else(clock):
    node = output(size=(256, 256))
    node.health = lambda: [health("camera", "DEGRADED", "No camera answers.")]
    node.step(None)
    before = node.frames[-1].array
    node.health = lambda: [health("camera", "DEGRADED", "It is on fire.")]
    clock.ns += 250 * MS
    node.step(None)
    rows = np.nonzero((before != node.frames[-1].array).any(axis=(1, 2)))[0]
    assert rows.max() > 110  # below the hairline, where the lines stand


def test_card_is_drawn_anew_only_when_its_text_changed(monkeypatch):
    board = Card((128, 128), "")
    lines = report([health("camera", "STARTING")], "output", "image")
    board.write(lines)
    monkeypatch.setattr(cv2, "putText", lambda *_: pytest.fail("drawn again"))
    board.write(list(lines))
    assert board.lines == lines


def test_card_moves():
    board = Card((128, 128), "")
    first = board.lit(0).copy()
    moments = [board.lit(ms * MS).copy() for ms in range(500, 4000, 500)]
    assert all((first != moment).any() for moment in moments)
    assert (board.lit(4000 * MS) == first).all()


@pytest.mark.parametrize(
    "size", [(16, 16), (64, 64), (128, 128), (512, 512), (1280, 720), (300, 1000), (1000, 40), (16, 600)]
)
def test_card_keeps_within_its_margins_and_is_opaque(size):
    nodes = [health(f"node{i} " + "long " * 30, "NONE", "W" * 500 + " word " * 50) for i in range(40)]
    board = Card(size, "a footer that is far too long for a small card " * 4)
    board.write(report(nodes, "output", "image"))
    pixels = board.lit(0)
    assert pixels.shape == (size[1], size[0], 4) and (pixels[..., 3] == 255).all()
    m = board.margin // 2  # letters such as W may reach a pixel past their box
    for edge in (pixels[:m], pixels[-m:], pixels[:, :m], pixels[:, -m:]):
        assert (edge[..., :3] == card.PAPER).all()


@settings(max_examples=80, deadline=None)
@given(st.text(st.characters(), max_size=60), st.text(st.characters(), max_size=120))
def test_card_survives_any_text(name, text):
    board = Card((160, 160), name)
    board.write(report([health(name, "DEGRADED", text)], "output", "image"))
    assert (board.lit(0)[..., 3] == 255).all()


@pytest.mark.parametrize(
    "text", ["\ud800", "a\x00b", "\u202eabc", "\x1b[31m", "\U0010ffff", "line\nline\ttab", "あ" * 500]
)
def test_text_is_made_printable(text):
    shown = card.printable(text)
    assert shown.isprintable() and shown and len(shown) <= 400


def test_wrapped_text_fits_and_loses_nothing_but_what_the_ellipsis_stands_for():
    text = "No camera answers at index 0. Plug one in, or set source to a video file. " * 3
    whole = card.wrap(text, 200, 14, 400, 99)
    assert " ".join(whole) == text.strip() and len(whole) > 3
    assert all(card.width(line, 14, 400) <= 200 for line in whole)
    cut = card.wrap(text, 200, 14, 400, 2)
    assert len(cut) == 2 and cut[0] == whole[0] and cut[1].endswith("…") and card.width(cut[1], 14, 400) <= 200

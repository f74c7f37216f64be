"""The numbered test picture: any damage to it is seen; and the node that publishes it."""

from __future__ import annotations

import numpy as np
import pytest
from harness import make
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.errors import BadInput
from nodes.camera import pattern
from nodes.camera.pattern import Pattern
from nodes.camera.testcard import draw, number_of

SIDES = st.integers(16, 90)


def card(number, width=96, height=54, channels=3):
    array = np.full((height, width, channels), 77, np.uint8)
    draw(array, number)
    return array


@given(number=st.integers(0, 2**64 - 1), width=SIDES, height=SIDES, channels=st.sampled_from([3, 4]))
@settings(max_examples=60, deadline=None)
def test_number_is_read_back_at_any_size(number, width, height, channels):
    assert number_of(card(number, width, height, channels)) == number


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_changed_byte_is_seen(data):
    array = card(data.draw(st.integers(0, 10**6)), data.draw(SIDES), data.draw(SIDES))
    flat = array.reshape(-1)
    flat[data.draw(st.integers(0, flat.size - 1))] ^= data.draw(st.integers(1, 255))
    assert number_of(array) is None


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_two_pictures_in_one_are_seen(data):
    number, width, height = data.draw(st.integers(0, 10**6)), data.draw(SIDES), data.draw(SIDES)
    old, new = card(number, width, height), card(number + data.draw(st.integers(1, 5)), width, height)
    cut = data.draw(st.integers(8, old.size - 16))  # a copy that another one overtook: the front is new, the rest old
    torn = np.concatenate([new.reshape(-1)[:cut], old.reshape(-1)[cut:]]).reshape(old.shape)
    assert number_of(torn) is None


def test_rows_in_the_wrong_place_are_seen():
    array = card(5)
    array[[10, 11]] = array[[11, 10]]
    assert number_of(array) is None
    assert number_of(card(5)[::-1]) is None


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((54, 96, 3), np.uint8),
        np.full((54, 96, 3), 255, np.uint8),
        np.full((54, 96, 3), 77, np.uint8),
        np.zeros((54, 96), np.uint8),
        np.zeros((54, 96, 3), np.float32),
        np.zeros((0, 96, 3), np.uint8),
        np.zeros((2, 2, 3), np.uint8),
    ],
)
def test_what_is_no_test_picture_has_no_number(array):
    assert number_of(array) is None


def test_picture_depends_on_number_and_size_only():
    assert np.array_equal(card(41), card(41))
    assert not np.array_equal(card(41)[:, 8:-8], card(42)[:, 8:-8])  # and a person sees the difference too


def test_digits_can_be_told_apart():
    fields = {card(int(str(digit) * 6), 480, 270)[90:210, 100:380, 0].tobytes() for digit in range(10)}
    assert len(fields) == 10


# --- the node ---


def test_numbers_follow_each_other_and_say_what_they_are():
    node = make(Pattern, size=(64, 48), fps=500, start=7)
    while len(node.frames) < 5:
        node.step()
    assert [number_of(frame.array) for frame in node.frames] == [7, 8, 9, 10, 11]
    assert {(frame.shape, frame.pixel_format) for frame in node.frames} == {((48, 64, 3), "BGR")}


def test_pictures_come_at_the_rate_asked_for(monkeypatch):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    node = make(Pattern, size=(64, 48), fps=0.5)
    node.step()
    node.step()  # the next picture is two seconds away: a step does not wait that long
    assert len(node.frames) == 1 and slept[-1] == pattern.LONGEST_WAIT_S


def test_offline_gives_exactly_so_many_and_ends():
    node = make(Pattern, size=(64, 48), fps=0.001, frames=40, offline=True)  # the rate holds nobody up
    while not node.ended:
        node.step()
    assert [number_of(frame.array) for frame in node.frames] == list(range(1, 41))


def test_offline_without_an_end_is_refused():
    with pytest.raises(BadInput, match="frames"):
        make(Pattern, offline=True)


@pytest.mark.parametrize("settings", [{"size": (15, 64)}, {"fps": 0}, {"start": -1}, {"frames": 0}])
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ValidationError):
        make(Pattern, **settings)

"""filter.mirror, the example of a node in one file."""

from __future__ import annotations

import harness
import numpy as np
import pytest

from engine.config import registry
from nodes.filter.mirror import Mirror


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("axis", "turned"), [("x", np.fliplr), ("y", np.flipud)])
def test_every_pixel_lands_on_the_other_side(channels, axis, turned):
    picture = np.random.default_rng(1).integers(0, 256, (5, 8, channels), np.uint8)
    node = harness.make(Mirror, axis=axis)
    node.step(harness.frame(picture, pixel_format="BGR", row_order="BOTTOM_UP"))
    (made,) = node.frames
    np.testing.assert_array_equal(made.array, turned(picture))
    assert (made.pixel_format, made.row_order) == ("BGR", "BOTTOM_UP")
    assert [source.seq for source in made.sources] == [1]


def test_a_config_finds_it():
    assert registry.find("filter.mirror") is Mirror

"""A picture of the stage that a clip shows a little darker is brought to the clip's levels; nothing else is touched."""

from __future__ import annotations

import numpy as np

from nodes.generator.footage.levels import levelled

rng = np.random.default_rng(1)
PLATE = rng.integers(40, 200, (48, 64, 3)).astype(np.uint8)
FREE = np.zeros((48, 64), bool)
FREE[:, :40] = True


def seen(gain: float = 0.98, offset: float = -2.0) -> np.ndarray:
    """The stage in the clip, with its noise; where it is not free, somebody."""
    shown = gain * PLATE + offset + rng.normal(0, 0.5, PLATE.shape)
    shown[~FREE] = 255
    return np.rint(shown).clip(0, 255).astype(np.uint8)


def test_a_plate_takes_the_levels_of_the_clip() -> None:
    new, changed = levelled(PLATE, seen(), FREE)
    assert np.abs(new - (0.98 * PLATE - 2)).max() <= 1
    assert 3 < changed < 6


def test_shadows_do_not_count() -> None:
    shown = seen()
    shown[30:, :40] //= 2
    new, _ = levelled(PLATE, shown, FREE)
    assert np.abs(new - (0.98 * PLATE - 2)).max() <= 2


def test_what_is_right_or_another_stage_or_hardly_seen_stays() -> None:
    few = np.zeros_like(FREE)
    few[:2, :20] = True
    for shown, free in ((seen(1, 0), FREE), (255 - PLATE, FREE), (seen(), few), (seen(0.7, 40), FREE)):
        new, changed = levelled(PLATE, shown, free)
        assert changed == 0 and np.array_equal(new, PLATE)

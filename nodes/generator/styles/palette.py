"""Colours of the body style: one palette per person, chosen by track id."""

from __future__ import annotations

from functools import cache

import numpy as np

from nodes.generator.styles.capsules import SHADES, TONES

# (trunk, left limbs, right limbs), RGB. Left is always the warmer side.
PALETTES = (
    ((126, 104, 255), (255, 92, 138), (38, 190, 255)),
    ((255, 176, 66), (255, 92, 76), (176, 222, 84)),
    ((46, 206, 180), (244, 206, 84), (58, 128, 255)),
    ((255, 112, 170), (255, 160, 76), (160, 112, 255)),
    ((226, 216, 204), (255, 140, 104), (104, 178, 255)),
    ((120, 214, 96), (255, 206, 70), (40, 200, 210)),
)
TRUNK_TONES = (0.6, 0.68)  # between these the colour is the trunk's, then it turns into the limb's
SHADOW = np.array((26, 16, 58), np.float32)

# How light becomes colour: shade -1..1 → share of the colour (the rest is SHADOW), then share of white.
_STOPS, _COLOUR_SHARE = (-0.8, -0.4, 0.15, 0.75, 1.0), (0.2, 0.34, 0.74, 1.0, 1.0)
_WHITE_STOPS, _WHITE_SHARE = (0.5, 0.85, 1.0), (0.0, 0.16, 0.42)


def ramps(track: int) -> dict[str, np.ndarray]:
    """For "left" and "right", (TONES, SHADES) uint32: packed opaque RGBA by place on the body and light."""
    return _ramps(track % len(PALETTES))


@cache
def _ramps(number: int) -> dict[str, np.ndarray]:
    trunk, left, right = (np.array(colour, np.float32) for colour in PALETTES[number])
    return {"left": _ramp(trunk, left), "right": _ramp(trunk, right)}


def _ramp(trunk: np.ndarray, limb: np.ndarray) -> np.ndarray:
    tone, shade = np.linspace(0, 1, TONES), np.linspace(-1, 1, SHADES)
    crown = trunk + 0.45 * (255 - trunk)
    stops = np.stack([crown, trunk, trunk, limb])
    base = np.stack([np.interp(tone, (0, *TRUNK_TONES, 1), stops[:, channel]) for channel in range(3)], -1)
    colour_share = np.interp(shade, _STOPS, _COLOUR_SHARE)[None, :, None]
    white_share = np.interp(shade, _WHITE_STOPS, _WHITE_SHARE)[None, :, None]
    colour = SHADOW + (base[:, None] - SHADOW) * colour_share
    colour += (255 - colour) * white_share
    rgba = np.concatenate([colour, np.full((TONES, SHADES, 1), 255)], -1)
    return np.ascontiguousarray(np.rint(rgba).astype(np.uint8)).view(np.uint32)[..., 0]

"""The SDK's post-processing of depths, in the order that it recommends, and their alignment to the picture."""

from __future__ import annotations

from typing import Any, NamedTuple


class FilterSettings(NamedTuple):
    """See `camera.realsense`. nearest, farthest: metres; 0: no limit."""

    decimate: int = 1
    spatial: bool = False
    temporal: bool = False
    holes: str = "keep"
    nearest: float = 0.0
    farthest: float = 0.0


HOLES = {"left": 0, "farthest": 1, "nearest": 2}  # as rs2::hole_filling_filter numbers them
NO_LIMIT = 65.535  # metres: what 16 bits of millimetres hold


class Filters:
    """Apply to one frameset after the other: the temporal filter remembers what was."""

    def __init__(self, rs: Any, settings: FilterSettings, infrared: bool):
        """infrared: the picture comes from the left infrared camera, whose pixels the depths have already."""
        self._rs = rs
        self._infrared = infrared
        self._align = rs.align(rs.stream.infrared if infrared else rs.stream.color)
        self.configure(settings)

    def configure(self, settings: FilterSettings) -> None:
        rs, blocks = self._rs, []
        if settings.decimate > 1:
            blocks.append(rs.decimation_filter(settings.decimate))
        if settings.spatial or settings.temporal:
            # Depth errors grow with the square of the distance, those of disparities do not.
            blocks.append(rs.disparity_transform(True))
            blocks += [rs.spatial_filter()] * settings.spatial + [rs.temporal_filter()] * settings.temporal
            blocks.append(rs.disparity_transform(False))
        if settings.holes in HOLES:
            blocks.append(rs.hole_filling_filter(HOLES[settings.holes]))
        if settings.nearest or settings.farthest:  # last: else holes would be filled with what was cut away
            blocks.append(rs.threshold_filter(settings.nearest, settings.farthest or NO_LIMIT))
        if not self._infrared or settings.decimate > 1:
            blocks.append(self._align)
        self._blocks = blocks

    def apply(self, frames: Any) -> Any:
        """The frameset with its depths filtered and in the picture's pixels. Raises RuntimeError, the SDK's."""
        for block in self._blocks:
            frames = block.process(frames).as_frameset()
        return frames

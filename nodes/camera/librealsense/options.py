"""Settings of the camera itself, by the SDK's names: exposure, gain, emitter_enabled, laser_power, visual_preset, …"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import BadInput


def set_options(rs: Any, device: Any, kind: Any, options: Mapping[str, float], name: str, key: str) -> None:
    """Set them on the sensor that gives the stream `kind`. Raises BadInput, a sentence about `key`, for what it does
    not know or refuses."""
    if not options:
        return
    sensors = [
        sensor
        for sensor in device.query_sensors()
        if any(profile.stream_type() == kind for profile in sensor.get_stream_profiles())
    ]
    if not sensors:
        raise BadInput(f"{name} has no sensor that `{key}` could be meant for. Leave it out.")
    for option, value in options.items():
        _set(rs, sensors[0], option, value, name, key)


def _set(rs: Any, sensor: Any, option: str, value: float, name: str, key: str) -> None:
    known = getattr(rs.option, option, None)
    if not isinstance(known, rs.option) or not sensor.supports(known):
        names = ", ".join(sorted(one.name for one in sensor.get_supported_options()))
        raise BadInput(f"{name} has no option {option!r}. Check `{key}`; there are: {names}.")
    try:
        sensor.set_option(known, value)
    except RuntimeError as error:
        span = sensor.get_option_range(known)
        raise BadInput(
            f"{name} refuses {option}: {value:g} ({error}). "
            f"It takes {span.min:g} to {span.max:g} in steps of {span.step:g}; check `{key}`."
        ) from None

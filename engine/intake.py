"""What a node's next step works on: the frames of its inputs, each by its policy."""

from __future__ import annotations

from typing import Any

from engine.clock import now_ns
from engine.frame import Frame
from engine.pairing import OfflinePartner, Partner
from engine.stream import StreamReader
from engine.wake import Doorbell

Frames = dict[str, Frame | None]


class Intake:
    """readers: by input. paired: the inputs whose frames go by the first input's time; see engine/pairing.py.

    gathers: hand out whatever is new, of any input, instead of waiting for the first one.
    """

    def __init__(
        self, readers: dict[str, StreamReader], paired: frozenset[str], gathers: bool, bell: Doorbell, offline: bool
    ):
        self._readers, self._gathers, self._bell, self._offline = readers, gathers, bell, offline
        partner = OfflinePartner if offline else Partner
        self._partners: dict[str, Any] = {port: partner(readers[port]) for port in readers if port in paired}
        self._newest: Frames = dict.fromkeys(readers)
        self._waits_ns = 0  # since when the first input's newest frame waits for its partners; 0: it does not

    @property
    def ended(self) -> bool:
        """Offline: has every stream ended, and was everything read?"""
        first, *_ = self._readers.values()
        if self._waits_ns:  # a frame was read, and nothing was made of it yet
            return False
        if first.ended:
            for partner in self._partners.values():
                partner.drain()
        return all(reader.ended for reader in self._readers.values())

    def next(self, longest_wait_s: float) -> Frames | None:
        """The frames of the next step; None when it is not time for one yet, after at most `longest_wait_s`."""
        frames = self._gathered() if self._gathers else self._led()
        if frames is None and not (self._offline and self.ended):
            self._bell.wait(min(longest_wait_s, 0.002) if self._waits_ns else longest_wait_s)
        return frames

    def now(self) -> Frames:
        """The newest frames, whether new or not."""
        for port in self._readers:
            self._read(port)
        return self._newest

    def _gathered(self) -> Frames | None:
        return {port: frame for port, reader in self._readers.items() if (frame := reader.read())} or None

    def _led(self) -> Frames | None:
        first, *others = self._readers
        if not self._waits_ns:
            if not self._read(first):
                return None
            self._waits_ns = now_ns()
        frame = self._newest[first]
        assert frame is not None
        waited_ns = now_ns() - self._waits_ns
        if not all(partner.ready(frame.capture_ns, waited_ns) for partner in self._partners.values()):
            return None
        self._waits_ns = 0
        for port in others:
            self._read(port)
        return self._newest

    def _read(self, port: str) -> bool:
        """Bring one input's newest frame up to date. Whether there was something new."""
        if port in self._partners:
            lead = next(iter(self._newest.values()))
            frame = self._newest[port] = self._partners[port].frame(lead.capture_ns) if lead else None
            return frame is not None
        frame = self._readers[port].read()
        if frame is not None:
            self._newest[port] = frame
        return frame is not None

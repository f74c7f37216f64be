"""The ways to hand a frame to another process that `bench/transports.py` compares, behind one interface.

A link is made in the parent process and travels to the children that write and read. All of them hold at most a
few frames and drop the rest, as a live picture must. Here are those through shared memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from bench.wakes import Wake
from engine import ring
from engine.node import Policy
from engine.ring_reader import RingReader
from engine.ring_writer import RingWriter
from engine.shm import Segment
from engine.wake import Doorbell

try:
    import iceoryx2 as iox2
except ImportError:  # an optional package, and one without a build for every system
    iox2 = None

SLOTS = 4
EPOCH = 1
Use = Callable[[np.ndarray], None]


class Writer(Protocol):
    def send(self, fill: Use) -> None:
        """Let `fill` write into a frame, a uint8 array of the link's shape, and hand it on. Drops it if it must."""

    def close(self) -> None: ...


class Reader(Protocol):
    def receive(self, use: Use, timeout_s: float) -> bool:
        """Wait for a frame and let `use` have a view of it. False if none came, or not a whole one."""

    def close(self) -> None: ...


class Link(Protocol):
    @contextmanager
    def opened(self) -> Iterator[None]:
        """In the parent: what must be there before the writer and the readers, and is removed after them."""

    def writer(self) -> Writer: ...

    def reader(self, index: int) -> Reader: ...


class RingLink:
    """Our ring. It wakes its readers as the engine does; with a `wake`, that one does it instead."""

    def __init__(self, name: str, shape: tuple[int, ...], readers: int, wake: Wake | None = None):
        self.name, self.shape, self.readers, self.wake = name, shape, readers, wake

    @contextmanager
    def opened(self) -> Iterator[None]:
        segment = ring.create(self.name, 1, capacity=int(np.prod(self.shape)), slots=SLOTS, readers=self.readers)
        segment.words[ring.WORD["granted_epoch"]] = EPOCH
        try:
            yield
        finally:
            segment.close()
            segment.unlink()
            if self.wake:
                self.wake.close()

    def writer(self) -> RingLinkWriter:
        return RingLinkWriter(self)

    def reader(self, index: int) -> RingLinkReader:
        return RingLinkReader(self, index)


class RingLinkWriter:
    def __init__(self, link: RingLink):
        self._ring, self._shape = RingWriter(Segment.attach(link.name), EPOCH), link.shape
        self._ringer = link.wake.ringer() if link.wake else None

    def send(self, fill: Use) -> None:
        with self._ring.begin(self._shape, pixel_format="RGBA") as slot:
            fill(slot.array)
        if self._ringer:
            self._ringer.ring()

    def close(self) -> None:
        self._ring.close()
        if self._ringer:
            self._ringer.close()


class RingLinkReader:
    def __init__(self, link: RingLink, index: int):
        self._bell = link.wake.bell(index) if link.wake else Doorbell()
        port = 0 if link.wake else self._bell.port
        self._ring = RingReader(Segment.attach(link.name), Policy.LATEST, index, port)

    def receive(self, use: Use, timeout_s: float) -> bool:
        frame = self._ring.peek()
        if frame is None:
            self._bell.wait(timeout_s)
            frame = self._ring.peek()
        if frame is None:
            return False
        use(frame.array)
        return self._ring.intact(frame)

    def close(self) -> None:
        self._ring.close()
        self._bell.close()


class IceoryxLink:
    """iceoryx2's Python binding: loan, write in place, send; an event service wakes the readers."""

    def __init__(self, name: str, shape: tuple[int, ...], readers: int):
        self.name, self.shape, self.readers = name, shape, readers

    @contextmanager
    def opened(self) -> Iterator[None]:
        yield

    def services(self) -> tuple[Any, Any, Any]:
        """Its node, which must be kept, and its two services."""
        iox2.set_log_level(iox2.LogLevel.Error)
        node = iox2.NodeBuilder.new().create(iox2.ServiceType.Ipc)
        service = iox2.ServiceName.new(self.name)
        frames = node.service_builder(service).publish_subscribe(iox2.Slice[ctypes.c_uint8])
        frames = frames.payload_alignment(iox2.Alignment.new(64)).subscriber_max_buffer_size(1)
        frames = frames.max_subscribers(self.readers).enable_safe_overflow(True)
        events = node.service_builder(service).event().max_listeners(self.readers)
        return node, frames.open_or_create(), events.open_or_create()

    def writer(self) -> IceoryxWriter:
        return IceoryxWriter(self)

    def reader(self, index: int) -> IceoryxReader:
        return IceoryxReader(self)


class IceoryxWriter:
    def __init__(self, link: IceoryxLink):
        self._shape, self._size = link.shape, int(np.prod(link.shape))
        self._node, frames, events = link.services()
        self._publisher = frames.publisher_builder().initial_max_slice_len(self._size).create()
        self._notifier = events.notifier_builder().create()

    def send(self, fill: Use) -> None:
        sample = self._publisher.loan_slice_uninit(self._size)
        fill(np.frombuffer(sample.payload().as_memory_view(), np.uint8).reshape(self._shape))
        sample.assume_init().send()
        self._notifier.notify()

    def close(self) -> None:
        self._publisher.delete()
        self._notifier.delete()


class IceoryxReader:
    def __init__(self, link: IceoryxLink):
        self._shape = link.shape
        self._node, frames, events = link.services()
        self._subscriber = frames.subscriber_builder().create()
        self._listener = events.listener_builder().create()

    def receive(self, use: Use, timeout_s: float) -> bool:
        sample = self._subscriber.receive()
        if sample is None:
            self._listener.timed_wait(iox2.Duration.from_millis(round(1000 * timeout_s)))
            sample = self._subscriber.receive()
        if sample is None:
            return False
        use(np.frombuffer(sample.payload().as_memory_view(), np.uint8).reshape(self._shape))
        return True

    def close(self) -> None:
        self._subscriber.delete()
        self._listener.delete()

"""A camera or stream that cannot be made to wait.

A thread grabs every picture as it comes, which is cheap, and so keeps the driver's and the network's queues empty: a
slow reader gets fewer pictures, never older ones. Only what a reader is waiting for is decoded, by the reader and
straight into its slot, while the thread stands still.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from engine.clock import now_ns
from engine.errors import BadInput, EngineError
from nodes.camera.backoff import OF_SOURCES_NS, Backoff
from nodes.camera.capture import Retriever, true_size
from nodes.camera.rate import Rate

LONGEST_JOIN_S = 0.5
STEADY_NS = 5_000_000_000  # a connection that has lasted this long was a good one


class Live:
    """opener: makes the capture; raises BadInput. silent_after: seconds without a picture that are worth a word.
    hung_after: seconds after which a call into OpenCV is taken to never return. rate: which pictures to take.

    trouble: a sentence while no pictures come. Unplugging, time-outs and lost connections are all mended in the
    same way: let go, wait (0.25 s, doubled, 1 s at most), open again.
    """

    ended = False

    def __init__(
        self,
        name: str,
        opener: Callable[[], cv2.VideoCapture],
        silent_after: float,
        hung_after: float,
        rate: Rate | None = None,
    ):
        self.name, self._opener, self._rate = name, opener, rate or Rate(name, None)
        self._silent_ns, self._hung_ns = round(silent_after * 1e9), round(hung_after * 1e9)
        self.trouble: str | None = None
        self._turn = threading.Condition()  # guards what follows; whose turn it is to use the capture
        self._wanted = False  # a reader waits for a picture
        self._held: GrabbedPicture | None = None  # given to the reader; the thread waits until it is taken back
        self._tried = self._stopping = self._reopening = False
        self._call_ns = now_ns()  # when the call into OpenCV began that the thread is in; 0: it is in none
        self._backoff = Backoff(OF_SOURCES_NS)
        self._thread = threading.Thread(target=self._run, name=f"grab {name}", daemon=True)
        self._thread.start()

    # --- the reader's side ---

    def first_trouble(self) -> str | None:
        """Wait for the outcome of the first try: None when pictures flow, else why not."""
        with self._turn:
            if not self._turn.wait_for(lambda: self._tried, self._hung_ns / 1e9):
                return f"{self.name} does not answer. Unplug it and plug it in again, or restart it."
        return self.trouble

    @contextmanager
    def picture(self, wait_s: float) -> Iterator[GrabbedPicture | None]:
        """The next picture to come; None if none comes within `wait_s`. Raises EngineError when the capture hangs."""
        with self._turn:
            self._wanted = True
            self._turn.wait_for(lambda: self._held, wait_s)
            self._wanted = False
            picture = self._held
        if picture is None:
            self._check_for_hanging()
        try:
            yield picture
        finally:
            with self._turn:
                self._held = None
                self._turn.notify_all()

    def _check_for_hanging(self) -> None:
        """A hanging call can neither be ended nor be left: a new process is the cure, after enough failed steps."""
        began_ns = self._call_ns
        silent_ns = now_ns() - began_ns if began_ns else 0
        if silent_ns > self._hung_ns:
            raise EngineError(
                f"{self.name} has not answered for {silent_ns / 1e9:.0f} s. Unplug it and plug it in again."
            )
        if silent_ns > self._silent_ns and not self.trouble:
            self.trouble = f"{self.name} has stopped giving pictures. Check its cable, power and network."

    def reopen(self) -> None:
        """Let go of the source and open it again."""
        self._reopening = True

    def close(self) -> None:
        with self._turn:
            self._stopping = True
            self._turn.notify_all()
        self._thread.join(LONGEST_JOIN_S)  # a hanging call is left behind; the process ends soon

    # --- the thread's side ---

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._one_connection()
            except BadInput as error:
                self._report(str(error))
            except cv2.error as error:
                self._report(f"OpenCV gave up on {self.name}: {error.err or error}. Unplug it and plug it in again.")
            except Exception as error:  # this thread must not end: nobody would open the source again
                traceback.print_exc()
                self._report(f"{self.name} cannot be used ({type(error).__name__}: {error}). It is tried again.")
            self._call_ns = 0
            with self._turn:
                self._turn.wait_for(lambda: self._stopping, self._backoff.next_ns() / 1e9)

    def _one_connection(self) -> None:
        self._call_ns = now_ns()
        capture = self._opener()
        opened_ns = now_ns()
        try:
            self._grab_until_lost(capture)
        finally:
            if self._reopening or now_ns() - opened_ns > STEADY_NS:
                self._backoff.reset()
            self._call_ns = now_ns()
            capture.release()

    def _grab_until_lost(self, capture: cv2.VideoCapture) -> None:
        retriever, size = Retriever(), None
        self._rate.begin(now_ns())
        self._reopening = False
        while not (self._stopping or self._reopening):
            self._call_ns = now_ns()
            grabbed = capture.grab()
            grabbed_ns = now_ns()
            size = size or (true_size(capture) if grabbed else None)
            if not grabbed or size is None:
                self._report(f"No pictures come from {self.name}. Check its cable, power and network.")
                return
            self._call_ns = 0
            self._report(None)
            if self._rate.take(grabbed_ns):
                self._hand_over(GrabbedPicture(capture, retriever, size, grabbed_ns))

    def _report(self, trouble: str | None) -> None:
        with self._turn:
            self.trouble, self._tried = trouble, True
            self._turn.notify_all()

    def _hand_over(self, picture: GrabbedPicture) -> None:
        """Let a waiting reader have the capture; if none waits, the next picture replaces this one."""
        with self._turn:
            if self._wanted:
                self._held = picture
                self._turn.notify_all()
                self._turn.wait_for(lambda: self._held is None)


class GrabbedPicture:
    """The picture that was grabbed last, at `capture_ns`. size: as it came, for sure only once it was read."""

    def __init__(self, capture: cv2.VideoCapture, retriever: Retriever, size: tuple[int, int], capture_ns: int):
        self._capture, self._retriever = capture, retriever
        self.size, self.capture_ns = size, capture_ns

    def read_into(self, array: np.ndarray) -> None:
        """Fill `array`, (H, W, 3) uint8 BGR, scaled and cut where its size is another."""
        if not self._retriever.into(self._capture, array):
            raise EngineError("A picture of the camera cannot be decoded; it is left out.")
        self.size = self._retriever.size

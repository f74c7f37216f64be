"""Keeps a connection going in a thread, so that no call into the SDK can hold up the node.

A camera is mended in one way only, whatever ails it: stop it, wait a while, find it, start it. After several fruitless
tries it is reset, too. A call that does not return can neither be ended nor be left (the SDK crashes or dead-locks), so
then the process ends; the supervisor starts a new one.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from engine.clock import now_ns
from engine.errors import BadInput, Unrecoverable
from nodes.camera.backoff import OF_SOURCES_NS, Backoff
from nodes.camera.librealsense.connection import Connection, Pair, StartFailed

START_S, STOP_S = 10.0, 3.0  # longer than that no call takes that will return
WAIT_S = 0.1
FRUITLESS = 3  # connections in a row without a single pair, until the camera is reset
LONGEST_JOIN_S = 1.5  # a recorder that completes its file takes a part of that

T = TypeVar("T")


class Feed:
    """connect: makes a connection; raises BadInput. reset: restarts the camera itself and says so; None: never.
    every: each pair is kept until it was taken; else the newest replaces the one before. mend: False: `next` raises
    what goes wrong, and that is the end.

    trouble: a sentence while no pictures come, or not as they should. mismatched: see Connection, of all of them.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        every: bool,
        reset: Callable[[], str] | None = None,
        mend: bool = True,
    ):
        self._connect, self._every, self._reset, self._mend = connect, every, reset, mend
        self.trouble: str | None = None
        self.mismatched = 0
        self._turn = threading.Condition()  # guards what follows
        self._pair: Pair | None = None
        self._broken = False  # and will not be mended
        self._tried = self._came = self._stopping = self._reopening = self._ended = False
        self._due_ns, self._doing = 0, ""  # until when the call that the thread is in must return; 0: it is in none
        self._fruitless = self._since_ns = 0
        self._backoff = Backoff(OF_SOURCES_NS)
        self._thread = threading.Thread(target=self._run, name="realsense", daemon=True)
        self._thread.start()

    # --- the reader's side ---

    def first_trouble(self) -> str | None:
        """Wait for the outcome of the first try: None when pictures come, else why not."""
        with self._turn:
            while not (self._tried or self._overdue()):
                self._turn.wait(WAIT_S)
        return self._overdue() or (None if self._came else self.trouble)

    def next(self, wait_s: float) -> Pair | None:
        """The next pair; None if there is none within `wait_s`. Raises Unrecoverable when the SDK hangs, and
        BadInput when it is broken for good."""
        with self._turn:
            self._turn.wait_for(lambda: self._pair or self._ended, wait_s)
            pair, self._pair = self._pair, None
            self._turn.notify_all()
        if pair is None and self._broken:
            raise BadInput(self.trouble or "")
        if pair is None and (why := self._overdue()):
            raise Unrecoverable(why)
        return pair

    @property
    def ended(self) -> bool:
        """Everything was given and taken."""
        return self._ended and self._pair is None

    def reopen(self) -> None:
        """Stop the camera and start it again."""
        self._reopening = True

    def close(self) -> None:
        with self._turn:
            self._stopping = True
            self._turn.notify_all()
        self._thread.join(LONGEST_JOIN_S)

    def _overdue(self) -> str:
        if not self._due_ns or now_ns() < self._due_ns:
            return ""
        return f"The RealSense SDK hangs while {self._doing}. Unplug the camera and plug it in again; trying anew."

    # --- the thread's side ---

    def _run(self) -> None:
        while not (self._stopping or self._ended or self._broken):
            try:
                self._one_connection()
            except BadInput as error:
                self._fruitless += isinstance(error, StartFailed)
                self._report(str(error))
            except RuntimeError as error:  # which is what the SDK raises
                self._fruitless += 1
                self._report(
                    f"The RealSense SDK gave up ({error}). Unplug the camera and plug it in again; trying anew."
                )
            except Exception as error:  # this thread must not end: nobody would start the camera again
                traceback.print_exc()
                self._fruitless += 1
                self._report(f"The RealSense camera cannot be used ({type(error).__name__}: {error}). Trying anew.")
            self._broken = not (self._mend or self._ended)
            if self._reset and self._fruitless >= FRUITLESS:
                self._fruitless = 0
                with suppress(RuntimeError, BadInput):  # it is gone, or none that can be reset
                    self._report(self._bounded(START_S, "it resets the camera", self._reset))
            self._due_ns = 0
            with self._turn:
                self._turn.wait_for(
                    lambda: self._stopping or self._ended or self._broken, self._backoff.next_ns() / 1e9
                )

    def _one_connection(self) -> None:
        connection = self._bounded(START_S, "it starts the camera", self._connect)
        before, self._since_ns = self.mismatched, now_ns()
        if connection.lasting:
            self._came = True
            self._report(None)
        self._fruitless += 1
        self._reopening = False
        try:
            while not (self._stopping or self._reopening) and self._take(connection):
                self.mismatched = before + connection.mismatched
        finally:
            self._bounded(STOP_S, "it stops the camera", connection.stop)

    def _take(self, connection: Connection) -> bool:
        """Take one pair. False: there is no more to be had of this connection."""
        pair = self._bounded(STOP_S, "it waits for pictures", lambda: connection.next(WAIT_S))
        if pair is not None:
            self._fruitless, self._came = 0, True
            self._backoff.reset()
            self._report(connection.remark or None)
            self._hand_over(pair)
            self._since_ns = now_ns()  # a reader may have taken its time
            return True
        if connection.ended:
            with self._turn:
                self._ended = self._tried = True
                self._turn.notify_all()
            return False
        silent_s = (now_ns() - self._since_ns) / 1e9
        why = self._bounded(START_S, "it looks for the camera", lambda: connection.silent(silent_s))
        if why:
            self._report(why)
        return connection.lasting or not why

    def _hand_over(self, pair: Pair) -> None:
        with self._turn:
            self._pair = pair
            self._turn.notify_all()
            if self._every:
                self._turn.wait_for(lambda: self._stopping or self._pair is None)

    def _bounded(self, seconds: float, doing: str, call: Callable[[], T]) -> T:
        self._doing, self._due_ns = doing, now_ns() + round(seconds * 1e9)
        try:
            return call()
        finally:
            self._due_ns = 0

    def _report(self, trouble: str | None) -> None:
        with self._turn:
            self.trouble, self._tried = trouble, True
            self._turn.notify_all()

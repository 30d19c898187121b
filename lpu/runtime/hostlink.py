"""The host's end of lpu.runtime.frames: frames with retries over any line of bytes, and host port commands in them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from lpu.runtime.frames import MAX_PAYLOAD, Decoder, Frame, Identity, Kind, encode
from lpu.runtime.machine import MachineError

#: A frame is sent this often at least, and for this many times the patience, before giving up.
TRIES = 5
#: Seconds to wait for an answer, and for a line that has gone to come back.
PATIENCE, RECONNECT = 1.0, 5.0

_REFUSALS = {
    Kind.OUT_OF_SEQUENCE: "the board was reset, or another host talks to it: connect and load again",
    Kind.NOT_LOADED: "the board holds no complete program and starts nothing: load one",
    Kind.MISMATCH: "the board got another program than was sent: load again",
    Kind.UNKNOWN: "the board does not know this request: host software and bitstream differ in version",
    Kind.STUCK: "the tile did not answer and was reset: load again",
}


class LineGone(MachineError):
    """The line is not there any more: unplugged, or its other end closed."""


class Line(Protocol):
    """Bytes both ways, some of which may get lost or change."""

    @property
    def name(self) -> str:
        """For messages: ``/dev/ttyUSB0``."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes. Raises LineGone."""
        ...

    def read(self, seconds: float) -> bytes:
        """Bytes that have come, waiting for the first of them so long; empty if none does. Raises LineGone."""
        ...

    def reopen(self) -> None:
        """Open the line anew. Raises LineGone."""
        ...

    def close(self) -> None:
        """Leave the line to others."""
        ...

    def duration(self, count: int) -> float:
        """Seconds that so many bytes take."""
        ...


class FrameLink:
    """Requests and their answers, each exactly once whatever the line does.

    Parameters
    ----------
    line : carries the bytes.
    patience : seconds without an answer after which a request is sent again. reconnect : seconds in which a line that has
        gone may come back.

    Attributes
    ----------
    requests, repeated, damaged : frames sent the first time, and again; stretches received that were no frames.
    """

    def __init__(self, line: Line, *, patience: float = PATIENCE, reconnect: float = RECONNECT):
        self.line = line
        self._patience, self._reconnect = patience, reconnect
        self._decoder = Decoder()
        # Anything but what the last session began with: an answer that is still under way must not be taken for ours.
        self._sequence = os.urandom(1)[0]
        self.requests = self.repeated = 0

    @property
    def damaged(self) -> int:
        """Stretches received that were no frames."""
        return self._decoder.damaged

    def hello(self) -> Identity:
        """Begin a session. Raises MachineError, one line, if no LPU board answers."""
        try:
            return Identity.decode(self._exchange(Kind.HELLO, (), f"connect to {self.line.name}").payload)
        except ValueError as error:
            raise MachineError(f"connect to {self.line.name}: {error}") from None

    def request(self, kind: Kind, payload: Sequence[int], what: str) -> tuple[int, ...]:
        """The payload of the answer to a request. Raises MachineError naming ``what`` was attempted."""
        answer = self._exchange(kind, tuple(payload), what)
        if answer.kind in (Kind.ANSWER, Kind.DONE):
            return answer.payload
        try:
            remedy = _REFUSALS[Kind(answer.kind)]
        except (KeyError, ValueError):
            remedy = f"the board answered with a frame of kind {answer.kind:#04x}, which this release does not know"
        raise MachineError(f"{what}: {remedy}")

    def _exchange(self, kind: Kind, payload: tuple[int, ...], what: str) -> Frame:
        self._sequence = (self._sequence + 1) & 0xFF
        self.requests += 1
        raw = encode(Frame(kind, self._sequence, payload))
        heard = self._decoder.bytes
        until, attempt = time.monotonic() + TRIES * self._patience, 0
        while attempt < TRIES or time.monotonic() < until:
            self.repeated += attempt > 0
            attempt += 1
            try:
                self.line.write(raw)
                answer = self._answer(self._patience + self.line.duration(len(raw) + 8 * MAX_PAYLOAD))
            except LineGone as gone:
                self._wait_for_line(what, gone)
                continue
            if answer is not None:
                return answer
        where = self.line.name
        if self._decoder.bytes == heard:
            raise MachineError(
                f"{what}: nothing answers on {where}: is the board powered, its bitstream loaded, the baud rate right?"
            )
        raise MachineError(
            f"{what}: {where} gave no whole frame in {attempt} tries: no LPU board, another baud rate, or a bad cable"
        )

    def _answer(self, seconds: float) -> Frame | None:
        """The answer to the current request; None if it has to be sent again."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            damaged = self._decoder.damaged
            for frame in self._decoder.feed(self.line.read(left)):
                if frame.kind == Kind.DAMAGED:
                    return None
                if frame.sequence == self._sequence:
                    return frame
            if self._decoder.damaged > damaged:
                return None
        return None

    def _wait_for_line(self, what: str, gone: LineGone) -> None:
        """Until the line is there again. Raises MachineError if it stays away."""
        self._decoder.forget()
        until = time.monotonic() + self._reconnect
        while True:
            try:
                return self.line.reopen()
            except LineGone:
                if time.monotonic() > until:
                    raise MachineError(f"{what}: {gone}: plug it in and load again") from None
                time.sleep(0.1)


class LinkTransport:
    """Host port words in frames; a transport for :class:`lpu.runtime.RtlMachine`: each command is one request.

    Parameters
    ----------
    link : a session that has begun.
    """

    #: Words of a command's arguments or of an answer's data, at most: header and start entry take two.
    max_words = MAX_PAYLOAD - 2

    def __init__(self, link: FrameLink):
        self._link = link
        self._answers: list[int] = []

    def send(self, words: np.ndarray[Any, Any]) -> None:
        """One whole command, and its answer. Raises MachineError."""
        if len(words) > MAX_PAYLOAD:
            raise MachineError(
                f"a command of {len(words)} words does not fit a frame of {MAX_PAYLOAD}: split it"
            )
        self._answers += self._link.request(
            Kind.COMMAND, words.tolist(), f"command to {self._link.line.name}"
        )

    def receive(self, count: int) -> np.ndarray[Any, Any]:
        """The next words of the answer. Raises MachineError if there are fewer."""
        if len(self._answers) < count:
            missing, self._answers = count - len(self._answers), []
            raise MachineError(f"the board's answer lacks {missing} words: connect again")
        words, self._answers = self._answers[:count], self._answers[count:]
        return np.array(words, np.uint32)

    def wait(self, cycles: int, *, until_idle: bool) -> None:
        """Nothing: a frame takes longer than a tile needs to settle, and whoever waits for an idle tile asks it."""

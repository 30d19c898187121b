"""A serial port as a line of the host link."""

from __future__ import annotations

import contextlib
import errno
import os

import serial

from lpu.runtime.hostlink import LineGone
from lpu.runtime.machine import MachineError

#: Bits a second, if nobody says otherwise: what a USB adapter and a board clock of any whole number of MHz can do.
BAUD = 1_000_000


class SerialLine:
    """A serial port: 8 data bits, no parity, one stop bit.

    Parameters
    ----------
    port : ``/dev/ttyUSB0``, ``COM3``, a pseudo-terminal. baud : bits a second. Raises MachineError, one line, if it cannot be
    opened.
    """

    def __init__(self, port: str, baud: int = BAUD):
        self.name, self._baud = port, baud
        self._serial: serial.Serial | None = None
        try:
            self.reopen()
        except LineGone as error:
            raise MachineError(
                f"{error}: name the board's serial port with --port, and be allowed to use it"
            ) from None

    def write(self, data: bytes) -> None:
        """Send bytes. Raises LineGone."""
        try:
            self._open().write(data)
        except (serial.SerialException, OSError) as error:
            raise self._gone() from error

    def read(self, seconds: float) -> bytes:
        """Bytes that have come; empty if none does in so many seconds. Raises LineGone."""
        line = self._open()
        try:
            line.timeout = seconds
            return line.read(max(1, line.in_waiting))
        except (serial.SerialException, OSError, TypeError) as error:
            raise self._gone() from error

    def reopen(self) -> None:
        """Open the port anew. Raises LineGone."""
        self.close()
        try:
            # Nobody else may mix words with ours; a write that takes this long goes nowhere.
            self._serial = serial.Serial(self.name, self._baud, exclusive=True, write_timeout=10)
            self._serial.reset_input_buffer()
        except (serial.SerialException, OSError, ValueError) as error:
            number = getattr(error, "errno", None)
            reason = os.strerror(number) if number else str(error)
            if number == errno.EAGAIN:
                reason = "another program uses it"
            raise LineGone(f"{self.name} cannot be opened: {reason}") from None

    def duration(self, count: int) -> float:
        """Seconds that so many bytes take."""
        return 10 * count / self._baud

    def close(self) -> None:
        """Close the port."""
        if self._serial is not None:
            with contextlib.suppress(serial.SerialException, OSError):
                self._serial.close()
            self._serial = None

    def _open(self) -> serial.Serial:
        if self._serial is None:
            raise self._gone()
        return self._serial

    def _gone(self) -> LineGone:
        self.close()
        return LineGone(f"{self.name} has gone")

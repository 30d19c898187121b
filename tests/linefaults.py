"""A line that loses, changes and doubles bytes, both ways, by a seed; and one that can be cut."""

import random

from lpu.runtime.hostlink import LineGone
from lpu.runtime.serial import SerialLine


class FaultyLine(SerialLine):
    """A serial port with faults: each byte is dropped, corrupted or doubled with these chances."""

    def __init__(self, port, *, seed=0, drop=0.0, corrupt=0.0, double=0.0):
        self._rng = random.Random(seed)
        self.chances = (drop, corrupt, double)
        self.faults = [0, 0, 0]
        #: Bytes that still go out before the line is cut; None for as many as one likes.
        self.left = None
        #: Requests that are sent twice, and answers that are lost, from now on.
        self.double_frames = self.lose_answers = 0
        super().__init__(port)

    def _spoil(self, data):
        out = bytearray()
        for byte in data:
            number = self._rng.random()
            fault = None
            for kind, chance in enumerate(self.chances):
                if number < chance and fault is None:
                    fault = kind
                number -= chance
            if fault is not None:
                self.faults[fault] += 1
            if fault != 0:
                out.append(byte ^ (1 << self._rng.randrange(8)) if fault == 1 else byte)
            if fault == 2:
                out.append(byte)
        return bytes(out)

    def write(self, data):
        if self.left is not None:
            head, self.left = data[: self.left], max(0, self.left - len(data))
            super().write(head)
            if len(head) < len(data):
                raise LineGone(f"{self.name} has gone")
            return
        if self.double_frames:
            self.double_frames -= 1
            data = data * 2
        super().write(self._spoil(data))

    def read(self, seconds):
        data = super().read(seconds)
        if self.lose_answers and data:
            # Up to the end of the frame, whatever pieces it comes in.
            while not data.endswith(b"\xc0") or len(data) < 2:
                data += super().read(seconds)
            self.lose_answers -= 1
            return b""
        return self._spoil(data)

    def reopen(self):
        if self.left is not None:
            raise LineGone(f"{self.name} cannot be opened: No such file or directory")
        super().reopen()

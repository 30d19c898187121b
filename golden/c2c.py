"""C2C: one end of a link. What is sent at one end is due at the other a constant number of cycles later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import numpy as np

from golden.fabric import READ, Fabric, Slice, Vector
from lpu.runtime.machine import ViolationKind
from lpu.timing import RECEIVE_RESULT, SAMPLE, link_cycles

Args = Mapping[str, int]
#: Takes (cycle of the SEND, the word) to the other end.
Carry = Callable[[int, Vector], None]


class C2c(Slice):
    """A link slice.

    Attributes
    ----------
    carry : where words go; None while no cable is plugged in. due : (cycle, word) of what was sent here, oldest first.
    """

    def __init__(self, fabric: Fabric, name: str):
        super().__init__(fabric, name)
        self.carry: Carry | None = None
        self.due: deque[tuple[int, Vector]] = deque()
        self._occupied = link_cycles(fabric.config)
        self.restart()

    def restart(self) -> None:
        """Cycle 0 of a run: nothing under way."""
        self._free = 0
        self.due.clear()

    def arrive(self, cycle: int, word: Vector) -> None:
        """A word that is due in ``cycle``, which is not past."""
        self.due.append((cycle, word))

    def send(self, t: int, a: Args) -> None:
        """SEND"""
        if t < self._free:
            self.violate(ViolationKind.OVERFLOW, t)
            return
        self._free = t + self._occupied
        self.fabric.at(t + SAMPLE, READ, self._send, t, a)

    def _send(self, t: int, a: Args) -> None:
        word = self.sample(a["src"], t + SAMPLE)
        if self.carry is not None:
            self.carry(t, word)

    def receive(self, t: int, a: Args) -> None:
        """RECEIVE"""
        self.settle(t)
        if self.due and self.due[0][0] <= t:
            self.inject(a["dst"], t + RECEIVE_RESULT, self.due.popleft()[1])
        else:
            self.violate(ViolationKind.UNDERFLOW, t)
            self.inject(a["dst"], t + RECEIVE_RESULT, np.zeros(self.fabric.lanes, np.uint32))

    def settle(self, now: int) -> None:
        """A word due while the one before it waits takes its place."""
        while len(self.due) > 1 and self.due[1][0] <= now:
            self.due.popleft()
            self.violate(ViolationKind.OVERFLOW, self.due[0][0])

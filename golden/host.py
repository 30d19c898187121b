"""HOST: index registers, lane masks, and the FIFOs to and from the host."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from golden.fabric import WRITE, Fabric, Mask, Slice, Vector
from lpu.runtime.machine import ViolationKind
from lpu.timing import INDEX_VISIBLE, SAMPLE, VPOP_RESULT

Args = Mapping[str, int]

#: Cycle after dispatch in which registers, masks and FIFOs are read and written.
_EFFECT = 1


def index_value(x: int, add: int, shift: int, bits: int) -> int:
    """INDEX: (((x + add) mod 2**16) >> shift) mod 2**bits."""
    return (((x + add) & 0xFFFF) >> shift) & ((1 << bits) - 1)


def tail_mask(lanes: int, count: int) -> Mask:
    """TAIL: lanes i < count; None if that is all."""
    return None if count >= lanes else np.arange(lanes) < count


class Host(Slice):
    """The host port slice.

    Attributes
    ----------
    x : index registers as operands of this slice see them. visible : as dispatches see them.
    tokens_in, tokens_out, vectors_in, vectors_out : the FIFOs.
    """

    def __init__(self, fabric: Fabric, name: str):
        super().__init__(fabric, name)
        self.x = [0] * fabric.config.index_registers
        self.visible = list(self.x)
        self.tokens_in: deque[int] = deque()
        self.tokens_out: deque[int] = deque()
        self.vectors_in: deque[Vector] = deque()
        self.vectors_out: deque[Vector] = deque()

    def restart(self) -> None:
        """Cycle 0 of a run."""

    def clear(self) -> None:
        """Index registers and masks but mask 0 to zero, FIFOs empty."""
        for fifo in (self.tokens_in, self.tokens_out, self.vectors_in, self.vectors_out):
            fifo.clear()
        self.x[:] = [0] * len(self.x)
        self.visible[:] = self.x
        self.fabric.masks[1:] = [np.zeros(self.fabric.lanes, np.bool_) for _ in self.fabric.masks[1:]]

    def _set(self, t: int, x: int, value: int) -> None:
        """In cycle t + 1: an index register written, to be seen by dispatches later."""
        self.x[x] = value
        self.fabric.at(t + INDEX_VISIBLE - 1, WRITE, self.visible.__setitem__, x, value)

    def config(self, t: int, a: Args) -> None:
        """CONFIG"""
        self.fabric.at(t + _EFFECT, WRITE, self._set, t, a["x"], a["value"])

    def index(self, t: int, a: Args) -> None:
        """INDEX"""
        self.fabric.at(t + _EFFECT, WRITE, self._index, t, a)

    def _index(self, t: int, a: Args) -> None:
        self._set(t, a["x"], index_value(self.x[a["src"]], a["add"], a["shift"], a["bits"]))

    def ldx(self, t: int, a: Args) -> None:
        """LDX"""
        self.fabric.at(t + _EFFECT, WRITE, self._ldx, t, a)

    def _ldx(self, t: int, a: Args) -> None:
        self._set(t, a["x"], int(self.sample(a["src"], t + SAMPLE)[0]) & 0xFFFF)

    def pop(self, t: int, a: Args) -> None:
        """POP"""
        self.fabric.at(t + _EFFECT, WRITE, self._pop, t, a)

    def _pop(self, t: int, a: Args) -> None:
        if not self.tokens_in:
            self.violate(ViolationKind.UNDERFLOW, self.fabric.now)
        self._set(t, a["x"], self.tokens_in.popleft() if self.tokens_in else 0)

    def push(self, t: int, a: Args) -> None:
        """PUSH"""
        self.fabric.at(t + _EFFECT, WRITE, self._push, a)

    def _push(self, a: Args) -> None:
        if len(self.tokens_out) >= self.fabric.config.token_fifo:
            self.violate(ViolationKind.OVERFLOW, self.fabric.now)
        else:
            self.tokens_out.append(self.x[a["src"]])

    def tail(self, t: int, a: Args) -> None:
        """TAIL"""
        self.fabric.at(t + _EFFECT, WRITE, self._tail, t, a)

    def _tail(self, t: int, a: Args) -> None:
        mask = tail_mask(self.fabric.lanes, self.x[a["src"]])
        self.fabric.at(t + INDEX_VISIBLE - 1, WRITE, self.fabric.masks.__setitem__, a["mask"], mask)

    def vpop(self, t: int, a: Args) -> None:
        """VPOP"""
        if not self.vectors_in:
            self.violate(ViolationKind.UNDERFLOW, t)
        value = self.vectors_in.popleft() if self.vectors_in else np.zeros(self.fabric.lanes, np.uint32)
        self.inject(a["dst"], t + VPOP_RESULT, value)

    def vpush(self, t: int, a: Args) -> None:
        """VPUSH"""
        self.fabric.at(t + _EFFECT, WRITE, self._vpush, t, a)

    def _vpush(self, t: int, a: Args) -> None:
        value = self.sample(a["src"], t + SAMPLE)
        if len(self.vectors_out) >= self.fabric.config.vector_fifo:
            self.violate(ViolationKind.OVERFLOW, self.fabric.now)
        else:
            self.vectors_out.append(value)

"""SXM: lane moves, lane maps, the transpose buffer, and reduction across lanes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.fabric import READ, WRITE, Fabric, Mask, Slice, Vector
from golden.numerics import order_key
from lpu.isa import Reduction
from lpu.timing import MOVE_RESULT, SAMPLE, reduce_result

Args = Mapping[str, int]

#: Bit of a lane map's byte that says: zero.
MAP_ZERO = 0x80


def rotate(value: Vector, n: int) -> Vector:
    """Lane i = lane (i + n) mod L."""
    return np.roll(value, -n)


def shift_down(value: Vector, n: int) -> Vector:
    """Lane i = lane i + n, else 0."""
    moved = np.zeros_like(value)
    moved[: len(value) - n] = value[n:]
    return moved


def shift_up(value: Vector, n: int) -> Vector:
    """Lane i = lane i - n, else 0."""
    moved = np.zeros_like(value)
    moved[n:] = value[: len(value) - n]
    return moved


def broadcast(value: Vector, n: int) -> Vector:
    """Every lane = lane n."""
    return np.full_like(value, value[n])


def permute(value: NDArray[np.uint8], lane_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lane i = lane map[i], or 0 where bit 7 of the map is set. The map's other high bits are ignored."""
    return np.where(lane_map & MAP_ZERO, 0, value[lane_map & (len(value) - 1)]).astype(np.uint8)


@dataclass(frozen=True)
class Running:
    """A running reduction: word, index of the maximum, vectors since ``clear``."""

    value: int = 0
    index: int = 0
    vectors: int = 0


#: What lanes outside the mask hold, as words.
_LOWEST = {
    Reduction.SUM: 0,
    Reduction.MAX: 0x80000000,
    Reduction.FMAX: 0xFFFFFFFF,
    Reduction.FABSMAX: 0,
    Reduction.ARGMAX: 0x80000000,
    Reduction.FARGMAX: 0xFFFFFFFF,
}


def reduce_vector(how: int, value: Vector, mask: Mask, running: Running, clear: bool) -> Running:
    """One vector into a running reduction."""
    how = Reduction(how)
    if mask is not None:
        value = np.where(mask, value, np.uint32(_LOWEST[how])).astype(np.uint32)
    seen = 0 if clear else running.vectors
    if how is Reduction.SUM:
        total = int(value.sum(dtype=np.uint64)) + (0 if clear else running.value)
        return Running(total & 0xFFFFFFFF, 0, seen + 1)
    if how is Reduction.FABSMAX:
        value = value & np.uint32(0x7FFFFFFF)
    keys: NDArray[Any] = (
        value.view(np.int32) if how in (Reduction.MAX, Reduction.ARGMAX) else order_key(value)
    )
    lane = int(keys.argmax())
    if not clear:
        held = np.array([running.value], np.uint32)
        key = held.view(np.int32) if keys.dtype == np.int32 else order_key(held)
        if keys[lane] <= key[0]:
            return Running(running.value, running.index, seen + 1)
    return Running(int(value[lane]), seen * len(value) + lane, seen + 1)


def reduced(how: int, running: Running) -> int:
    """The word that ``emit`` puts in every lane."""
    return running.index if how in (Reduction.ARGMAX, Reduction.FARGMAX) else running.value


class Sxm(Slice):
    """An SXM slice.

    Attributes
    ----------
    maps : uint8 [permute_maps, lanes]. transpose : uint8 [lanes rows, lanes columns].
    running : the reducer's accumulators.
    """

    def __init__(self, fabric: Fabric, name: str):
        super().__init__(fabric, name)
        lanes = fabric.lanes
        self.maps = np.zeros((fabric.config.permute_maps, lanes), np.uint8)
        self.transpose = np.zeros((lanes, lanes), np.uint8)
        self.running = [Running() for _ in range(fabric.config.reduce_accumulators)]
        self._reduced = reduce_result(fabric.config)

    def restart(self) -> None:
        """Cycle 0 of a run."""

    def _move(self, t: int, a: Args, move: Callable[[Vector, int], Vector]) -> None:
        self.fabric.at(t + SAMPLE, READ, self._moved, t, a, move)

    def _moved(self, t: int, a: Args, move: Callable[[Vector, int], Vector]) -> None:
        self.inject(a["dst"], t + MOVE_RESULT, move(self.sample(a["src"], t + SAMPLE), a["n"]))

    def rotate(self, t: int, a: Args) -> None:
        """ROTATE"""
        self._move(t, a, rotate)

    def shiftd(self, t: int, a: Args) -> None:
        """SHIFTD"""
        self._move(t, a, shift_down)

    def shiftu(self, t: int, a: Args) -> None:
        """SHIFTU"""
        self._move(t, a, shift_up)

    def broadcast(self, t: int, a: Args) -> None:
        """BROADCAST"""
        self._move(t, a, broadcast)

    def permute(self, t: int, a: Args) -> None:
        """PERMUTE"""
        self.fabric.at(t + SAMPLE, READ, self._permute, t, a)

    def _permute(self, t: int, a: Args) -> None:
        value = permute(self.sample_byte(a["src"], t + SAMPLE), self.maps[a["map"]])
        self.inject_byte(a["dst"], t + MOVE_RESULT, value)

    def ldmap(self, t: int, a: Args) -> None:
        """LDMAP"""
        self.fabric.at(t + SAMPLE + 1, WRITE, self._load, t, a, self.maps[a["map"]])

    def tload(self, t: int, a: Args) -> None:
        """TLOAD"""
        self.fabric.at(t + SAMPLE + 1, WRITE, self._load, t, a, self.transpose[a["n"]])

    def _load(self, t: int, a: Args, row: NDArray[np.uint8]) -> None:
        row[:] = self.sample_byte(a["src"], t + SAMPLE)

    def tread(self, t: int, a: Args) -> None:
        """TREAD"""
        self.fabric.at(t + MOVE_RESULT - 1, READ, self._tread, t, a)

    def _tread(self, t: int, a: Args) -> None:
        self.inject_byte(a["dst"], t + MOVE_RESULT, self.transpose[:, a["n"]])

    def reduce(self, t: int, a: Args) -> None:
        """REDUCE"""
        self.fabric.at(t + self._reduced - 1, WRITE, self._reduce, t, a, self.fabric.masks[a["mask"]])

    def _reduce(self, t: int, a: Args, mask: Mask) -> None:
        value = self.sample(a["src"], t + SAMPLE)
        running = reduce_vector(a["how"], value, mask, self.running[a["acc"]], bool(a["clear"]))
        self.running[a["acc"]] = running
        if a["emit"]:
            word = np.full(self.fabric.lanes, reduced(a["how"], running), np.uint32)
            self.inject(a["dst"], t + self._reduced, word)

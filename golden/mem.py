"""MEM: words of lanes x 32 bits behind one read and one write port."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from golden.fabric import READ, WRITE, Fabric, Mask, Slice, Vector
from lpu.runtime.machine import ViolationKind
from lpu.timing import GATHER_LATE, READ_RESULT, SAMPLE, WRITE_VISIBLE

Args = Mapping[str, int]
Addresses = NDArray[np.int64]


def plane(word: Vector, byte: int) -> NDArray[np.uint8]:
    """READB: one byte of every lane."""
    return (word >> np.uint32(8 * byte)).astype(np.uint8)


def merge(old: Vector, new: Vector, mask: Mask) -> Vector:
    """WRITE: the lanes of ``mask`` from ``new``, the others from ``old``."""
    return new if mask is None else np.where(mask, new, old)


def merge_plane(old: Vector, new: NDArray[np.uint8], byte: int, mask: Mask) -> Vector:
    """WRITEB: one byte of the masked lanes replaced."""
    shift = np.uint32(8 * byte)
    word = (old & ~(np.uint32(0xFF) << shift)) | (new.astype(np.uint32) << shift)
    return merge(old, word, mask)


def lane_addresses(base: int, offsets: Vector, depth: int) -> Addresses:
    """GATHER and SCATTER: (base + offset) mod depth of each lane."""
    return (base + offsets.astype(np.int64)) % depth


def gather(memory: NDArray[np.uint32], addresses: Addresses) -> Vector:
    """Lane i of word addresses[i]."""
    return memory[addresses, np.arange(memory.shape[1])]


def scatter(memory: NDArray[np.uint32], addresses: Addresses, value: Vector, mask: Mask) -> None:
    """Lane i into word addresses[i], in place."""
    lanes = np.arange(memory.shape[1]) if mask is None else np.flatnonzero(mask)
    memory[addresses[lanes], lanes] = value[lanes]


class Mem(Slice):
    """A MEM slice.

    Attributes
    ----------
    memory : uint32 [depth, lanes].
    """

    def __init__(self, fabric: Fabric, name: str):
        super().__init__(fabric, name)
        self.depth = fabric.config.spec(name).depth
        self.memory = np.zeros((self.depth, fabric.lanes), np.uint32)
        self._read_cycle = -1
        self._read_at: int | Addresses = 0

    def restart(self) -> None:
        """Cycle 0 of a run."""
        self._read_cycle = -1

    def _reads(self, at: int | Addresses) -> None:
        """Note the address read in this cycle, one for all lanes or one each."""
        if self._read_cycle == self.fabric.now:
            self.violate(ViolationKind.PORT, self.fabric.now)
        self._read_cycle, self._read_at = self.fabric.now, at

    def _writes(self, at: int | Addresses, mask: Mask) -> None:
        """A write at the end of this cycle must not meet a read of the same lane and address."""
        if self._read_cycle == self.fabric.now:
            same = np.broadcast_to(np.equal(self._read_at, at), self.fabric.lanes)
            if (same if mask is None else same & mask).any():
                self.violate(ViolationKind.COLLISION, self.fabric.now)

    def read(self, t: int, a: Args) -> None:
        """READ"""
        self._reads(a["addr"])
        self.inject(a["dst"], t + READ_RESULT, self.memory[a["addr"]].copy())

    def readb(self, t: int, a: Args) -> None:
        """READB"""
        self._reads(a["addr"] >> 2)
        self.inject_byte(a["dst"], t + READ_RESULT, plane(self.memory[a["addr"] >> 2], a["addr"] & 3))

    def gather(self, t: int, a: Args) -> None:
        """GATHER"""
        self.fabric.at(t + GATHER_LATE, READ, self._gather, t, a)

    def _gather(self, t: int, a: Args) -> None:
        at = lane_addresses(a["addr"], self.sample(a["src"], t + SAMPLE), self.depth)
        self._reads(at)
        self.inject(a["dst"], t + READ_RESULT + GATHER_LATE, gather(self.memory, at))

    def write(self, t: int, a: Args) -> None:
        """WRITE"""
        self.fabric.at(t + WRITE_VISIBLE - 1, WRITE, self._write, t, a, self.fabric.masks[a["mask"]])

    def _write(self, t: int, a: Args, mask: Mask) -> None:
        at = a["addr"]
        self._writes(at, mask)
        self.memory[at] = merge(self.memory[at], self.sample(a["src"], t + SAMPLE), mask)

    def writeb(self, t: int, a: Args) -> None:
        """WRITEB"""
        self.fabric.at(t + WRITE_VISIBLE - 1, WRITE, self._writeb, t, a, self.fabric.masks[a["mask"]])

    def _writeb(self, t: int, a: Args, mask: Mask) -> None:
        at, byte = a["addr"] >> 2, a["addr"] & 3
        self._writes(at, mask)
        value = self.sample_byte(a["src"], t + SAMPLE)
        self.memory[at] = merge_plane(self.memory[at], value, byte, mask)

    def scatter(self, t: int, a: Args) -> None:
        """SCATTER"""
        self.fabric.at(t + WRITE_VISIBLE - 1, WRITE, self._scatter, t, a, self.fabric.masks[a["mask"]])

    def _scatter(self, t: int, a: Args, mask: Mask) -> None:
        at = lane_addresses(a["addr"], self.sample(a["at"], t + SAMPLE), self.depth)
        self._writes(at, mask)
        scatter(self.memory, at, self.sample(a["src"], t + SAMPLE), mask)

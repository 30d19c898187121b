"""MXM: weight-resident array of int8 multipliers with int32 accumulators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.fabric import WRITE, Fabric, Mask, Slice
from lpu.runtime.machine import ViolationKind
from lpu.timing import ACTIVATION_VISIBLE, DRAIN_RESULT, SAMPLE, WEIGHTS_VISIBLE, pass_visible

Args = Mapping[str, int]


def product(activation: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.int32]:
    """activation [L] x weights [L rows, L columns] as int32 [L].

    Sums of 64 products of int8 need 22 bits and are exact in float32, which BLAS multiplies.
    """
    return np.dot(activation.astype(np.float32), weights.astype(np.float32, copy=False)).astype(np.int32)


def accumulate(accumulator: NDArray[np.int32], value: NDArray[np.int32], clear: bool) -> NDArray[np.int32]:
    """PASS on its accumulator, modulo 2**32."""
    return value if clear else accumulator + value


class Mxm(Slice):
    """An MXM slice.

    Attributes
    ----------
    weights : float32 [contexts, lanes rows, lanes columns], integers from -128 to 127.
    activations : float32 [activations, lanes], likewise. accumulators : int32 [accumulators, lanes].
    passes : PASS dispatched in this run.
    """

    def __init__(self, fabric: Fabric, name: str):
        super().__init__(fabric, name)
        config, lanes = fabric.config, fabric.lanes
        self.weights = np.zeros((config.contexts, lanes, lanes), np.float32)
        self.activations = np.zeros((config.activations, lanes), np.float32)
        self.accumulators = np.zeros((config.accumulators, lanes), np.int32)
        self._passed = pass_visible(config) - 1
        self.restart()

    def restart(self) -> None:
        """Cycle 0 of a run."""
        self.passes = 0
        self._pass_cycle, self._pass_context = -1, 0

    def la(self, t: int, a: Args) -> None:
        """LA"""
        self.fabric.at(t + ACTIVATION_VISIBLE - 1, WRITE, self._la, t, a, self.fabric.masks[a["mask"]])

    def _la(self, t: int, a: Args, mask: Mask) -> None:
        _merge(self.activations[a["act"]], self.sample_byte(a["src"], t + SAMPLE).view(np.int8), mask)

    def lwr(self, t: int, a: Args) -> None:
        """LWR"""
        line = self.weights[a["ctx"], a["line"]]
        self.fabric.at(t + WEIGHTS_VISIBLE - 1, WRITE, self._lw, t, a, line, self.fabric.masks[a["mask"]])

    def lwc(self, t: int, a: Args) -> None:
        """LWC"""
        line = self.weights[a["ctx"], :, a["line"]]
        self.fabric.at(t + WEIGHTS_VISIBLE - 1, WRITE, self._lw, t, a, line, self.fabric.masks[a["mask"]])

    def _lw(self, t: int, a: Args, line: NDArray[np.float32], mask: Mask) -> None:
        if (self._pass_cycle, self._pass_context) == (self.fabric.now, a["ctx"]):
            self.violate(ViolationKind.COLLISION, self.fabric.now)
        _merge(line, self.sample_byte(a["src"], t + SAMPLE).view(np.int8), mask)

    def pass_(self, t: int, a: Args) -> None:
        """PASS"""
        self.passes += 1
        self._pass_cycle, self._pass_context = t, a["ctx"]
        value = product(self.activations[a["act"]], self.weights[a["ctx"]])
        self.fabric.at(t + self._passed, WRITE, self._accumulate, a["acc"], value, a["clear"])

    def _accumulate(self, acc: int, value: NDArray[np.int32], clear: int) -> None:
        self.accumulators[acc] = accumulate(self.accumulators[acc], value, bool(clear))

    def drain(self, t: int, a: Args) -> None:
        """DRAIN"""
        self.inject(a["dst"], t + DRAIN_RESULT, self.accumulators[a["acc"]].astype(np.uint32))


def _merge(line: NDArray[np.float32], value: NDArray[np.int8], mask: Mask) -> None:
    """Replace the masked lanes of a line in place."""
    if mask is None:
        line[:] = value
    else:
        line[mask] = value[mask]

"""VXM: the vector chain convert, multiply, add, special function, multiply, quantise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.fabric import READ, WRITE, Fabric, Mask, Slice, Vector
from golden.numerics import add, canonical, from_int32, multiply, one, quantise
from golden.special import special
from lpu.arch import FloatFormat
from lpu.isa import Accumulate, Destination, Operand, Quantise, Source, Special, chain_result_is_byte
from lpu.runtime.machine import ViolationKind
from lpu.timing import ChainTiming
from lpu.timing import chain as chain_timing

Args = Mapping[str, int]


def front(fmt: FloatFormat, args: Args, a: ArrayLike, b: ArrayLike, c: ArrayLike) -> Vector:
    """Convert, MUL1 and ADD: the word that ``tap`` takes. ``a``: int32, int8 or words, as ``args`` says."""
    integer = args["a"] in (Source.INT32, Source.INT8, Source.ACC)
    x = from_int32(fmt, a) if integer else canonical(fmt, a)
    if args["b"] != Operand.NONE:
        x = multiply(fmt, x, b)
    if args["c"] != Operand.NONE:
        x = add(fmt, x, one(fmt) if args["c"] == Operand.SELF else c, args["add"])
    return x


def back(fmt: FloatFormat, args: Args, x: Vector, d: ArrayLike) -> NDArray[Any]:
    """Special function, MUL2 and quantise of the tapped value: float words, or int32 if ``q`` is set."""
    y = x if args["f"] == Special.NONE else special(fmt, args["f"], x)
    if args["d"] != Operand.NONE:
        y = multiply(fmt, y, x if args["d"] == Operand.SELF else d)
    return y if args["q"] == Quantise.NONE else quantise(fmt, y, args["shift"], args["q"])


class _Chain:
    """One CHAIN on its way: operands as they come in."""

    __slots__ = ("a", "args", "b", "c", "d", "mask", "t", "timing", "x")

    def __init__(self, t: int, args: Args, timing: ChainTiming, mask: Mask):
        self.t, self.args, self.timing, self.mask = t, args, timing, mask
        self.a: Any = 0
        self.b: Any = 0
        self.c: Any = 0
        self.d: Any = 0
        self.x: Vector | None = None


class Vxm(Slice):
    """A VXM slice.

    Beat j of a vector goes through every stage j cycles after beat 0, and so do its reads and writes: what
    order two chains have on one register is the same for all beats, and one event a vector is exact.

    Attributes
    ----------
    registers : uint32 float words [vxm_registers, lanes]. accumulators : int32 [vxm_accumulators, lanes].
    """

    def __init__(self, fabric: Fabric, name: str):
        super().__init__(fabric, name)
        config = fabric.config
        self.registers = np.zeros((config.vxm_registers, fabric.lanes), np.uint32)
        self.accumulators = np.zeros((config.vxm_accumulators, fabric.lanes), np.int32)
        self._format, self._beats = config.float_format, config.beats
        self._timings: dict[tuple[int, ...], ChainTiming] = {}
        self.restart()

    def restart(self) -> None:
        """Cycle 0 of a run."""
        # Unit -> its users' first cycles, by cycle // beats.
        self._busy: dict[str, dict[int, list[int]]] = {}

    def _timing(self, a: Args) -> ChainTiming:
        key = (a["a"], a["c"], a["f"], a["d"], a["q"], a["tap"])
        found = self._timings.get(key)
        if found is None:
            found = self._timings[key] = chain_timing(a, self.fabric.config)
        return found

    def _occupy(self, unit: str, start: int) -> None:
        """A unit taken for ``beats`` cycles from ``start``."""
        busy = self._busy.setdefault(unit, {})
        if len(busy) > 256:
            oldest = (self.fabric.now - 8 * self._beats) // self._beats
            for block in [block for block in busy if block < oldest]:
                del busy[block]
        block = start // self._beats
        for near in (block - 1, block, block + 1):
            for other in busy.get(near, ()):
                if abs(other - start) < self._beats:
                    self.violate(ViolationKind.PORT, max(other, start))
        busy.setdefault(block, []).append(start)

    def chain(self, t: int, a: Args) -> None:
        """CHAIN"""
        timing = self._timing(a)
        self._occupy("dispatch", t)
        self._occupy("multiply", t + timing.multiply)
        for unit in ("convert", "add", "special", "multiply2", "quantise"):
            if (offset := getattr(timing, unit)) is not None:
                self._occupy(unit, t + offset)
        if a["to"] != Destination.NONE:
            self._occupy("out", t + timing.out)
        job = _Chain(t, a, timing, self.fabric.masks[a["mask"]])
        if a["a"] in (Source.REG, Source.ACC):
            bank = self.registers if a["a"] == Source.REG else self.accumulators
            self.fabric.at(t + timing.source, READ, self._fetch, job, "a", bank)
        for operand in "bcd":
            if a[operand] == Operand.REG:
                cycle = t + getattr(timing, operand)
                self.fabric.at(cycle, READ, self._fetch, job, operand, self.registers)
        if a["tap"] and timing.out < timing.end:
            self.fabric.at(t + timing.out, WRITE, self._tap, job)
        self.fabric.at(t + timing.end, WRITE, self._finish, job)

    def _fetch(self, job: _Chain, operand: str, bank: NDArray[Any]) -> None:
        setattr(job, operand, bank[job.args[operand + "_at"]].copy())

    def _front(self, job: _Chain) -> Vector:
        """The tapped value; stream operands are looked up by the cycle in which they passed."""
        if job.x is None:
            a, t = job.args, job.t
            if a["a"] in (Source.INT32, Source.FLOAT):
                job.a = self.sample(a["a_at"], t + job.timing.source)
                if a["a"] == Source.INT32:
                    job.a = job.a.view(np.int32)
            elif a["a"] == Source.INT8:
                job.a = self.sample_byte(a["a_at"], t + job.timing.source).view(np.int8)
            if a["b"] == Operand.STREAM:
                job.b = self.sample(a["b_at"], t + job.timing.b)
            if a["c"] == Operand.STREAM and job.timing.c is not None:
                job.c = self.sample(a["c_at"], t + job.timing.c)
            job.x = front(self._format, a, job.a, job.b, job.c)
        return job.x

    def _tap(self, job: _Chain) -> None:
        self._deliver(job, self._front(job))

    def _finish(self, job: _Chain) -> None:
        a, timing = job.args, job.timing
        x = self._front(job)
        if a["d"] == Operand.STREAM and timing.d is not None:
            job.d = self.sample(a["d_at"], job.t + timing.d)
        y = back(self._format, a, x, job.d)
        if not a["tap"]:
            self._deliver(job, y)
        elif timing.out == timing.end:
            self._deliver(job, x)
        if a["accumulate"] != Accumulate.NONE:
            accumulator = self.accumulators[a["acc"]]
            total = y if a["accumulate"] == Accumulate.SET else accumulator + y
            self.accumulators[a["acc"]] = (
                total if job.mask is None else np.where(job.mask, total, accumulator)
            )

    def _deliver(self, job: _Chain, value: NDArray[Any]) -> None:
        a = job.args
        if a["to"] == Destination.REG:
            register = self.registers[a["to_at"]]
            register[...] = value if job.mask is None else np.where(job.mask, value, register)
        elif a["to"] == Destination.STREAM:
            if job.mask is not None:
                value = np.where(job.mask, value, 0)
            put = self.inject_byte if chain_result_is_byte(a) else partial(_as_word, self.inject)
            put(a["to_at"], job.t + job.timing.result, value)


def _as_word(inject: Any, code: int, cycle: int, value: NDArray[Any]) -> None:
    inject(code, cycle, value.astype(np.uint32))

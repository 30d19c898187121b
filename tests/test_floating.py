"""Float units: RTL against golden bit for bit, every pair of operands of a small format and millions of large ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from golden import numerics
from lpu import timing
from lpu.arch import FloatFormat
from lpu.isa import AddMode
from lpu.isa import Quantise as Target
from rtl.floating import ORIGIN_BITS, Add, Convert, Multiply, Quantise, quantise_origin
from tb.native import NativeUnit

SMALL = FloatFormat(4, 3)
FORMATS = [SMALL, FloatFormat(8, 17), FloatFormat(8, 23), FloatFormat(5, 10)]
RANDOM = 1_000_000
LATENCY = {
    "product": timing.MULTIPLY,
    "sum": timing.ADD,
    "converted": timing.CONVERT,
    "quantised": timing.QUANTISE,
}


class Units(wiring.Component):
    """One of each unit on common operands, so that a format is one build."""

    def __init__(self, fmt: FloatFormat):
        self._fmt = fmt
        word = fmt.width
        super().__init__(
            {
                "a": In(word),
                "b": In(word),
                "mode": In(2),
                "i": In(32),
                "target": In(2),
                "origin": In(ORIGIN_BITS),
                "product": Out(word),
                "sum": Out(word),
                "converted": Out(word),
                "quantised": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.multiply = multiply = Multiply(fmt=self._fmt)
        m.submodules.add = add = Add(fmt=self._fmt)
        m.submodules.convert = convert = Convert(fmt=self._fmt)
        m.submodules.quantise = quantise = Quantise(fmt=self._fmt)
        for unit in (multiply, add):
            m.d.comb += [unit.a.eq(self.a), unit.b.eq(self.b)]
        m.d.comb += [
            add.mode.eq(self.mode),
            convert.i.eq(self.i),
            quantise.i.eq(self.a),
            quantise.target.eq(self.target),
            quantise.origin.eq(self.origin),
            self.product.eq(multiply.o),
            self.sum.eq(add.o),
            self.converted.eq(convert.o),
            self.quantised.eq(quantise.o),
        ]
        return m


@lru_cache
def built(fmt: FloatFormat) -> NativeUnit:
    return NativeUnit(Units(fmt), f"float-units-{fmt.exponent}-{fmt.mantissa}")


def name_of(fmt: FloatFormat) -> str:
    return f"({fmt.exponent},{fmt.mantissa})"


def special_values(fmt: FloatFormat) -> np.ndarray:
    """Values around every place where something changes: both signs, exponents and mantissas at their ends."""
    top, size = (1 << fmt.exponent) - 1, fmt.mantissa
    exponents = {0, 1, 2, size, size + 1, fmt.bias - 1, fmt.bias, fmt.bias + 1, top - 2, top - 1, top}
    ones, half = (1 << size) - 1, 1 << (size - 1)
    mantissas = {0, 1, 2, ones, ones - 1, half, half - 1, half + 1}
    values = {
        sign << (fmt.width - 1) | min(e, top) << size | m
        for sign in (0, 1)
        for e in exponents
        for m in mantissas
    }
    return np.array(sorted(values), np.uint64)


def pairs(fmt: FloatFormat, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of a format of 8 bits; else all special pairs and a million random ones, half of them of close exponents."""
    rng = np.random.default_rng(seed)
    if fmt.width == 8:
        every = np.arange(256, dtype=np.uint64)
        a, b = np.meshgrid(every, every)
        return a.ravel(), b.ravel()
    a, b = (x.ravel() for x in np.meshgrid(special_values(fmt), special_values(fmt)))
    left, right = rng.integers(0, 1 << fmt.width, (2, RANDOM), dtype=np.uint64)
    near = slice(0, RANDOM // 2)
    distance = rng.integers(-fmt.mantissa - 4, fmt.mantissa + 5, RANDOM // 2)
    exponent = left[near].astype(np.int64) >> fmt.mantissa & ((1 << fmt.exponent) - 1)
    exponent = np.clip(exponent + distance, 0, (1 << fmt.exponent) - 1).astype(np.uint64)
    others = np.uint64(~(((1 << fmt.exponent) - 1) << fmt.mantissa) & ((1 << fmt.width) - 1))
    right[near] = (right[near] & others) | exponent << np.uint64(fmt.mantissa)
    return np.concatenate([a, left]), np.concatenate([b, right])


def words(fmt: FloatFormat, values: np.ndarray) -> np.ndarray:
    """Values as golden has them: at the top of stream words."""
    return (values << np.uint64(fmt.word_shift)).astype(np.uint32)


def compare(
    fmt: FloatFormat, what: str, actual: np.ndarray, expected: np.ndarray, *operands: np.ndarray
) -> None:
    wrong = np.flatnonzero(actual != expected)
    if len(wrong):
        k = wrong[0]
        given = ", ".join(hex(int(x[k])) for x in operands)
        raise AssertionError(
            f"{what} {name_of(fmt)}: {len(wrong)} of {len(actual)} differ; first of {given}: "
            f"expected {int(expected[k]):#x}, actual {int(actual[k]):#x}"
        )


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_multiply(fmt):
    a, b = pairs(fmt, 1)
    actual = built(fmt).stream({"a": a, "b": b}, LATENCY)["product"]
    compare(fmt, "product", words(fmt, actual), numerics.multiply(fmt, words(fmt, a), words(fmt, b)), a, b)


@pytest.mark.parametrize("mode", AddMode)
@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_add(fmt, mode):
    a, b = pairs(fmt, 2 + mode)
    actual = built(fmt).stream({"a": a, "b": b, "mode": int(mode)}, LATENCY)["sum"]
    compare(fmt, mode.name, words(fmt, actual), numerics.add(fmt, words(fmt, a), words(fmt, b), mode), a, b)


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_convert(fmt):
    rng = np.random.default_rng(6)
    powers = 1 << np.arange(32)
    edges = np.concatenate([powers + d for d in range(-2, 3)])
    ties = np.concatenate(
        [(2 * k + 1) << np.arange(30) for k in range(1 << (fmt.mantissa - 1), (1 << fmt.mantissa), 97)]
    )
    numbers = rng.integers(-(1 << 31), 1 << 31, RANDOM) >> rng.integers(0, 32, RANDOM)
    numbers = np.concatenate([numbers, np.arange(-300, 300), edges, -edges, ties, -ties]).astype(np.int32)
    actual = built(fmt).stream({"i": numbers}, LATENCY)["converted"]
    compare(fmt, "conversion", words(fmt, actual), numerics.from_int32(fmt, numbers), numbers)


@pytest.mark.parametrize("target", [Target.INT8, Target.INT32], ids=lambda t: t.name)
@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_quantise(fmt, target):
    rng = np.random.default_rng(7)
    for shift in range(-32, 32):
        # Around the exponents at which the result is neither zero nor saturated.
        size = 1 << (fmt.width if fmt.width <= 8 else 14)
        exponent = rng.integers(-3, 34, size) - shift + fmt.bias
        exponent = np.clip(exponent, 0, (1 << fmt.exponent) - 1).astype(np.uint64)
        a = rng.integers(0, 1 << fmt.mantissa, size, dtype=np.uint64)
        a >>= rng.integers(0, fmt.mantissa + 1, size, dtype=np.uint64)
        # Short mantissas, at the top: they make ties.
        a <<= rng.integers(0, fmt.mantissa + 1, size, dtype=np.uint64)
        a &= np.uint64((1 << fmt.mantissa) - 1)
        a |= exponent << np.uint64(fmt.mantissa)
        a |= rng.integers(0, 2, size, dtype=np.uint64) << np.uint64(fmt.width - 1)
        every = np.arange(256, dtype=np.uint64) if fmt.width == 8 else special_values(fmt)
        a = np.concatenate([a, every])
        inputs = {"a": a, "target": int(target), "origin": 30 + fmt.bias - shift}
        actual = built(fmt).stream(inputs, LATENCY)["quantised"].astype(np.uint32).view(np.int32)
        with np.errstate(invalid="ignore"):
            expected = numerics.quantise(fmt, words(fmt, a), shift, target)
        compare(fmt, f"{target.name} shift {shift}", actual, expected, a)


# By hand, in Amaranth's simulator -----------------------------------------------------------------


def simulate(unit: wiring.Component, inputs: dict[str, int], output: str = "o") -> Iterator[int]:
    """The output in every cycle after the inputs have stood for one cycle and then gone."""
    seen: list[int] = []

    async def bench(ctx):
        # What the registers hold at first is nothing's result.
        await ctx.tick().repeat(12)
        for name, value in inputs.items():
            ctx.set(getattr(unit, name), value)
        for _ in range(12):
            await ctx.tick()
            seen.append(ctx.get(getattr(unit, output)))
            for name in inputs:
                ctx.set(getattr(unit, name), 0)

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return iter(seen)


SINGLE = FloatFormat(8, 23)


@pytest.mark.parametrize(
    "unit, inputs, result",
    [
        (Multiply(fmt=SINGLE), {"a": 0x3FC00000, "b": 0xC0200000}, 0xC0700000),  # 1.5 x -2.5
        (Multiply(fmt=SINGLE), {"a": 0x00800001, "b": 0x3F7FFFFE}, 0x00800000),  # rounds up to the smallest
        (Multiply(fmt=SINGLE), {"a": 0x00800000, "b": 0x3F7FFFFF}, 0),  # exact, and just below it
        (Multiply(fmt=SINGLE), {"a": 0x00000001, "b": 0x7F800000}, 0x7FC00000),  # a subnormal is zero
        (Add(fmt=SINGLE), {"a": 0x3F800000, "b": 0x33800000}, 0x3F800000),  # 1 + 2**-24: a tie
        (Add(fmt=SINGLE), {"a": 0x3F800000, "b": 0x33800001}, 0x3F800001),  # just above it
        (Add(fmt=SINGLE), {"a": 0x40400000, "b": 0x40A00000, "mode": 2}, 0x40000000),  # 5 - 3
        (Add(fmt=SINGLE), {"a": 0x7F7FFFFF, "b": 0x73000000}, 0x7F800000),  # rounds up to infinity
        (Convert(fmt=SINGLE), {"i": 0x80000000}, 0xCF000000),  # -2**31
        (Convert(fmt=SINGLE), {"i": 0x01000001}, 0x4B800000),  # 2**24 + 1: a tie
        (Quantise(fmt=SINGLE), {"i": 0xC0200000, "target": 1, "origin": 157}, 0xFFFFFFFE),  # -2.5: a tie
        (Quantise(fmt=SINGLE), {"i": 0x3F800000, "target": 1, "origin": 150}, 0x7F),  # 1 x 2**7
        (Quantise(fmt=SINGLE), {"i": 0x7F800000, "target": 2, "origin": 157}, 0x7FFFFFFF),  # infinity
    ],
)
def test_by_hand(unit, inputs, result):
    """The result is there in cycle ``latency``, and zero before and after it."""
    seen = list(simulate(unit, inputs))
    assert seen[unit.latency - 1] == result, f"{seen[unit.latency - 1]:#x}"
    assert [hex(x) for n, x in enumerate(seen, 1) if n != unit.latency and x] == []


class Origin(wiring.Component):
    """quantise_origin as a unit."""

    def __init__(self):
        super().__init__({"shift": In(6), "o": Out(ORIGIN_BITS)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(quantise_origin(SINGLE, self.shift.as_signed()))
        return m


def test_origin():
    with NativeUnit(Origin(), "quantise-origin") as unit:
        shifts = np.arange(-32, 32)
        assert (unit.stream({"shift": shifts})["o"] == 157 - shifts).all()

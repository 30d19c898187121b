"""Pipelined float units: convert, multiply, add, quantise. One operation a cycle, rounded once (docs/numerics.md).

Values are the format's bits alone, without the zeros that pad a stream word. No unit has a valid bit or a
reset: control travels beside them.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lpu import timing
from lpu.arch import FloatFormat
from lpu.isa import AddMode
from lpu.isa import Quantise as Target
from rtl.floating_parts import (
    Fields,
    Product,
    add_carry,
    leading_bits,
    leading_nibbles,
    pack,
    round_even,
    shift_right_sticky,
    underflow,
)

#: Bits of the number that :func:`quantise_origin` returns, signed.
ORIGIN_BITS = 9


class Convert(wiring.Component):
    """int32 to float.

    ``latency`` cycles, one a cycle.

    Parameters
    ----------
    fmt : float format of the result.

    Members
    -------
    i : In, signed integer. o : Out, float.
    """

    latency = timing.CONVERT

    def __init__(self, *, fmt: FloatFormat):
        self._fmt = fmt
        super().__init__({"i": In(32), "o": Out(fmt.width)})

    def elaborate(self, platform):
        m = Module()
        fmt = self._fmt
        # Cycle 0: magnitude.
        sign = Signal(reset_less=True)
        magnitude = Signal(32, reset_less=True)
        m.d.sync += [sign.eq(self.i[31]), magnitude.eq((self.i ^ self.i[31].replicate(32)) + self.i[31])]

        # Cycle 1: shift out leading zero nibbles.
        sign_1 = Signal(reset_less=True)
        present = Signal(reset_less=True)
        shifted = Signal(32, reset_less=True)
        nibbles = Signal(3, reset_less=True)
        counted, coarse = leading_nibbles(magnitude)
        m.d.sync += [sign_1.eq(sign), present.eq(magnitude.any()), shifted.eq(coarse), nibbles.eq(counted)]

        # Cycle 2: shift out leading zeros, round. The exponent is that of 1 and the place of the leading one, 31 less
        # the zeros; in small formats it may be more than fits.
        bits, fine = leading_bits(shifted)
        kept, rest = fine[31 - fmt.mantissa : 31], fine[: 31 - fmt.mantissa]
        rounded = round_even(
            Cat(kept, Const(fmt.bias, max(fmt.exponent, 6))),
            Cat(Const(0, fmt.mantissa), ~bits, ~nibbles),
            guard=rest[-1],
            sticky=rest[:-1].any(),
        )
        over = rounded[fmt.mantissa :] >= (1 << fmt.exponent) - 1 if fmt.exponent < 6 else Const(0, 1)
        result = Signal(fmt.width, reset_less=True)
        m.d.sync += result.eq(
            pack(
                fmt,
                rounded,
                sign=sign_1,
                keep=present,
                mantissa=present & ~over,
                top=over & present,
                nan=Const(0, 1),
            )
        )
        m.d.comb += self.o.eq(result)
        return m


class Multiply(wiring.Component):
    """Float product.

    ``latency`` cycles, one a cycle.

    Parameters
    ----------
    fmt : float format.

    Members
    -------
    a, b : In, factors. o : Out, product.
    """

    latency = timing.MULTIPLY

    def __init__(self, *, fmt: FloatFormat):
        self._fmt = fmt
        super().__init__({"a": In(fmt.width), "b": In(fmt.width), "o": Out(fmt.width)})

    def elaborate(self, platform):
        m = Module()
        fmt = self._fmt
        size = fmt.mantissa
        largest = (1 << fmt.exponent) - 2
        # Cycle 0: significands into the multiplier, exponents added, special operands classified.
        a, b = Fields(fmt, self.a), Fields(fmt, self.b)
        m.submodules.product = product = Product(a_width=size + 1, b_width=size + 1)
        m.d.comb += [product.a.eq(Cat(a.mantissa, 1)), product.b.eq(Cat(b.mantissa, 1))]
        sign = Signal(2, reset_less=True)
        total = Signal(fmt.exponent + 1, reset_less=True)
        nan = Signal(2, reset_less=True)
        inf = Signal(reset_less=True)
        zero = Signal(reset_less=True)
        m.d.sync += [
            sign[0].eq(a.sign ^ b.sign),
            total.eq(a.exponent + b.exponent),
            nan[0].eq(a.nan | b.nan | (a.top & b.zero) | (a.zero & b.top)),
            inf.eq(a.top | b.top),
            zero.eq(a.zero | b.zero),
        ]

        # Cycle 1: multiply. The result's exponent is that of the sum or one more; `low`, `high`: it matters which.
        biased = Signal(Shape(fmt.exponent + 2, True))
        exponent = Signal(fmt.exponent, reset_less=True)
        low, high = Signal(reset_less=True), Signal(reset_less=True)
        top, keep = Signal(reset_less=True), Signal(reset_less=True)
        m.d.comb += biased.eq(total - fmt.bias)
        over = ~biased[-1] & (biased[-2] | biased[: fmt.exponent].all())
        m.d.sync += [
            sign[1].eq(sign[0]),
            nan[1].eq(nan[0]),
            exponent.eq(biased),
            low.eq(~biased.any()),
            high.eq(biased == largest),
            top.eq(nan[0] | inf | (over & ~zero)),
            keep.eq(~(nan[0] | inf | zero | biased[-1] | over)),
        ]

        # Cycle 2: normalise and round; a carry out of the mantissa moves the exponent.
        p = product.product
        big = p[2 * size + 1]
        kept = Mux(big, p[size + 1 : 2 * size + 1], p[size : 2 * size])
        guard = Mux(big, p[size], p[size - 1])
        sticky = p[: size - 1].any() | (big & p[size - 1])
        rounded = round_even(Cat(kept, exponent), Cat(Const(0, size), big), guard, sticky)
        odd = rounded[size]
        result = Signal(fmt.width, reset_less=True)
        m.d.sync += result.eq(
            pack(
                fmt,
                rounded,
                sign=sign[1],
                keep=keep,
                mantissa=keep & ~(low & ~odd) & ~(high & odd),
                top=top,
                nan=nan[1],
            )
        )
        m.d.comb += self.o.eq(result)
        return m


class Add(wiring.Component):
    """Float sum or difference.

    ``latency`` cycles, one a cycle.

    Parameters
    ----------
    fmt : float format.

    Members
    -------
    a, b : In, operands. mode : In, lpu.isa.AddMode, of the same cycle. o : Out: a + b, a - b or b - a.
    """

    latency = timing.ADD

    def __init__(self, *, fmt: FloatFormat):
        self._fmt = fmt
        super().__init__({"a": In(fmt.width), "b": In(fmt.width), "mode": In(2), "o": Out(fmt.width)})

    def elaborate(self, platform):
        m = Module()
        fmt = self._fmt
        size, exp = fmt.mantissa, fmt.exponent
        # Cycle 0: order by magnitude, classify.
        a, b = Fields(fmt, self.a), Fields(fmt, self.b)
        sign_a = a.sign ^ (self.mode == AddMode.RSUB)
        sign_b = b.sign ^ (self.mode == AddMode.SUB)
        swap = Signal()
        m.d.comb += swap.eq(a.magnitude < b.magnitude)
        sign = Signal(4, reset_less=True)
        subtract = Signal(2, reset_less=True)
        nan, inf = Signal(4, reset_less=True), Signal(4, reset_less=True)
        big = Signal(size, reset_less=True)
        small = Signal(size, reset_less=True)
        exponent = [Signal(exp, reset_less=True, name=f"exponent_{n}") for n in range(3)]
        distance = Signal(exp, reset_less=True)
        zero_big, zero_small = Signal(reset_less=True), Signal(reset_less=True)
        m.d.sync += [
            # Zeros of unlike sign add to +0.
            sign[0].eq(Mux(a.zero & b.zero, sign_a & sign_b, Mux(swap, sign_b, sign_a))),
            subtract[0].eq(sign_a ^ sign_b),
            nan[0].eq(a.nan | b.nan | (a.top & b.top & (sign_a ^ sign_b))),
            inf[0].eq(a.top | b.top),
            big.eq(Mux(swap, b.mantissa, a.mantissa)),
            small.eq(Mux(swap, a.mantissa, b.mantissa) & (~(a.zero | b.zero)).replicate(size)),
            exponent[0].eq(Mux(swap, b.exponent, a.exponent)),
            distance.eq(Mux(swap, b.exponent - a.exponent, a.exponent - b.exponent)),
            zero_big.eq(a.zero & b.zero),
            zero_small.eq(a.zero | b.zero),
        ]

        # Cycle 1: align. Two bits below the last place and a sticky one decide the rounding.
        big_1 = Signal(size + 1, reset_less=True)
        small_1 = Signal(size + 4, reset_less=True)
        significand = Cat(Const(0, 2), small, ~zero_small)
        aligned, lost = shift_right_sticky(significand, distance[:5])
        far = distance[5:].any() if exp > 5 else Const(0, 1)
        m.d.sync += [
            big_1.eq(Mux(zero_big, 0, Cat(big, 1))),
            small_1.eq(Mux(far, ~zero_small, Cat(lost, aligned))),
            Cat(sign[1], subtract[1], nan[1], inf[1]).eq(Cat(sign[0], subtract[0], nan[0], inf[0])),
            exponent[1].eq(exponent[0]),
        ]

        # Cycle 2: add or subtract; never negative.
        total = Signal(size + 5, reset_less=True)
        negate = subtract[1].replicate(size + 5)
        m.d.sync += [
            total.eq(add_carry(Cat(Const(0, 3), big_1, Const(0, 1)), small_1 ^ negate, subtract[1])),
            Cat(sign[2], nan[2], inf[2]).eq(Cat(sign[1], nan[1], inf[1])),
            exponent[2].eq(exponent[1]),
        ]

        # Cycle 3: shift out leading zero nibbles. Only with at most two zeros are there bits to round off.
        padded = Cat(Const(0, -len(total) % 4), total)
        nibbles, coarse = leading_nibbles(padded)
        ups = [total[3 - n] & (total[: 3 - n].any() | total[4 - n]) for n in range(3)]
        shifted = Signal(size + 4, reset_less=True)
        # Three too little, for the zeros counted in cycle 4.
        exponent_3 = Signal(Shape(exp + 2, True), reset_less=True)
        present, up = Signal(reset_less=True), Signal(reset_less=True)
        over = (exponent[2] == (1 << exp) - 2) & total[-1]
        m.d.sync += [
            shifted.eq(coarse[-len(shifted) :]),
            exponent_3.eq(exponent[2] - 2 - (nibbles << 2)),
            present.eq(total.any()),
            up.eq(Mux(total[-1], ups[0], Mux(total[-2], ups[1], total[-3] & ups[2]))),
            sign[3].eq(sign[2] & (total.any() | inf[2] | ~exponent[2].any())),
            nan[3].eq(nan[2]),
            inf[3].eq(inf[2] | over),
        ]

        # Cycle 4: shift out leading zeros, round. Results too small are exact, so nothing rounds up to the smallest.
        bits, fine = leading_bits(shifted)
        rounded = add_carry(Cat(fine[3 : 3 + size], exponent_3), Cat(Const(0, size), ~bits), up)
        keep = present & ~inf[3] & ~Cat(underflow(exponent_3, bits)).any()
        result = Signal(fmt.width, reset_less=True)
        m.d.sync += result.eq(
            pack(fmt, rounded, sign=sign[3], keep=keep, mantissa=keep, top=inf[3], nan=nan[3])
        )
        m.d.comb += self.o.eq(result)
        return m


def quantise_origin(fmt: FloatFormat, shift: Value) -> Value:
    """What :class:`Quantise` wants to know of a shift: the biased exponent of 2**(30 - shift)."""
    return (30 + fmt.bias - shift)[:ORIGIN_BITS]


class Quantise(wiring.Component):
    """Float times a power of two, to int8 or int32, saturating symmetrically.

    ``latency`` cycles, one a cycle.

    Parameters
    ----------
    fmt : float format of the operand.

    Members
    -------
    i : In, float. target : In, lpu.isa.Quantise. origin : In, see :func:`quantise_origin`. o : Out, sign-extended
    integer.
    """

    latency = timing.QUANTISE

    def __init__(self, *, fmt: FloatFormat):
        self._fmt = fmt
        super().__init__(
            {"i": In(fmt.width), "target": In(2), "origin": In(Shape(ORIGIN_BITS, True)), "o": Out(32)}
        )

    def elaborate(self, platform):
        m = Module()
        fmt = self._fmt
        # Cycle 0: the significand, its top bit of weight 2**30, is `down` places too high. Shift by the low bits.
        x = Fields(fmt, self.i)
        down = Signal(Shape(ORIGIN_BITS, True))
        m.d.comb += down.eq(self.origin - x.exponent)
        byte = self.target == Target.INT8
        sign = Signal(reset_less=True)
        amount = Signal(3, reset_less=True)
        zero, full, byte_1 = Signal(reset_less=True), Signal(reset_less=True), Signal(reset_less=True)
        early = Cat(Const(0, 31 - fmt.mantissa), x.mantissa, 1)
        for n in range(2):
            early = Mux(down[n], early[1 << n :], early)
        significand = Signal(32, reset_less=True)
        m.d.sync += [
            sign.eq(x.sign),
            significand.eq(early),
            amount.eq(down[2:5]),
            zero.eq(x.zero | x.nan | (~x.top & ~down[-1] & down[5:].any())),
            full.eq(x.top | down[-1] | (byte & ~down[5:].any() & ~down[3:5].all())),
            byte_1.eq(byte),
        ]

        # Cycle 1: shift on, round, apply the sign: -(n + up) is ~n + 1 - up.
        aligned, lost = shift_right_sticky(significand, amount, unit=4)
        whole, guard = aligned[1:], aligned[0]
        up = guard & (lost | whole[0]) & ~(byte_1 & whole[:7].all())
        limit = Cat(Const(0x7F, 7), (~byte_1).replicate(24))
        number = Mux(zero, 0, Mux(full, limit, whole))
        carry = (up & ~zero & ~full) ^ sign
        result = Signal(32, reset_less=True)
        m.d.sync += result.eq(add_carry(Cat(number, 0) ^ sign.replicate(32), Const(0, 32), carry))
        m.d.comb += self.o.eq(result)
        return m

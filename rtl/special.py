"""The special function unit: 2**x, 1/x, 1/sqrt x and the logistic function from one table (docs/numerics.md)."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from lpu import timing
from lpu.arch import FloatFormat
from lpu.isa import Special as Function
from lpu.tables import (
    BASE_BITS,
    EXP2_AT,
    RECIP_AT,
    RSQRT_EVEN_AT,
    SHIFT,
    SIGMOID_AT,
    SIGMOID_LOW_AT,
    SLOPE_BITS,
    special_table,
)
from rtl.floating_parts import (
    Fields,
    Product,
    add_carry,
    at_least,
    leading_bits,
    leading_nibbles,
    pack,
    round_even,
    underflow,
)

#: Bits of the remainder. That of the sigmoid stands two bits higher, so that all functions shift alike.
REST_BITS = 16
#: Places of the normaliser: enough for 1 + BASE_BITS and for every mantissa.
PLACES = 24


def table_words() -> list[int]:
    """The table as the unit keeps it: one subtracted from each base, modulo 2**20."""
    mask = (1 << BASE_BITS) - 1
    return [(word & ~mask) | ((word - 1) & mask) for word in special_table()]


class Special(wiring.Component):
    """Special function of a float, by linear interpolation in a table of 512 words.

    ``latency`` cycles, one a cycle.

    Parameters
    ----------
    fmt : float format.

    Members
    -------
    i : In, float. function : In, lpu.isa.Special, of the same cycle; NONE gives nothing of use. o : Out, float.
    """

    latency = timing.SPECIAL

    def __init__(self, *, fmt: FloatFormat):
        self._fmt = fmt
        super().__init__({"i": In(fmt.width), "function": In(3), "o": Out(fmt.width)})

    def elaborate(self, platform):
        m = Module()
        fmt = self._fmt
        size, exp, bias = fmt.mantissa, fmt.exponent, fmt.bias

        def delay(value: Value, cycles: int, name: str) -> Signal:
            for n in range(cycles):
                later = Signal(len(value), reset_less=True, name=f"{name}_{n + 1}")
                m.d.sync += later.eq(value)
                value = later
            return value

        # Cycle 0: |x| as a fixed point number of 20 fraction bits, for exp2 and sigmoid, is begun; special operands.
        x = Fields(fmt, self.i)
        is_exp2, is_recip, is_rsqrt, is_sigmoid = (
            self.function == f for f in (Function.EXP2, Function.RECIP, Function.RSQRT, Function.SIGMOID)
        )
        # exp2 saturates from 2**(exp-1) on, sigmoid from 16: the fixed point number need not hold more.
        highest = max(exp - 2, 3)
        fixed, early = Signal(highest + 1 + BASE_BITS), Signal(highest + 1 + BASE_BITS, reset_less=True)
        shifted = Cat(Const(0, len(fixed) - size - 1), x.mantissa, 1)
        far = ~at_least(x.exponent, highest + bias - 31) if highest + bias >= 32 else x.zero
        down = (highest + bias - x.exponent)[:5] | far.replicate(5)
        for n in range(2):
            shifted = Mux(down[n], shifted[1 << n :], shifted)
        m.d.sync += early.eq(shifted)
        down_1 = delay(down[2:], 1, "down")
        vast = at_least(x.exponent, bias + exp - 1)
        nan = x.nan | (is_rsqrt & x.sign & ~x.zero)
        inf = (is_exp2 & vast & ~x.sign) | ((is_recip | is_rsqrt) & x.zero)
        zero = (is_exp2 & vast & x.sign) | ((is_recip | is_rsqrt) & x.top)
        functions = delay(Cat(is_exp2, is_recip, is_rsqrt, is_sigmoid), 1, "function")
        exponent = delay(x.exponent, 1, "exponent")
        negative = delay(x.sign, 1, "negative")
        mantissa = delay(x.mantissa, 1, "mantissa")
        above_one = delay(at_least(x.exponent, bias), 1, "above_one")
        saturated = delay(is_sigmoid & at_least(x.exponent, bias + 4), 1, "saturated")

        # Cycle 1: the fixed point number is shifted to its place; table address and remainder.
        exp2, recip, rsqrt, sigmoid = functions
        late: Value = early
        for n, bit in enumerate(down_1):
            late = Mux(bit, late[4 << n :], late)
        # exp2 of a negative number takes ~|x| and one.
        m.d.comb += fixed.eq(late ^ (exp2 & negative).replicate(len(fixed)))
        fraction = Cat(Const(0, max(0, BASE_BITS - size)), mantissa)[-BASE_BITS:]
        power = Signal(len(fixed) + 1)
        flip = exp2 & negative
        m.d.comb += power.eq(add_carry(Cat(fixed, flip), Const(0, len(power)), flip))
        octave = Cat(~exponent[0], exponent[0] ^ exponent[1])
        # The remainder of a sigmoid grows by a bit each octave.
        more = (above_one & octave.any(), above_one & octave[1], above_one & octave.all())
        bounded = Cat(Const(0, 2), fixed[4:15], Cat(fixed[15 + n] & bit for n, bit in enumerate(more)))
        of_fraction = Cat(fraction[:13], fraction[13] & rsqrt)
        rest = delay(Mux(exp2, power[:14], Mux(sigmoid, bounded, of_fraction)), 1, "rest")
        address = Signal(9)
        with m.If(exp2):
            m.d.comb += address.eq(EXP2_AT | power[14:20])
        with m.Elif(recip):
            m.d.comb += address.eq(RECIP_AT | fraction[13:])
        with m.Elif(rsqrt):
            m.d.comb += address.eq(RSQRT_EVEN_AT | Cat(fraction[14:], ~exponent[0]))
        with m.Elif(above_one):
            m.d.comb += address.eq(SIGMOID_AT | Cat(fraction[15:], octave))
        with m.Else():
            m.d.comb += address.eq(SIGMOID_LOW_AT | fixed[15:20])
        m.submodules.table = table = memory.Memory(
            shape=BASE_BITS + SLOPE_BITS, depth=512, init=table_words(), attrs={"ram_style": "block"}
        )
        port = table.read_port()
        m.d.comb += port.addr.eq(address)
        segment = delay(address[:7], 1, "segment")
        functions_2 = delay(functions, 1, "function_2")
        exponent_2 = delay(exponent, 1, "exponent_2")
        whole = delay(power[BASE_BITS:], 1, "whole")
        turn_2 = delay(sigmoid & negative, 1, "turn")
        above_one_2, saturated_2 = delay(above_one, 1, "above_one_2"), delay(saturated, 1, "saturated_2")

        # Cycle 2: table out; results that need none; exponent of the result, one rule a function in one sum.
        m.submodules.product = product = Product(a_width=SLOPE_BITS, b_width=REST_BITS + 1, signed=True)
        m.d.comb += [
            product.a.eq(port.data[BASE_BITS:].as_signed()),
            product.b.eq(Cat(rest, 0).as_signed()),
        ]
        base = delay(port.data[:BASE_BITS], 1, "base")
        exp2_2, recip_2, rsqrt_2, sigmoid_2 = functions_2
        first = ~segment[:6].any()
        start = ~rest.any() & first
        half = sigmoid_2 & start & ~above_one_2
        exact = Mux(sigmoid_2, half | saturated_2, start & ~segment[6])
        wide = Shape(exp + 1, True)
        left, right, result_exponent = Signal(wide), Signal(wide), Signal(wide, reset_less=True)
        m.d.comb += [
            left.eq(
                Mux(
                    exp2_2,
                    whole.as_signed(),
                    Mux(recip_2, ~exponent_2, Mux(rsqrt_2, ~Cat(exponent_2[1:], 0).as_signed(), 0)),
                )
            ),
            right.eq(Mux(recip_2, -2, Mux(rsqrt_2, 3 * (1 << (exp - 2)) - 2, bias))),
        ]
        carry = (recip_2 & exact) | (rsqrt_2 & ~(exponent_2[0] & ~exact))
        m.d.sync += result_exponent.eq(add_carry(left, right, carry))
        exact_3, half_3 = delay(exact, 1, "exact"), delay(half, 1, "half")
        turn_3, sigmoid_3, exp2_3 = (
            delay(turn_2, 1, "turn_3"),
            delay(sigmoid_2, 1, "sigmoid_3"),
            delay(exp2_2, 1, "exp2_3"),
        )
        # The table holds base - 1, so that both y and 1 - y take a carry of one. Only exp2 has a base of 0.
        borrow_3 = delay(first & exp2_2, 1, "borrow")

        # Cycle 3: multiply; base - 1, ~(base - 1) for 1 - y, or one less than the exact result.
        base_4 = Signal(BASE_BITS + 1, reset_less=True)
        low = (base ^ turn_3.replicate(BASE_BITS)) | exact_3.replicate(BASE_BITS)
        leading = Mux(sigmoid_3, exact_3 & turn_3 & ~half_3, ~exact_3 & ~borrow_3)
        m.d.sync += base_4.eq(Cat(low[:-1], low[-1] & ~half_3, leading))
        exponent_5 = delay(result_exponent, 2, "exponent_5").as_signed()
        exact_4, turn_4 = delay(exact_3, 1, "exact_4"), delay(turn_3, 1, "turn_4")
        # exp2 flushes by its exponent before rounding.
        small = exp2_3 & (result_exponent[-1] | ~result_exponent.any())
        top_3, zero_3 = delay(inf | nan, 3, "top"), delay(zero, 3, "zero") | small

        # Cycle 4: interpolate.
        step = product.product[SHIFT:]
        addend = Signal(Shape(BASE_BITS + 1, True))
        m.d.comb += addend.eq(Mux(exact_4, 0, (step ^ turn_4.replicate(len(step))).as_signed()))
        value = delay(add_carry(base_4, addend, Const(1, 1)), 1, "value")

        # Cycle 5: shift out leading zero nibbles (sigmoid only: the others have a leading one).
        nibbles, coarse = leading_nibbles(Cat(Const(0, PLACES - len(value)), value))
        coarse_6 = delay(coarse, 1, "coarse")
        present = delay(value.any(), 1, "present")
        # Three too little, for the zeros counted in cycle 6.
        exponent_6 = Signal(wide, reset_less=True)
        m.d.sync += exponent_6.eq(exponent_5 - 3 - (nibbles << 2))

        # Cycle 6: shift out leading zeros, round; a result just too small may round up to the smallest.
        bits, fine = leading_bits(coarse_6)
        kept, lost = fine[PLACES - 1 - size : PLACES - 1], fine[: PLACES - 1 - size]
        guard, sticky = (lost[-1], lost[:-1].any()) if len(lost) else (Const(0, 1), Const(0, 1))
        rounded = round_even(Cat(kept, exponent_6), Cat(Const(0, size), ~bits), guard, sticky)
        tiny, edge = underflow(exponent_6, bits)
        top_6, zero_6 = delay(top_3, 3, "top_6"), delay(zero_3, 3, "zero_6")
        keep = present & ~tiny & ~top_6 & ~zero_6
        result = pack(
            fmt,
            rounded,
            sign=delay(is_recip & x.sign, 6, "sign"),
            keep=keep,
            mantissa=keep & ~(edge & ~rounded[size]),
            top=top_6,
            nan=delay(nan, 6, "nan"),
        )
        m.d.comb += self.o.eq(delay(result, 1, "result"))
        return m

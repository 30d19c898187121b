"""What the float units are made of: fields, one-chain addition, normalising shifts, rounded results, multipliers."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import FloatFormat


class Fields:
    """The parts of a float value, and what its exponent says."""

    def __init__(self, fmt: FloatFormat, value: Value):
        self.magnitude = value[: fmt.width - 1]
        self.mantissa = value[: fmt.mantissa]
        self.exponent = value[fmt.mantissa : fmt.width - 1]
        self.sign = value[fmt.width - 1]
        self.zero = ~self.exponent.any()
        self.top = self.exponent.all()
        self.inf = self.top & ~self.mantissa.any()
        self.nan = self.top & self.mantissa.any()


def one(fmt: FloatFormat) -> Const:
    """The value 1.0."""
    return Const(fmt.bias << fmt.mantissa, fmt.width)


def pack(
    fmt: FloatFormat, value: Value, *, sign: Value, keep: Value, mantissa: Value, top: Value, nan: Value
) -> Value:
    """A result: exponent from ``value`` where ``keep``, mantissa where ``mantissa`` is set, else zeros.

    ``top`` sets the whole exponent. ``nan`` makes the canonical NaN and needs ``top`` set, the others clear.
    """
    low = Mux(mantissa, value[: fmt.mantissa], 0)
    high = Mux(keep, value[fmt.mantissa : fmt.width - 1], 0) | top.replicate(fmt.exponent)
    return Cat(low[:-1], low[-1] | nan, high, sign & ~nan)


def add_carry(a: Value, b: Value, carry: Value) -> Value:
    """``a + b + carry`` on one carry chain, modulo the width of the wider."""
    width = max(len(a), len(b))
    return (Cat(carry, a) + Cat(carry, b))[1 : width + 1]


def at_least(value: Value, limit: int) -> Value:
    """``value >= limit`` in LUTs: for a constant they are fewer than a comparator's carry cells."""
    result: Value = Const(1, 1)
    for n, bit in enumerate(value):
        result = bit & result if limit >> n & 1 else bit | result
    return result


def round_even(value: Value, addend: Value, guard: Value, sticky: Value) -> Value:
    """``value + addend`` rounded to nearest, ties to even: ``guard`` is the first bit below, ``sticky`` any further.

    Rounds half up on the carry chain, for which ``sticky`` need not be known, and clears the last bit of a tie.
    """
    up = add_carry(value, addend, guard)
    return Cat(up[0] & ~(guard & ~sticky), up[1:])


def underflow(exponent: Value, zeros: Value) -> tuple[Value, Value]:
    """Whether ``exponent + 3 - zeros`` is negative, and whether it is zero; ``zeros`` 0 to 3, ``exponent`` signed."""
    low, high = exponent[:2], exponent[2:]
    near = Mux(low.any(), high.all(), ~high.any())
    limit = (low - 1)[:2]
    return (exponent[-1] & ~near) | (near & (zeros > limit)), near & (zeros == limit)


def shift_in(value: Value, amount: int) -> Value:
    """``value`` shifted left within its width."""
    return Cat(Const(0, amount), value[: len(value) - amount])


def leading_nibbles(value: Value) -> tuple[Value, Value]:
    """(zero nibbles above the first other, ``value`` shifted left by them); its width is a multiple of four."""
    present = [value[n : n + 4].any() for n in reversed(range(0, len(value), 4))]
    levels = (len(present) - 1).bit_length()
    present += [Const(0, 1)] * ((1 << levels) - len(present))
    bits = _leading_zeros(present)
    for level in reversed(range(levels)):
        if (4 << level) < len(value):
            value = Mux(bits[level], shift_in(value, 4 << level), value)
    return Cat(bits), value


def _leading_zeros(present: list[Value]) -> list[Value]:
    """How many of ``present`` are clear before the first that is set, lowest bit first.

    Both halves are counted at once: every bit of the number is known about as soon as the highest.
    """
    if len(present) == 1:
        return []
    half = len(present) // 2
    empty = ~Cat(present[:half]).any()
    halves = zip(_leading_zeros(present[half:]), _leading_zeros(present[:half]), strict=True)
    return [*(Mux(empty, low, high) for low, high in halves), empty]


def leading_bits(value: Value) -> tuple[Value, Value]:
    """(zeros above the first one of the top nibble, 0 to 3; ``value`` shifted left by them)."""
    top = value[-4:]
    two = ~(top[3] | top[2])
    zeros = Cat(Mux(two, ~top[1], ~top[3]), two)
    value = Mux(zeros[1], shift_in(value, 2), value)
    return zeros, Mux(zeros[0], shift_in(value, 1), value)


def shift_right_sticky(value: Value, amount: Value, *, unit: int = 1) -> tuple[Value, Value]:
    """(``value`` shifted right by ``unit * amount``, whether a one fell off)."""
    lost = Const(0, 1)
    for n in range(len(amount)):
        step = min(unit << n, len(value))
        lost = lost | (amount[n] & value[:step].any())
        value = Mux(amount[n], value[step:], value)
    return value, lost


class Product(wiring.Component):
    """Product of two integers: operands into registers, product into a register.

    ``latency`` cycles, one a cycle. A platform that has multipliers with registers of their own is asked for one.

    Parameters
    ----------
    a_width, b_width : bits of the operands.
    signed : both operands are two's complement, else none.

    Members
    -------
    a, b : In, operands in cycle 0. product : Out.
    """

    latency = 2
    #: Widest operand for which a platform is asked.
    hard_width = 18

    def __init__(self, *, a_width: int, b_width: int, signed: bool = False):
        self._signed = signed
        super().__init__(
            {
                "a": In(Shape(a_width, signed)),
                "b": In(Shape(b_width, signed)),
                "product": Out(Shape(a_width + b_width, signed)),
            }
        )

    def elaborate(self, platform):
        hook = "multiply_signed" if self._signed else "multiply_unsigned"
        if max(len(self.a), len(self.b)) <= self.hard_width and hasattr(platform, hook):
            return getattr(platform, hook)(self)
        m = Module()
        a = Signal.like(self.a, reset_less=True)
        b = Signal.like(self.b, reset_less=True)
        product = Signal.like(self.product, reset_less=True)
        m.d.sync += [a.eq(self.a), b.eq(self.b), product.eq(a * b)]
        m.d.comb += self.product.eq(product)
        return m

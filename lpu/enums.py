"""Named values of instruction fields. Standard library only."""

from __future__ import annotations

from enum import IntEnum


class Source(IntEnum):
    """Where a VXM operand A comes from; a field of the same prefix and ``_at`` says which."""

    #: int32 word stream.
    INT32 = 0
    #: Float word stream.
    FLOAT = 1
    #: int8 byte stream.
    INT8 = 2
    #: Vector register (float).
    REG = 3
    #: Accumulator (int32).
    ACC = 4


class Operand(IntEnum):
    """Operand of a VXM multiplier or the adder."""

    #: Stage not used (MUL1: multiply by one).
    NONE = 0
    #: Float word stream.
    STREAM = 1
    #: Vector register.
    REG = 2
    #: MUL2: the value that entered the special function stage. ADD: the constant one.
    SELF = 3


class AddMode(IntEnum):
    """What the adder does with P (product) and C."""

    #: P + C
    ADD = 0
    #: P - C
    SUB = 1
    #: C - P
    RSUB = 2


class Special(IntEnum):
    """Special function."""

    #: Stage not used.
    NONE = 0
    #: 2**x
    EXP2 = 1
    #: 1/x
    RECIP = 2
    #: 1/sqrt(x)
    RSQRT = 3
    #: 1/(1+exp(-x))
    SIGMOID = 4


class Quantise(IntEnum):
    """Conversion at the end of a chain."""

    #: Stage not used; the result is a float.
    NONE = 0
    #: round(x * 2**shift) saturated to -127..127.
    INT8 = 1
    #: round(x * 2**shift) saturated to -(2**31-1)..2**31-1.
    INT32 = 2


class Destination(IntEnum):
    """Where a chain's result goes."""

    #: Nowhere (accumulate only).
    NONE = 0
    #: Stream: a byte stream for INT8, else a word stream.
    STREAM = 1
    #: Vector register; the result must be a float.
    REG = 2


class Accumulate(IntEnum):
    """What the accumulator named by ``acc`` does with the quantised result."""

    #: Unchanged.
    NONE = 0
    #: acc = result
    SET = 1
    #: acc = acc + result, modulo 2**32
    ADD = 2


class Reduction(IntEnum):
    """Reduction over lanes (and over time, in a named accumulator)."""

    #: int32 sum modulo 2**32.
    SUM = 0
    #: int32 maximum.
    MAX = 1
    #: Float maximum, by sign-magnitude order of the bits.
    FMAX = 2
    #: Float maximum of magnitudes.
    FABSMAX = 3
    #: Lane index of the int32 maximum, lowest index first; vector n of a run counts as lanes n*L...
    ARGMAX = 4
    #: The same for floats.
    FARGMAX = 5

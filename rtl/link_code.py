"""The link's codes in gates: SECDED of a flit, the check of a frame, the header."""

from __future__ import annotations

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Module, Signal, Value

from lpu.link import HEADER_BITS, check_of, columns, header
from lpu.timing import CHECK_BITS, FLIT_PAYLOAD


def parity(bits: list[Value]) -> Value:
    """Exclusive or of bits, as a tree."""
    while len(bits) > 1:
        bits = [a ^ b for a, b in zip(bits[::2], bits[1::2], strict=False)] + bits[len(bits) & ~1 :]
    return bits[0]


def check_bits(payload: Value) -> Value:
    """The eight check bits of 64 bits of payload."""
    return Cat(
        parity([payload[n] for n, column in enumerate(columns()[:FLIT_PAYLOAD]) if column >> bit & 1])
        for bit in range(8)
    )


def flips(syndrome: Value) -> Value:
    """The payload bits to be turned over, for a syndrome."""
    return Cat(syndrome == column for column in columns()[:FLIT_PAYLOAD])


def advanced(check: Value, bits: Value) -> Value:
    """The frame check with some more bits, lowest first: flat sums, as each bit of the result is linear in all inputs."""
    check = Value.cast(check)
    inputs = [*check, *bits]
    effects = [check_of(0, len(bits), 1 << n) for n in range(CHECK_BITS)]
    effects += [check_of(1 << n, len(bits), 0) for n in range(len(bits))]
    return Cat(
        parity([x for x, effect in zip(inputs, effects, strict=True) if effect >> n & 1])
        for n in range(CHECK_BITS)
    )


def header_bits(information: Value) -> Value:
    """The header beat of four bits: a code word for each set bit, exclusive or."""
    words = [Const(header(1 << n), 8) & information[n].replicate(8) for n in range(4)]
    return reduce(xor, words)


def header_read(m: Module, beat: Value) -> tuple[Value, Value, Value]:
    """(information, some header rather than low wires, an error that cannot be corrected) of a header beat."""
    information, good, wrong = Signal(4), Signal(), Signal(init=1)
    # Every word is nearest to one code word, or one bit from several.
    with m.Switch(beat):
        for i in range(16):
            near = [header(i) ^ error for error in (0, *(1 << n for n in range(HEADER_BITS)))]
            with m.Case(*near):
                m.d.comb += [information.eq(i), good.eq(i != 0), wrong.eq(0)]
    return information, good, wrong

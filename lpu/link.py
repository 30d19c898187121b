"""What goes over a link, to the bit: flits with SECDED, frames with a header and a check. Standard library only.

A frame is a header beat, the flits of a word (64 bits of payload and 8 check bits each, lowest bit first), and a check of
CHECK_BITS over the payload, which the receiver compares when errors have been corrected. Between frames the wires are low.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

from lpu.timing import CHECK_BITS, FLIT_BITS, FLIT_PAYLOAD

#: CRC-16-CCITT, x^16 + x^12 + x^5 + 1, the top coefficient left out; bits enter lowest first, from a register of ones.
CHECK_POLYNOMIAL, CHECK_START = 0x1021, 0xFFFF
#: Bits of a header beat that mean something; the header of every frame has an even number of ones, at least four.
HEADER_BITS = 8
#: Lowest of a header's four bits: set in a frame of data, whose other three are the sender's time modulo 8 at its SEND ...
DATA = 1
#: ... and clear in one of control, whose other three are these.
CONTROL_TAG = 5


@lru_cache(maxsize=1)
def columns() -> tuple[int, ...]:
    """Syndrome of an error in each bit of a flit: odd weight and different (Hsiao), so that two errors give an even one."""
    threes = [sum(1 << b for b in c) for c in combinations(range(8), 3)]
    fives = [sum(1 << b for b in c) for c in combinations(range(8), 5)]
    # Spread over the check bits: of the 56 + 56 columns of weight 3 and 5, all of weight 3 and the first 8 of weight 5.
    return (*threes, *fives[: FLIT_PAYLOAD - len(threes)], *(1 << b for b in range(8)))


def flit(payload: int) -> int:
    """72 bits: the payload, then its check bits."""
    check = 0
    for n, column in enumerate(columns()[:FLIT_PAYLOAD]):
        if payload >> n & 1:
            check ^= column
    return payload | check << FLIT_PAYLOAD


def corrected(received: int) -> tuple[int, bool, bool]:
    """(payload, an error was corrected, an error could not be) of a flit."""
    syndrome = received >> FLIT_PAYLOAD
    for n, column in enumerate(columns()[:FLIT_PAYLOAD]):
        if received >> n & 1:
            syndrome ^= column
    payload = received & ((1 << FLIT_PAYLOAD) - 1)
    if not syndrome:
        return payload, False, False
    if syndrome not in columns():
        return payload, False, True
    return (payload ^ 1 << columns().index(syndrome)) & ((1 << FLIT_PAYLOAD) - 1), True, False


def check_of(bits: int, count: int, value: int = CHECK_START) -> int:
    """Check of ``count`` bits, lowest first, going on from ``value``."""
    for n in range(count):
        high = value >> (CHECK_BITS - 1) ^ bits >> n & 1
        value = value << 1 & (1 << CHECK_BITS) - 1
        value ^= CHECK_POLYNOMIAL * (high & 1)
    return value


def header(information: int) -> int:
    """Extended Hamming code of four bits: distance four, so that one error is corrected and two are seen."""
    d = [information >> n & 1 for n in range(4)]
    p = [d[0] ^ d[1] ^ d[3], d[0] ^ d[2] ^ d[3], d[1] ^ d[2] ^ d[3]]
    word = [*d, *p]
    return sum(bit << n for n, bit in enumerate([*word, sum(word) & 1]))


def frame(word: int, flits: int, information: int, width: int) -> list[int]:
    """Beats of a frame."""
    bits = 0
    for n in range(flits):
        bits |= flit(word >> FLIT_PAYLOAD * n & ((1 << FLIT_PAYLOAD) - 1)) << FLIT_BITS * n
    length = FLIT_BITS * flits
    mask = (1 << width) - 1
    beats = [header(information)]
    beats += [bits >> at & mask for at in range(0, length, width)]
    check = check_of(word, FLIT_PAYLOAD * flits)
    return beats + [check >> at & mask for at in range(0, CHECK_BITS, width)]

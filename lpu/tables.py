"""The special function table: 512 words of 36 bits, generated once and shared by every view. Standard library only.

Word = ``base`` (20 bits, unsigned) | ``slope`` << 20 (16 bits, two's complement). Over a segment
``y = base + ((slope * r) >> shift)`` with the remainder r; docs/numerics.md says how each function uses it. Chord
interpolation, centred so that the error is equal and opposite (minimax for the chord's slope).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

BASE_BITS, SLOPE_BITS = 20, 16
ONE = 1 << BASE_BITS
#: First table word of each function.
EXP2_AT, SIGMOID_LOW_AT, RECIP_AT, RSQRT_EVEN_AT, RSQRT_ODD_AT, SIGMOID_AT = 0, 64, 128, 256, 320, 384
#: Right shift of slope * remainder.
SHIFT, SIGMOID_SHIFT = 14, 12
#: Remainder bits.
EXP2_REST, RECIP_REST, RSQRT_REST = 14, 13, 14
#: Remainder bits of the sigmoid by octave of |x|: [0,1), [1,2), [2,4), [4,8), [8,16).
SIGMOID_REST = (11, 11, 12, 13, 14)


def _segment(f: Callable[[float], float], start: float, width: float, rest: int, shift: int) -> int:
    """Table word for y = f(x) * 2**20 over ``width`` from ``start``, with ``rest`` remainder bits."""
    size = 1 << rest
    low, high = f(start) * ONE, f(start + width) * ONE
    slope = round((high - low) / size * (1 << shift))
    slope = max(-(1 << (SLOPE_BITS - 1)), min((1 << (SLOPE_BITS - 1)) - 1, slope))
    steps = 64
    errors = [
        f(start + width * k / steps) * ONE - slope * (size * k / steps) / (1 << shift)
        for k in range(steps + 1)
    ]
    # The hardware's shift rounds down, half a unit on average: add it back.
    base = round((max(errors) + min(errors)) / 2 + 0.5)
    ends = (0, (slope * (size - 1)) >> shift)
    base = min(base, ONE - 1 - max(ends))
    base = max(base, -min(ends))
    return base | (slope & ((1 << SLOPE_BITS) - 1)) << BASE_BITS


@lru_cache(maxsize=1)
def special_table() -> tuple[int, ...]:
    """The 512 words."""
    table = [0] * 512
    for i in range(64):
        table[EXP2_AT + i] = _segment(lambda u: 2.0**u - 1, i / 64, 1 / 64, EXP2_REST, SHIFT)
        table[RSQRT_EVEN_AT + i] = _segment(
            lambda u: 2 / math.sqrt(1 + u) - 1, i / 64, 1 / 64, RSQRT_REST, SHIFT
        )
        table[RSQRT_ODD_AT + i] = _segment(
            lambda u: 2 / math.sqrt(2 + 2 * u) - 1, i / 64, 1 / 64, RSQRT_REST, SHIFT
        )
    for i in range(128):
        table[RECIP_AT + i] = _segment(lambda u: 2 / (1 + u) - 1, i / 128, 1 / 128, RECIP_REST, SHIFT)

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    for octave, rest in enumerate(SIGMOID_REST):
        start = 0.0 if octave == 0 else 2.0 ** (octave - 1)
        width = 2.0 ** (rest - 16)
        for i in range(32):
            at = SIGMOID_LOW_AT + i if octave == 0 else SIGMOID_AT + 32 * (octave - 1) + i
            table[at] = _segment(sigmoid, start + i * width, width, rest, SIGMOID_SHIFT)
    return tuple(table)

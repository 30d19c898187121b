"""Random contents for memories, weights, vectors and tokens: mostly values at which arithmetic goes wrong."""

from __future__ import annotations

import random

from lpu.arch import FloatFormat, TileConfig

INT32 = (
    0,
    1,
    -1,
    2,
    -2,
    127,
    -127,
    -128,
    128,
    255,
    65535,
    1 << 24,
    (1 << 31) - 1,
    -(1 << 31),
    -(1 << 31) + 1,
)
INT8 = (0, 0, 1, -1, 2, -2, 3, 7, 63, 64, -64, 126, 127, -127, -128)


def float_word(rng: random.Random, form: FloatFormat) -> int:
    """A float: any bits, a special, a power of two, a half-way case, or a number of ordinary size."""
    top, fraction = (1 << form.exponent) - 1, (1 << form.mantissa) - 1
    sign = rng.getrandbits(1)
    kind = rng.randrange(8)
    if kind == 0:
        exponent, mantissa = rng.randint(0, top), rng.getrandbits(form.mantissa)
    elif kind == 1:
        exponent, mantissa = rng.choice(
            [(0, 0), (top, 0), (top, 1), (top, fraction), (top - 1, fraction), (1, 0), (0, 1)]
        )
    elif kind == 2:
        exponent, mantissa = form.bias + rng.randint(-6, 8), 0
    elif kind == 3:
        exponent, mantissa = (
            form.bias + rng.randint(-2, 9),
            rng.choice([1, fraction, fraction >> 1, fraction - 1]),
        )
    else:
        exponent, mantissa = form.bias + rng.randint(-4, 6), rng.getrandbits(form.mantissa)
    exponent = max(0, min(top, exponent))
    low = rng.getrandbits(form.word_shift) if form.word_shift and rng.random() < 0.2 else 0
    return (sign << (form.width - 1) | exponent << form.mantissa | mantissa) << form.word_shift | low


def word(rng: random.Random, form: FloatFormat, kind: int) -> int:
    """32 bits of one lane."""
    if kind < 4:
        return float_word(rng, form)
    if kind < 6:
        return rng.choice(INT32) & 0xFFFFFFFF
    if kind < 8:
        return sum((int8(rng) & 0xFF) << 8 * b for b in range(4))
    if kind < 9:
        return rng.randint(-300, 300) & 0xFFFFFFFF
    return rng.getrandbits(32)


def int8(rng: random.Random) -> int:
    """An int8, at its bounds more often than not."""
    return rng.choice(INT8) if rng.random() < 0.5 else rng.randint(-128, 127)


def vector(rng: random.Random, config: TileConfig) -> list[int]:
    """One word a lane, all of a kind or mixed; sometimes all equal (ties in reductions)."""
    kinds = (
        [rng.randrange(10)] * config.lanes
        if rng.random() < 0.7
        else [rng.randrange(10) for _ in range(config.lanes)]
    )
    values = [word(rng, config.float_format, k) for k in kinds]
    if rng.random() < 0.15:
        values = [rng.choice(values[:2]) for _ in values]
    return values


def pack(values: list[int]) -> bytes:
    """Words, little-endian."""
    return b"".join(v.to_bytes(4, "little") for v in values)

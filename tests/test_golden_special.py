"""Golden special functions against hand-worked words, docs/numerics.md in integers, and its error bounds."""

from __future__ import annotations

import numpy as np
import pytest

from golden import numerics as n
from golden.errors import every_word, measure
from golden.special import exp2, recip, rsqrt, sigmoid, special
from lpu.isa import Special
from lpu.tables import special_table
from tests.float_oracle import F8, F27, F32, FORMATS, check, oracle_special, sample


@pytest.mark.parametrize(
    ("which", "a", "word"),
    [
        (Special.EXP2, 0x00000000, 0x3F800000),
        (Special.EXP2, 0x40400000, 0x41000000),  # 2^3
        (Special.EXP2, 0xBF800000, 0x3F000000),
        (Special.EXP2, 0xC2FC0000, 0x00800000),  # 2^-126
        (Special.EXP2, 0xC2FE0000, 0x00000000),  # 2^-127 is below the range
        (Special.EXP2, 0xC2FC0040, 0x00000000),  # so is all below -126, without rounding up
        (Special.EXP2, 0x43000000, 0x7F800000),  # 2^128
        (Special.EXP2, 0x7F7FFFC0, 0x7F800000),
        (Special.EXP2, 0xFF800000, 0x00000000),
        (Special.RECIP, 0x40000000, 0x3F000000),
        (Special.RECIP, 0xC0800000, 0xBE800000),
        (Special.RECIP, 0x80000000, 0xFF800000),
        (Special.RECIP, 0xFF800000, 0x80000000),
        (Special.RECIP, 0x7E800000, 0x00800000),  # 2^126
        (Special.RECIP, 0x7F000000, 0x00000000),  # 1 / 2^127 is flushed
        (Special.RSQRT, 0x40800000, 0x3F000000),
        (Special.RSQRT, 0x00800000, 0x5F000000),  # 2^-126
        (Special.RSQRT, 0x80000000, 0x7F800000),
        (Special.RSQRT, 0xBF800000, 0x7FC00000),
        (Special.RSQRT, 0xFF800000, 0x7FC00000),
        (Special.RSQRT, 0x7F800000, 0x00000000),
        (Special.SIGMOID, 0x00000000, 0x3F000000),
        (Special.SIGMOID, 0xB7000000, 0x3F000000),  # |x| below 2^-16
        (Special.SIGMOID, 0x41800000, 0x3F800000),
        (Special.SIGMOID, 0xC1800000, 0x00000000),
        (Special.SIGMOID, 0x7F800000, 0x3F800000),
        (Special.SIGMOID, 0xFF800000, 0x00000000),
        *((f, 0x7F800040, 0x7FC00000) for f in Special if f),
    ],
)
def test_special_by_hand(which, a, word):
    assert int(special(F27, which, np.uint32(a))) == word


def test_special_segments_by_hand():
    """One value of each table part, looked up on paper: y = base + ((slope * r) >> s)."""
    table = special_table()
    base, slope = table[32] & 0xFFFFF, table[32] >> 20  # exp2(0.5 + 2^-8): u = 2^19 + 2^12, i = 32, r = 2^12
    y = base + (slope * 4096 >> 14)
    word = 0x3F800000 | (y << 3)
    assert int(exp2(F32, np.float32(0.50390625).view(np.uint32))) == word
    base, slope = table[128 + 64] & 0xFFFFF, (table[128 + 64] >> 20) - 65536  # recip(1.5 + 2^-8)
    y = base + (slope * 4096 >> 14)
    assert int(recip(F32, np.float32(1.50390625).view(np.uint32))) == 0x3F000000 | (y << 3)
    base, slope = table[320 + 16] & 0xFFFFF, (table[320 + 16] >> 20) - 65536  # rsqrt(2.5): odd, u = 2^18
    assert int(rsqrt(F32, np.float32(2.5).view(np.uint32))) == 0x3F000000 | (base << 3)
    p = table[384 + 32 * 2 + 16] & 0xFFFFF  # sigmoid(6): octave [4, 8), t = 6 * 2^16
    assert float(n.to_float64(F32, sigmoid(F32, np.float32(6).view(np.uint32)))) == p / 2**20
    assert float(n.to_float64(F32, sigmoid(F32, np.float32(-6).view(np.uint32)))) == 1 - p / 2**20


@pytest.mark.parametrize("which", [f for f in Special if f], ids=lambda f: f.name)
@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_special_against_the_page(fmt, which):
    words = np.concatenate(list(every_word(F8))) if fmt == F8 else sample(fmt, 4000, 6)
    if fmt != F8:
        # Exponents for which the functions are neither constant nor out of range.
        rng = np.random.default_rng(7)
        spread = 2.0 ** rng.uniform(-18, 8, len(words) - 1000)
        words[1000:] = n.from_float64(fmt, rng.choice([-1, 1], len(words) - 1000) * spread)
    check(special(fmt, which, words), [oracle_special(fmt, which, int(w)) for w in words], words)


@pytest.mark.parametrize(
    ("which", "positive", "ulp", "relative", "absolute"),
    [
        (Special.EXP2, False, 2.641, 1.84e-5, None),
        (Special.RECIP, False, 2.556, 9.79e-6, None),
        (Special.RSQRT, False, 3.528, 1.43e-5, None),
        (Special.SIGMOID, True, 5.701, 2.47e-5, 2.18e-5),
        (Special.SIGMOID, False, None, None, 2.18e-5),
    ],
)
def test_special_errors_within_the_documented_bounds(which, positive, ulp, relative, absolute):
    """A 61st part of all inputs of (8, 17) and the worst ones; ``python -m golden.errors`` does them all."""
    words = (np.arange(7, 1 << 26, 61, dtype=np.uint64) << np.uint64(6)).astype(np.uint32)
    worst = n.from_float64(F27, np.array([-0.00793928, 1.17976e-38, 1.18429e-38, 2.03081]))
    near = (worst[:, None].astype(np.int64) + 64 * np.arange(-40, 41)).ravel().astype(np.uint32)
    found = measure(F27, which, [words, near], positive)
    for error, bound in ((found.ulp, ulp), (found.relative, relative), (found.absolute, absolute)):
        if bound is not None:
            assert bound * 0.95 < error.error < bound, error

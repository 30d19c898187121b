"""Golden float primitives against hand-worked words, exact rationals and NumPy float32."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from golden import numerics as n
from golden.errors import every_word
from lpu.isa import AddMode, Quantise
from tests.float_oracle import (
    F8,
    F27,
    F32,
    FORMATS,
    check,
    decode,
    encode,
    every_pair,
    oracle_add,
    oracle_multiply,
    oracle_quantise,
    sample,
)

# Hand-worked words ---------------------------------------------------------------------------------------


def test_word_layout():
    """(8, 17) words are float32 bits with six zeros below; the bits below are ignored and never set."""
    assert n.one(F27) == 0x3F800000
    assert n.canonical_nan(F27) == 0x7FC00000
    assert n.one(F8) == 0b0_0111_000 << 24
    assert n.canonical_nan(F8) == 0b0_1111_100 << 24
    assert n.to_float64(F27, np.uint32(0x3F80003F)) == 1.0
    assert n.to_float64(F8, np.uint32(0b1_1000_010 << 24 | 0xFFFFFF)) == -2.5


@pytest.mark.parametrize(
    ("x", "word"),
    [
        (0, 0x00000000),
        (1, 0x3F800000),
        (-1, 0xBF800000),
        (3, 0x40400000),
        ((1 << 18) - 1, 0x487FFFC0),
        ((1 << 18) + 1, 0x48800000),  # tie, down to even
        ((1 << 18) + 3, 0x48800080),  # tie, up to even
        ((1 << 19) - 1, 0x49000000),  # all ones round up into the exponent
        (-(1 << 31), 0xCF000000),
        ((1 << 31) - 1, 0x4F000000),
    ],
)
def test_convert_by_hand(x, word):
    assert int(n.from_int32(F27, np.int32(x))) == word


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [
        (0x3FC00000, 0x40000000, 0x40400000),  # 1.5 x 2
        (0x3F800040, 0x3F800040, 0x3F800080),  # (1 + ulp)^2: the square of the ulp is lost
        (0xBFC00000, 0x3FC00000, 0xC0100000),  # -1.5 x 1.5 = -2.25
        (0x80000000, 0x3F800000, 0x80000000),  # -0 x 1
        (0x007FFFC0, 0x7F000000, 0x00000000),  # a subnormal reads as zero
        (0x7F800000, 0x80000000, 0x7FC00000),  # inf x -0
        (0xFF800000, 0xC0000000, 0x7F800000),  # -inf x -2
        (0xFFC12345, 0x3F800000, 0x7FC00000),  # NaN in, the canonical one out
        (0x7F000000, 0x40000000, 0x7F800000),  # overflow
        (0x80800000, 0x3F000000, 0x80000000),  # half the smallest number is flushed
        (0x00FFFFC0, 0x3F000000, 0x00000000),  # so is the largest number below it, exact at 18 bits
    ],
)
def test_multiply_by_hand(a, b, word):
    assert int(n.multiply(F27, np.uint32(a), np.uint32(b))) == word


@pytest.mark.parametrize(
    ("a", "b", "mode", "word"),
    [
        (0x3F800000, 0x40000000, AddMode.ADD, 0x40400000),  # 1 + 2
        (0x3F800000, 0x40000000, AddMode.SUB, 0xBF800000),  # 1 - 2
        (0x3F800000, 0x40000000, AddMode.RSUB, 0x3F800000),  # 2 - 1
        (0x3F800000, 0x3F800000, AddMode.SUB, 0x00000000),  # x - x = +0
        (0x80000000, 0x80000000, AddMode.ADD, 0x80000000),  # -0 + -0
        (0x80000000, 0x00000000, AddMode.SUB, 0x80000000),  # -0 - +0
        (0x00000000, 0x00000000, AddMode.RSUB, 0x00000000),  # -(+0) + +0
        (0x7F800000, 0x7F800000, AddMode.SUB, 0x7FC00000),  # inf - inf
        (0x7F800000, 0x3F800000, AddMode.RSUB, 0xFF800000),  # 1 - inf
        (0x7FC00000, 0x3F800000, AddMode.RSUB, 0x7FC00000),  # a NaN is not negated
        (0x3F800000, 0x36800000, AddMode.ADD, 0x3F800000),  # 1 + 2^-18: tie, to even
        (0x3F800000, 0x36800040, AddMode.ADD, 0x3F800040),  # a little more
        (0x3F800040, 0x36800000, AddMode.ADD, 0x3F800080),  # tie, up to even
    ],
)
def test_add_by_hand(a, b, mode, word):
    assert int(n.add(F27, np.uint32(a), np.uint32(b), mode)) == word


@pytest.mark.parametrize(
    ("a", "shift", "kind", "result"),
    [
        (0x3F000000, 0, Quantise.INT8, 0),  # 0.5, tie to even
        (0x3FC00000, 0, Quantise.INT8, 2),  # 1.5, tie to even
        (0xC0200000, 0, Quantise.INT8, -2),  # -2.5, tie to even
        (0x3F800000, 6, Quantise.INT8, 64),
        (0x3F800000, 7, Quantise.INT8, 127),  # 128 saturates
        (0xBF800000, 31, Quantise.INT8, -127),
        (0x3F800000, 31, Quantise.INT32, (1 << 31) - 1),
        (0xBF800000, 31, Quantise.INT32, -(1 << 31) + 1),
        (0x4F000000, -32, Quantise.INT32, 0),  # 2^31 >> 32 = 0.5
        (0x4F400000, -32, Quantise.INT32, 1),  # 0.75
        (0x7F800000, -32, Quantise.INT32, (1 << 31) - 1),
        (0xFF800000, -32, Quantise.INT8, -127),
        (0x7FC00000, 0, Quantise.INT32, 0),
    ],
)
def test_quantise_by_hand(a, shift, kind, result):
    found = n.quantise(F27, np.uint32(a), shift, kind)
    assert found.dtype == np.int32
    assert int(found) == result


def test_add_rounds_once():
    """Ties and what is next to them, and exponents further apart than float64 holds."""
    one, half, trace = 0x3F800000, 0x33800000, 0x0D800000  # 1, 2^-24, 2^-100
    assert int(n.add(F32, np.uint32(one | 1), np.uint32(half), AddMode.SUB)) == one  # tie: 1 + 2^-23 - 2^-24
    base = np.uint32(0x4B800000)  # 2^24, whose ulp is 2: adding one is a tie
    assert int(n.add(F32, base, np.uint32(one))) == base
    assert int(n.add(F32, base, np.uint32(one | 1))) == base + 1
    big = np.uint32(0x4B800001)  # 2^24 + 2
    assert int(n.add(F32, big, np.uint32(trace))) == big
    assert int(n.add(F32, big, np.uint32(trace), AddMode.SUB)) == big


def test_order_key_by_hand():
    """-NaN < -inf < -1 < -0 < +0 < 1 < inf < NaN, by their bits."""
    words = [0xFFFFFFFF, 0xFF800000, 0xBF800000, 0x80000000, 0, 0x3F800000, 0x7F800000, 0x7FC00000]
    keys = n.order_key(np.array(words, np.uint32))
    assert list(keys) == sorted(keys)
    assert keys[3] == -1 and keys[4] == 0 and keys[0] == -(1 << 31)


# Every pair, random words ----------------------------------------------------------------------------


def test_eight_bit_multiply_every_pair():
    a, b = every_pair()
    expected = [oracle_multiply(F8, int(x), int(y)) for x, y in zip(a, b, strict=True)]
    check(n.multiply(F8, a, b), expected, a, b)


@pytest.mark.parametrize("mode", list(AddMode))
def test_eight_bit_add_every_pair(mode):
    a, b = every_pair()
    expected = [oracle_add(F8, int(x), int(y), mode) for x, y in zip(a, b, strict=True)]
    check(n.add(F8, a, b, mode), expected, a, b)


@pytest.mark.parametrize("kind", [Quantise.INT8, Quantise.INT32])
def test_eight_bit_quantise_every_word_and_shift(kind):
    words = np.concatenate(list(every_word(F8)))
    limit = 127 if kind is Quantise.INT8 else (1 << 31) - 1
    for shift in range(-32, 32):
        expected = [oracle_quantise(F8, int(w), shift, limit) for w in words]
        assert list(n.quantise(F8, words, shift, kind)) == expected, shift


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_random_words_against_rationals(fmt):
    a, b = sample(fmt, 3000, 1), sample(fmt, 3000, 2)
    b[24:1500] = a[24:1500] ^ np.uint32(1 << 31) ^ (b[24:1500] & np.uint32(0x3FFFF))  # cancellation
    pairs = [(int(x), int(y)) for x, y in zip(a, b, strict=True)]
    check(n.multiply(fmt, a, b), [oracle_multiply(fmt, x, y) for x, y in pairs], a, b)
    for mode in AddMode:
        check(n.add(fmt, a, b, mode), [oracle_add(fmt, x, y, mode) for x, y in pairs], a, b)
    x = np.random.default_rng(3).integers(-(1 << 31), 1 << 31, 3000) >> np.arange(3000) % 31
    check(n.from_int32(fmt, x), [encode(fmt, Fraction(int(v))) for v in x], x)
    check(n.canonical(fmt, a), [oracle_multiply(fmt, x, n.one(fmt)) for x, _ in pairs], a)
    for shift in (-32, -3, 0, 20, 31):
        expected = [oracle_quantise(fmt, int(w), shift, (1 << 31) - 1) for w in a]
        assert list(n.quantise(fmt, a, shift, Quantise.INT32)) == expected


def test_float32_against_numpy():
    """(8, 23) is IEEE float32 but for subnormals, read and written as zero."""

    def flushed(words):
        return np.where(words & 0x7F800000, words, words & 0x80000000).astype(np.uint32)

    rng = np.random.default_rng(4)
    corners = sample(F32, 0, 0)
    a = np.concatenate([np.repeat(corners, len(corners)), rng.integers(0, 1 << 32, 200_000, dtype=np.uint32)])
    b = np.concatenate([np.tile(corners, len(corners)), rng.integers(0, 1 << 32, 200_000, dtype=np.uint32)])
    # Half of the random pairs with exponents that meet, from complete cancellation to sticky bits only.
    near = slice(len(a) - 100_000, None)
    exponent = (a[near] >> 23 & 255).astype(np.int64) + rng.integers(-60, 60, 100_000)
    b[near] = (b[near] & np.uint32(0x807FFFFF)) | (
        np.clip(exponent, 0, 255).astype(np.uint32) << np.uint32(23)
    )
    x, y = flushed(a).view(np.float32), flushed(b).view(np.float32)
    with np.errstate(all="ignore"):
        product = x * y
        # What float32 rounds from a subnormal up to the smallest number is flushed here.
        size = np.abs(x.astype(np.float64) * y)
        tiny = (size > 0) & (size < 2.0**-126 * (1 - 2.0**-25))
        product = np.where(tiny, np.copysign(np.float32(0), product), product)
        results = [
            (n.multiply(F32, a, b), product),
            (n.add(F32, a, b), x + y),
            (n.add(F32, a, b, AddMode.SUB), x - y),
            (n.add(F32, a, b, AddMode.RSUB), y - x),
        ]
    for found, exact in results:
        words = np.where(np.isnan(exact), 0x7FC00000, flushed(exact.view(np.uint32)))
        check(found, words, a, b)
    v = rng.integers(-(1 << 31), 1 << 31, 100_000).astype(np.int32)
    check(n.from_int32(F32, v), v.astype(np.float32).view(np.uint32), v)


def test_conversion_to_float64_and_back():
    for fmt in FORMATS:
        words = sample(fmt, 2000, 5)
        values = n.to_float64(fmt, words)
        for word, value in zip(words, values, strict=True):
            exact = decode(fmt, int(word))
            if exact == "nan":
                assert math.isnan(value)
            elif isinstance(exact, str):
                assert str(float(value)).removesuffix(".0") == exact
            else:
                assert Fraction(float(value)) == exact
        again = n.from_float64(fmt, values)
        check(again, [encode(fmt, decode(fmt, int(w))) for w in words], words)

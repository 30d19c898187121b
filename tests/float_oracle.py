"""docs/numerics.md in rationals, one word at a time: what golden arithmetic is checked against."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np

from golden import numerics as n
from golden.errors import every_word
from lpu.arch import FloatFormat
from lpu.isa import AddMode, Special
from lpu.tables import special_table

F32, F27, F8 = FloatFormat(8, 23), FloatFormat(8, 17), FloatFormat(4, 3)
FORMATS = [F32, F27, FloatFormat(5, 10), F8]

Number = Fraction | str
"""A value of the oracle: a rational, or one of inf, -inf, nan, -0."""


@lru_cache(maxsize=1 << 12)
def decode(fmt: FloatFormat, word: int) -> Number:
    bits = word >> fmt.word_shift
    negative = bits >> (fmt.width - 1)
    e = bits >> fmt.mantissa & ((1 << fmt.exponent) - 1)
    m = bits & ((1 << fmt.mantissa) - 1)
    if e == 0:
        return "-0" if negative else Fraction(0)
    if e == (1 << fmt.exponent) - 1:
        return "nan" if m else ("-inf" if negative else "inf")
    value = (1 + Fraction(m, 1 << fmt.mantissa)) * Fraction(2) ** (e - fmt.bias)
    return -value if negative else value


@lru_cache(maxsize=1 << 14)
def encode(fmt: FloatFormat, value: Number, negative_zero: bool = False) -> int:
    sign = 1 << (fmt.width - 1)
    infinity = ((1 << fmt.exponent) - 1) << fmt.mantissa
    if value == "nan":
        bits = infinity | 1 << (fmt.mantissa - 1)
    elif isinstance(value, str):
        bits = {"inf": infinity, "-inf": sign | infinity, "-0": sign}[value]
    elif value == 0:
        bits = sign if negative_zero else 0
    else:
        size = abs(value)
        e = size.numerator.bit_length() - size.denominator.bit_length()
        if size < Fraction(2) ** e:
            e -= 1
        significand = round(size / Fraction(2) ** (e - fmt.mantissa))  # Python's round takes ties to even
        size = significand * Fraction(2) ** (e - fmt.mantissa)
        if size >= Fraction(2) ** (fmt.bias + 1):
            bits = infinity
        elif size < Fraction(2) ** (1 - fmt.bias):
            bits = 0
        else:
            if significand == 2 << fmt.mantissa:
                e, significand = e + 1, 1 << fmt.mantissa
            bits = (e + fmt.bias) << fmt.mantissa | (significand - (1 << fmt.mantissa))
        bits |= sign if value < 0 else 0
    return bits << fmt.word_shift


def sign_of(x: Number) -> bool:
    return x.startswith("-") if isinstance(x, str) else x < 0


def zero(x: Number) -> bool:
    return x == "-0" or x == 0


def infinite(x: Number) -> bool:
    return x in ("inf", "-inf")


def oracle_multiply(fmt: FloatFormat, a: int, b: int) -> int:
    x, y = decode(fmt, a), decode(fmt, b)
    negative = sign_of(x) != sign_of(y)
    if "nan" in (x, y) or (infinite(x) and zero(y)) or (infinite(y) and zero(x)):
        return encode(fmt, "nan")
    if infinite(x) or infinite(y):
        return encode(fmt, "-inf" if negative else "inf")
    if zero(x) or zero(y):
        return encode(fmt, "-0" if negative else Fraction(0))
    return encode(fmt, x * y)


def negated(x: Number) -> Number:
    if isinstance(x, str):
        return {"nan": "nan", "inf": "-inf", "-inf": "inf", "-0": Fraction(0)}[x]
    return "-0" if x == 0 else -x


def oracle_add(fmt: FloatFormat, a: int, b: int, mode: AddMode) -> int:
    x, y = decode(fmt, a), decode(fmt, b)
    if mode is AddMode.SUB:
        y = negated(y)
    if mode is AddMode.RSUB:
        x = negated(x)
    if "nan" in (x, y) or (infinite(x) and infinite(y) and x != y):
        return encode(fmt, "nan")
    if infinite(x) or infinite(y):
        return encode(fmt, x if infinite(x) else y)
    if x == "-0" and y == "-0":
        return encode(fmt, "-0")
    total = (Fraction(0) if x == "-0" else x) + (Fraction(0) if y == "-0" else y)
    return encode(fmt, total)


def oracle_quantise(fmt: FloatFormat, a: int, shift: int, limit: int) -> int:
    x = decode(fmt, a)
    if isinstance(x, str):
        return {"nan": 0, "inf": limit, "-inf": -limit, "-0": 0}[x]
    return max(-limit, min(limit, round(x * Fraction(2) ** shift)))


def oracle_special(fmt: FloatFormat, which: Special, a: int) -> int:
    """The page's text, in integers."""
    x = decode(fmt, a)
    if x == "nan":
        return encode(fmt, "nan")
    table = special_table()

    def y(i: int, r: int, s: int) -> int:
        slope = table[i] >> 20
        slope -= (slope >> 15) << 16
        return (table[i] & 0xFFFFF) + (slope * r >> s)

    def scaled(k: int, fraction: int) -> int:
        return encode(fmt, (1 + Fraction(fraction, 1 << 20)) * Fraction(2) ** k)

    size = Fraction(0) if zero(x) or infinite(x) else abs(x)
    if which is Special.SIGMOID:
        if infinite(x) or size >= 16:
            p = 1 << 20
        else:
            t = math.floor(size * (1 << 16))
            if t == 0:
                p = 1 << 19
            elif t < 1 << 16:
                p = y(64 + (t >> 11), t % (1 << 11), 12)
            else:
                o = t.bit_length() - 17
                p = y(384 + 32 * o + ((t - (1 << (16 + o))) >> (11 + o)), t % (1 << (11 + o)), 12)
        if sign_of(x) and not zero(x):
            p = (1 << 20) - p
        return encode(fmt, Fraction(p, 1 << 20))
    if which is Special.EXP2:
        if infinite(x):
            return encode(fmt, Fraction(0) if sign_of(x) else "inf")
        big = math.floor(size * (1 << 20)) * (-1 if sign_of(x) else 1)
        k, u = big >> 20, big % (1 << 20)
        if k < 1 - fmt.bias:
            return encode(fmt, Fraction(0))
        if k > fmt.bias:
            return encode(fmt, "inf")
        return scaled(k, y(u >> 14, u % (1 << 14), 14) if u else 0)
    if which is Special.RSQRT and zero(x):
        return encode(fmt, "inf")
    if which is Special.RSQRT and sign_of(x):
        return encode(fmt, "nan")
    if infinite(x):
        return encode(fmt, "-0" if sign_of(x) else Fraction(0))
    if zero(x):
        return encode(fmt, "-inf" if sign_of(x) else "inf")
    bits = a >> fmt.word_shift
    e = (bits >> fmt.mantissa & ((1 << fmt.exponent) - 1)) - fmt.bias
    m = bits & ((1 << fmt.mantissa) - 1)
    u = m << (20 - fmt.mantissa) if fmt.mantissa <= 20 else m >> (fmt.mantissa - 20)
    if which is Special.RECIP:
        word = scaled(-e - 1, y(128 + (u >> 13), u % (1 << 13), 14)) if u else scaled(-e, 0)
        return word | (a & 1 << 31)
    k, odd = e // 2, e % 2
    if not odd and u == 0:
        return scaled(-k, 0)
    return scaled(-k - 1, y((320 if odd else 256) + (u >> 14), u % (1 << 14), 14))


def sample(fmt: FloatFormat, count: int, seed: int) -> np.ndarray:
    """Random words, an eighth of them around one, and the corner cases."""
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 1 << 32, count, dtype=np.uint32)
    near = rng.integers(-4, 5, count // 8)
    words[: count // 8] = n.from_float64(fmt, rng.standard_normal(count // 8) * 2.0**near)
    top = (1 << fmt.width) - 1
    infinity = ((1 << fmt.exponent) - 1) << fmt.mantissa
    smallest = 1 << fmt.mantissa
    corners = [0, 1, smallest - 1, smallest, smallest + 1, infinity - 1, infinity, infinity + 1, top >> 1]
    one = fmt.bias << fmt.mantissa
    corners += [one - 1, one, one + 1]
    sign = 1 << (fmt.width - 1)
    corners = [c << fmt.word_shift for c in corners] + [(c | sign) << fmt.word_shift for c in corners]
    return np.concatenate([np.array(corners, np.uint32), words])


def every_pair() -> tuple[np.ndarray, np.ndarray]:
    words = np.concatenate(list(every_word(F8)))
    return np.repeat(words, 256), np.tile(words, 256)


def check(found, expected, *operands):
    wrong = np.flatnonzero(np.asarray(found) != np.asarray(expected))
    lines = [
        " ".join(f"{int(o[i]):08x}" for o in operands)
        + f": {int(found[i]):08x}, expected {int(expected[i]):08x}"
        for i in wrong[:5]
    ]
    assert not len(wrong), f"{len(wrong)} wrong, first: " + "; ".join(lines)

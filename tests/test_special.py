"""The special function unit: RTL against golden bit for bit."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from golden.special import special
from lpu.arch import FloatFormat
from lpu.isa import Special as Function
from rtl.special import Special, table_words
from tb.native import NativeUnit

FORMATS = [FloatFormat(4, 3), FloatFormat(5, 10), FloatFormat(8, 17), FloatFormat(8, 23), FloatFormat(6, 21)]
FUNCTIONS = [f for f in Function if f is not Function.NONE]
RANDOM = 200_000


def name_of(fmt: FloatFormat) -> str:
    return f"({fmt.exponent},{fmt.mantissa})"


@lru_cache
def built(fmt: FloatFormat) -> NativeUnit:
    return NativeUnit(Special(fmt=fmt), f"special-{fmt.exponent}-{fmt.mantissa}")


@lru_cache
def operands(fmt: FloatFormat) -> np.ndarray:
    """Every value of a short format; else every exponent with mantissas around each segment's start, and random ones."""
    if fmt.width <= 16:
        return np.arange(1 << fmt.width, dtype=np.uint64)
    rng = np.random.default_rng(1)
    size, top = fmt.mantissa, (1 << fmt.exponent) - 1
    segments = np.arange(128) << (size - 7)
    mantissas = np.unique(np.concatenate([segments + d for d in (-2, -1, 0, 1, 2)]) & ((1 << size) - 1))
    exponents = np.arange(top + 1)
    edges = (exponents[:, None] << size | mantissas).ravel()
    # Where exp2 and sigmoid neither saturate nor round to a constant.
    near = rng.integers(fmt.bias - 21, fmt.bias + fmt.exponent, RANDOM).clip(0, top) << size
    near |= rng.integers(0, 1 << size, RANDOM)
    anywhere = rng.integers(0, 1 << (fmt.width - 1), RANDOM)
    magnitudes = np.concatenate([edges, near, anywhere]).astype(np.uint64)
    return np.concatenate([magnitudes, magnitudes | np.uint64(1 << (fmt.width - 1))])


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_special(fmt, function):
    a = operands(fmt)
    words = (a << np.uint64(fmt.word_shift)).astype(np.uint32)
    actual = built(fmt).stream({"i": a, "function": int(function)}, Special.latency)["o"]
    expected = special(fmt, function, words) >> np.uint32(fmt.word_shift)
    wrong = np.flatnonzero(actual != expected)
    if len(wrong):
        k = wrong[0]
        raise AssertionError(
            f"{function.name} {name_of(fmt)}: {len(wrong)} of {len(a)} differ; first of {a[k]:#x}: "
            f"expected {expected[k]:#x}, actual {actual[k]:#x}"
        )


def test_functions_take_turns():
    """A function a cycle: nothing of one operation reaches the next."""
    fmt = FloatFormat(8, 17)
    rng = np.random.default_rng(2)
    a = rng.choice(operands(fmt), 50_000)
    functions = rng.choice(FUNCTIONS, len(a))
    actual = built(fmt).stream({"i": a, "function": functions}, Special.latency)["o"]
    words = (a << np.uint64(fmt.word_shift)).astype(np.uint32)
    expected = np.zeros(len(a), np.uint32)
    for function in FUNCTIONS:
        here = functions == function
        expected[here] = special(fmt, function, words[here]) >> np.uint32(fmt.word_shift)
    assert (actual == expected).all()


def test_by_hand():
    """float32 words worked by hand: exact powers and special cases."""
    cases = {
        Function.EXP2: {
            0x40400000: 0x41000000,
            0xBF800000: 0x3F000000,
            0xC3000000: 0,
            0x43000000: 0x7F800000,
        },
        Function.RECIP: {0xC0800000: 0xBE800000, 0x80000000: 0xFF800000, 0x7F800000: 0, 0x7F000000: 0},
        Function.RSQRT: {
            0x40800000: 0x3F000000,
            0x80000000: 0x7F800000,
            0xBF800000: 0x7FC00000,
            0x7F800000: 0,
        },
        Function.SIGMOID: {
            0: 0x3F000000,
            0x41800000: 0x3F800000,
            0xC1800000: 0,
            0xFF800000: 0,
            0x7FA00000: 0x7FC00000,
        },
    }
    for function, words in cases.items():
        a = np.array(list(words), np.uint64)
        actual = built(FloatFormat(8, 23)).stream({"i": a, "function": int(function)}, Special.latency)["o"]
        assert [hex(x) for x in actual] == [hex(x) for x in words.values()], function.name


def test_only_exp2_starts_at_zero():
    """The unit keeps base - 1 and mends the one base that is zero; others would be wrong."""
    used = [n for n in range(512) if not 96 <= n < 128]
    assert [n for n in used if table_words()[n] & 0xFFFFF == 0xFFFFF] == [0]

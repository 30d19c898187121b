"""Special functions of docs/numerics.md, bit exact, on arrays of stream words: one table, linear segments."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.numerics import Floats, Words, from_float64, to_float64
from lpu.arch import FloatFormat
from lpu.isa import Special
from lpu.tables import special_table

_ONE = 1 << 20


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(base, slope) of the 512 words."""
    words = np.array(special_table(), np.int64)
    return words & 0xFFFFF, ((words >> 20) ^ 0x8000) - 0x8000


def _lookup(i: NDArray[np.int64], r: NDArray[np.int64], s: int) -> NDArray[np.int64]:
    """y = base[i] + ((slope[i] * r) >> s)."""
    base, slope = _tables()
    return base[i] + ((slope[i] * r) >> s)


def _significand(y: NDArray[np.int64]) -> Floats:
    """1.y"""
    return 1.0 + y / _ONE


def _split(x: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(e, u) of |x| = 2**e (1 + f), u the top 20 bits of f."""
    fraction, e = np.frexp(np.abs(x))
    u = np.where(np.isfinite(x), (fraction * 2 - 1) * _ONE, 0).astype(np.int64)
    # Zero has no fraction; its result is a special case, but the table index must exist.
    return e.astype(np.int64) - 1, np.maximum(u, 0)


def exp2(fmt: FloatFormat, a: ArrayLike) -> Words:
    """2**a"""
    with np.errstate(all="ignore"):
        x = to_float64(fmt, a)
        # Beyond 2**9 every format overflows or flushes.
        magnitude = np.minimum(np.nan_to_num(np.abs(x), nan=0.0), 512.0)
        scaled = np.floor(magnitude * _ONE).astype(np.int64)
        scaled = np.where(x < 0, -scaled, scaled)
        k, u = scaled >> 20, scaled & (_ONE - 1)
        y = np.where(u == 0, 0, _lookup(u >> 14, u & 0x3FFF, 14))
        value = np.ldexp(_significand(y), k.astype(np.int32))
        value = np.where(k < 1 - fmt.bias, 0.0, np.where(k > fmt.bias, np.inf, value))
        return from_float64(fmt, np.where(np.isnan(x), np.nan, value))


def recip(fmt: FloatFormat, a: ArrayLike) -> Words:
    """1/a"""
    with np.errstate(all="ignore"):
        x = to_float64(fmt, a)
        e, u = _split(x)
        y = _lookup(128 + (u >> 13), u & 0x1FFF, 14)
        value = np.where(
            u == 0,
            np.ldexp(1.0, (-e).astype(np.int32)),
            np.ldexp(_significand(y), (-e - 1).astype(np.int32)),
        )
        value = np.where(x == 0, np.inf, np.where(np.isinf(x), 0.0, value))
        return from_float64(fmt, np.where(np.isnan(x), np.nan, np.copysign(value, x)))


def rsqrt(fmt: FloatFormat, a: ArrayLike) -> Words:
    """1/sqrt(a)"""
    with np.errstate(all="ignore"):
        x = to_float64(fmt, a)
        e, u = _split(x)
        k, odd = e >> 1, e & 1
        y = _lookup(256 + 64 * odd + (u >> 14), u & 0x3FFF, 14)
        value = np.where(
            (odd == 0) & (u == 0),
            np.ldexp(1.0, (-k).astype(np.int32)),
            np.ldexp(_significand(y), (-k - 1).astype(np.int32)),
        )
        value = np.where(x == 0, np.inf, np.where(np.isinf(x), 0.0, value))
        return from_float64(fmt, np.where(np.isnan(x) | (x < 0), np.nan, value))


def sigmoid(fmt: FloatFormat, a: ArrayLike) -> Words:
    """1/(1+exp(-a))"""
    with np.errstate(all="ignore"):
        x = to_float64(fmt, a)
        magnitude = np.minimum(np.nan_to_num(np.abs(x), nan=0.0), 16.0)
        t = np.floor(magnitude * (1 << 16)).astype(np.int64)
        # Octave of |x|: 0 for [1, 2) to 3 for [8, 16); below one the low part of the table serves.
        o = np.clip(np.frexp(t.astype(np.float64))[1] - 17, 0, 3).astype(np.int64)
        low = t < 1 << 16
        # |x| = 16 and more would index past the table; it is replaced below.
        rest = np.where(low, t, np.minimum(t - (1 << (16 + o)), (1 << (16 + o)) - 1))
        shift = 11 + o
        i = np.where(low, 64, 384 + 32 * o) + (rest >> shift)
        p = _lookup(i, rest & ((1 << shift) - 1), 12)
        p = np.where(t == 0, _ONE >> 1, np.where(magnitude >= 16.0, _ONE, p))
        p = np.where(x < 0, _ONE - p, p)
        return from_float64(fmt, np.where(np.isnan(x), np.nan, p / _ONE))


_FUNCTIONS = {Special.EXP2: exp2, Special.RECIP: recip, Special.RSQRT: rsqrt, Special.SIGMOID: sigmoid}


def special(fmt: FloatFormat, which: Special | int, a: ArrayLike) -> Words:
    """The named function of each word."""
    return _FUNCTIONS[Special(which)](fmt, a)

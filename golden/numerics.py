"""Float and integer primitives of docs/numerics.md, bit exact, on arrays of stream words.

Every function is pure and works on any shape. Words are uint32 with the float in the top bits (see
:class:`lpu.arch.FloatFormat`). An operation is computed in float64, where it is exact or loses nothing that
matters, and rounded to the format.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lpu.arch import FloatFormat
from lpu.isa import AddMode, Quantise

Words = NDArray[np.uint32]
Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

_BIAS64, _MANTISSA64 = 1023, 52
_MAGNITUDE64 = np.int64((1 << 63) - 1)


def one(fmt: FloatFormat) -> int:
    """The word of the constant one."""
    return (fmt.bias << fmt.mantissa) << fmt.word_shift


def canonical_nan(fmt: FloatFormat) -> int:
    """The word of the only NaN that operations produce."""
    return (((1 << fmt.exponent) - 1) << fmt.mantissa | 1 << (fmt.mantissa - 1)) << fmt.word_shift


def to_float64(fmt: FloatFormat, words: ArrayLike) -> Floats:
    """Value of each word; exponent field 0 reads as zero of its sign, bits below the format are ignored."""
    values = (np.asarray(words, np.uint32) >> np.uint32(fmt.word_shift)).astype(np.int64)
    magnitude = values & ((1 << (fmt.exponent + fmt.mantissa)) - 1)
    special = ((1 << fmt.exponent) - 1) << fmt.mantissa
    rebias = (_BIAS64 - fmt.bias) << fmt.mantissa
    to_inf = ((0x7FF - ((1 << fmt.exponent) - 1)) << fmt.mantissa) - rebias
    bits = np.where(magnitude < 1 << fmt.mantissa, 0, magnitude + rebias + to_inf * (magnitude >= special))
    bits = (bits << (_MANTISSA64 - fmt.mantissa)) | ((values >> (fmt.width - 1)) << 63)
    return bits.view(np.float64)


def from_float64(fmt: FloatFormat, values: ArrayLike) -> Words:
    """Words of the values: one rounding to nearest even, then overflow to infinity and flush to zero."""
    values = np.asarray(values, np.float64)
    bits = values.view(np.int64)
    drop = _MANTISSA64 - fmt.mantissa
    # The sign bit stays put: rounding carries end in the exponent (NaNs are replaced below).
    rounded = bits + (((bits >> drop) & 1) + ((1 << (drop - 1)) - 1))
    magnitude = ((rounded & _MAGNITUDE64) >> drop) - ((_BIAS64 - fmt.bias) << fmt.mantissa)
    infinity = ((1 << fmt.exponent) - 1) << fmt.mantissa
    magnitude = np.where(magnitude < 1 << fmt.mantissa, 0, np.minimum(magnitude, infinity))
    words = (magnitude | ((bits < 0).astype(np.int64) << (fmt.width - 1))) << fmt.word_shift
    return np.where(np.isnan(values), canonical_nan(fmt), words).astype(np.uint32)


def from_int32(fmt: FloatFormat, x: ArrayLike) -> Words:
    """Convert: int32 (or sign-extended int8) to the nearest float."""
    return from_float64(fmt, np.asarray(x, np.int32).astype(np.float64))


def canonical(fmt: FloatFormat, words: ArrayLike) -> Words:
    """a x 1: bits below the format cleared, subnormals zero, NaNs the canonical one."""
    exponent = np.uint32((((1 << fmt.exponent) - 1) << fmt.mantissa) << fmt.word_shift)
    words = np.asarray(words, np.uint32) & np.uint32(0xFFFFFFFF << fmt.word_shift & 0xFFFFFFFF)
    words = np.where(words & exponent, words, words & np.uint32(1 << 31))
    return np.where((words & np.uint32(0x7FFFFFFF)) > exponent, np.uint32(canonical_nan(fmt)), words)


def multiply(fmt: FloatFormat, a: ArrayLike, b: ArrayLike) -> Words:
    """a x b. The product of two significands of 24 bits is exact in float64."""
    with np.errstate(all="ignore"):
        return from_float64(fmt, to_float64(fmt, a) * to_float64(fmt, b))


def add(fmt: FloatFormat, a: ArrayLike, b: ArrayLike, mode: AddMode | int = AddMode.ADD) -> Words:
    """Product a and addend b: a + b, a - b (SUB) or b - a (RSUB)."""
    x, y = to_float64(fmt, a), to_float64(fmt, b)
    if mode == AddMode.SUB:
        y = -y
    elif mode == AddMode.RSUB:
        x = -x
    # Far apart exponents make float64 round too, harmlessly: 53 bits are more than twice 24 and two, so that the
    # first rounding never moves a sum onto or across a tie of the second (Figueroa, "When is double rounding
    # innocuous?", 1995).
    with np.errstate(all="ignore"):
        return from_float64(fmt, x + y)


def quantise(fmt: FloatFormat, a: ArrayLike, shift: int, kind: Quantise | int) -> Ints:
    """round(a x 2**shift), ties to even, saturated to +-127 (INT8) or +-(2**31-1) (INT32); NaN gives 0."""
    limit = 127 if kind == Quantise.INT8 else (1 << 31) - 1
    values = to_float64(fmt, a)
    values = np.where(np.isnan(values), 0.0, values) * 2.0**shift
    return np.clip(np.rint(values), -limit, limit).astype(np.int32)


def order_key(words: ArrayLike) -> NDArray[np.int64]:
    """Signed number by which FMAX and FARGMAX order float words: sign and magnitude of 32 bits, -0 < +0."""
    words = np.asarray(words, np.uint32).astype(np.int64)
    return np.where(words >> 31, -(words & 0x7FFFFFFF) - 1, words)


def wrap32(x: ArrayLike) -> Ints:
    """An integer modulo 2**32, as int32."""
    return (np.asarray(x, np.int64) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)

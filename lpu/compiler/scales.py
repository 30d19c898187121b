"""Scales of symmetric int8 that lose least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lpu.compiler.quantised import Int8

Floats = NDArray[np.float64]

#: Fractions of the largest magnitude that are tried as the value of 127.
FRACTIONS = np.arange(1.0, 0.39, -0.03)


def to_int8(values: Floats, scale: Floats | float) -> Int8:
    """Nearest int8 within +-127."""
    return np.clip(np.rint(values / scale), -127, 127).astype(np.int8)


def round_trip(values: Floats, scale: Floats | float) -> Floats:
    """What the int8 of the values are worth."""
    return np.clip(np.rint(values / scale), -127, 127) * scale


def best_scales(values: Floats, axis: int, weights: Floats | None = None) -> Floats:
    """Scale of each slice along ``axis`` that minimises its squared error; 1 for a slice of zeros.

    ``weights``: what the square of each element's error counts, of a shape that broadcasts.
    """
    largest = np.abs(values).max(axis=axis, keepdims=True)
    largest = np.where(largest > 0, largest, 127.0)
    best = largest / 127
    least = np.full(largest.shape, np.inf)
    for fraction in FRACTIONS:
        scale = largest * fraction / 127
        error = (values - round_trip(values, scale)) ** 2
        total = (error if weights is None else error * weights).sum(axis=axis, keepdims=True)
        best = np.where(total < least, scale, best)
        least = np.minimum(least, total)
    return best.squeeze(axis)

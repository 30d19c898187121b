"""The vector unit's numbers. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from lpu.floorplan import ConfigError


@dataclass(frozen=True)
class FloatFormat:
    """Binary float with IEEE-style exponent coding: sign, ``exponent`` bits, ``mantissa`` stored bits.

    A value occupies the top ``width`` bits of a 32-bit stream word, so that (8, m) words are float32 bit patterns with
    zeros below. Subnormals do not exist: they read as zero and are flushed to zero. See docs/numerics.md.
    """

    exponent: int
    mantissa: int

    def __post_init__(self) -> None:
        if not 4 <= self.exponent <= 8:
            raise ConfigError(f"float exponent of {self.exponent} bits: use 4 to 8")
        if not 3 <= self.mantissa <= 23:
            raise ConfigError(f"float mantissa of {self.mantissa} bits: use 3 to 23")

    @property
    def width(self) -> int:
        """Bits of a value: 1 + exponent + mantissa."""
        return 1 + self.exponent + self.mantissa

    @property
    def bias(self) -> int:
        """Exponent bias, 2**(exponent-1) - 1."""
        return (1 << (self.exponent - 1)) - 1

    @property
    def word_shift(self) -> int:
        """Position of the value's lowest bit in a 32-bit stream word."""
        return 32 - self.width

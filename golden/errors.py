"""Worst errors of the special functions over every input of a format: ``python -m golden.errors``.

The default format has 2**26 words; all of them take about a minute. docs/numerics.md quotes the figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.numerics import Floats, to_float64
from golden.special import special
from lpu.arch import FloatFormat
from lpu.isa import Special

_CHUNK = 1 << 18


def _recip(x: Floats) -> Floats:
    return 1 / x


def _rsqrt(x: Floats) -> Floats:
    return 1 / np.sqrt(x)


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


EXACT: dict[Special, Callable[[Floats], Floats]] = {
    Special.EXP2: np.exp2,
    Special.RECIP: _recip,
    Special.RSQRT: _rsqrt,
    Special.SIGMOID: _sigmoid,
}


@dataclass(frozen=True)
class Worst:
    """The largest error of a kind, and the input that shows it."""

    error: float = 0.0
    at: float = 0.0

    def with_errors(self, errors: Floats, x: Floats) -> Worst:
        """The worse of this and a batch."""
        if not len(errors):
            return self
        n = int(np.argmax(errors))
        return Worst(float(errors[n]), float(x[n])) if errors[n] > self.error else self


@dataclass(frozen=True)
class Errors:
    """Errors of one function.

    Attributes
    ----------
    inputs : words tried. compared : those whose exact result is a normal number of the format.
    ulp : in units of the last place of the exact result. relative, absolute : as they say.
    """

    function: Special
    inputs: int
    compared: int
    ulp: Worst
    relative: Worst
    absolute: Worst


def every_word(fmt: FloatFormat) -> Iterable[NDArray[np.uint32]]:
    """All words of a format (zeros below), in chunks."""
    total = 1 << fmt.width
    for start in range(0, total, _CHUNK):
        values = np.arange(start, min(start + _CHUNK, total), dtype=np.uint64)
        yield (values << np.uint64(fmt.word_shift)).astype(np.uint32)


def measure(
    fmt: FloatFormat, function: Special, chunks: Iterable[NDArray[np.uint32]], positive: bool = False
) -> Errors:
    """Errors against float64 over the words given.

    Compared are results that ought to be normal numbers: a wrong infinity or zero among them counts as the
    error it is. ``positive``: only inputs of clear sign.
    """
    inputs = compared = 0
    ulp, relative, absolute = Worst(), Worst(), Worst()
    low, high = 2.0 ** (1 - fmt.bias), 2.0 ** (fmt.bias + 1)
    with np.errstate(all="ignore"):
        for words in chunks:
            x = to_float64(fmt, words)
            exact = EXACT[function](x)
            normal = (np.abs(exact) >= low) & (np.abs(exact) < high * (1 - 2.0 ** -(fmt.mantissa + 2)))
            if positive:
                normal &= words < 1 << 31
            inputs += len(words)
            x, exact = x[normal], exact[normal]
            compared += len(x)
            error = np.abs(to_float64(fmt, special(fmt, function, words[normal])) - exact)
            place = np.ldexp(1.0, np.frexp(exact)[1] - 1 - fmt.mantissa)
            ulp = ulp.with_errors(error / place, x)
            relative = relative.with_errors(error / np.abs(exact), x)
            absolute = absolute.with_errors(error, x)
    return Errors(function, inputs, compared, ulp, relative, absolute)


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m golden.errors", description="Errors over every input.")
    parser.add_argument("--exponent", type=int, default=8, help="exponent bits (8)")
    parser.add_argument("--mantissa", type=int, default=17, help="mantissa bits (17)")
    options = parser.parse_args(arguments)
    fmt = FloatFormat(options.exponent, options.mantissa)
    print(f"float ({fmt.exponent}, {fmt.mantissa}), every one of 2^{fmt.width} inputs")
    print(
        f"{'function':14}{'compared':>10}{'ulp':>10}{'at x':>14}{'relative':>12}{'absolute':>12}{'at x':>14}"
    )
    rows = [(function, False) for function in EXACT]
    # 1 - sigmoid(|x|) has an absolute error only, so that the other half says what the table can do.
    rows.append((Special.SIGMOID, True))
    for function, positive in rows:
        e = measure(fmt, function, every_word(fmt), positive)
        print(
            f"{function.name.lower() + ' x >= 0' * positive:14}"
            f"{e.compared:10}{e.ulp.error:10.4g}{e.ulp.at:14.6g}"
            f"{e.relative.error:12.3g}{e.absolute.error:12.3g}{e.absolute.at:14.6g}",
            flush=True,
        )


if __name__ == "__main__":
    main()

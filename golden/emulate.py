"""Quantised graphs in NumPy, bit exact, from docs/quantised.md alone.

All positions given are computed at once, operation by operation; only attention looks from one to another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.numerics import Ints, Words, add, from_float64, from_int32, multiply, order_key, quantise
from golden.special import exp2, recip, rsqrt, sigmoid
from lpu.arch import FloatFormat
from lpu.compiler.quantised import (
    Attend,
    Gate,
    Gather,
    Logits,
    Matrix,
    Norm,
    Op,
    Partial,
    Project,
    Quantised,
    Residual,
    Rotary,
    Sum,
)
from lpu.isa import AddMode, Quantise

#: int8 vectors of static scale: [positions, n].
Vector = NDArray[np.int8]


class Stepped(NamedTuple):
    """What Norm makes: int8 vectors and the float word of each one's step, [positions, 1]."""

    vector: Vector
    step: Words


def integer_sum(a: NDArray[np.int8], b: NDArray[np.int8]) -> Ints:
    """Matrix product of int8; exact, as float64 holds every sum below 2**53."""
    exact = a.astype(np.float64) @ b.astype(np.float64)
    if exact.size and np.abs(exact).max() >= 1 << 31:
        raise OverflowError("an int32 sum overflows; the compiler should have refused this graph")
    return exact.astype(np.int32)


class Emulation:
    """State of a quantised network: keys and values of the positions so far.

    Parameters
    ----------
    quantised : the network. float_format : of the tile.
    """

    def __init__(self, quantised: Quantised, float_format: FloatFormat) -> None:
        self.quantised = quantised
        self.format = float_format
        self._mul = partial(multiply, float_format)
        self._add = partial(add, float_format)
        self._sub = partial(add, float_format, mode=AddMode.SUB)
        self._conv = partial(from_int32, float_format)
        self.reset()

    def reset(self) -> None:
        """Forget all positions."""
        self.position = 0
        self._keys: dict[str, Vector] = {}
        self._values: dict[str, Vector] = {}

    def step(self, token: int, position: int | None = None) -> Words:
        """Words of the logits [vocabulary] after a token; ``position``: go back to it first."""
        return self.extend([token], position)[0]

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """The prompt is consumed, then ``count`` tokens of largest logit, lowest index first."""
        words = self.extend(prompt)[-1]
        out = [int(np.argmax(order_key(words)))]
        while len(out) < count:
            out.append(int(np.argmax(order_key(self.step(out[-1])))))
        return out[:count]

    def extend(self, tokens: ArrayLike, position: int | None = None) -> Words:
        """Words of the logits [tokens, vocabulary] after each of some more tokens, all at once."""
        if position is not None:
            if not 0 <= position <= self.position:
                raise ValueError(f"position {position} was not reached: {self.position} were computed")
            self.position = position
            self._keys = {name: keys[:position] for name, keys in self._keys.items()}
            self._values = {name: values[:position] for name, values in self._values.items()}
        ids = np.asarray(tokens, np.int64)
        if self.position + len(ids) > self.quantised.positions:
            raise ValueError(
                f"{self.position + len(ids)} positions, the graph has {self.quantised.positions}"
            )
        if ((ids < 0) | (ids >= self.quantised.vocabulary)).any():
            raise ValueError(f"a token is outside 0..{self.quantised.vocabulary - 1}")
        values: dict[str, object] = {}
        for op in self.quantised.ops:
            values[op.out] = self._evaluate(op, ids, values)
        self.position += len(ids)
        words = values[self.quantised.ops[-1].out]
        assert isinstance(words, np.ndarray)
        return words

    def _evaluate(self, op: Op, ids: NDArray[np.int64], values: dict[str, object]) -> object:
        match op:
            case Gather():
                return self._mul(self._conv(op.table[ids]), self._constant(op.scale))
            case Norm():
                return self._norm(op, values[op.source])  # type: ignore[arg-type]
            case Project():
                return self._project(op, values[op.source])  # type: ignore[arg-type]
            case Attend():
                return self._attend(op, values)
            case Gate():
                return self._gate(op, values[op.source])  # type: ignore[arg-type]
            case Residual():
                return self._add(self._scaled(op.matrix, values[op.source]), values[op.addend])  # type: ignore[arg-type]
            case Partial():
                return self._scaled(op.matrix, values[op.source])  # type: ignore[arg-type]
            case Sum():
                return self._add(values[op.left], values[op.right])  # type: ignore[arg-type]
            case Logits():
                source: Stepped = values[op.source]  # type: ignore[assignment]
                return self._mul(self._scaled(op.matrix, source.vector), source.step)
        raise TypeError(f"{op.out}: no operation {type(op).__name__}")

    def _constant(self, c: ArrayLike) -> Words:
        """F(c)"""
        return from_float64(self.format, c)

    def _q8(self, x: Words, shift: int) -> Vector:
        return quantise(self.format, x, shift, Quantise.INT8).astype(np.int8)

    def _scaled(self, matrix: Matrix, a: Vector) -> Words:
        """mul(conv(A_n), F(scale_n))"""
        return self._mul(self._conv(integer_sum(a, matrix.weight.T)), self._constant(matrix.scale))

    def _norm(self, op: Norm, x: Words) -> Stepped:
        n = x.shape[-1]
        h = 17 - math.ceil(math.log2(n))
        c1, c2 = self._constant(1 / 127), self._constant(math.sqrt(2.0**-h / n) / 127)
        # Magnitudes order as their bits do.
        m = (x & np.uint32(0x7FFFFFFF)).max(axis=-1, keepdims=True)
        t = self._mul(m, c1)
        r = recip(self.format, t)
        u = self._mul(m, c2)
        k = self._mul(u, u)
        y = self._mul(x, r)
        squares = quantise(self.format, self._mul(y, y), h, Quantise.INT32).astype(np.int64)
        total = squares.sum(axis=-1, keepdims=True)
        variance = self._add(self._mul(self._conv(total), k), self._constant(op.eps))
        return Stepped(self._q8(y, 0), self._mul(rsqrt(self.format, variance), t))

    def _angles(self, rotary: Rotary, count: int) -> tuple[Words, Words]:
        """Cosines and sines of the pairs of a head at the positions computed: [positions, head_dim / 2]."""
        w = rotary.base ** (-2.0 * np.arange(rotary.head_dim // 2) / rotary.head_dim)
        position = self.position + np.arange(count)
        high = (16 * (position // 16))[:, None] * w
        low = (position % 16)[:, None] * w
        cos_h, sin_h = self._constant(np.cos(high)), self._constant(np.sin(high))
        cos_q, sin_q = self._constant(np.cos(low)), self._constant(np.sin(low))
        cos = self._sub(self._mul(cos_h, cos_q), self._mul(sin_h, sin_q))
        sin = self._add(self._mul(sin_h, cos_q), self._mul(cos_h, sin_q))
        return cos, sin

    def _project(self, op: Project, source: Stepped) -> Vector:
        z = self._scaled(op.matrix, source.vector)
        if op.rotary is None:
            return self._q8(self._mul(z, source.step), 0)
        cos, sin = self._angles(op.rotary, len(z))
        c = self._mul(cos, source.step)[:, None, :]
        s_plus = self._mul(sin, source.step)[:, None, :]
        s_minus = self._mul(self._mul(self._constant(-1.0), sin), source.step)[:, None, :]
        half = op.rotary.head_dim // 2
        heads = z.reshape(len(z), op.rotary.heads, op.rotary.head_dim)
        first = np.s_[:, :, 0::2] if op.rotary.interleaved else np.s_[:, :, :half]
        second = np.s_[:, :, 1::2] if op.rotary.interleaved else np.s_[:, :, half:]
        result = np.empty(heads.shape, np.int8)
        z_p, z_q = heads[first], heads[second]
        result[first] = self._q8(self._add(self._mul(z_q, s_minus), self._mul(z_p, c)), 0)
        result[second] = self._q8(self._add(self._mul(z_p, s_plus), self._mul(z_q, c)), 0)
        return result.reshape(z.shape)

    def _history(self, store: dict[str, Vector], name: str, new: Vector) -> Vector:
        """All vectors of a value so far."""
        store[name] = np.concatenate((store[name], new)) if name in store else new
        return store[name]

    def _attend(self, op: Attend, values: dict[str, object]) -> Vector:
        query: Vector = values[op.query]  # type: ignore[assignment]
        keys = self._history(self._keys, op.out, values[op.key])  # type: ignore[arg-type]
        value = self._history(self._values, op.out, values[op.value])  # type: ignore[arg-type]
        count, total, group, d = len(query), len(keys), op.heads // op.kv_heads, op.head_dim
        alpha = self._constant(op.score_scale)
        kappa = self._constant(-math.log2(127 / 128))
        visible = np.arange(total) <= np.arange(total - count, total)[:, None]
        result = np.empty((count, op.heads, d), np.int8)
        for h in range(op.heads):
            at = np.s_[:, h // group * d : (h // group + 1) * d]
            s = integer_sum(query[:, h * d : (h + 1) * d], keys[at].T)
            highest = np.where(visible, s, -(1 << 31)).max(axis=-1, keepdims=True)
            b = self._add(self._mul(self._conv(highest), alpha), kappa)
            rows, columns = np.nonzero(visible)
            shifted = self._sub(self._mul(self._conv(s[rows, columns]), alpha), b[rows, 0])
            w = np.zeros(s.shape, np.int8)
            w[rows, columns] = self._q8(exp2(self.format, shifted), 7)
            o = integer_sum(w, value[at])
            sums = w.sum(axis=-1, dtype=np.int64, keepdims=True)
            scale = self._constant(op.scale[h * d : (h + 1) * d])
            v = self._mul(recip(self.format, self._conv(sums)), scale)
            result[:, h] = self._q8(self._mul(self._conv(o), v), 0)
        return result.reshape(query.shape)

    def _gate(self, op: Gate, source: Stepped) -> Vector:
        gate, up = (integer_sum(source.vector, m.weight.T) for m in (op.gate, op.up))
        x = self._mul(self._conv(gate), self._mul(self._constant(op.gate.scale), source.step))
        f = self._mul(sigmoid(self.format, x), x)
        y = self._mul(self._conv(up), self._mul(self._constant(op.up.scale), source.step))
        return self._q8(self._mul(y, f), 0)

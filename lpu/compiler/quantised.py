"""The quantised graph: fused operations with int8 weights, whose numerics docs/quantised.md fixes to the bit.

:mod:`lpu.compiler.quantise` makes it from a float graph; the lowering turns each operation into instructions. Scales
are float64 here and are rounded once to the tile's float format when they are used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int8 = NDArray[np.int8]
Scale = NDArray[np.float64]


@dataclass(frozen=True)
class Matrix:
    """int8 ``weight`` [outputs, inputs] and what an int32 sum of each output is worth: ``scale`` [outputs]."""

    weight: Int8
    scale: Scale


@dataclass(frozen=True)
class Op:
    """An operation; ``out`` names its value."""

    out: str


@dataclass(frozen=True)
class Gather(Op):
    """Float vector: row ``token`` of ``table`` [vocabulary, n] int8, each channel times ``scale`` [n]."""

    table: Int8
    scale: Scale


@dataclass(frozen=True)
class Arrival(Op):
    """Float vector of ``channels`` that another chip made, under the name it has there."""

    channels: int


@dataclass(frozen=True)
class Norm(Op):
    """RMS norm and quantisation of float ``source`` to (int8 vector, float step); gain is in the weights that follow."""

    source: str
    eps: float


@dataclass(frozen=True)
class Rotary:
    """Rotation of a projection's output by position: heads, even head_dim, base, which channels are a pair."""

    heads: int
    head_dim: int
    base: float
    interleaved: bool


@dataclass(frozen=True)
class Project(Op):
    """int8 vector of static scale from a Norm's output: query, key (with ``rotary``) or value.

    The scale of the result is folded into ``matrix.scale``; with ``rotary`` it is equal for both channels of a pair.
    """

    source: str
    matrix: Matrix
    rotary: Rotary | None


@dataclass(frozen=True)
class Attend(Op):
    """int8 vector [heads * head_dim] of static scale from query, key and value, all int8.

    ``score_scale``: what one unit of an int32 score is worth, in powers of two (log2 e included). ``scale`` [heads * head_dim]:
    scale of the value's channel over the scale of the result's.
    """

    query: str
    key: str
    value: str
    heads: int
    kv_heads: int
    head_dim: int
    score_scale: float
    scale: Scale


@dataclass(frozen=True)
class Gate(Op):
    """int8 vector of static scale: silu(gate) * up, both projections of a Norm's output.

    The scale of the result is folded into ``up.scale``.
    """

    source: str
    gate: Matrix
    up: Matrix


@dataclass(frozen=True)
class Residual(Op):
    """Float vector: projection of an int8 vector of static scale (folded into ``matrix.scale``) plus float ``addend``."""

    source: str
    matrix: Matrix
    addend: str


@dataclass(frozen=True)
class Partial(Op):
    """Float vector: a share of a Residual's projection, to be added to the rest."""

    source: str
    matrix: Matrix


@dataclass(frozen=True)
class Sum(Op):
    """Float vector: the sum of two."""

    left: str
    right: str


@dataclass(frozen=True)
class Logits(Op):
    """Float vector [vocabulary]: projection of a Norm's output."""

    source: str
    matrix: Matrix


@dataclass(frozen=True)
class Quantised:
    """A quantised network.

    ``ops`` in order, the first a Gather, the last Logits; in the part of one chip of several the first may be an Arrival, and the
    last any float vector. ``layers``: for each op a label for reports, as ``"layer 2"``.
    """

    ops: tuple[Op, ...]
    layers: tuple[str, ...]
    vocabulary: int
    positions: int
    source: str

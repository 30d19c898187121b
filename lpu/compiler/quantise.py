"""Float graph to quantised graph: int8 weights, static and dynamic scales (docs/quantised.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lpu.compiler.fuse import (
    Fused,
    FusedAttend,
    FusedGate,
    FusedGather,
    FusedLogits,
    FusedNorm,
    FusedProject,
    FusedResidual,
    Weight,
    fuse,
)
from lpu.compiler.graph import Array, Graph, GraphError
from lpu.compiler.quantised import (
    Attend,
    Gate,
    Gather,
    Logits,
    Matrix,
    Norm,
    Op,
    Project,
    Quantised,
    Residual,
)
from lpu.compiler.scales import Floats, best_scales, to_int8

#: Values by name, [samples, n], that a run of the float graph recorded.
Recorded = Mapping[str, Array]


def matrix(weight: Weight, result_scale: Floats | float = 1.0) -> Matrix:
    """int8 weights with a scale for each output, over the scale of the result."""
    scale = best_scales(weight, axis=1)
    return Matrix(to_int8(weight, scale[:, None]), scale / result_scale)


def channel_pairs(heads: int, head_dim: int, interleaved: bool) -> NDArray[np.int64]:
    """Channels of each rotary pair: [heads * head_dim / 2, 2]."""
    pair = np.arange(head_dim // 2)
    first, second = (2 * pair, 2 * pair + 1) if interleaved else (pair, pair + head_dim // 2)
    within = np.stack((first, second), axis=1)
    return (np.arange(heads)[:, None, None] * head_dim + within).reshape(-1, 2)


class _Quantiser:
    """Makes the operations one by one; scales of int8 values are kept by name for their readers."""

    def __init__(self, ops: tuple[Fused, ...], recorded: Recorded) -> None:
        self.ops = ops
        self.recorded = recorded
        self.made = {op.out: op for op in ops}
        #: Scale of each channel of an int8 value, already known when its project or attend is made.
        self.scales: dict[str, Floats] = {}
        #: Attend -> worth of a unit of a score.
        self.score: dict[str, float] = {}
        for op in ops:
            if isinstance(op, FusedAttend):
                self.attention_scales(op)

    def values(self, name: str) -> Floats:
        if name not in self.recorded:
            raise GraphError(f"value {name} was not recorded in calibration")
        return self.recorded[name].astype(np.float64)

    def project(self, name: str) -> FusedProject:
        op = self.made[name]
        assert isinstance(op, FusedProject)
        return op

    def attention_scales(self, op: FusedAttend) -> None:
        """Scales of query, key, value and result.

        A pair of key channels has one scale, and the queries of its group are multiplied by it: scores then have one
        unit for all heads. Of the scales that give a unit, the one is taken that leaves queries and keys of a pair the same
        range; the pair whose product of ranges is largest fixes the unit.
        """
        group = op.heads // op.kv_heads
        rotary = self.project(op.key).rotary
        pairs = (
            channel_pairs(1, op.head_dim, rotary.interleaved) if rotary else np.arange(op.head_dim)[:, None]
        )
        largest_q = (
            np.abs(self.values(op.query)).max(axis=0).reshape(op.kv_heads, group, op.head_dim).max(axis=1)
        )
        largest_k = np.abs(self.values(op.key)).max(axis=0).reshape(op.kv_heads, op.head_dim)
        range_q = np.maximum(largest_q[:, pairs].max(axis=2), 1e-9)
        range_k = np.maximum(largest_k[:, pairs].max(axis=2), 1e-9)
        unit = float((range_q * range_k).max()) / 127**2
        by_pair = np.sqrt(unit * range_k / range_q)
        key = np.empty((op.kv_heads, op.head_dim))
        for column in range(pairs.shape[1]):
            key[:, pairs[:, column]] = by_pair
        self.scales[op.key] = key.reshape(-1)
        self.scales[op.query] = unit / np.repeat(key, group, axis=0).reshape(-1)
        self.score[op.out] = unit
        self.scales[op.value] = best_scales(self.values(op.value), axis=0)
        self.scales[op.out] = best_scales(self.values(op.out), axis=0)

    def make(self, op: Fused) -> Op:
        match op:
            case FusedGather():
                scale = best_scales(op.table, axis=0)
                return Gather(op.out, to_int8(op.table, scale), scale)
            case FusedNorm():
                return Norm(op.out, op.source, op.eps)
            case FusedProject():
                if op.out not in self.scales:
                    raise GraphError(f"node {op.out} (Linear): no Attention reads it")
                return Project(op.out, op.source, matrix(op.weight, self.scales[op.out]), op.rotary)
            case FusedAttend():
                group = op.heads // op.kv_heads
                value = np.repeat(self.scales[op.value].reshape(op.kv_heads, -1), group, axis=0).reshape(-1)
                return Attend(
                    op.out,
                    op.query,
                    op.key,
                    op.value,
                    op.heads,
                    op.kv_heads,
                    op.head_dim,
                    self.score[op.out] * math.log2(math.e) / math.sqrt(op.head_dim),
                    value / self.scales[op.out],
                )
            case FusedGate():
                self.scales[op.out] = best_scales(self.values(op.out), axis=0)
                return Gate(op.out, op.source, matrix(op.gate), matrix(op.up, self.scales[op.out]))
            case FusedResidual():
                return Residual(op.out, op.source, matrix(op.weight * self.scales[op.source]), op.addend)
            case FusedLogits():
                return Logits(op.out, op.source, matrix(op.weight))
        raise TypeError(type(op).__name__)


def labels(ops: tuple[Fused, ...]) -> tuple[str, ...]:
    """For each operation the part of the network it belongs to; a layer ends with the residual of its gate."""
    gates = {op.out for op in ops if isinstance(op, FusedGate)}
    layer, found = 0, []
    for n, op in enumerate(ops):
        if isinstance(op, FusedGather):
            found.append("embedding")
        elif isinstance(op, FusedLogits) or n == len(ops) - 2:
            found.append("output")
        else:
            found.append(f"layer {layer}")
        layer += isinstance(op, FusedResidual) and op.source in gates
    return tuple(found)


def quantise(graph: Graph, recorded: Recorded) -> Quantised:
    """The quantised graph. Raises GraphError.

    ``recorded``: [samples, n] of each value that :func:`lpu.compiler.fuse.calibrated` names, from runs of the float graph on
    text like that to come.
    """
    ops = fuse(graph)
    quantiser = _Quantiser(ops, recorded)
    made = tuple(quantiser.make(op) for op in ops)
    return Quantised(made, labels(ops), graph.vocabulary, graph.positions, graph.source)

"""The float graph: what a trained network computes for one position, as generic tensor operations.

Every value is one vector of the position being computed (the token is one number). The only state is inside
:class:`Attention`: keys and values of earlier positions. Importers make this graph; no later pass knows a model's name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class GraphError(ValueError):
    """A graph that cannot be compiled; one line naming the operation, the tensor and the limit."""


@dataclass(frozen=True)
class Node:
    """An operation.

    Parameters
    ----------
    out : name of the value it makes, unique in the graph. inputs : names of values, in the order of the operation.
    """

    out: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Embedding(Node):
    """Row of ``table`` [vocabulary, n] that the input, a token, names."""

    table: Array


@dataclass(frozen=True)
class RmsNorm(Node):
    """x / sqrt(mean(x**2) + eps) * gain [n]."""

    gain: Array
    eps: float


@dataclass(frozen=True)
class Linear(Node):
    """weight [outputs, inputs] times x."""

    weight: Array


@dataclass(frozen=True)
class Rope(Node):
    """Rotary position embedding of ``heads`` heads of ``head_dim`` channels (even).

    Pair i of a head turns by position * base ** (-2 i / head_dim). ``interleaved``: a pair is channels 2i and 2i+1 (llama2.c),
    otherwise i and i + head_dim/2 (Hugging Face).
    """

    heads: int
    head_dim: int
    base: float
    interleaved: bool


@dataclass(frozen=True)
class Attention(Node):
    """Causal attention of queries over the keys and values of this and all earlier positions; inputs q, k, v.

    q is [heads * head_dim], k and v [kv_heads * head_dim]; query head h reads key head h // (heads / kv_heads). Softmax of
    q.k / sqrt(head_dim).
    """

    heads: int
    kv_heads: int
    head_dim: int


@dataclass(frozen=True)
class Silu(Node):
    """x * sigmoid(x)."""


@dataclass(frozen=True)
class Multiply(Node):
    """Product of two vectors, lane by lane."""


@dataclass(frozen=True)
class Add(Node):
    """Sum of two vectors."""


@dataclass(frozen=True)
class Graph:
    """A network.

    Parameters
    ----------
    nodes : in an order in which each input exists before it is used; ``"token"`` is the input.
    output : value that holds the logits [vocabulary]; greedy decoding takes the arg-max, lowest index first.
    vocabulary, positions : how many tokens, and how many positions may be computed, at most.
    source : where it came from, for messages.
    """

    nodes: tuple[Node, ...]
    output: str
    vocabulary: int
    positions: int
    source: str = field(default="graph", compare=False)

    def weights(self) -> int:
        """Number of trained parameters, tied tensors (the same array) counted once."""
        arrays = {
            id(a): a.size
            for n in self.nodes
            for a in (getattr(n, "table", None), getattr(n, "weight", None), getattr(n, "gain", None))
            if a is not None
        }
        return sum(arrays.values())

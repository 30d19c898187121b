"""The graph of a Llama, built in one place from a plain description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lpu.compiler.frontend.errors import ModelError
from lpu.compiler.graph import (
    Add,
    Array,
    Attention,
    Embedding,
    Graph,
    Linear,
    Multiply,
    Node,
    RmsNorm,
    Rope,
    Silu,
)

#: (name, shape) to the tensor, checked.
Fetch = Callable[[str, tuple[int, ...]], Array]

#: Sizes beyond which a header or a configuration is damage rather than a model.
_LARGEST = 1 << 24


@dataclass(frozen=True)
class Llama:
    """Sizes of a Llama.

    Parameters
    ----------
    source : the file, for messages. dim : channels between layers. hidden : channels of the feed-forward part.
    layers, heads, kv_heads, head_dim, vocabulary, positions : as they say. eps : of the norms. base : of the rotary
    embedding, whose pairs are neighbours if ``interleaved``, else halves of a head. tied : the classifier is the embedding.
    """

    source: str
    dim: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    positions: int
    eps: float
    base: float
    interleaved: bool
    tied: bool

    def __post_init__(self) -> None:
        for name in ("dim", "hidden", "layers", "heads", "kv_heads", "head_dim", "vocabulary", "positions"):
            value = getattr(self, name)
            if not 1 <= value <= _LARGEST:
                raise ModelError(f"{self.source}: {name}={value} is outside 1..{_LARGEST}")
        if self.heads % self.kv_heads:
            raise ModelError(
                f"{self.source}: {self.heads} heads are not a multiple of {self.kv_heads} key/value heads"
            )
        if self.head_dim % 2:
            raise ModelError(
                f"{self.source}: head_dim={self.head_dim} is odd; rotary embedding needs pairs of channels"
            )
        if not (0 <= self.eps < 1):
            raise ModelError(f"{self.source}: eps={self.eps} of the norms is outside 0..1")
        if not (1 < self.base < float("inf")):
            raise ModelError(f"{self.source}: rotary base {self.base} is not above 1")


def checked(source: str, name: str, array: np.ndarray, shape: tuple[int, ...]) -> Array:
    """The tensor as float32. Raises ModelError for another shape, NaN and infinity."""
    if array.shape != shape:
        raise ModelError(f"{source}: tensor {name} has shape {list(array.shape)}, expected {list(shape)}")
    array = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(array))[0]
        value = array[tuple(bad)]
        raise ModelError(f"{source}: tensor {name} holds {value} at {[int(i) for i in bad]}")
    return array


def llama_graph(sizes: Llama, fetch: Fetch) -> Graph:
    """The graph; ``fetch`` gives "embedding", "norm", "classifier" and, for layer i, "i.query" and the like."""
    s = sizes
    q, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim
    embedding = fetch("embedding", (s.vocabulary, s.dim))
    nodes: list[Node] = [Embedding("embedding", ("token",), embedding)]
    x = "embedding"
    for i in range(s.layers):
        p = f"layer{i}."

        def linear(out: str, name: str, source: str, shape: tuple[int, int], i: int = i, p: str = p) -> Node:
            return Linear(p + out, (source,), fetch(f"{i}.{name}", shape))

        norm, hidden_norm = p + "attention_norm", p + "feed_forward_norm"
        nodes += [
            RmsNorm(norm, (x,), fetch(f"{i}.attention_norm", (s.dim,)), s.eps),
            linear("query_projection", "query", norm, (q, s.dim)),
            linear("key_projection", "key", norm, (kv, s.dim)),
            linear("value", "value", norm, (kv, s.dim)),
            Rope(p + "query", (p + "query_projection",), s.heads, s.head_dim, s.base, s.interleaved),
            Rope(p + "key", (p + "key_projection",), s.kv_heads, s.head_dim, s.base, s.interleaved),
            Attention(
                p + "attention", (p + "query", p + "key", p + "value"), s.heads, s.kv_heads, s.head_dim
            ),
            linear("attention_output", "output", p + "attention", (s.dim, q)),
            Add(p + "middle", (x, p + "attention_output")),
            RmsNorm(hidden_norm, (p + "middle",), fetch(f"{i}.feed_forward_norm", (s.dim,)), s.eps),
            linear("gate", "gate", hidden_norm, (s.hidden, s.dim)),
            linear("up", "up", hidden_norm, (s.hidden, s.dim)),
            Silu(p + "activation", (p + "gate",)),
            Multiply(p + "hidden", (p + "activation", p + "up")),
            linear("feed_forward_output", "down", p + "hidden", (s.dim, s.hidden)),
            Add(p + "output", (p + "middle", p + "feed_forward_output")),
        ]
        x = p + "output"
    classifier = embedding if s.tied else fetch("classifier", (s.vocabulary, s.dim))
    nodes += [RmsNorm("norm", (x,), fetch("norm", (s.dim,)), s.eps), Linear("logits", ("norm",), classifier)]
    return Graph(tuple(nodes), "logits", s.vocabulary, s.positions, s.source)

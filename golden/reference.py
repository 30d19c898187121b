"""Float32 reference: interprets a float graph (lpu/compiler/graph.py), a token at a time or a whole sequence at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

#: Values of one node for all positions: [positions, n].
Recorded = dict[str, Array]


def rope_angles(node: Rope, positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Angle of each pair of a head: [positions, head_dim / 2]."""
    frequency = node.base ** (-2.0 * np.arange(node.head_dim // 2) / node.head_dim)
    return positions[:, None] * frequency


def rope_pairs(head_dim: int, interleaved: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and second channel of each pair of a head."""
    pair = np.arange(head_dim // 2)
    return (2 * pair, 2 * pair + 1) if interleaved else (pair, pair + head_dim // 2)


def _rope(node: Rope, x: Array, positions: NDArray[np.int64]) -> Array:
    angles = rope_angles(node, positions)
    cos = np.cos(angles).astype(np.float32)[:, None, :]
    sin = np.sin(angles).astype(np.float32)[:, None, :]
    first, second = rope_pairs(node.head_dim, node.interleaved)
    heads = x.reshape(*x.shape[:-1], node.heads, node.head_dim)
    p, q = heads[..., first], heads[..., second]
    turned = np.empty_like(heads)
    turned[..., first] = p * cos - q * sin
    turned[..., second] = p * sin + q * cos
    return turned.reshape(x.shape)


def _attention(node: Attention, q: Array, k: Array, v: Array) -> Array:
    """Queries of the last positions over keys and values of all."""
    count, total, group = q.shape[-2], k.shape[-2], node.heads // node.kv_heads
    # [..., kv_heads, group or 1, positions, head_dim]
    queries = np.moveaxis(q.reshape(*q.shape[:-1], node.kv_heads, group, node.head_dim), -4, -2)
    keys = np.moveaxis(k.reshape(*k.shape[:-1], node.kv_heads, 1, node.head_dim), -4, -2)
    values = np.moveaxis(v.reshape(*v.shape[:-1], node.kv_heads, 1, node.head_dim), -4, -2)
    scores = queries @ keys.swapaxes(-1, -2) / np.float32(np.sqrt(node.head_dim))
    visible = np.arange(total) <= np.arange(total - count, total)[:, None]
    scores = np.where(visible, scores, np.float32(-np.inf))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.moveaxis(weights @ values, -2, -4).reshape(q.shape)


def _rms_norm(node: RmsNorm, x: Array) -> Array:
    mean: Array = np.mean(x * x, axis=-1, keepdims=True, dtype=np.float32)
    scaled: Array = x / np.sqrt(mean + np.float32(node.eps)) * node.gain
    return scaled


def _silu(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.divide(x, 1 + np.exp(-x), dtype=np.float32)


class Reference:
    """State of a network in float32: the keys and values of the positions so far.

    Parameters
    ----------
    graph : what to compute. replace : for a value's name, a function through which the value goes before anything reads
        it; experiments on quantisation use it.
    """

    def __init__(self, graph: Graph, replace: dict[str, Callable[[Array], Array]] | None = None) -> None:
        self.graph = graph
        self.replace = replace or {}
        self.reset()

    def reset(self) -> None:
        """Forget all positions."""
        self.position = 0
        self._cache: dict[str, tuple[Array, Array]] = {}

    def step(self, token: int) -> Array:
        """Logits [vocabulary] after one more token."""
        return self.extend([token])[0]

    def extend(self, tokens: ArrayLike, record: Collection[str] = (), into: Recorded | None = None) -> Array:
        """Logits [tokens, vocabulary] after each of some more tokens, all at once.

        Tokens may also be [sequences, tokens], the same shape of sequences every time. The values named in ``record`` are put
        ``into`` a dictionary.
        """
        ids = np.asarray(tokens, np.int64)
        if self.position + ids.shape[-1] > self.graph.positions:
            raise ValueError(
                f"{self.position + ids.shape[-1]} positions, the graph has {self.graph.positions}"
            )
        positions = self.position + np.arange(ids.shape[-1])
        values: dict[str, Array] = {}
        for node in self.graph.nodes:
            value = self._evaluate(node, ids, positions, values)
            values[node.out] = self.replace[node.out](value) if node.out in self.replace else value
        if into is not None:
            into.update({name: values[name] for name in record})
        self.position += ids.shape[-1]
        return values[self.graph.output]

    def _evaluate(
        self, node: Node, ids: NDArray[np.int64], positions: NDArray[np.int64], values: dict[str, Array]
    ) -> Array:
        if isinstance(node, Embedding):
            return node.table[ids]
        inputs = [values[name] for name in node.inputs]
        match node:
            case RmsNorm():
                return _rms_norm(node, *inputs)
            case Linear():
                return inputs[0] @ node.weight.T
            case Rope():
                return _rope(node, inputs[0], positions)
            case Attention():
                q, k, v = inputs
                if node.out in self._cache:
                    before = self._cache[node.out]
                    k, v = np.concatenate((before[0], k), -2), np.concatenate((before[1], v), -2)
                self._cache[node.out] = (k, v)
                return _attention(node, q, k, v)
            case Silu():
                return _silu(inputs[0])
            case Multiply():
                return inputs[0] * inputs[1]
            case Add():
                return inputs[0] + inputs[1]
        raise TypeError(f"{node.out}: no operation {type(node).__name__}")

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """The prompt is consumed, then ``count`` tokens of largest logit."""
        token = int(np.argmax(self.extend(prompt)[-1]))
        out = [token]
        while len(out) < count:
            token = int(np.argmax(self.step(token)))
            out.append(token)
        return out[:count]


def log_probabilities(logits: NDArray[np.floating], targets: ArrayLike) -> NDArray[np.float64]:
    """Natural logarithm of the probability of each target under its row of logits."""
    rows = np.asarray(logits, np.float64)
    rows = rows - rows.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(rows, np.asarray(targets)[..., None], axis=-1)[..., 0]
    return chosen - np.log(np.exp(rows).sum(axis=-1))


def sample_text(graph: Graph, start: int, length: int, count: int, seed: int) -> NDArray[np.int64]:
    """Tokens [count, length] that the network makes at temperature 1 after ``start``; no more than it has positions."""
    random = np.random.default_rng(seed)
    state = Reference(graph)
    tokens = np.full((count, min(length, graph.positions)), start, np.int64)
    for position in range(1, tokens.shape[1]):
        logits = state.extend(tokens[:, position - 1 : position])[:, 0].astype(np.float64)
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        below = np.cumsum(odds, axis=-1)
        chosen = random.random((count, 1)) * below[:, -1:]
        tokens[:, position] = np.minimum((below <= chosen).sum(axis=-1), graph.vocabulary - 1)
    return tokens

"""Scales of queries and keys.

A pair of key channels has one scale, and the queries of its group are multiplied by it, so that scores have one unit for all
heads. Among the scales that a unit allows, errors of queries and keys balance: an error of a query counts with how much the
keys differ (a softmax does not see what all keys share), one of a key with the size of the queries. The unit and the
balance are those of a small grid that disturb softmax least on the recorded values.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lpu.compiler.scales import Floats, round_trip

#: Fractions of the unit at which no query saturates, and of the balanced scale of a key.
UNITS = (1.0, 0.92, 0.85, 0.78, 0.7)
BALANCES = (1.0, 0.8, 0.63, 0.5)
#: Windows of recorded positions that stand for sequences, and their length.
WINDOWS, WINDOW = 8, 128


class AttentionScales(NamedTuple):
    """Scale of each channel of query and key, and the worth of a unit of their product."""

    query: Floats
    key: Floats
    unit: float


def channel_pairs(heads: int, head_dim: int, interleaved: bool) -> NDArray[np.int64]:
    """Channels of each rotary pair: [heads * head_dim / 2, 2]."""
    pair = np.arange(head_dim // 2)
    first, second = (2 * pair, 2 * pair + 1) if interleaved else (pair, pair + head_dim // 2)
    within = np.stack((first, second), axis=1)
    return (np.arange(heads)[:, None, None] * head_dim + within).reshape(-1, 2)


def disturbance(query: Floats, key: Floats, scales: AttentionScales) -> float:
    """Mean divergence of softmax that int8 causes, to second order.

    query [windows, kv_heads, group, positions, head_dim], key the same with one in place of group; scales broadcast.
    """
    rounded_query, rounded_key = round_trip(query, scales.query), round_trip(key, scales.key)
    root = np.sqrt(query.shape[-1])
    scores = query @ key.swapaxes(-1, -2) / root
    error = rounded_query @ rounded_key.swapaxes(-1, -2) / root - scores
    count = scores.shape[-1]
    scores = np.where(np.tri(count, dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mean = (weights * error).sum(axis=-1)
    # Half the variance, as long as errors are small; a large one must not count for more than it can cost.
    variance = (weights * error**2).sum(axis=-1) - mean**2
    return float(np.log1p(variance / 2).mean())


def attention_scales(
    query: Floats, key: Floats, kv_heads: int, head_dim: int, pairs: NDArray[np.int64]
) -> AttentionScales:
    """Scales from recorded query [samples, heads * head_dim] and key [samples, kv_heads * head_dim].

    ``pairs``: channels of a head that share a scale, [n, 1 or 2].
    """
    group = query.shape[1] // key.shape[1]
    length = min(WINDOW, len(query))
    starts = np.linspace(0, len(query) - length, min(WINDOWS, len(query) // length)).astype(np.int64)
    at = starts[:, None] + np.arange(length)
    q = query.reshape(-1, kv_heads, group, head_dim)
    k = key.reshape(-1, kv_heads, 1, head_dim)
    q_windows, k_windows = (np.moveaxis(x[at], 1, 3) for x in (q, k))
    # All by pair: [kv_heads, pairs].
    tiny = 1e-9
    largest_q = np.maximum(np.abs(q).max(axis=(0, 2))[:, pairs].max(axis=-1), tiny)
    largest_k = np.maximum(np.abs(k).max(axis=(0, 2))[:, pairs].max(axis=-1), tiny)
    size_q = np.maximum((q**2).mean(axis=(0, 2))[:, pairs].sum(axis=-1), tiny**2)
    spread_k = np.maximum(k_windows.var(axis=3).mean(axis=(0, 2))[:, pairs].sum(axis=-1), tiny**2)
    no_saturation = float((largest_q * largest_k).max()) / 127**2
    best, least = None, np.inf
    for fraction in UNITS:
        unit = no_saturation * fraction
        balanced = np.sqrt(unit * np.sqrt(spread_k / size_q))
        low = largest_k / 127
        for balance in BALANCES:
            by_pair = np.clip(balanced * balance, low, np.maximum(low, unit * 127 / largest_q))
            scale = np.empty((kv_heads, 1, 1, head_dim))
            for column in range(pairs.shape[1]):
                scale[:, 0, 0, pairs[:, column]] = by_pair
            found = AttentionScales(unit / scale, scale, unit)
            cost = disturbance(q_windows, k_windows, found)
            if best is None or cost < least:
                best, least = found, cost
    assert best is not None
    query_scale = np.broadcast_to(best.query, (kv_heads, group, 1, head_dim)).reshape(-1)
    return AttentionScales(query_scale, best.key.reshape(-1), best.unit)

"""Calibration: records what the float reference computes on sample text, and quantises with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from golden.reference import Recorded, Reference, sample_text
from lpu.compiler.fuse import calibrated, fuse
from lpu.compiler.graph import Graph
from lpu.compiler.quantise import quantise
from lpu.compiler.quantised import Quantised

#: Text that a network makes to calibrate itself: sequences, positions of each, seed.
SEQUENCES, LENGTH, SEED = 8, 256, 1


def record(graph: Graph, sequences: Sequence[Sequence[int]]) -> Recorded:
    """[samples, n] of every value whose scale is static."""
    names = calibrated(fuse(graph))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for tokens in sequences:
        into: Recorded = {}
        Reference(graph).extend(tokens, names, into)
        for name in names:
            parts[name].append(into[name])
    return {name: np.concatenate(part) for name, part in parts.items()}


def quantised_model(
    graph: Graph, sequences: Sequence[Sequence[int]] | None = None, start: int = 1
) -> Quantised:
    """The quantised graph, calibrated on token sequences, or on text that the network itself makes after ``start``."""
    if sequences is None:
        sequences = sample_text(graph, start, LENGTH, SEQUENCES, SEED)
    return quantise(graph, record(graph, sequences))

"""Calibration: records what the float reference computes on sample text, and quantises with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from golden.reference import Recorded, Reference, sample_text
from lpu.compiler.frontend import Tokenizer
from lpu.compiler.fuse import calibrated, fuse
from lpu.compiler.graph import Graph
from lpu.compiler.quantise import quantise
from lpu.compiler.quantised import Quantised

#: Text that a network makes to calibrate itself: sequences, positions of each, seed.
SEQUENCES, LENGTH, SEED = 32, 256, 1


class CalibrationError(ValueError):
    """A text that cannot be calibrated on; one line."""


def record(graph: Graph, sequences: Iterable[ArrayLike]) -> Recorded:
    """[samples, n] of every value whose scale is static."""
    names = calibrated(fuse(graph))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for tokens in sequences:
        into: Recorded = {}
        Reference(graph).extend(tokens, names, into)
        for name in names:
            parts[name].append(into[name])
    return {name: np.concatenate(part) for name, part in parts.items()}


def quantised_model(graph: Graph, sequences: Iterable[ArrayLike] | None = None, start: int = 1) -> Quantised:
    """The quantised graph, calibrated on token sequences, or on text that the network itself makes after ``start``."""
    # Vectors this short are multiplied sooner than a second thread wakes up.
    with threadpool_limits(1):
        if sequences is None:
            sequences = sample_text(graph, start, LENGTH, SEQUENCES, SEED)
        return quantise(graph, record(graph, sequences))


def text_sequences(
    graph: Graph, tokenizer: Tokenizer, path: str | Path, length: int = LENGTH
) -> list[list[int]]:
    """A text file as sequences of at most ``length`` positions, each from BOS on."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CalibrationError(f"{path} is not UTF-8 text") from None
    first, *ids = tokenizer.encode(text)
    if len(ids) < 2:
        raise CalibrationError(f"{path} holds no text to speak of")
    if max(ids) >= graph.vocabulary:
        raise CalibrationError(
            f"token {max(ids)} of {path} is outside 0..{graph.vocabulary - 1}: another model's tokenizer?"
        )
    size = min(length, graph.positions) - 1
    return [[first, *ids[at : at + size]] for at in range(0, len(ids), size)]

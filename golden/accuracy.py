"""Perplexity of the float reference and of the quantised network: ``python -m golden.accuracy MODEL``.

Without a text the network makes one itself at temperature 1, from another seed than its calibration. On such text the
logarithm of the ratio of perplexities is, but for chance, the divergence of the two distributions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from golden.calibrate import CalibrationError, quantised_model, text_sequences
from golden.emulate import Emulation
from golden.numerics import to_float64
from golden.reference import Reference, log_probabilities, sample_text
from lpu.arch import FloatFormat
from lpu.compiler.frontend import ModelError, load_model, load_tokenizer
from lpu.compiler.graph import Graph, GraphError
from lpu.compiler.quantised import Quantised

#: Text to measure on: sequences, positions of each, seed.
SEQUENCES, LENGTH, SEED = 16, 256, 1000


@dataclass(frozen=True)
class Accuracy:
    """What a comparison found.

    Attributes
    ----------
    tokens : tokens predicted. reference, quantised : perplexity. divergence : mean Kullback-Leibler divergence of the two
    distributions, in nats. same : share of positions where both take the same token.
    """

    tokens: int
    reference: float
    quantised: float
    divergence: float
    same: float

    @property
    def ratio(self) -> float:
        """Perplexity of the quantised network over that of the reference."""
        return self.quantised / self.reference


def compare(
    graph: Graph, quantised: Quantised, sequences: Iterable[ArrayLike], float_format: FloatFormat
) -> Accuracy:
    """Both networks on token sequences; the first token of each is given."""
    float_parts, integer_parts, divergence, same = [], [], [], []
    for sequence in sequences:
        tokens = np.asarray(sequence, np.int64)
        a = Reference(graph).extend(tokens[:-1]).astype(np.float64)
        b = to_float64(float_format, Emulation(quantised, float_format).extend(tokens[:-1]))
        float_parts.append(log_probabilities(a, tokens[1:]))
        integer_parts.append(log_probabilities(b, tokens[1:]))
        p, q = (np.exp(x - x.max(-1, keepdims=True)) for x in (a, b))
        p, q = (np.maximum(x / x.sum(-1, keepdims=True), 1e-300) for x in (p, q))
        divergence.append((p * np.log(p / q)).sum(-1))
        same.append(a.argmax(-1) == b.argmax(-1))
    floats, integers = np.concatenate(float_parts), np.concatenate(integer_parts)
    return Accuracy(
        len(floats),
        float(np.exp(-floats.mean())),
        float(np.exp(-integers.mean())),
        float(np.concatenate(divergence).mean()),
        float(np.concatenate(same).mean()),
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m golden.accuracy", description="Float32 against W8A8.")
    parser.add_argument("model", help="Hugging Face folder or llama2.c .bin")
    parser.add_argument("--tokenizer", help="where the model has none beside it (for texts)")
    parser.add_argument("--text", help="UTF-8 file to measure on, instead of text that the model makes")
    parser.add_argument("--calibrate", help="UTF-8 file to calibrate on, instead of such text")
    parser.add_argument("--sequences", type=int, default=SEQUENCES, help=f"how many are made ({SEQUENCES})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"they are made with ({SEED})")
    options = parser.parse_args(arguments)
    try:
        with threadpool_limits(1):
            found = _measure(options)
    except (ModelError, GraphError, CalibrationError, OSError) as error:
        print(f"golden.accuracy: {error}", file=sys.stderr)
        return 2
    print(f"tokens                {found.tokens}")
    print(f"perplexity, float32   {found.reference:.4f}")
    print(f"perplexity, W8A8      {found.quantised:.4f}")
    print(f"ratio                 {found.ratio:.4f}")
    print(f"divergence, nats      {found.divergence:.5f}")
    print(f"same greedy choice    {found.same:.2%}")
    return 0


def _measure(options: argparse.Namespace) -> Accuracy:
    graph = load_model(options.model)
    start, calibration = 1, None
    if options.text or options.calibrate or options.tokenizer:
        tokenizer = load_tokenizer(options.tokenizer or options.model)
        start = tokenizer.bos
        if options.calibrate:
            calibration = text_sequences(graph, tokenizer, options.calibrate)
    if options.text:
        measured: Iterable[ArrayLike] = text_sequences(graph, tokenizer, options.text, LENGTH)
    else:
        measured = sample_text(graph, start, LENGTH, options.sequences, options.seed)
    return compare(graph, quantised_model(graph, calibration, start), measured, FloatFormat(8, 17))


if __name__ == "__main__":
    sys.exit(main())

"""The next token from logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


class SamplingError(ValueError):
    """Settings that cannot be sampled with; one line naming the limit."""


class Sampler:
    """Chooses tokens; the same seed gives the same choices from the same logits.

    Parameters
    ----------
    temperature : 0 takes the largest logit, the lowest index among equals. top_p : keep the most probable tokens that
        together have at least this probability, 1 all of them. seed : of NumPy's default generator.
    """

    def __init__(self, temperature: float = 0.0, top_p: float = 1.0, seed: int = 0) -> None:
        if not 0 <= temperature <= 1000:
            raise SamplingError(f"temperature {temperature:g}: use 0 to 1000")
        if not 0 < top_p <= 1:
            raise SamplingError(f"top-p {top_p:g}: use more than 0, at most 1")
        if seed < 0:
            raise SamplingError(f"seed {seed}: use 0 or more")
        self.temperature, self.top_p = temperature, top_p
        self._random = np.random.default_rng(seed)

    @property
    def greedy(self) -> bool:
        """Whether nothing is left to chance."""
        return self.temperature == 0

    def choose(self, logits: ArrayLike) -> int:
        """A token. NaN counts as the least."""
        values = np.nan_to_num(np.asarray(logits, np.float64), nan=-np.inf, posinf=np.finfo(np.float64).max)
        if self.greedy or not np.isfinite(values).any():
            return int(np.argmax(values))
        odds = np.exp((values - values.max()) / self.temperature)
        odds /= odds.sum()
        order = np.argsort(-odds, kind="stable")
        total = np.cumsum(odds[order])
        # The first token that reaches top_p still belongs.
        kept = int(np.searchsorted(total, self.top_p)) + 1 if self.top_p < 1 else len(order)
        kept = min(kept, len(order))
        at = np.searchsorted(total[:kept], self._random.random() * total[kept - 1], side="right")
        return int(order[min(int(at), kept - 1)])

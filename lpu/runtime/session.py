"""A compiled language model on a machine: prompt in, tokens out.

The program's entries: ``state`` pops the current token, then its position; ``prefill`` pops a chunk of tokens and processes them
from the current position; ``decode`` processes the current token, pushes the greedy next one and makes it the current.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpu.arch import FloatFormat
from lpu.program import Program
from lpu.runtime.cycles import evaluate
from lpu.runtime.machine import MAX_CYCLES, Machine
from lpu.runtime.sampling import Sampler


class SessionError(RuntimeError):
    """A prompt or a program that cannot be run; one line."""


@dataclass(frozen=True)
class Prefill:
    """What the prompt cost; the prompt's last token is the first step's."""

    cycles: int | None
    predicted: int | None


@dataclass(frozen=True)
class Step:
    """A generated token and what it cost; None where no cycles are counted."""

    token: int
    cycles: int | None = None
    predicted: int | None = None
    passes: int | None = None


def float_values(fmt: FloatFormat, words: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Values of float words."""
    bits = (words >> np.uint32(fmt.word_shift)).astype(np.int64)
    fraction, exponent = bits & ((1 << fmt.mantissa) - 1), bits >> fmt.mantissa & ((1 << fmt.exponent) - 1)
    value = np.ldexp(1 + fraction / (1 << fmt.mantissa), (exponent - fmt.bias).astype(np.int32))
    value = np.where(exponent == (1 << fmt.exponent) - 1, np.where(fraction, np.nan, np.inf), value)
    value = np.where(exponent == 0, 0.0, value)
    return np.where(words >> np.uint32(31), -value, value)


def check_prompt(prompt: Sequence[int], vocabulary: int, positions: int) -> None:
    """Raise SessionError for a prompt that does not fit."""
    if not prompt:
        raise SessionError("the prompt has no token, not even BOS")
    if len(prompt) > positions:
        raise SessionError(
            f"the prompt has {len(prompt)} tokens, the context {positions}: {len(prompt) - positions} too many"
        )
    for token in prompt:
        if not 0 <= token < vocabulary:
            raise SessionError(
                f"token {token} of the prompt is outside 0..{vocabulary - 1}: another model's tokenizer?"
            )


class Session:
    """A program of a language model, loaded into a machine.

    Parameters
    ----------
    machine : golden tile, RTL or board. program : its symbol ``model`` says how large everything is and where the logits lie.
    """

    def __init__(self, machine: Machine, program: Program) -> None:
        model: dict[str, Any] = program.symbols.get("model") or {}
        if not model or not {"state", "decode"} <= set(program.entries):
            raise SessionError("the program holds no language model: it lacks the symbol model, or an entry")
        self.machine, self.program = machine, program
        self.vocabulary = int(model["vocabulary"])
        #: How many positions there are, and how many tokens a prefill takes (0: none).
        self.positions = int(model["positions"])
        self.chunk = int(model["chunk"]) if "prefill" in program.entries else 0
        self._logits: dict[str, Any] = model["logits"]
        self.position = 0
        machine.load(program)

    def start(self, prompt: Sequence[int]) -> Prefill:
        """Process a prompt from position 0, but for its last token. Raises SessionError."""
        check_prompt(prompt, self.vocabulary, self.positions)
        before, cycles, predicted = list(prompt[:-1]), 0, 0
        self.position = 0
        if self.chunk and before:
            self._set_state(0, 0)
            for at in range(0, len(before), self.chunk):
                part = before[at : at + self.chunk]
                self.machine.push_tokens(part + [0] * (self.chunk - len(part)))
                used, expected, _ = self._run("prefill", at)
                cycles, predicted = cycles + used, predicted + expected
        elif before:
            current = None
            for at, token in enumerate(before):
                if token != current:
                    self._set_state(token, at)
                used, expected, _ = self._run("decode", at)
                current = self._popped()
                cycles, predicted = cycles + used, predicted + expected
        self.position = len(before)
        self._set_state(prompt[-1], self.position)
        return Prefill(cycles, predicted)

    def step(self, sampler: Sampler | None = None) -> Step:
        """Process the current token; the next one is the sampler's choice, or the machine's greedy one. Raises SessionError."""
        if self.position >= self.positions:
            raise SessionError(f"all {self.positions} positions are used")
        cycles, predicted, passes = self._run("decode", self.position)
        token = self._popped()
        self.position += 1
        if sampler is not None and not sampler.greedy:
            token = sampler.choose(self.logits())
            if self.position < self.positions:
                self._set_state(token, self.position)
        return Step(token, cycles, predicted, passes)

    def logits(self) -> NDArray[np.float64]:
        """Logits [vocabulary] of the last step."""
        at = self._logits
        words = self.machine.read_memory(at["slice"], at["word"], at["count"]).reshape(-1)
        return float_values(self.program.config.float_format, words[: self.vocabulary])

    def _set_state(self, token: int, position: int) -> None:
        self.machine.push_tokens([token, position])
        self._run("state", position)

    def _popped(self) -> int:
        """The token that a decode pushed."""
        tokens = self.machine.pop_tokens()
        if len(tokens) != 1 or not 0 <= tokens[0] < self.vocabulary:
            raise SessionError(
                f"decode at position {self.position} pushed {tokens}, not one token of the vocabulary"
            )
        return int(tokens[0])

    def _run(self, entry: str, position: int) -> tuple[int, int, int]:
        """(cycles, predicted cycles, passes)"""
        predicted = evaluate(self.program.cycles.get(entry, 0), position=position)
        result = self.machine.run(entry, max(MAX_CYCLES, 2 * predicted))
        if result.violation is not None:
            what = result.violation.describe(self.program.config)
            raise SessionError(f"{entry} at position {position} violated its schedule: {what}")
        return result.cycles, predicted, result.passes

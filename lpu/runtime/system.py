"""A compiled language model on several chips: prompts in, tokens of every sequence out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lpu.arch import TileConfig
from lpu.program import Program
from lpu.runtime.machine import MAX_CYCLES, Machine, Result
from lpu.runtime.sampling import Sampler
from lpu.runtime.session import Prefill, SessionError, Step, check_prompt, float_values
from lpu.system import SystemProgram


class Chips(Protocol):
    """Several tiles and their links: :class:`golden.system.System` or the RTL."""

    @property
    def config(self) -> TileConfig:
        """Of every tile."""
        ...

    @property
    def chips(self) -> Sequence[Machine]:
        """The tiles; their host sides are used one by one."""
        ...

    def load(self, programs: Sequence[Program]) -> None:
        """A program for each chip."""
        ...

    def run(self, entry: str = "main", max_cycles: int = MAX_CYCLES) -> list[Result]:
        """Start the entry on all chips in the same cycle; each one's result."""
        ...


@dataclass(frozen=True)
class Round:
    """One token of every sequence, and what the run cost; ``passes`` by chip."""

    tokens: tuple[int, ...]
    cycles: int
    predicted: int
    passes: tuple[int, ...]


@dataclass(frozen=True)
class Rounds:
    """Several tokens of every sequence from one run: [sequence][token]."""

    tokens: tuple[tuple[int, ...], ...]
    cycles: int
    predicted: int
    passes: tuple[int, ...]


class SystemEngine:
    """A session of one sequence as :class:`lpu.runtime.generate.Engine`: a token at a time, sampled or greedy."""

    def __init__(self, session: SystemSession) -> None:
        self.session, self.positions = session, session.capacity

    def start(self, prompt: Sequence[int]) -> Prefill:
        """Process a prompt but for its last token."""
        return Prefill(*self.session.start([prompt]))

    def step(self, sampler: Sampler | None = None) -> Step:
        """Process the current token and choose the next."""
        done = self.session.step()
        (token,) = done.tokens
        if sampler is not None and not sampler.greedy:
            token = sampler.choose(self.session.logits())
            if self.session.positions[0] < self.positions:
                self.session.choose(token)
        return Step(token, done.cycles, done.predicted, sum(done.passes))


class SystemSession:
    """A system program, loaded into chips.

    Parameters
    ----------
    system : golden or RTL. program : from :func:`lpu.compiler.chips.compile_system`.

    Attributes
    ----------
    positions : of each sequence: how many tokens have been processed. capacity : positions there are.
    """

    def __init__(self, system: Chips, program: SystemProgram) -> None:
        model: dict[str, Any] = program.symbols["model"]
        self.system, self.program = system, program
        self.vocabulary, self.capacity = int(model["vocabulary"]), int(model["positions"])
        self.sequences = int(model["sequences"])
        self._logits: dict[str, Any] = model["logits"]
        self._chips: list[dict[str, Any]] = program.symbols["chips"]
        self.positions = [0] * self.sequences
        self._next: list[int] = [0] * self.sequences
        self._rounds = 0
        system.load(program.programs)

    def start(self, prompts: Sequence[Sequence[int]]) -> tuple[int, int]:
        """Process a prompt for each sequence, but for its last token, a position of each a round.

        A sequence whose prompt is shorter begins later, so that all reach their last token together. Returns (cycles,
        predicted cycles). Raises SessionError.
        """
        if len(prompts) != self.sequences:
            raise SessionError(
                f"{len(prompts)} prompts, the program takes {self.sequences}: one for each sequence"
            )
        for prompt in prompts:
            check_prompt(prompt, self.vocabulary, self.capacity)
        self.positions = [0] * self.sequences
        longest = max(map(len, prompts))
        cycles = predicted = 0
        # Until a sequence begins it processes its first token at position 0 over and over, which changes nothing.
        for n in range(longest - 1):
            ahead = [n - (longest - len(prompt)) for prompt in prompts]
            self.positions = [max(0, at) for at in ahead]
            self._place([prompt[max(0, at)] for prompt, at in zip(prompts, ahead, strict=True)])
            done = self._run(1)
            cycles, predicted = cycles + done.cycles, predicted + done.predicted
        self.positions = [len(prompt) - 1 for prompt in prompts]
        self._place([prompt[-1] for prompt in prompts])
        return cycles, predicted

    def step(self) -> Round:
        """The next token of every sequence, greedily. Raises SessionError."""
        done = self.rounds(1)
        return Round(tuple(t[0] for t in done.tokens), done.cycles, done.predicted, done.passes)

    def rounds(self, count: int) -> Rounds:
        """``count`` tokens of every sequence in one run, as many as the token FIFO holds. Raises SessionError."""
        room = min(self.program.config.token_fifo // self.sequences, self.capacity - max(self.positions))
        if room < 1:
            raise SessionError(f"all {self.capacity} positions are used")
        if not 1 <= count <= room:
            raise SessionError(f"{count} tokens in one run: 1 to {room} are possible here")
        return self._run(count)

    def choose(self, token: int) -> None:
        """Take another token than the greedy one next; with one sequence only."""
        if self.sequences != 1:
            raise SessionError("sampling needs the logits of one sequence: compile for one")
        self._place([token])

    def logits(self) -> NDArray[np.float64]:
        """Logits [vocabulary] of the sequence that came last in the last round."""
        at = self._logits
        words = self.system.chips[-1].read_memory(at["slice"], at["word"], at["count"]).reshape(-1)
        return float_values(self.program.config.float_format, words[: self.vocabulary])

    def _place(self, tokens: Sequence[int]) -> None:
        """Positions into every chip, the tokens to be processed into those that choose them."""
        for tile, words in zip(self.system.chips, self._chips, strict=True):
            for address, position in zip(words["positions"], self.positions, strict=True):
                self._write(tile, words["slice"], address, position)
            self._write(tile, words["slice"], words["longest"], max(self.positions))
            for address, token in zip(words["chosen"], tokens, strict=False):
                self._write(tile, words["slice"], address, token)

    def _write(self, tile: Machine, name: str, address: int, value: int) -> None:
        tile.write_memory(name, address, np.full((1, self.program.config.lanes), value, np.uint32))

    def _run(self, count: int) -> Rounds:
        if count != self._rounds:
            for tile in self.system.chips:
                tile.push_tokens([count])
            self._checked("state")
            self._rounds = count
        predicted = self.program.slots.cycles(count, max(self.positions))
        results = self._checked("decode")
        for chip, result in enumerate(results):
            if result.cycles != results[0].cycles:
                raise SessionError(f"chip {chip} took {result.cycles} cycles, chip 0 {results[0].cycles}")
        told = self.system.chips[-1].pop_tokens()
        if len(told) != count * self.sequences:
            raise SessionError(f"{len(told)} tokens came from the last chip, not {count * self.sequences}")
        self.positions = [p + count for p in self.positions]
        tokens = tuple(tuple(told[s :: self.sequences]) for s in range(self.sequences))
        return Rounds(tokens, results[0].cycles, predicted, tuple(r.passes for r in results))

    def _checked(self, entry: str) -> list[Result]:
        results = self.system.run(entry, MAX_CYCLES)
        for chip, result in enumerate(results):
            if result.violation is not None:
                what = result.violation.describe(self.program.config)
                raise SessionError(f"{entry} on chip {chip} violated its schedule: {what}")
        return results

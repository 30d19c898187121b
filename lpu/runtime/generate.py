"""Text generation on anything that takes a prompt and makes tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from lpu.runtime.sampling import Sampler
from lpu.runtime.session import Prefill, Step


class Engine(Protocol):
    """What :class:`lpu.runtime.session.Session` and the float reference have in common."""

    positions: int

    def start(self, prompt: Sequence[int]) -> Prefill:
        """Process a prompt but for its last token."""
        ...

    def step(self, sampler: Sampler | None = None) -> Step:
        """Process the current token and choose the next."""
        ...


class Generation:
    """One run: the prompt's cost, then its steps as they come.

    Attributes
    ----------
    prefill : cost of the prompt. stopped : why there are fewer tokens than asked for, or None.
    """

    def __init__(
        self, engine: Engine, prompt: Sequence[int], count: int, sampler: Sampler, stops: Collection[int] = ()
    ) -> None:
        self.engine, self.count, self.sampler, self.stops = engine, count, sampler, stops
        self.prefill = engine.start(prompt)
        self.stopped: str | None = None
        #: Each token needs the position of the one before it.
        self._room = engine.positions - len(prompt) + 1

    def steps(self) -> Iterator[Step]:
        """At most ``count`` tokens; ends early behind a stop token or where the positions end."""
        for n in range(self.count):
            if n == self._room:
                self.stopped = f"all {self.engine.positions} positions are used"
                return
            step = self.engine.step(self.sampler)
            yield step
            if step.token in self.stops:
                self.stopped = f"the text ended (token {step.token})"
                return

"""The float reference as an engine of text generation: no machine, no cycles."""

from __future__ import annotations

from collections.abc import Sequence

from golden.reference import Reference
from lpu.compiler.graph import Graph
from lpu.runtime.sampling import Sampler
from lpu.runtime.session import Prefill, SessionError, Step, check_prompt


class ReferenceSession:
    """What :class:`lpu.runtime.session.Session` does, in float32."""

    def __init__(self, graph: Graph) -> None:
        self.vocabulary, self.positions = graph.vocabulary, graph.positions
        self._state = Reference(graph)
        self._current = 0

    def start(self, prompt: Sequence[int]) -> Prefill:
        """Process a prompt from position 0, but for its last token. Raises SessionError."""
        check_prompt(prompt, self.vocabulary, self.positions)
        self._state.reset()
        if len(prompt) > 1:
            self._state.extend(list(prompt[:-1]))
        self._current = prompt[-1]
        return Prefill(None, None)

    def step(self, sampler: Sampler | None = None) -> Step:
        """Process the current token and choose the next."""
        if self._state.position >= self.positions:
            raise SessionError(f"all {self.positions} positions are used")
        self._current = (sampler or Sampler()).choose(self._state.step(self._current))
        return Step(self._current)

"""What a machine is to its host: one interface for the golden tile, the Verilated RTL and a board.

Standard library and NumPy only, so that the golden model may import it too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from lpu.arch import TileConfig
    from lpu.program import Program


#: Default limit of a run.
MAX_CYCLES = 10_000_000


class MachineError(RuntimeError):
    """A machine that cannot do what it was asked; the message is one line that says what to change."""


class ViolationKind(IntEnum):
    """What a program did that no legal program does (docs/architecture.md, violations)."""

    #: Two results on one stream register.
    CONFLICT = 1
    #: A stream was sampled that is not valid.
    NO_OPERAND = 2
    #: Two instructions want one unit in one cycle.
    PORT = 3
    #: A memory word or weight read and written in one cycle.
    COLLISION = 4
    #: An indexed address past the end.
    RANGE = 5
    #: POP or VPOP from an empty FIFO, RECEIVE when nothing is due.
    UNDERFLOW = 6
    #: PUSH or VPUSH to a full FIFO, SEND on a busy link, a word due on a link while the one before it waits.
    OVERFLOW = 7


@dataclass(frozen=True, order=True)
class Violation:
    """The first violation of a run. Ordered as the tile orders them: by cycle, then position, then kind."""

    cycle: int
    position: int
    kind: ViolationKind

    def describe(self, config: TileConfig) -> str:
        """``"NO_OPERAND at mxm0 (position 3) in cycle 41"``."""
        where = f"{config.slice_names[self.position]} (position {self.position})"
        return f"{self.kind.name} at {where} in cycle {self.cycle}"


@dataclass(frozen=True)
class Result:
    """What a run left behind.

    Parameters
    ----------
    cycles : the largest dispatch cycle of a HALT (docs/architecture.md, time).
    violation : the first one, or None.
    passes : PASS dispatches counted (a word of ``count`` n counts n).
    """

    cycles: int
    violation: Violation | None
    passes: int


class Machine(Protocol):
    """A tile, whatever it is made of: :class:`golden.tile.Tile` or :class:`lpu.runtime.RtlMachine`."""

    @property
    def config(self) -> TileConfig:
        """The configuration the tile was built for."""
        ...

    def load(self, program: Program) -> None:
        """Fill queues, memories, weights, masks. Raises MachineError for another configuration's program."""
        ...

    def run(self, entry: str = "main", max_cycles: int = MAX_CYCLES) -> Result:
        """Start all queues at the entry's word, run until idle. Raises MachineError past ``max_cycles``."""
        ...

    def read_memory(self, slice_name: str, start: int, count: int) -> np.ndarray[Any, Any]:
        """``count`` words of a MEM slice from word ``start``: uint32 [count, lanes]."""
        ...

    def write_memory(self, slice_name: str, start: int, words: np.ndarray[Any, Any]) -> None:
        """Write uint32 [count, lanes] (or the same bits as int32 or float32) from word ``start``."""
        ...

    def index_registers(self) -> np.ndarray[Any, Any]:
        """X0, X1 ...: uint16 [index_registers]; X0 reads 0."""
        ...

    def push_tokens(self, tokens: Iterable[int]) -> None:
        """Put tokens (16 bits) into the token FIFO; all or, with a MachineError, none."""
        ...

    def pop_tokens(self) -> list[int]:
        """All tokens that wait at the output."""
        ...

    def push_vectors(self, vectors: np.ndarray[Any, Any]) -> None:
        """Put uint32 [n, lanes] into the vector FIFO; all or, with a MachineError, none."""
        ...

    def pop_vectors(self) -> np.ndarray[Any, Any]:
        """All vectors that wait at the output: uint32 [n, lanes]."""
        ...

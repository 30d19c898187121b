"""What the slices share: time, streams, lane masks, and the violation latch."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpu.arch import TileConfig
from lpu.runtime.machine import Violation, ViolationKind

Vector = NDArray[np.uint32]
#: Lanes that take part; None is all of them.
Mask = NDArray[np.bool_] | None

#: Phases of a cycle: queues dispatch, state is read, state is written.
DISPATCH, READ, WRITE = 0, 1, 2

#: Streams are forgotten after this many cycles at the earliest: longer than any value travels or is
#: looked back at.
_GENERATION = 1024


class Fabric:
    """An agenda of events by cycle and phase, and every value in flight on a stream.

    A stream value needs no event while it travels: result and sample meet on one diagonal of time and place.
    Eastward ``cycle - position`` stays the same on the way, westward ``cycle + position``. So the cost
    follows instructions and not cycles, and a sample may be looked up in any later cycle.

    Parameters
    ----------
    config : sizes.

    Attributes
    ----------
    now : the cycle being executed.
    masks : lane masks as a dispatch in this cycle sees them.
    violation : the first one so far.
    """

    def __init__(self, config: TileConfig):
        self.config = config
        self.lanes = config.lanes
        self.masks: list[Mask] = [None] + [np.zeros(config.lanes, np.bool_) for _ in range(config.masks - 1)]
        self._blank = np.zeros(config.lanes, np.uint32)
        self.restart()

    def restart(self) -> None:
        """Cycle 0 of a run: nothing in flight, no violation."""
        self.now = 0
        self.violation: Violation | None = None
        self._agenda: dict[int, tuple[list[Any], list[Any], list[Any]]] = {}
        self._cycles: list[int] = []
        # (direction, word stream, diagonal) -> (position, byte set, word vector) of each injection, in two
        # generations.
        self._young: dict[int, list[tuple[int, int, Vector]]] = {}
        self._old: dict[int, list[tuple[int, int, Vector]]] = {}
        self._turn = _GENERATION

    # Time ------------------------------------------------------------------------------------------

    def at(self, cycle: int, phase: int, call: Callable[..., None], *args: Any) -> None:
        """Have ``call(*args)`` made in a phase of a cycle that is not past."""
        slot = self._agenda.get(cycle)
        if slot is None:
            slot = self._agenda[cycle] = ([], [], [])
            heapq.heappush(self._cycles, cycle)
        slot[phase].append((call, args))

    def advance(self) -> bool:
        """Go to the next cycle in which anything happens. False if there is none."""
        if not self._cycles:
            return False
        self.now = self._cycles[0]
        if self.now >= self._turn:
            self._old, self._young = self._young, {}
            self._turn = self.now + _GENERATION
        return True

    def execute(self) -> None:
        """All phases of the current cycle."""
        slot = self._agenda[self.now]
        for phase in slot:
            for call, args in phase:
                call(*args)
        heapq.heappop(self._cycles)
        del self._agenda[self.now]

    def violate(self, kind: ViolationKind, position: int, cycle: int) -> None:
        """Latch a violation if it comes before the one there is."""
        found = Violation(cycle, position, kind)
        if self.violation is None or found < self.violation:
            self.violation = found

    # Streams ---------------------------------------------------------------------------------------

    def _key(self, position: int, code: int, cycle: int) -> int:
        diagonal = cycle + position if code & 1 else cycle - position
        return (diagonal * 32 + (code >> 3)) * 2 + (code & 1)

    def inject(self, position: int, code: int, cycle: int, value: Vector) -> None:
        """A word result at a slice's output in ``cycle``. The array is kept, not copied."""
        self._inject(position, code, cycle, 0b1111, value)

    def inject_byte(self, position: int, code: int, cycle: int, value: NDArray[Any]) -> None:
        """A byte result; the low eight bits of each lane."""
        place = (code >> 1) & 3
        word = (value.astype(np.uint32) & np.uint32(0xFF)) << np.uint32(8 * place)
        self._inject(position, code, cycle, 1 << place, word)

    def _inject(self, position: int, code: int, cycle: int, planes: int, word: Vector) -> None:
        key = self._key(position, code, cycle)
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
        if found is None:
            self._young[key] = [(position, planes, word)]
            return
        for other, occupied, _ in found:
            if occupied & planes:
                # The two meet where the later of them enters the stream.
                downstream = min(position, other) if code & 1 else max(position, other)
                self.violate(ViolationKind.CONFLICT, downstream, cycle + abs(position - downstream))
        found.append((position, planes, word))

    def _arriving(self, position: int, code: int, cycle: int, planes: int) -> Vector | None:
        """The word at a slice's input, bytes that are not valid zero; None if one of ``planes`` is not."""
        key = self._key(position, code, cycle)
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key, [])
        westward = code & 1
        valid, value = 0, None
        for source, occupied, word in found:
            if source > position if westward else source < position:
                valid |= occupied
                if occupied & planes:
                    value = word if value is None else value | word
        return value if valid & planes == planes else None

    def sample(self, position: int, code: int, cycle: int) -> Vector:
        """The word at a slice's input; zeros and a violation if it is not all valid. Not to be written to."""
        value = self._arriving(position, code, cycle, 0b1111)
        if value is None:
            self.violate(ViolationKind.NO_OPERAND, position, cycle)
            return self._blank
        return value

    def sample_byte(self, position: int, code: int, cycle: int) -> NDArray[np.uint8]:
        """The byte at a slice's input."""
        place = (code >> 1) & 3
        value = self._arriving(position, code, cycle, 1 << place)
        if value is None:
            self.violate(ViolationKind.NO_OPERAND, position, cycle)
            value = self._blank
        return (value >> np.uint32(8 * place)).astype(np.uint8)


class Slice:
    """A slice's place in the fabric; subclasses hold state and have a method an instruction.

    An instruction's method takes the dispatch cycle and the effective fields, and puts what follows on the
    agenda.
    """

    def __init__(self, fabric: Fabric, name: str):
        self.fabric = fabric
        self.name = name
        self.position = fabric.config.position(name)

    def sample(self, code: int, cycle: int) -> Vector:
        """A word operand."""
        return self.fabric.sample(self.position, code, cycle)

    def sample_byte(self, code: int, cycle: int) -> NDArray[np.uint8]:
        """A byte operand."""
        return self.fabric.sample_byte(self.position, code, cycle)

    def inject(self, code: int, cycle: int, value: Vector) -> None:
        """A word result."""
        self.fabric.inject(self.position, code, cycle, value)

    def inject_byte(self, code: int, cycle: int, value: NDArray[Any]) -> None:
        """A byte result."""
        self.fabric.inject_byte(self.position, code, cycle, value)

    def violate(self, kind: ViolationKind, cycle: int) -> None:
        """A violation of this slice."""
        self.fabric.violate(kind, self.position, cycle)

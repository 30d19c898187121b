"""What passes between chips at the beginning of every slot, to the cycle: float vectors on, the next token back.

A transfer takes place in those slots of a round in which the chip that it leads to has work, in every round: what comes while
the first chips have not begun, or the last ones go on alone, is not used.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lpu.arch import TileConfig
from lpu.compiler.builder import ScheduleError
from lpu.compiler.flow import Flow
from lpu.compiler.lower.machine import Float, Lowering
from lpu.compiler.lower.model import Model
from lpu.timing import link_cycles, link_latency
from lpu.topology import Topology


@dataclass(frozen=True)
class Places:
    """West words of one chip that its slots share.

    Parameters
    ----------
    positions : position of each sequence. longest : the highest of them all, the same on every chip.
    token : where the next token arrives (first chip), or waits to be sent on. chosen : tokens that the last chip made, by
    sequence; none elsewhere.
    """

    positions: tuple[int, ...]
    longest: int
    token: int
    chosen: tuple[int, ...]

    def outgoing(self, sequence: int) -> int:
        """Word of the token to be sent: the sequence's choice, or what came from the chip before."""
        return self.chosen[sequence] if self.chosen else self.token


#: Makes a flow; it is given the sequence whose token is wanted next.
_Make = Callable[[Lowering, int], Flow]


class Transfers:
    """Words from west memory to west memory over cables, all in one slot.

    Parameters
    ----------
    config, topology : of the system. models : of each chip.

    Attributes
    ----------
    items : for each chip its flows in order: what makes it, the cycle it begins in, the chip that the word is for in the end.
    """

    def __init__(self, config: TileConfig, topology: Topology, models: Sequence[Model]):
        self.config, self.topology = config, topology
        self.items: list[list[tuple[_Make, int, int]]] = [[] for _ in models]
        self._lowerings = [Lowering(config, m.space) for m in models]
        self._free: dict[str, int] = {}

    def add(self, source: int, sink: int, target: int, word: Callable[[int], int], into: int) -> None:
        """A word as soon as the cable is free, and into memory at the other end when it is due."""
        out, back = (self.config.ports[end.port] for end in self.topology.cable(source, sink))

        def send(low: Lowering, sequence: int) -> Flow:
            flow = low.flow("send", chained=False)
            read = flow.step(low.west, "READ", addr=word(sequence), dst=0)
            flow.net(read, (flow.step(f"{out}.link", "SEND", src=0), "src"))
            return flow

        def receive(low: Lowering, sequence: int) -> Flow:
            flow = low.flow("receive", chained=False)
            made = flow.step(f"{back}.link", "RECEIVE", dst=0)
            flow.net(made, (flow.step(low.west_write, "WRITE", addr=into, src=0, mask=0), "src"))
            return flow

        link = f"{source} {out}"
        started, sent = self._placed(source, target, send, f"{out}.link", self._free.get(link, 0))
        self._free[link] = started + link_cycles(self.config)
        due = sent + link_latency(self.config)
        _, taken = self._placed(sink, target, receive, f"{back}.link", due)
        if taken >= due + link_cycles(self.config):
            raise ScheduleError(
                f"chip {sink}: a word due in cycle {due} of a slot is taken in {taken}; an error of the compiler"
            )

    def vector(self, source: int, sink: int, made: Float, taken: Float) -> None:
        """All words of a float vector."""
        for n in range(made.axis.vectors):
            self.add(source, sink, sink, lambda _, word=made.word + n: word, taken.word + n)  # type: ignore[misc]

    def place(
        self, low: Lowering, chip: int, sequence: int = 0, wanted: Callable[[int], bool] = lambda target: True
    ) -> None:
        """Put a chip's part into an empty timeline, but for words that are for chips not ``wanted``."""
        low.label = "exchange"
        for make, cycle, target in self.items[chip]:
            if wanted(target) and low.place(make(low, sequence), not_before=cycle) != cycle:
                raise ScheduleError(
                    f"chip {chip}: the exchange cannot be the same in every slot; an error of the compiler"
                )

    def _placed(self, chip: int, target: int, make: _Make, queue: str, not_before: int) -> tuple[int, int]:
        """Place a flow; (its first cycle, that of its dispatch in ``queue``)."""
        low = self._lowerings[chip]
        low.label = "exchange"
        flow = make(low, 0)
        cycle = low.place(flow, not_before=not_before)
        self.items[chip].append((make, cycle, target))
        return cycle, cycle + next(step.at or 0 for step in flow.steps if step.queue == queue)


@dataclass
class Exchange:
    """The exchange of one slot on all chips of a pipeline.

    Parameters
    ----------
    config, topology : of the system. models, places : of each chip. sequences : under way at once.
    """

    config: TileConfig
    topology: Topology
    models: Sequence[Model]
    places: Sequence[Places]
    sequences: int

    def __post_init__(self) -> None:
        self._transfers = Transfers(self.config, self.topology, self.models)
        last = len(self.models) - 1
        for chip in range(last):
            before, after = self.models[chip], self.models[chip + 1]
            made, taken = before.floats[before.graph.ops[-1].out][0], after.floats[after.graph.ops[0].out][0]
            self._transfers.vector(chip, chip + 1, made, taken)
        for source, sink in itertools.pairwise(self.topology.hops(last, 0)):
            self._transfers.add(source, sink, 0, self.places[source].outgoing, self.places[sink].token)

    def sequence(self, chip: int, slot: int) -> int | None:
        """The sequence that a chip works on in a slot of a round, None if it has none."""
        found = (slot - chip) % len(self.models)
        return found if found < self.sequences else None

    def busy(self, chip: int, slot: int) -> bool:
        """Whether anything comes to a chip in a slot, or leaves it."""
        return any(self.sequence(target, slot) is not None for _, _, target in self._transfers.items[chip])

    def place(self, low: Lowering, chip: int, slot: int) -> None:
        """Put a chip's part of a slot into an empty timeline."""
        fed = self.sequence(0, slot) or 0
        self._transfers.place(low, chip, fed, lambda target: self.sequence(target, slot) is not None)

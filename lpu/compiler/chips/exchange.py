"""What passes between chips at the beginning of every slot, to the cycle: float vectors on, the next token back.

A transfer takes place in those slots of a round in which the chip that it leads to has work, in every round: what comes while
the first chips have not begun, or the last ones go on alone, is not used.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lpu.arch import TileConfig
from lpu.compiler.builder import ScheduleError
from lpu.compiler.flow import Flow
from lpu.compiler.lower.machine import Lowering
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


@dataclass
class Exchange:
    """The exchange of one slot on all chips.

    Parameters
    ----------
    config, topology : of the system. models, places : of each chip. sequences : under way at once.

    Attributes
    ----------
    back : chips on the token's way from the last to the first.
    """

    config: TileConfig
    topology: Topology
    models: Sequence[Model]
    places: Sequence[Places]
    sequences: int
    back: list[int] = field(init=False)
    _items: list[list[tuple[_Make, int, int]]] = field(init=False)
    _free: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lowerings = [Lowering(self.config, m.space) for m in self.models]
        self._items = [[] for _ in self.models]
        last = len(self.models) - 1
        for chip in range(last):
            made = self.models[chip].floats[self.models[chip].graph.ops[-1].out][0]
            taken = self.models[chip + 1].floats[self.models[chip + 1].graph.ops[0].out][0]
            for n in range(made.axis.vectors):
                self._transfer(chip, chip + 1, chip + 1, lambda _, word=made.word + n: word, taken.word + n)  # type: ignore[misc]
        self.back = self.topology.hops(last, 0)
        for source, sink in itertools.pairwise(self.back):
            here = self.places[source]
            self._transfer(source, sink, 0, lambda s, here=here: here.outgoing(s), self.places[sink].token)  # type: ignore[misc]

    def sequence(self, chip: int, slot: int) -> int | None:
        """The sequence that a chip works on in a slot of a round, None if it has none."""
        found = (slot - chip) % len(self.models)
        return found if found < self.sequences else None

    def busy(self, chip: int, slot: int) -> bool:
        """Whether anything comes to a chip in a slot, or leaves it."""
        return any(self.sequence(target, slot) is not None for _, _, target in self._items[chip])

    def place(self, low: Lowering, chip: int, slot: int) -> None:
        """Put a chip's part of a slot into an empty timeline."""
        low.label = "exchange"
        fed = self.sequence(0, slot) or 0
        for make, cycle, target in self._items[chip]:
            if self.sequence(target, slot) is None:
                continue
            if low.place(make(low, fed), not_before=cycle) != cycle:
                raise ScheduleError(
                    f"chip {chip}: the exchange cannot be the same in every slot; an error of the compiler"
                )

    def _transfer(self, source: int, sink: int, target: int, word: Callable[[int], int], into: int) -> None:
        """A west word over a cable as soon as it is free, and into a west word at the other end when it is due.

        ``target``: the chip that it is for, in whose slots it takes place.
        """
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

    def _placed(self, chip: int, target: int, make: _Make, queue: str, not_before: int) -> tuple[int, int]:
        """Place a flow; (its first cycle, that of its dispatch in ``queue``)."""
        low = self._lowerings[chip]
        low.label = "exchange"
        flow = make(low, 0)
        cycle = low.place(flow, not_before=not_before)
        self._items[chip].append((make, cycle, target))
        return cycle, cycle + next(step.at or 0 for step in flow.steps if step.queue == queue)

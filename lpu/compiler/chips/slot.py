"""One slot of one chip: the exchange, then its part of the model for one position of one sequence, or nothing."""

from __future__ import annotations

from typing import Any

from lpu.compiler.chips.exchange import Exchange, Places
from lpu.compiler.lower.machine import HOST, POSITION, TOKEN, VXM, Lowering, log2
from lpu.compiler.lower.model import Model
from lpu.compiler.lower.program import Entry
from lpu.compiler.quantised import Logits
from lpu.compiler.scheduler import Timeline
from lpu.isa import Destination, Operand, Quantise, Reduction, Source

#: A float below all logits.
MINUS_INFINITY = 0xFF800000
#: Once angles are made the position's register holds the slot's number of blocks, which its length depends on.
BLOCKS = POSITION


class Slot(Entry):
    """A slot with work.

    Parameters
    ----------
    model : of the chip. exchange, chip, places : the system's, and which chip this is. number : of the slot in a round.
    sequence : whose position.
    """

    def __init__(self, model: Model, exchange: Exchange, chip: int, number: int, sequence: int) -> None:
        super().__init__(model, 1, True, sequence)
        self.exchange, self.chip, self.places = exchange, chip, exchange.places[chip]
        self.number = number

    def _begin(self) -> None:
        low, places = self.low, self.places
        self.exchange.place(low, self.chip, self.number)
        low.label = "begin"
        word = places.positions[self.sequence]
        load(low, word, POSITION)
        super()._begin()
        increment(low, word)
        if self.chip == 0:
            load(low, places.token, TOKEN)

    def _angles(self) -> None:
        super()._angles()
        blocks(self.low, self.places, ends_round=self.number == len(self.exchange.models) - 1)

    def _logits(self, op: Logits) -> None:
        super()._logits(op)
        # The arg-max once more, for the first chip: not every tile has a stream that leads to host and memory both.
        low = self.low
        flow = low.flow("token")
        emitted = low.again(flow, Reduction.FARGMAX, low.argmax, MINUS_INFINITY)
        write = flow.step(low.west_write, "WRITE", addr=self.places.chosen[self.sequence], src=0, mask=0)
        flow.net(emitted, (write, "src"))
        low.place(flow)

    def _end(self) -> None:
        self.low.label = "end"
        if self.places.chosen:
            self._host("PUSH", src=TOKEN)


def idle(model: Model, exchange: Exchange, chip: int, number: int, *, ends_round: bool) -> Timeline:
    """Slots without work, the first with this number, where nothing passes in the others. ``ends_round``: with the last slot of a
    round that counts."""
    low = Lowering(model.config, model.space)
    exchange.place(low, chip, number)
    low.label = "idle"
    blocks(low, exchange.places[chip], ends_round=ends_round)
    return low.timeline


def blocks(low: Lowering, places: Places, *, ends_round: bool) -> None:
    """Blocks of positions of the longest sequence into their register; one more position behind the last slot of a round."""
    load(low, places.longest, BLOCKS)
    flow = low.flow("index", chained=False)
    args: dict[str, Any] = {"x": BLOCKS, "src": BLOCKS, "add": 0, "shift": log2(low.lanes), "bits": 16}
    flow.step(f"{HOST}.port", "INDEX", **args)
    low.place(flow)
    if ends_round:
        increment(low, places.longest)


def increment(low: Lowering, word: int) -> None:
    """Add one to an integer in west memory."""
    flow = low.flow("count")
    read = flow.step(low.west, "READ", addr=word, dst=0)
    chain = flow.step(
        f"{VXM}.chain",
        "CHAIN",
        a=Source.INT32,
        c=Operand.SELF,
        q=Quantise.INT32,
        to=Destination.STREAM,
    )
    write = flow.step(low.west_write, "WRITE", addr=word, src=0, mask=0)
    flow.net(read, (chain, "a_at"))
    flow.net(chain, (write, "src"))
    low.place(flow)


def load(low: Lowering, word: int, x: int) -> None:
    """An integer of west memory into an index register."""
    flow = low.flow("index", chained=False)
    read = flow.step(low.west, "READ", addr=word, dst=0)
    flow.net(read, (flow.step(f"{HOST}.port", "LDX", x=x, src=0), "src"))
    low.place(flow)

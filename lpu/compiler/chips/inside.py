"""A cut inside layers: two chips have half of every feed-forward network each, and do everything else both.

A token's way is cut into slots where the halves' results are exchanged: the first chip adds its half to the residual stream and
sends the sum, the second sends its half alone; both add the two, in the same order, and so go on with the same bits.
"""

from __future__ import annotations

from dataclasses import replace

from lpu.arch import TileConfig
from lpu.compiler.chips.exchange import Places, Transfers
from lpu.compiler.chips.rounds import Chip, Piece, Rounds
from lpu.compiler.chips.slot import MINUS_INFINITY, blocks, increment, load
from lpu.compiler.graph import GraphError
from lpu.compiler.lower.machine import POSITION, TOKEN
from lpu.compiler.lower.model import Model
from lpu.compiler.lower.program import Entry
from lpu.compiler.model import Progress
from lpu.compiler.place import FitError
from lpu.compiler.quantised import Arrival, Gate, Logits, Matrix, Op, Partial, Quantised, Residual, Sum
from lpu.isa import Reduction
from lpu.topology import Topology


def halved(graph: Quantised, lanes: int) -> Quantised:
    """The graph with every Residual behind a Gate in two halves and their Sum; what both chips compute together."""
    gates = {op.out: op for op in graph.ops if isinstance(op, Gate)}
    ops: list[Op] = []
    labels: list[str] = []
    for op, label in zip(graph.ops, graph.layers, strict=True):
        if isinstance(op, Gate):
            continue
        if not isinstance(op, Residual) or op.source not in gates:
            ops.append(op)
            labels.append(label)
            continue
        gate, matrix = gates[op.source], op.matrix
        inner = matrix.weight.shape[1]
        blocks_of_inputs = -(-inner // lanes)
        middle = min((blocks_of_inputs + 1) // 2 * lanes, inner)
        if middle == inner:
            raise GraphError(
                f"{op.out!r} has {inner} inputs, too few to be halved on {lanes} lanes: cut by layers"
            )
        first, second = slice(0, middle), slice(middle, inner)
        made: list[Op] = []
        for n, half in enumerate((first, second)):
            parts = [Matrix(m.weight[half], m.scale[half]) for m in (gate.gate, gate.up)]
            made.append(Gate(f"{gate.out}.{n}", gate.source, *parts))
        shares = [Matrix(matrix.weight[:, half], matrix.scale) for half in (first, second)]
        made += [
            Residual(f"{op.out}.0", f"{gate.out}.0", shares[0], op.addend),
            Partial(f"{op.out}.1", f"{gate.out}.1", shares[1]),
            Sum(op.out, f"{op.out}.0", f"{op.out}.1"),
        ]
        ops += made
        labels += [label] * len(made)
    return replace(graph, ops=tuple(ops), layers=tuple(labels))


def share(whole: Quantised, chip: int) -> Quantised:
    """A chip's part of a halved graph: the other half's result arrives."""
    sums = {name: n for op in whole.ops if isinstance(op, Sum) for n, name in enumerate((op.left, op.right))}
    ops: list[Op] = []
    labels: list[str] = []
    for op, label in zip(whole.ops, whole.layers, strict=True):
        made: Op = op
        if isinstance(op, Gate):
            if not op.out.endswith(f".{chip}"):
                continue
        elif op.out in sums and sums[op.out] != chip:
            assert isinstance(op, Residual | Partial)
            made = Arrival(op.out, len(op.matrix.weight))
        ops.append(made)
        labels.append(label)
    # What arrives comes behind what is sent: a slot ends between the two.
    for n, op in enumerate(ops[:-1]):
        if isinstance(op, Arrival) and isinstance(ops[n + 1], Residual | Partial):
            ops[n], ops[n + 1] = ops[n + 1], op
    return replace(whole, ops=tuple(ops), layers=tuple(labels))


def inside(
    graph: Quantised, config: TileConfig, topology: Topology, progress: Progress
) -> tuple[list[Model], list[Places], Rounds]:
    """Models, places and rounds of the two chips."""
    whole = halved(graph, config.lanes)
    models, places = [], []
    for chip in range(2):
        try:
            model = Model(share(whole, chip), config, 1)
        except FitError as error:
            raise FitError(f"chip {chip}: {error}") from None
        west = model.space.west
        words = [west.room(name, 1) for name in ("positions", "tokens", "longest", "token")]
        models.append(model)
        places.append(Places((words[0],), words[2], words[3], (words[1],)))
    transfers = [Transfers(config, topology, models)]
    for op in whole.ops:
        if isinstance(op, Sum):
            here = Transfers(config, topology, models)
            for source, name in enumerate((op.left, op.right)):
                here.vector(
                    source, 1 - source, models[source].floats[name][0], models[1 - source].floats[name][0]
                )
            transfers.append(here)
    chips = []
    for chip, model in enumerate(models):
        progress("scheduling", chip, 2)
        arrivals = [n for n, op in enumerate(model.graph.ops) if isinstance(op, Arrival)]
        ends = [0, *arrivals, len(model.graph.ops)]
        pieces = []
        for slot, exchange in enumerate(transfers):
            entry = HalfSlot(model, exchange, chip, places[chip], range(ends[slot], ends[slot + 1]))
            pieces.append(Piece(entry.lower(), (slot,)))
        model.space.check(graph.source)
        chips.append(Chip(model, [], pieces, []))
    return models, places, Rounds(config, chips, len(transfers))


class HalfSlot(Entry):
    """The operations between two exchanges.

    Parameters
    ----------
    model, chip, places : of the chip. transfers : what passes at the beginning. operations : numbers of them.
    """

    def __init__(
        self, model: Model, transfers: Transfers, chip: int, places: Places, operations: range
    ) -> None:
        super().__init__(model, 1, True)
        self.transfers, self.chip, self.places, self.operations = transfers, chip, places, operations

    def _span(self) -> range:
        return self.operations

    def _begin(self) -> None:
        low, places = self.low, self.places
        self.transfers.place(low, self.chip)
        if self.operations.start:
            return
        low.label = "begin"
        load(low, places.positions[0], POSITION)
        super()._begin()
        increment(low, places.positions[0])
        load(low, places.chosen[0], TOKEN)

    def _angles(self) -> None:
        super()._angles()
        blocks(self.low, self.places, ends_round=True)

    def _logits(self, op: Logits) -> None:
        super()._logits(op)
        low = self.low
        flow = low.flow("token")
        emitted = low.again(flow, Reduction.FARGMAX, low.argmax, MINUS_INFINITY)
        write = flow.step(low.west_write, "WRITE", addr=self.places.chosen[0], src=0, mask=0)
        flow.net(emitted, (write, "src"))
        low.place(flow)

    def _end(self) -> None:
        # One of the two tells the host.
        if self.chip and self.operations.stop == len(self.model.graph.ops):
            self.low.label = "end"
            self._host("PUSH", src=TOKEN)

"""Where a graph is cut: between two operations across which one float vector passes, and so that every part fits."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from lpu.arch import TileConfig
from lpu.compiler.graph import GraphError
from lpu.compiler.place import FitError, heads_of, plain
from lpu.compiler.quantised import (
    Arrival,
    Attend,
    Gate,
    Gather,
    Logits,
    Matrix,
    Norm,
    Op,
    Project,
    Quantised,
    Residual,
)

#: Cycles for which the array waits in an operation, whatever its size: measured on single chips (docs/performance.md).
_WAITS = {Norm: 50, Project: 30, Attend: 90, Gate: 5, Residual: 40, Gather: 15, Logits: 45}


@dataclass(frozen=True)
class Part:
    """One chip's share of a graph, itself a graph: the first operation is a Gather or an Arrival.

    Parameters
    ----------
    graph : its operations. first : number of the first one of its own in the whole graph.
    """

    graph: Quantised
    first: int

    @property
    def departs(self) -> str | None:
        """The float vector that goes on to the next chip; None behind the logits."""
        last = self.graph.ops[-1]
        return None if isinstance(last, Logits) else last.out

    @property
    def arrives(self) -> str | None:
        """The float vector that comes from the chip before."""
        first = self.graph.ops[0]
        return first.out if isinstance(first, Arrival) else None


def sources(op: Op) -> list[str]:
    """Names of the values an operation takes."""
    fields = ("source", "addend", "query", "key", "value", "left", "right")
    return [getattr(op, f) for f in fields if hasattr(op, f)]


def seams(graph: Quantised) -> dict[int, str]:
    """Number of an operation in front of which the graph may be cut -> the one value that passes, a float vector."""
    made = {op.out: n for n, op in enumerate(graph.ops)}
    found = {}
    for n in range(1, len(graph.ops)):
        crossing = {s for op in graph.ops[n:] for s in sources(op) if made[s] < n}
        if len(crossing) == 1 and isinstance(graph.ops[made[name := crossing.pop()]], Gather | Residual):
            found[n] = name
    return found


def parts(graph: Quantised, cuts: Sequence[int]) -> list[Part]:
    """The graph cut in front of these operations."""
    crossing, made = seams(graph), {op.out: op for op in graph.ops}
    found = []
    for first, stop in itertools.pairwise((0, *cuts, len(graph.ops))):
        ops, labels = graph.ops[first:stop], graph.layers[first:stop]
        if first:
            name = crossing[first]
            ops = (Arrival(name, _channels(made[name])), *ops)
            labels = ("arrival", *labels)
        part = Quantised(ops, labels, graph.vocabulary, graph.positions, graph.source)
        found.append(Part(part, first))
    return found


def _channels(op: Op) -> int:
    assert isinstance(op, Gather | Residual)
    return op.table.shape[1] if isinstance(op, Gather) else len(op.matrix.weight)


@dataclass(frozen=True)
class Cost:
    """What an operation takes: contexts, and cycles a token with half of the positions used."""

    contexts: int
    cycles: int


def costs(graph: Quantised, config: TileConfig, sequences: int) -> list[Cost]:
    """An estimate for each operation; contexts are exact but for tables, which may lie in memory."""
    lanes = config.lanes
    blocks = -(-graph.positions // lanes)
    attends = [op for op in graph.ops if isinstance(op, Attend)]
    heads = {name: heads_of(config, op) for op in attends for name in (op.out, op.query, op.key, op.value)}
    queries = {op.query for op in attends}

    def size(matrix: Matrix, rows: int | None = None, columns: int | None = None) -> int:
        outputs, inputs = matrix.weight.shape
        return (rows or plain(lanes, inputs).vectors) * (columns or plain(lanes, outputs).vectors)

    found = []
    for op in graph.ops:
        contexts, passes = 0, 0
        match op:
            case Project():
                h = heads[op.out]
                contexts = size(op.matrix, columns=h.kv_vectors * (h.group if op.out in queries else 1))
            case Attend():
                cache = heads[op.out].kv_vectors * blocks
                contexts = 2 * sequences * cache
                passes = op.heads * blocks
            case Gate():
                contexts = size(op.gate) + size(op.up)
            case Residual() if op.source in heads:
                contexts = size(op.matrix, rows=heads[op.source].kv_vectors * heads[op.source].group)
            case Residual() | Logits():
                contexts = size(op.matrix)
            case Gather():
                vocabulary, n = op.table.shape
                words = -(-vocabulary * plain(lanes, n).vectors // 4)
                memory = next(s.depth for s in config.floorplan if s.depth)
                if 2 * words > memory:
                    contexts = plain(lanes, vocabulary).vectors * plain(lanes, n).vectors
        taken = passes if isinstance(op, Attend) else 0 if isinstance(op, Gather) else contexts
        found.append(Cost(contexts, taken + _WAITS.get(type(op), 0)))
    return found


def choose(graph: Quantised, config: TileConfig, chips: int, sequences: int) -> list[int]:
    """Cuts that make the slowest chip fastest, each chip's contexts being enough. Raises FitError or GraphError."""
    places = [0, *seams(graph), len(graph.ops)]
    if chips > len(places) - 1:
        raise GraphError(
            f"{graph.source} on {chips} chips: it can be cut in {len(places) - 2} places, "
            f"which is enough for {len(places) - 1}; use fewer chips"
        )
    estimates = costs(graph, config, sequences)
    contexts = list(itertools.accumulate((c.contexts for c in estimates), initial=0))
    cycles = list(itertools.accumulate((c.cycles for c in estimates), initial=0))
    never = float("inf")

    def cost(first: int, stop: int) -> float:
        fits = contexts[stop] - contexts[first] <= config.contexts
        return cycles[stop] - cycles[first] if fits else never

    # best[k][n]: slowest chip and cuts, if k chips do everything in front of place n.
    best: list[tuple[float, list[int]]] = [(0.0 if not place else never, []) for place in places]
    for _ in range(chips):
        following: list[tuple[float, list[int]]] = [(never, [])]
        for n in range(1, len(places)):
            options = [
                (max(best[k][0], cost(places[k], places[n])), [*best[k][1], places[n]]) for k in range(n)
            ]
            following.append(min(options))
        best = following
    slowest, ends = best[-1]
    if slowest == never:
        whole = contexts[-1]
        room = chips * config.contexts
        more = (
            f": {whole - room:,} too many"
            if whole > room
            else ", but no cut between operations gives every chip few enough"
        )
        raise FitError(
            f"{graph.source} does not fit {chips} chips of {config.name}: it needs {whole:,} MXM contexts where there are "
            f"{room:,}{more}. Use more chips or a larger configuration"
        )
    return ends[:-1]


__all__ = ["Part", "choose", "costs", "parts", "seams"]

"""From a quantised graph to a program for each of several chips: cut, place, schedule, put slots in rounds, prove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lpu.arch import TileConfig
from lpu.compiler.builder import ScheduleError
from lpu.compiler.chips.cut import Part, choose, parts
from lpu.compiler.chips.exchange import Exchange, Places
from lpu.compiler.chips.inside import inside
from lpu.compiler.chips.pipeline import pipeline
from lpu.compiler.chips.prove import prove_system
from lpu.compiler.chips.rounds import Rounds
from lpu.compiler.graph import GraphError
from lpu.compiler.lower.model import Model
from lpu.compiler.model import Progress
from lpu.compiler.place import FitError
from lpu.compiler.quantised import Arrival, Quantised
from lpu.system import SystemProgram
from lpu.topology import Topology, line, ring


def compile_system(
    graph: Quantised,
    config: TileConfig,
    chips: int,
    *,
    topology: Topology | None = None,
    sequences: int = 1,
    cut: str = "auto",
    cuts: Sequence[int] | None = None,
    progress: Progress = lambda what, done, of: None,
    check: bool = True,
) -> SystemProgram:
    """Programs with entries ``state`` (pops the number of rounds) and ``decode`` (a token of every sequence a round).

    Parameters
    ----------
    config : of every chip; it needs link slices (:meth:`lpu.arch.TileConfig.linked`).
    topology : how chips are joined; a ring if left out. Chips are used in order: each needs a cable to the next.
    sequences : texts under way at once, at most one a chip.
    cut : "layers", a pipeline; or "inside", for two chips: both have half of every feed-forward network, which shortens the
        way of a single sequence where networks are large enough to pay for the exchange of their results (its sums are rounded
        once more: :func:`lpu.compiler.chips.inside.halved`). "auto" takes the faster one; symbol ``why`` says by how much.
    cuts : numbers of the operations in front of which the graph is cut; the cost model's choice if left out.
    check : prove the programs by :mod:`lpu.compiler.chips.prove`.

    Raises GraphError (FitError where a memory is too small), TopologyError, QueueOverflow or ScheduleError, each in one line.
    """
    topology = topology or (ring(chips) if chips > 2 else line(chips))
    if chips < 2 or not 1 <= sequences <= chips:
        raise GraphError(
            f"{sequences} sequences on {chips} chips: use 2 chips or more, and 1 sequence to {max(chips, 2)} sequences"
        )
    if topology.ports > len(config.ports):
        raise GraphError(
            f"{topology.name} of {chips} chips needs {topology.ports} links a chip, {config.name} has {len(config.ports)}: "
            f"use {config.name}-linked, or add c2c slices to the floorplan"
        )
    if cut == "auto" and cuts is None and chips == 2 and sequences == 1:
        return _faster(graph, config, topology, progress, check)
    if cut == "inside":
        if chips != 2 or sequences != 1:
            raise GraphError(
                f"a cut inside layers for {chips} chips and {sequences} sequences: it takes 2 and 1; cut by layers"
            )
        models, places, rounds = inside(graph, config, topology, progress)
        symbols = _symbols(graph, ["half of every layer"] * 2, models, places, 1)
    else:
        models, places, rounds, first = _pipeline(graph, config, topology, chips, sequences, cuts, progress)
        symbols = _symbols(graph, first, models, places, sequences)
    programs = [rounds.program(chip) for chip in range(chips)]
    made = SystemProgram(config, topology, programs, rounds.slots, symbols)
    if check:
        progress("checking", 0, 1)
        prove_system(made)
    return made


def _faster(
    graph: Quantised, config: TileConfig, topology: Topology, progress: Progress, check: bool
) -> SystemProgram:
    """The cut with fewer cycles a token, half of the positions used. Raises what a cut by layers raises if none fits."""
    made: dict[str, SystemProgram] = {}
    refused: dict[str, Exception] = {}
    for cut in ("layers", "inside"):
        try:
            made[cut] = compile_system(
                graph, config, 2, topology=topology, cut=cut, progress=progress, check=check
            )
        except (GraphError, ScheduleError) as error:
            refused[cut] = error
    if not made:
        raise refused["layers"]
    cycles = {cut: program.slots.cycles(1, graph.positions // 2) for cut, program in made.items()}
    best = min(made, key=lambda cut: cycles[cut])
    other = "inside" if best == "layers" else "layers"
    why = f"{cycles[other]:,} cycles a token" if other in cycles else f"refused: {refused[other]}"
    made[best].symbols["why"] = f"cut {best}: {cycles[best]:,} cycles a token; cut {other}: {why}"
    return made[best]


def _pipeline(
    graph: Quantised,
    config: TileConfig,
    topology: Topology,
    chips: int,
    sequences: int,
    cuts: Sequence[int] | None,
    progress: Progress,
) -> tuple[list[Model], list[Places], Rounds, list[str]]:
    """Models, places, rounds, and with what each chip's part begins."""
    shares = parts(graph, choose(graph, config, chips, sequences) if cuts is None else cuts)
    models = [_model(share, config, chip, sequences) for chip, share in enumerate(shares)]
    places = [_places(model, chip == chips - 1, sequences) for chip, model in enumerate(models)]
    exchange = Exchange(config, topology, models, places, sequences)
    first = []
    for share in shares:
        begins = 1 if share.arrives else 0
        first.append(f"from {share.graph.layers[begins]}: {share.graph.ops[begins].out} on")
    return models, places, pipeline(config, exchange, progress), first


def _model(share: Part, config: TileConfig, chip: int, sequences: int) -> Model:
    try:
        return Model(share.graph, config, 1, sequences)
    except FitError as error:
        raise FitError(f"chip {chip}: {error}") from None


def _places(model: Model, last: bool, sequences: int) -> Places:
    west = model.space.west
    positions = [west.room("positions", 1) for _ in range(sequences)]
    chosen = [west.room("tokens", 1) for _ in range(sequences)] if last else []
    return Places(tuple(positions), west.room("longest", 1), west.room("token", 1), tuple(chosen))


def _symbols(
    graph: Quantised, first: Sequence[str], models: Sequence[Model], places: Sequence[Places], sequences: int
) -> dict[str, Any]:
    last = models[-1]
    return {
        "model": {
            "source": graph.source,
            "vocabulary": graph.vocabulary,
            "positions": graph.positions,
            "sequences": sequences,
            "logits": {
                "slice": last.space.west.slice,
                "word": last.logits.word,
                "count": last.logits.axis.vectors,
            },
        },
        "chips": [
            {
                "first": begins,
                "operations": sum(not isinstance(op, Arrival) for op in model.graph.ops),
                "slice": model.space.west.slice,
                "positions": list(place.positions),
                "longest": place.longest,
                "chosen": list(place.chosen),
            }
            for begins, model, place in zip(first, models, places, strict=True)
        ],
    }

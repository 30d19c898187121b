"""A pipeline: cut by layers, every chip has its own, and sequences wander from one to the next.

In slot n chip c works on sequence n - c of the round, if there is one; what it made goes to the next chip at the beginning of
slot n + 1. So N sequences keep N chips busy, and one sequence wanders through them. With several sequences chip c starts c
slots after the first, so that every round of every chip begins with sequence 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from lpu.arch import TileConfig
from lpu.compiler.chips.exchange import Exchange
from lpu.compiler.chips.rounds import Chip, Piece, Rounds
from lpu.compiler.chips.slot import Slot, idle
from lpu.compiler.model import Progress


def pipeline(config: TileConfig, exchange: Exchange, progress: Progress) -> Rounds:
    """Schedule every slot of a round on every chip, and the idle ones before and behind."""
    count, late = len(exchange.models), exchange.sequences > 1
    chips = []
    for chip, model in enumerate(exchange.models):
        progress("scheduling", chip, count)
        first = chip if late else 0
        before = _run(exchange, chip, range(first), counts=False)
        rounds = _run(exchange, chip, [(first + n) % count for n in range(count)], counts=True)
        behind = _run(exchange, chip, range(first, count - 1) if late else (), counts=False)
        model.space.check(model.graph.source)
        chips.append(Chip(model, before, rounds, behind))
    return Rounds(config, chips, count, late=late)


def _run(exchange: Exchange, chip: int, numbers: Sequence[int], *, counts: bool) -> list[Piece]:
    """A chip's slots with these numbers, one behind the other; ``counts``: as part of a round, with its work."""
    model, last = exchange.models[chip], len(exchange.models) - 1
    found: list[Piece] = []
    pieces: list[tuple[list[int], bool]] = []
    for number in numbers:
        works = counts and exchange.sequence(chip, number) is not None
        passes = works or exchange.busy(chip, number)
        if pieces and not passes and not pieces[-1][1] and pieces[-1][0][-1] != last:
            pieces[-1][0].append(number)
        else:
            pieces.append(([number], passes))
    for piece, _ in pieces:
        sequence = exchange.sequence(chip, piece[0])
        if counts and sequence is not None:
            timeline = Slot(model, exchange, chip, piece[0], sequence).lower()
        else:
            ends = counts and piece[-1] == last
            timeline = idle(model, exchange, chip, piece[0], ends_round=ends)
        found.append(Piece(timeline, tuple(piece)))
    return found

"""From a quantised graph to a program for each of several chips: cut, place, schedule every slot, put slots in a round.

Time is cut into slots, the same on all chips. In slot n chip c works on sequence n - c of the round, if there is one; what it
made goes to the next chip at the beginning of slot n + 1. So N sequences keep N chips busy, and one sequence wanders
through them. With several sequences chip c starts c slots after the first, so that every round of every chip begins with
sequence 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lpu.arch import TileConfig
from lpu.compiler.builder import QueueOverflow, wait
from lpu.compiler.chips.cut import Part, choose, parts
from lpu.compiler.chips.exchange import Exchange, Places
from lpu.compiler.chips.prove import prove_system
from lpu.compiler.chips.slot import BLOCKS, Slot, idle
from lpu.compiler.graph import GraphError
from lpu.compiler.lower.machine import HOST, TOKENS
from lpu.compiler.lower.model import Model
from lpu.compiler.model import Progress, link_entries, memory_images
from lpu.compiler.phases import Words, queue_words
from lpu.compiler.place import FitError
from lpu.compiler.quantised import Quantised
from lpu.compiler.scheduler import Timeline
from lpu.isa import Instruction, encode, queue_names
from lpu.program import Program
from lpu.system import Slots, SystemProgram
from lpu.timing import LOOP_CYCLES, SYNC_CYCLES
from lpu.topology import Topology, line, ring

#: NOTIFY takes a cycle, those who wait in SYNC go on after SYNC_CYCLES: the clock's queue waits for them.
_NOTIFY_WAIT = SYNC_CYCLES - 1


def compile_system(
    graph: Quantised,
    config: TileConfig,
    chips: int,
    *,
    topology: Topology | None = None,
    sequences: int = 1,
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
    shares = parts(graph, choose(graph, config, chips, sequences) if cuts is None else cuts)
    models = [_model(share, config, chip, sequences) for chip, share in enumerate(shares)]
    places = [_places(model, chip == chips - 1, sequences) for chip, model in enumerate(models)]
    exchange = Exchange(config, topology, models, places, sequences)
    system = _System(config, exchange)
    system.lower(progress)
    programs = [system.program(chip) for chip in range(chips)]
    symbols = _symbols(graph, shares, models, places, sequences)
    made = SystemProgram(config, topology, programs, system.slots, symbols)
    if check:
        progress("checking", 0, 1)
        prove_system(made)
    return made


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


@dataclass
class _Made:
    """Slots of a chip in one piece: one with work or an exchange, or several in which nothing happens.

    Parameters
    ----------
    timeline : their schedule. slots : their numbers in a round.
    """

    timeline: Timeline
    slots: tuple[int, ...]

    @property
    def period(self) -> int:
        """Cycles a block of positions, as the schedule's own loops have them."""
        return sum(loop.period for loop in self.timeline.loops)

    @property
    def fixed(self) -> int:
        """Cycles without those."""
        return self.timeline.end - self.period


class _System:
    """All slots of all chips.

    Attributes
    ----------
    before, made, behind : of each chip, in order: what comes once before its rounds, a round, and what comes behind.
    slots : how long each is.
    """

    def __init__(self, config: TileConfig, exchange: Exchange):
        self.config, self.exchange = config, exchange
        self.chips = len(exchange.models)
        self.late = exchange.sequences > 1
        #: Queue that measures a slot and ends it: it has nothing to do behind the exchange.
        self.clock = f"{config.ports[0]}.link"

    def lower(self, progress: Progress) -> None:
        """Schedule every slot of a round on every chip, and the idle ones before and behind."""
        count = self.chips
        self.before, self.made, self.behind = [], [], []
        for chip, model in enumerate(self.exchange.models):
            progress("scheduling", chip, count)
            first = chip if self.late else 0
            self.before.append(self._run(chip, range(first), counts=False))
            self.made.append(self._run(chip, [(first + n) % count for n in range(count)], counts=True))
            self.behind.append(self._run(chip, range(first, count - 1) if self.late else (), counts=False))
            model.space.check(model.graph.source)
        every = [m for runs in (self.before, self.made, self.behind) for run in runs for m in run]
        # A chip that starts late has the LOOP of its rounds between two slots.
        fixed, period = [LOOP_CYCLES if self.late else 0] * count, [0] * count
        for single in (True, False):
            for made in every:
                if (len(made.slots) == 1) is not single:
                    continue
                # Its schedule, or what the clock's own words and its loop take.
                need = max(made.fixed, self._clock_ready(made.timeline) + LOOP_CYCLES + 1)
                need += LOOP_CYCLES if self.late else 0
                have = sum(fixed[n] + SYNC_CYCLES for n in made.slots) - SYNC_CYCLES
                fixed[made.slots[0]] += max(0, need - have)
                if single:
                    period[made.slots[0]] = max(period[made.slots[0]], made.period)
        self.slots = Slots(tuple(fixed), tuple(period), count - 1 if self.late else 0, self.config.lanes)

    def _run(self, chip: int, numbers: Sequence[int], *, counts: bool) -> list[_Made]:
        """A chip's slots with these numbers, one behind the other; ``counts``: as part of a round, with its work."""
        model, last = self.exchange.models[chip], self.chips - 1
        found: list[_Made] = []
        pieces: list[tuple[list[int], bool]] = []
        for number in numbers:
            works = counts and self.exchange.sequence(chip, number) is not None
            passes = works or self.exchange.busy(chip, number)
            if pieces and not passes and not pieces[-1][1] and pieces[-1][0][-1] != last:
                pieces[-1][0].append(number)
            else:
                pieces.append(([number], passes))
        for piece, _ in pieces:
            sequence = self.exchange.sequence(chip, piece[0])
            if counts and sequence is not None:
                timeline = Slot(model, self.exchange, chip, piece[0], sequence).lower()
            else:
                ends = counts and piece[-1] == last
                timeline = idle(model, self.exchange, chip, piece[0], ends_round=ends)
            found.append(_Made(timeline, tuple(piece)))
        return found

    def _clock_ready(self, timeline: Timeline) -> int:
        """First cycle in which the clock's queue may read the number of blocks."""
        words, _ = queue_words(timeline, self.clock)
        return max(_length(words), timeline.seen(("x", BLOCKS)))

    def program(self, chip: int) -> Program:
        """A chip's program. Raises QueueOverflow."""
        config, model = self.config, self.exchange.models[chip]
        queues, labels = {}, {}
        for queue in queue_names(config):
            words: list[Instruction] = []
            names: list[str] = []

            def add(made: _Made, early: int = 0, queue: str = queue) -> None:
                new, named = self._piece(made, queue, early)
                words.extend(new)  # noqa: B023
                names.extend(named)  # noqa: B023

            if self.late and chip:
                wait(words, LOOP_CYCLES, False)
                names += [""] * len(words)
            for made in self.before[chip]:
                add(made, early=LOOP_CYCLES if made is self.before[chip][-1] else 0)
            loop = len(words)
            words.append(Instruction("LOOP"))
            names.append("")
            for made in self.made[chip]:
                add(made)
            args = {"count": 0, "index": TOKENS, "length": len(words) - loop - 1, "step": 0}
            words[loop] = Instruction("LOOP", args)
            for made in self.behind[chip]:
                add(made)
            words.append(Instruction("HALT"))
            names.append("")
            if len(words) > config.queue_depth:
                raise QueueOverflow(config, queue, len(words))
            for word in words:
                encode(config, queue, word)
            queues[queue], labels[queue] = words, names
        program = Program(config, entries={})
        state = [Instruction("POP", {"x": TOKENS}), Instruction("HALT")]
        entries = {
            "state": Words({f"{HOST}.port": state}, {f"{HOST}.port": ["", ""]}, 1, ()),
            "decode": Words(queues, labels, 0, ()),
        }
        found = link_entries(program, entries)
        del program.cycles["decode"]
        program.images = memory_images(model)
        space = model.space
        program.symbols = {
            "labels": found,
            "contexts": [list(entry) for entry in space.contexts.map],
            "memory": {m.slice: [list(entry) for entry in m.map] for m in (space.west, space.east)},
        }
        program.check()
        return program

    def _piece(self, made: _Made, queue: str, early: int) -> tuple[list[Instruction], list[str]]:
        """One queue's words, up to where all queues go on together; ``early``: end so much before the other chips."""
        words, labels = queue_words(made.timeline, queue)
        if queue != self.clock:
            return [*words, Instruction("SYNC")], [*labels, ""]
        end = sum(self.slots.fixed[n] + SYNC_CYCLES for n in made.slots) - SYNC_CYCLES - early
        period = sum(self.slots.period[n] for n in made.slots)
        at = _length(words)
        if period:
            start = self._clock_ready(made.timeline)
            wait(words, start - at, bool(words))
            body: list[Instruction] = []
            wait(body, period, False)
            args = {"count": 0, "index": BLOCKS, "length": len(body), "step": 0}
            words += [Instruction("LOOP", args), *body]
            wait(words, end - start - LOOP_CYCLES, False)
        else:
            wait(words, end - at, bool(words))
        words.append(Instruction("NOTIFY"))
        wait(words, _NOTIFY_WAIT, False)
        return words, [*labels, *[""] * (len(words) - len(labels))]


def _length(words: Sequence[Instruction]) -> int:
    """Cycles of straight-line words."""
    return sum((w.count - 1) * w.interval + 1 + w.gap for w in words)


def _symbols(
    graph: Quantised,
    shares: Sequence[Part],
    models: Sequence[Model],
    places: Sequence[Places],
    sequences: int,
) -> dict:
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
                "first": f"{share.graph.layers[1 if share.arrives else 0]}: {share.graph.ops[1 if share.arrives else 0].out}",
                "operations": len(share.graph.ops) - bool(share.arrives),
                "slice": model.space.west.slice,
                "positions": list(place.positions),
                "longest": place.longest,
                "chosen": list(place.chosen),
            }
            for share, model, place in zip(shares, models, places, strict=True)
        ],
    }

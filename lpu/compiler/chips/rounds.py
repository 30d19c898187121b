"""Slots to programs: how long each is on all chips, and every queue's words for a round of them, repeated.

Time is cut into slots, the same on all chips. A slot ends when the clock's queue says so: NOTIFY in the same cycle on every chip,
for which all other queues wait in SYNC. So a chip that is ready early waits for the others, and no queue counts cycles but one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lpu.arch import TileConfig
from lpu.compiler.builder import QueueOverflow, wait
from lpu.compiler.chips.slot import BLOCKS
from lpu.compiler.lower.machine import HOST, TOKENS
from lpu.compiler.lower.model import Model
from lpu.compiler.model import link_entries, memory_images
from lpu.compiler.phases import Words, queue_words
from lpu.compiler.scheduler import Timeline
from lpu.isa import Instruction, encode, queue_names
from lpu.program import Program
from lpu.system import Slots
from lpu.timing import LOOP_CYCLES, SYNC_CYCLES

#: NOTIFY takes a cycle, those who wait in SYNC go on after SYNC_CYCLES: the clock's queue waits for them.
_NOTIFY_WAIT = SYNC_CYCLES - 1


@dataclass
class Piece:
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


@dataclass
class Chip:
    """What a chip does: what comes once before its rounds, a round, and what comes behind."""

    model: Model
    before: list[Piece]
    round: list[Piece]
    behind: list[Piece]


class Rounds:
    """All chips' slots, measured and made programs.

    Parameters
    ----------
    config : of every chip. chips : what each does. count : slots of a round.
    late : every chip begins its rounds a slot later than the one before.

    Attributes
    ----------
    slots : how long each is.
    """

    def __init__(self, config: TileConfig, chips: Sequence[Chip], count: int, *, late: bool = False):
        self.config, self.chips, self.late = config, chips, late
        #: Queue that measures a slot and ends it: it has nothing to do behind the exchange.
        self.clock = f"{config.ports[0]}.link"
        every = [m for chip in chips for run in (chip.before, chip.round, chip.behind) for m in run]
        # A chip that starts late has the LOOP of its rounds between two slots.
        fixed, period = [LOOP_CYCLES if late else 0] * count, [0] * count
        for single in (True, False):
            for made in every:
                if (len(made.slots) == 1) is not single:
                    continue
                # Its schedule, or what the clock's own words and its loop take.
                need = max(made.fixed, self._clock_ready(made.timeline) + LOOP_CYCLES + 1)
                need += LOOP_CYCLES if late else 0
                have = sum(fixed[n] + SYNC_CYCLES for n in made.slots) - SYNC_CYCLES
                fixed[made.slots[0]] += max(0, need - have)
                if single:
                    period[made.slots[0]] = max(period[made.slots[0]], made.period)
        self.slots = Slots(tuple(fixed), tuple(period), count - 1 if late else 0, config.lanes)

    def _clock_ready(self, timeline: Timeline) -> int:
        """First cycle in which the clock's queue may read the number of blocks."""
        words, _ = queue_words(timeline, self.clock)
        return max(_length(words), timeline.seen(("x", BLOCKS)))

    def program(self, chip: int) -> Program:
        """A chip's program. Raises QueueOverflow."""
        config, own = self.config, self.chips[chip]
        queues, labels = {}, {}
        for queue in queue_names(config):
            words: list[Instruction] = []
            names: list[str] = []

            def add(made: Piece, early: int = 0, queue: str = queue) -> None:
                new, named = self._piece(made, queue, early)
                words.extend(new)  # noqa: B023
                names.extend(named)  # noqa: B023

            if self.late and chip:
                wait(words, LOOP_CYCLES, False)
                names += [""] * len(words)
            for made in own.before:
                add(made, early=LOOP_CYCLES if made is own.before[-1] else 0)
            loop = len(words)
            words.append(Instruction("LOOP"))
            names.append("")
            for made in own.round:
                add(made)
            args = {"count": 0, "index": TOKENS, "length": len(words) - loop - 1, "step": 0}
            words[loop] = Instruction("LOOP", args)
            for made in own.behind:
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
        program.images = memory_images(own.model)
        space = own.model.space
        program.symbols = {
            "labels": found,
            "contexts": [list(entry) for entry in space.contexts.map],
            "memory": {m.slice: [list(entry) for entry in m.map] for m in (space.west, space.east)},
        }
        program.check()
        return program

    def _piece(self, made: Piece, queue: str, early: int) -> tuple[list[Instruction], list[str]]:
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

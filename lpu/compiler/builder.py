"""The schedule builder: instructions at absolute cycles in, queue words with gaps, loops and HALT out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lpu.arch import TileConfig
from lpu.compiler.loops import Folder, Loop, Node, Word
from lpu.compiler.runs import Placed, SlotMap, merge_runs
from lpu.isa import CONTROL, COUNT_BITS, GAP_BITS, INTERVAL_BITS, Instruction, encode, queue_names
from lpu.program import Program
from lpu.timing import last_effect

_CONTROL = {op.name for op in CONTROL}
_MAX_GAP = (1 << GAP_BITS) - 1
_MAX_INTERVAL = 1 << INTERVAL_BITS
#: The longest wait of one NOP.
_MAX_NOP = ((1 << COUNT_BITS) - 1) * _MAX_INTERVAL + 1 + _MAX_GAP


class ScheduleError(ValueError):
    """Instructions that cannot be one schedule; one line naming queue, cycle and instruction."""


class QueueOverflow(ScheduleError):
    """A schedule that needs more queue words than there are, even with loops."""

    def __init__(self, config: TileConfig, queue: str, words: int):
        super().__init__(
            f"queue {queue} needs {words} words, {config.name} has room for {config.queue_depth}: "
            f"{words - config.queue_depth} too many; use a larger queue_depth"
        )
        self.queue, self.words = queue, words


@dataclass(frozen=True)
class Built:
    """A finished schedule: the words of every queue used, HALT last, and the cycles the run takes."""

    queues: Mapping[str, Sequence[Instruction]]
    cycles: int


class Schedule:
    """A schedule under construction.

    Parameters
    ----------
    config : the tile it is for.
    """

    def __init__(self, config: TileConfig):
        self._config = config
        self._placed: dict[str, list[Placed]] = {}
        self._end = 0

    @property
    def end(self) -> int:
        """Cycle behind the last effect of everything placed so far: the run's cycle count."""
        return self._end

    def place(self, queue: str, cycle: int, instruction: Instruction) -> None:
        """Dispatch ``instruction`` (all ``count`` of it) on a queue from ``cycle`` on. Order does not matter.

        Raises ScheduleError for a control instruction, a gap, a negative cycle or an unknown queue.
        """
        if queue not in queue_names(self._config):
            raise ScheduleError(
                f"no queue {queue!r} in {self._config.name}: it has {', '.join(queue_names(self._config))}"
            )
        if instruction.op in _CONTROL:
            raise ScheduleError(
                f"{queue}: {instruction.op} is the builder's to make, place real instructions only"
            )
        if instruction.gap or cycle < 0:
            raise ScheduleError(f"{queue} cycle {cycle}: {instruction.op} needs a cycle from 0 on and no gap")
        placed = Placed(cycle, instruction)
        self._placed.setdefault(queue, []).append(placed)
        self._end = max(self._end, placed.last + last_effect(instruction, self._config) + 1)

    def op(
        self,
        queue: str,
        cycle: int,
        op: str,
        *,
        count: int = 1,
        interval: int = 1,
        strides: Mapping[str, int] | None = None,
        **args: int,
    ) -> None:
        """:meth:`place` with the instruction spelled out."""
        self.place(queue, cycle, Instruction(op, args, count=count, interval=interval, strides=strides or {}))

    def build(self) -> Built:
        """Queue words. Raises QueueOverflow, or ScheduleError where two instructions want one queue in one cycle."""
        queues = {}
        holder = max(self._placed, key=lambda q: max(p.last for p in self._placed[q]), default=None)
        for queue in sorted(self._placed, key=queue_names(self._config).index):
            queues[queue] = self._queue(queue, hold=queue == holder)
            for word in queues[queue]:
                encode(self._config, queue, word)
        return Built(queues, self._end)

    def _queue(self, queue: str, *, hold: bool) -> list[Instruction]:
        """Words of one queue; ``hold``: its HALT waits for the end of the run."""
        placed = sorted(self._placed[queue], key=lambda p: p.cycle)
        for a, b in itertools.pairwise(placed):
            if b.cycle <= a.last:
                raise ScheduleError(
                    f"{queue} cycle {b.cycle}: {b.instruction.op} meets {a.instruction.op}, dispatched until {a.last}"
                )
        slots = SlotMap(self._config, queue)
        straight: list[Node] = [Word(p, slots) for p in merge_runs(slots, placed)]

        def words(nodes: Sequence[Node]) -> list[Instruction]:
            end = self._end if hold else nodes[-1].end
            return [*_emit(nodes, 0, end), Instruction("HALT")]

        def fits(nodes: Sequence[Node]) -> bool:
            # A word a node at least: spares writing out what cannot fit.
            return len(nodes) < self._config.queue_depth and len(words(nodes)) <= self._config.queue_depth

        folder = Folder(
            slots,
            end=self._end,
            levels=self._config.loop_depth,
            longest=min(self._config.queue_depth - 2, 512),
        )
        nodes = straight
        for fold in (folder.best_first, folder.shortest_first):
            nodes = fold(straight, fits)
            if fits(nodes):
                return words(nodes)
        raise QueueOverflow(self._config, queue, len(words(nodes)))


def _emit(nodes: Iterable[Node], start: int, end: int) -> list[Instruction]:
    """Words that dispatch the nodes from cycle ``start`` on and let the next word go at ``end``."""
    words: list[Instruction] = []
    at, absorbs = start, False
    for node in nodes:
        wait(words, node.start - at, absorbs)
        if isinstance(node, Loop):
            body = _emit(node.body, node.first, node.first + node.period)
            loop = {"count": node.count, "index": 0, "length": len(body), "step": node.step}
            words += [Instruction("LOOP", loop), *body]
        else:
            words.append(node.placed.instruction)
        # The gap of a loop's last word belongs to every iteration, so a wait behind a loop takes a NOP.
        at, absorbs = node.end, isinstance(node, Word)
    wait(words, end - at, absorbs)
    return words


def wait(words: list[Instruction], cycles: int, absorbs: bool) -> None:
    """Let ``cycles`` pass: in the gap of the last word if it can take them, else in NOPs."""
    if absorbs and cycles:
        gap = min(cycles, _MAX_GAP)
        words[-1] = replace(words[-1], gap=gap)
        cycles -= gap
    while cycles:
        length = min(cycles, _MAX_NOP)
        whole, gap = divmod(length - 1, _MAX_INTERVAL)
        interval = _MAX_INTERVAL if whole else 1
        words.append(Instruction("NOP", count=whole + 1, interval=interval, gap=gap))
        cycles -= length


def link(config: TileConfig, schedules: Mapping[str, Built]) -> Program:
    """A program whose entries are the schedules: every queue starts an entry at the same word, HALT filling up.

    Raises ProgramError if a queue overflows.
    """
    program = Program(config, entries={})
    at = 0
    for label, built in schedules.items():
        program.entries[label], program.cycles[label] = at, built.cycles
        for queue, words in built.queues.items():
            here = program.queues.setdefault(queue, [])
            here += [Instruction("HALT")] * (at - len(here)) + list(words)
        at = max((len(w) for w in program.queues.values()), default=0)
    if len(schedules) > 1:
        # A queue without words for an entry has to halt there, not go on with what an earlier program left behind.
        for words in program.queues.values():
            words += [Instruction("HALT")] * (max(program.entries.values()) + 1 - len(words))
    program.check()
    return program

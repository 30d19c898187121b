"""ICU: one queue's words become timed dispatches. Counts, strides, index selects, loops, SYNC and NOTIFY."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from lpu.arch import TileConfig
from lpu.isa import LOOP_INDEX, Instruction, layout
from lpu.timing import LOOP_CYCLES, SYNC_CYCLES


class State(Enum):
    """Where a queue stands."""

    #: It dispatches in cycle ``next``.
    RUNNING = auto()
    #: It dispatched SYNC and waits for a NOTIFY.
    WAITING = auto()
    #: It dispatched HALT.
    HALTED = auto()


@dataclass(frozen=True, slots=True)
class Slotted:
    """A slot field of a word. ``wrap`` masks the slot, ``limit`` is the op's own field's largest number."""

    name: str
    value: int
    stride: int
    select: int
    wrap: int
    limit: int


@dataclass(frozen=True, slots=True)
class Word:
    """A queue word taken apart. ``moving``: the slots that depend on time; the rest of ``args`` is fixed."""

    op: str
    args: Mapping[str, int]
    count: int
    interval: int
    gap: int
    moving: tuple[Slotted, ...]


HALT = Word("HALT", {}, 1, 1, 0, ())


def take_apart(config: TileConfig, queue: str, instruction: Instruction) -> Word:
    """A checked instruction as a word."""
    lay = layout(config, queue)
    moving = []
    for f in lay.ops[instruction.op].fields:
        stride, select = instruction.strides.get(f.name, 0), instruction.index.get(f.name, 0)
        if f.slot is not None and (stride or select):
            wrap = (1 << lay.slots[f.slot].width) - 1
            limit = (1 << lay.fields[instruction.op][f.name][1]) - 1
            moving.append(Slotted(f.name, instruction.args[f.name], stride, select, wrap, limit))
    i = instruction
    return Word(i.op, {k: int(v) for k, v in i.args.items()}, i.count, i.interval, i.gap, tuple(moving))


@dataclass(slots=True)
class Level:
    """A loop being run. ``end``: the word behind the body; ``left``: iterations left, this one included."""

    start: int
    end: int
    left: int
    index: int
    step: int


@dataclass(slots=True)
class Dispatch:
    """What a queue hands to its unit in one cycle. ``out_of_range``: an address did not fit its field."""

    op: str
    args: Mapping[str, int]
    out_of_range: bool = False


@dataclass(slots=True)
class Queue:
    """One queue.

    Attributes
    ----------
    words : the program; behind its end every word is HALT.
    state, next : what comes, and the cycle of the next dispatch while RUNNING.
    """

    config: TileConfig
    name: str
    words: list[Word] = field(default_factory=list)
    state: State = State.HALTED
    next: int = 0
    _pc: int = 0
    _k: int = 0
    _levels: list[Level] = field(default_factory=list)

    def start(self, entry: int) -> None:
        """Dispatch word ``entry`` in cycle 0."""
        self.state, self.next, self._pc, self._k = State.RUNNING, 0, entry, 0
        self._levels = []

    def _read(self, select: int, x: Sequence[int]) -> int:
        """An index select: X register, or the index of a loop around this word."""
        if select < LOOP_INDEX:
            return x[select]
        level = select - LOOP_INDEX
        return self._levels[-1 - level].index if level < len(self._levels) else 0

    def dispatch(self, cycle: int, x: Sequence[int]) -> Dispatch:
        """The dispatch of this cycle, with the index registers ``x`` as visible; moves on to the next one."""
        word = self.words[self._pc] if self._pc < len(self.words) else HALT
        if word.op in _CONTROL:
            return self._control(word, cycle, x)
        result = Dispatch(word.op, word.args)
        if word.moving:
            args = dict(word.args)
            for slot in word.moving:
                value = (slot.value + self._k * slot.stride) & slot.wrap
                if slot.select:
                    value += self._read(slot.select, x)
                if value > slot.limit:
                    result.out_of_range = True
                args[slot.name] = value & slot.limit
            result.args = args
        self._k += 1
        if self._k < word.count:
            self.next = cycle + word.interval
        else:
            self._k = 0
            self.next = cycle + 1 + word.gap
            self._advance(self._pc + 1)
        return result

    def _control(self, word: Word, cycle: int, x: Sequence[int]) -> Dispatch:
        result = Dispatch(word.op, word.args)
        match word.op:
            case "HALT":
                self.state = State.HALTED
            case "SYNC":
                self.state = State.WAITING
                self._advance(self._pc + 1)
            case "LOOP":
                count = word.args["count"] + self._read(word.args["index"], x)
                result.args = {**word.args, "count": count}
                start = self._pc + 1
                end = start + word.args["length"]
                self.next = cycle + LOOP_CYCLES
                if count:
                    self._levels.append(Level(start, end, count, 0, word.args["step"]))
                    self._pc = start
                else:
                    self._pc = end
            case _:  # NOP, NOTIFY
                self.next = cycle + (word.count - 1) * word.interval + 1 + word.gap
                self._advance(self._pc + 1)
        return result

    def _advance(self, pc: int) -> None:
        """Go to a word, or back to the start of the body that ends before it."""
        if self._levels and self._levels[-1].end == pc:
            level = self._levels[-1]
            level.left -= 1
            if level.left:
                level.index = (level.index + level.step) & 0xFFFF
                pc = level.start
            else:
                self._levels.pop()
        self._pc = pc

    def release(self, cycle: int) -> None:
        """A NOTIFY of this cycle ends the wait."""
        self.state, self.next = State.RUNNING, cycle + SYNC_CYCLES


_CONTROL = frozenset(("HALT", "NOP", "LOOP", "SYNC", "NOTIFY"))

"""Queue words to dispatches, as docs/architecture.md tells it: the schedule check's own instruction control unit.

Nothing here is shared with the schedule builder, so that a mistake of one does not hide in the other.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lpu.arch import TileConfig
from lpu.isa import LOOP_INDEX, Instruction, layout, queue_names
from lpu.program import Program, ProgramError
from lpu.timing import INDEX_VISIBLE, LOOP_CYCLES, SYNC_CYCLES

#: Words after which a program is taken never to end.
MAX_WORDS = 4_000_000
#: Stands for an index register's value where it depends on data.
UNKNOWN = -1


@dataclass(frozen=True)
class Dispatch:
    """All dispatches of one word, once through it: ``times`` in cycles; ``loops``: index of each level, innermost first."""

    queue: str
    word: int
    instruction: Instruction
    cycle: int
    loops: tuple[int, ...]

    @property
    def times(self) -> np.ndarray:
        """Dispatch cycles, int64 [count]."""
        x = self.instruction
        return self.cycle + x.interval * np.arange(x.count, dtype=np.int64)


@dataclass
class Registers:
    """What is known of the index registers, over time; a value of None depends on data.

    Attributes
    ----------
    start : contents at the start of the run; 0 where left out. tokens : what POP finds. loaded : what LDX finds.
    """

    start: Mapping[int, int] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=list)
    loaded: list[int] = field(default_factory=list)
    #: Register -> cycles of its writes, and the values written, both with the start of the run in front.
    written: dict[int, tuple[list[int], list[int | None]]] = field(default_factory=dict)

    def write(self, x: int, cycle: int, value: int | None) -> None:
        """A write dispatched at ``cycle``."""
        cycles, values = self.written.setdefault(x, ([-INDEX_VISIBLE], [self.start.get(x, 0)]))
        cycles.append(cycle)
        values.append(value)

    def read(self, x: int, cycle: int, delay: int = INDEX_VISIBLE) -> int | None:
        """Value for a dispatch at ``cycle``; ``delay`` 1 for operands within the host port's queue."""
        if x == 0 or x not in self.written:
            return self.start.get(x, 0) if x else 0
        cycles, values = self.written[x]
        return values[bisect_right(cycles, cycle - delay) - 1]

    def read_all(self, x: int, at: np.ndarray) -> np.ndarray:
        """:meth:`read` for many dispatches once the run is over; :data:`UNKNOWN` for None."""
        if x == 0 or x not in self.written:
            return np.full(len(at), self.read(x, 0), dtype=np.int64)
        cycles, values = self.written[x]
        known = np.array([UNKNOWN if v is None else v for v in values], dtype=np.int64)
        return known[np.searchsorted(cycles, at - INDEX_VISIBLE, side="right") - 1]


@dataclass(frozen=True)
class Group:
    """All dispatches of one queue word in a run, however often the queue came by: number, cycle and loops of each visit.

    ``numbers``: int64 [visits], places in :attr:`Expansion.dispatches`. ``cycles``: int64 [visits]. ``loops``: int64
    [visits, levels], innermost first.
    """

    queue: str
    word: int
    instruction: Instruction
    numbers: np.ndarray
    cycles: np.ndarray
    loops: np.ndarray

    @cached_property
    def times(self) -> np.ndarray:
        """Dispatch cycles, int64 [visits * count]."""
        x = self.instruction
        return (self.cycles[:, None] + x.interval * np.arange(x.count, dtype=np.int64)).reshape(-1)

    @cached_property
    def who(self) -> np.ndarray:
        """Which of ``numbers`` each of ``times`` belongs to."""
        return np.repeat(self.numbers, self.instruction.count)


@dataclass
class Expansion:
    """A whole run: dispatches in no particular order, cycle count, register history, faults found on the way."""

    dispatches: list[Dispatch]
    cycles: int
    registers: Registers
    faults: list[tuple[int, str]]

    def groups(self) -> list[Group]:
        """The dispatches word by word, in order of queue and word: for work on whole columns."""
        visits: dict[tuple[str, int], list[int]] = {}
        for number, d in enumerate(self.dispatches):
            visits.setdefault((d.queue, d.word), []).append(number)
        found = []
        for (queue, word), numbers in sorted(visits.items()):
            seen = [self.dispatches[n] for n in numbers]
            levels = max(len(d.loops) for d in seen)
            loops = np.array([d.loops + (0,) * (levels - len(d.loops)) for d in seen], dtype=np.int64)
            cycles = np.array([d.cycle for d in seen], dtype=np.int64)
            found.append(Group(queue, word, seen[0].instruction, np.array(numbers), cycles, loops))
        return found


class _Queue:
    """One queue's program counter and loop stack. Yields (cycle, word, instruction, loop indices); sent values set time."""

    def __init__(self, name: str, words: list[Instruction], entry: int):
        self.name, self.words, self.at, self.cycle = name, words, entry, 0
        #: (first word, last word, iterations left, index, step), outermost first.
        self.stack: list[list[int]] = []

    def indices(self) -> tuple[int, ...]:
        return tuple(level[3] for level in reversed(self.stack))

    def advance(self, cycle: int) -> None:
        """Go to the next word, round the loops that end here."""
        self.cycle = cycle
        if self.stack and self.stack[-1][1] == self.at:
            top = self.stack[-1]
            top[2] -= 1
            if top[2]:
                top[3] = (top[3] + top[4]) % (1 << 16)
                self.at = top[0]
                return
            self.stack.pop()
        self.at += 1


def expand(
    program: Program,
    entry: str = "main",
    tokens: Sequence[int] = (),
    *,
    registers: Mapping[int, int] | None = None,
    loaded: Sequence[int] = (),
) -> Expansion:
    """Run every queue from an entry. Faults: (cycle, text).

    ``tokens``: what POP finds, ``loaded``: what LDX finds, both in order; what they find beyond that depends on data.
    ``registers``: contents of index registers at the start; zero where left out.

    Raises ProgramError for an entry that the program lacks and a register or value that cannot be.
    """
    config = program.config
    if entry not in program.entries:
        raise ProgramError(f"the program has no entry {entry!r}: it has {', '.join(program.entries)}")
    for x, value in (registers or {}).items():
        if not (0 < x < config.index_registers and 0 <= value < 1 << 16):
            raise ProgramError(
                f"X{x}={value} at the start: {config.name} has X1 to X{config.index_registers - 1}, of 16 bits"
            )
    start = Registers(dict(registers or {}), list(tokens), [v % (1 << 16) for v in loaded])
    run = Expansion([], 0, start, [])
    queues = [_Queue(n, list(program.queues.get(n, ())), program.entries[entry]) for n in queue_names(config)]
    queues = [q for q in queues if q.words]
    ready: list[tuple[int, int, int]] = []
    for n in range(len(queues)):
        _push(ready, queues, n)
    waiting: list[int] = []
    for _ in range(MAX_WORDS):
        if not ready:
            break
        _, _, n = heapq.heappop(ready)
        q = queues[n]
        if q.at >= len(q.words):
            run.faults.append(
                (q.cycle, f"{q.name} runs past its last word {len(q.words) - 1}; end it with HALT")
            )
            continue
        if q.words[q.at].op == "HALT":
            run.cycles = max(run.cycles, q.cycle)
            continue
        if q.words[q.at].op == "SYNC":
            waiting.append(n)
            continue
        if q.words[q.at].op == "NOTIFY":
            for other in waiting:
                queues[other].advance(q.cycle + SYNC_CYCLES)
                _push(ready, queues, other)
            waiting = []
        _step(config, run, q)
        _push(ready, queues, n)
    else:
        run.faults.append((0, f"the program does not end within {MAX_WORDS} words"))
    for n in waiting:
        run.faults.append(
            (
                queues[n].cycle,
                f"{queues[n].name} word {queues[n].at}: SYNC waits for a NOTIFY that never comes",
            )
        )
    return run


def _push(ready: list[tuple[int, int, int]], queues: list[_Queue], n: int) -> None:
    """In order of time; a NOTIFY goes last within its cycle, so that a SYNC of the same cycle hears it."""
    q = queues[n]
    late = q.at < len(q.words) and q.words[q.at].op == "NOTIFY"
    heapq.heappush(ready, (q.cycle, int(late), n))


def _step(config: TileConfig, run: Expansion, q: _Queue) -> None:
    """Take one word of a queue."""
    x = q.words[q.at]
    if x.op == "LOOP":
        _loop(config, run, q, x)
        return
    if x.op not in ("NOP", "NOTIFY"):
        run.dispatches.append(Dispatch(q.name, q.at, x, q.cycle, q.indices()))
    if q.name.endswith(".port"):
        _host(run.registers, x, q.cycle)
    q.advance(q.cycle + (x.count - 1) * x.interval + 1 + x.gap)


def _loop(config: TileConfig, run: Expansion, q: _Queue, x: Instruction) -> None:
    select = x.args["index"]
    extra = resolve(run.registers, select, q.indices(), q.cycle)
    if extra is None:
        run.faults.append(
            (q.cycle, f"{q.name} word {q.at}: LOOP count depends on data; the time it takes is not known")
        )
        extra = 0
    count, first = x.args["count"] + extra, q.at + 1
    last = q.at + x.args["length"]
    if count and last >= len(q.words):
        run.faults.append(
            (q.cycle, f"{q.name} word {q.at}: LOOP body of {x.args['length']} words runs past the queue")
        )
        q.at, q.cycle = len(q.words), q.cycle + LOOP_CYCLES
        return
    if len(q.stack) == config.loop_depth:
        run.faults.append((q.cycle, f"{q.name} word {q.at}: loops nest deeper than {config.loop_depth}"))
    if any(level[1] == last for level in q.stack):
        run.faults.append(
            (q.cycle, f"{q.name} word {q.at}: a body ends on the word on which an inner body ends")
        )
    if q.stack and q.stack[-1][1] == q.at:
        run.faults.append((q.cycle, f"{q.name} word {q.at}: LOOP is the last word of a body"))
    if not count:
        q.at = last
        q.advance(q.cycle + LOOP_CYCLES)
        return
    q.stack.append([first, last, count, 0, x.args["step"]])
    q.at, q.cycle = first, q.cycle + LOOP_CYCLES


def _host(registers: Registers, x: Instruction, cycle: int) -> None:
    """Index registers after one host port word."""
    match x.op:
        case "CONFIG":
            registers.write(x.args["x"], cycle, x.args["value"])
        case "INDEX":
            for k in range(x.count):
                at = cycle + k * x.interval
                value = registers.read(x.args["src"], at, 1)
                if value is not None:
                    value = (((value + x.args["add"]) % (1 << 16)) >> x.args["shift"]) % (1 << x.args["bits"])
                registers.write(x.args["x"], at, value)
        case "LDX" | "POP":
            source = registers.tokens if x.op == "POP" else registers.loaded
            for k in range(x.count):
                registers.write(x.args["x"], cycle + k * x.interval, source.pop(0) if source else None)


def resolve(registers: Registers, select: int, loops: tuple[int, ...], cycle: int) -> int | None:
    """Value of an index select at a dispatch; None if it depends on data."""
    if select >= LOOP_INDEX:
        level = select - LOOP_INDEX
        return loops[level] if level < len(loops) else 0
    return registers.read(select, cycle)


def addresses(run: Expansion, group: Group, name: str, width: int) -> np.ndarray:
    """A slot field at each of a group's dispatches, before the field cuts it off; :data:`UNKNOWN` if it depends on data.

    ``width``: bits of the slot.
    """
    x = group.instruction
    base = (x.args[name] + x.strides.get(name, 0) * np.arange(x.count, dtype=np.int64)) % (1 << width)
    select = x.index.get(name, 0)
    if LOOP_INDEX <= select < LOOP_INDEX + group.loops.shape[1]:
        return (base + group.loops[:, select - LOOP_INDEX, None]).reshape(-1)
    base = np.tile(base, len(group.cycles))
    if not select or select >= LOOP_INDEX:
        return base
    extra = run.registers.read_all(select, group.times)
    return np.where(extra == UNKNOWN, UNKNOWN, base + extra)


def slot_fields(config: TileConfig, queue: str, op: str) -> Iterator[tuple[str, int, int]]:
    """(field, bits of its slot, bits of the field) of an op's address slots."""
    lay = layout(config, queue)
    for f in lay.ops[op].fields:
        if f.slot is not None:
            yield f.name, lay.slots[f.slot].width, lay.fields[op][f.name][1]

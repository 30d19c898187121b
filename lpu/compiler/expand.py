"""Queue words to dispatches, as docs/architecture.md tells it: the schedule check's own instruction control unit.

Nothing here is shared with the schedule builder, so that a mistake of one does not hide in the other.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lpu.arch import TileConfig
from lpu.isa import LOOP_INDEX, Instruction, layout, queue_names
from lpu.program import Program
from lpu.timing import INDEX_VISIBLE, LOOP_CYCLES, SYNC_CYCLES

#: Words after which a program is taken never to end.
MAX_WORDS = 4_000_000


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
    """What is known of the index registers, over time; a value of None depends on data."""

    history: dict[int, list[tuple[int, int | None]]] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=list)

    def write(self, x: int, cycle: int, value: int | None) -> None:
        """A write dispatched at ``cycle``."""
        self.history.setdefault(x, [(-INDEX_VISIBLE, 0)]).append((cycle, value))

    def read(self, x: int, cycle: int, delay: int = INDEX_VISIBLE) -> int | None:
        """Value for a dispatch at ``cycle``; ``delay`` 1 for operands within the host port's queue."""
        if x == 0 or x not in self.history:
            return 0
        seen = self.history[x]
        return seen[bisect_right(seen, cycle - delay, key=lambda entry: entry[0]) - 1][1]


@dataclass
class Expansion:
    """A whole run: dispatches in no particular order, cycle count, register history, faults found on the way."""

    dispatches: list[Dispatch]
    cycles: int
    registers: Registers
    faults: list[tuple[int, str]]


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


def expand(program: Program, entry: str = "main", tokens: Sequence[int] = ()) -> Expansion:
    """Run every queue from an entry. ``tokens``: what POP finds. Faults: (cycle, text)."""
    config = program.config
    run = Expansion([], 0, Registers(tokens=list(tokens)), [])
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
    if layout(config, q.name).queue.endswith(".port"):
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
            for k in range(x.count):
                known = registers.tokens.pop(0) if x.op == "POP" and registers.tokens else None
                registers.write(x.args["x"], cycle + k * x.interval, known)


def resolve(registers: Registers, select: int, loops: tuple[int, ...], cycle: int) -> int | None:
    """Value of an index select at a dispatch; None if it depends on data."""
    if select >= LOOP_INDEX:
        level = select - LOOP_INDEX
        return loops[level] if level < len(loops) else 0
    return registers.read(select, cycle)


def addresses(run: Expansion, dispatch: Dispatch, name: str, width: int) -> np.ndarray | None:
    """A slot field of every dispatch of a word, before the field cuts it off; None if it depends on data.

    ``width``: bits of the slot.
    """
    x = dispatch.instruction
    base = (x.args[name] + x.strides.get(name, 0) * np.arange(x.count, dtype=np.int64)) % (1 << width)
    select = x.index.get(name, 0)
    if not select:
        return base
    if select >= LOOP_INDEX:
        extra = resolve(run.registers, select, dispatch.loops, dispatch.cycle)
        return None if extra is None else base + extra
    values = [run.registers.read(select, int(t)) for t in dispatch.times]
    if any(v is None for v in values):
        return None
    return base + np.array(values, dtype=np.int64)


def slot_fields(config: TileConfig, queue: str, op: str) -> Iterator[tuple[str, int, int]]:
    """(field, bits of its slot, bits of the field) of an op's address slots."""
    lay = layout(config, queue)
    for f in lay.ops[op].fields:
        if f.slot is not None:
            yield f.name, lay.slots[f.slot].width, lay.fields[op][f.name][1]

"""Compression, second half: repeated groups of words become counted loops, where a queue would overflow.

A loop costs LOOP_CYCLES without dispatch before its first iteration and nothing later, so one is made only where the
schedule is idle that long. From iteration to iteration every address slot either stays or grows by one common step.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lpu.compiler.runs import Placed, SlotMap
from lpu.isa import LOOP_COUNT_BITS, LOOP_INDEX, LOOP_STEP_BITS
from lpu.timing import LOOP_CYCLES

_MAX_COUNT = (1 << LOOP_COUNT_BITS) - 1
_MAX_STEP = (1 << (LOOP_STEP_BITS - 1)) - 1


@dataclass(frozen=True)
class Word:
    """A leaf: one queue word. ``start``: first dispatch; ``end``: first cycle in which the next node may start."""

    placed: Placed
    slots: SlotMap

    depth = 0

    @property
    def start(self) -> int:
        return self.placed.cycle

    @property
    def end(self) -> int:
        return self.placed.last + 1

    def words(self) -> Iterator[tuple[Placed, int]]:
        """Every word below with the number of loops around it."""
        yield self.placed, 0

    @cached_property
    def key(self) -> tuple:
        """Equal for nodes that differ in slot values and start only."""
        x = self.placed.instruction
        widths = self.slots.slots(x.op)
        fixed = tuple((n, v) for n, v in sorted(x.args.items()) if n not in widths)
        strides = tuple(x.strides.get(n, 0) for n in widths)
        return x.op, fixed, x.count, x.interval, strides, tuple(sorted(x.index.items()))

    @cached_property
    def values(self) -> tuple[int, ...]:
        """Values of all address slots."""
        x = self.placed.instruction
        return tuple(x.args[n] for n in self.slots.slots(x.op))


@dataclass(frozen=True)
class Loop:
    """A counted loop: ``count`` iterations of ``body``, ``period`` cycles each, the first from cycle ``first`` on."""

    body: tuple[Node, ...]
    count: int
    period: int
    step: int
    first: int

    @property
    def start(self) -> int:
        """Dispatch of the LOOP word."""
        return self.first - LOOP_CYCLES

    @property
    def end(self) -> int:
        return self.first + self.count * self.period

    @cached_property
    def depth(self) -> int:
        """Levels of loops, this one included."""
        return 1 + max(n.depth for n in self.body)

    def words(self) -> Iterator[tuple[Placed, int]]:
        """Every word below with the number of loops around it."""
        for node in self.body:
            for placed, depth in node.words():
                yield placed, depth + 1

    @cached_property
    def key(self) -> tuple:
        """Equal for nodes that differ in slot values and start only."""
        inner = tuple((n.key, n.start - self.first) for n in self.body)
        return self.count, self.period, self.step, inner

    @cached_property
    def values(self) -> tuple[int, ...]:
        """Values of all address slots in the first iteration."""
        return tuple(v for n in self.body for v in n.values)


Node = Word | Loop


def indexed(node: Node, moving: Iterator[bool], level: int) -> Node:
    """The node with loop index ``level`` on every slot for which ``moving`` says so."""
    if isinstance(node, Word):
        x = node.placed.instruction
        names = [n for n, moves in zip(node.slots.slots(x.op), moving, strict=False) if moves]
        index = {**x.index, **{n: LOOP_INDEX + level for n in names}}
        return replace(node, placed=Placed(node.placed.cycle, replace(x, index=index)))
    return replace(node, body=tuple(indexed(n, moving, level + 1) for n in node.body))


@dataclass(frozen=True)
class Repeat:
    """Nodes ``at`` ... ``at + length * count - 1`` are ``count`` iterations of ``length`` nodes."""

    at: int
    length: int
    count: int
    period: int
    step: int
    moving: tuple[bool, ...]


class Folder:
    """Finds loops in one queue's nodes.

    Parameters
    ----------
    slots : the queue's address slots. end : cycle by which the queue has to be through.
    levels : loop nesting the hardware has. longest : words that a body may have.
    """

    def __init__(self, slots: SlotMap, *, end: int, levels: int, longest: int):
        self._slots, self._end, self._levels, self._longest = slots, end, levels, longest
        self._cached: tuple[Sequence[Node], tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None

    def best_first(self, nodes: list[Node], fits: Callable[[list[Node]], bool]) -> list[Node]:
        """Make the loop that saves most, again and again, until ``fits(nodes)`` or nothing saves any more."""
        while not fits(nodes):
            found = [r for p in range(1, self._longest + 1) for r in self._repeats(nodes, p)]
            saving = {r: (r.count - 1) * _words(nodes[r.at : r.at + r.length]) - 1 for r in found}
            best = max(found, key=lambda r: saving[r], default=None)
            if best is None or saving[best] <= 0:
                break
            nodes = self._fold(nodes, best)
        return nodes

    def shortest_first(self, nodes: list[Node], fits: Callable[[list[Node]], bool]) -> list[Node]:
        """Make inner loops first, then loops around them, until ``fits(nodes)`` or nothing changes."""
        changed = True
        while changed and not fits(nodes):
            changed = False
            for length in range(1, min(self._longest, len(nodes) // 2) + 1):
                for repeat in reversed(_disjoint(self._repeats(nodes, length))):
                    # The node behind may have become a loop meanwhile, which starts earlier.
                    count = self._iterations(nodes, repeat.at, length, repeat.count, repeat.period)
                    if (count - 1) * _words(nodes[repeat.at : repeat.at + length]) > 1:
                        nodes, changed = self._fold(nodes, replace(repeat, count=count)), True
                if changed and fits(nodes):
                    return nodes
        return nodes

    def _fold(self, nodes: list[Node], repeat: Repeat) -> list[Node]:
        body = nodes[repeat.at : repeat.at + repeat.length]
        moving = iter(repeat.moving)
        loop = Loop(
            tuple(indexed(n, moving, 0) for n in body),
            repeat.count,
            repeat.period,
            repeat.step,
            body[0].start,
        )
        return [*nodes[: repeat.at], loop, *nodes[repeat.at + repeat.length * repeat.count :]]

    def _repeats(self, nodes: Sequence[Node], length: int) -> list[Repeat]:
        """Every maximal repetition with a body of ``length`` nodes that can be a loop, in order."""
        if len(nodes) < 2 * length:
            return []
        keys, starts, values = self._columns(nodes)
        difference = values[length:] - values[:-length]
        steps = difference.max(axis=1, initial=0)
        even = ((difference == 0) | (difference == steps[:, None])).all(axis=1) & (steps <= _MAX_STEP)
        even &= keys[length:] == keys[:-length]
        period = np.where(even, starts[length:] - starts[:-length], -1)
        edges = [0, *(np.flatnonzero(np.diff(period)) + 1).tolist(), len(period)]
        found = []
        for begin, end in itertools.pairwise(edges):
            a = begin
            while period[a] >= 0 and end - a >= length:
                n, step = _steady(difference[a:end] != 0, steps[a:end], length)
                if n >= length:
                    moves = [tuple((difference[a + j] != 0).tolist()) for j in range(length)]
                    if repeat := self._loop(nodes, a, n, length, int(period[a]), step, moves):
                        found.append(repeat)
                a += max(1, n)
                if a >= end:
                    break
        return found

    def _columns(self, nodes: Sequence[Node]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Number of the key, start, and slot values (padded with zeros) of every node."""
        if self._cached is None or self._cached[0] is not nodes:
            numbers: dict[tuple, int] = {}
            keys = np.array([numbers.setdefault(n.key, len(numbers)) for n in nodes])
            values = np.zeros((len(nodes), max(len(n.values) for n in nodes)), dtype=np.int64)
            for row, node in zip(values, nodes, strict=True):
                row[: len(node.values)] = node.values
            self._cached = nodes, (keys, np.array([n.start for n in nodes]), values)
        return self._cached[1]

    def _loop(
        self,
        nodes: Sequence[Node],
        a: int,
        n: int,
        length: int,
        period: int,
        step: int,
        moves: list[tuple[bool, ...]],
    ) -> Repeat | None:
        """The longest loop within a steady stretch: where it can start, how often it can go round."""
        best: Repeat | None = None
        # A start up to two bodies in: the first iteration may have to stay outside for want of idle cycles.
        for at in range(a, min(a + 2 * length, a + n - length + 1)):
            before = nodes[at - 1].end if at else 0
            body = nodes[at : at + length]
            if nodes[at].start - LOOP_CYCLES < before or 1 + max(x.depth for x in body) > self._levels:
                continue
            count = min((a + n - at) // length + 1, _MAX_COUNT)
            count = self._iterations(nodes, at, length, count, period)
            if isinstance(body[-1], Loop) and body[0].start + period <= body[-1].end:
                continue
            moving = tuple(
                m for j in range(length) for m in moves[(at - a + j) % length][: len(nodes[at + j].values)]
            )
            if count < 2 or not self._in_range(body, moving, step * (count - 1)):
                continue
            if _words(body) > self._longest:
                continue
            if best is None or count > best.count:
                best = Repeat(at, length, count, period, step, moving)
        return best

    def _iterations(self, nodes: Sequence[Node], at: int, length: int, count: int, period: int) -> int:
        """``count``, or one less if the wait at the end of the last iteration would reach into what follows."""
        after = at + length * count
        limit = nodes[after].start if after < len(nodes) else self._end
        return count if nodes[at].start + count * period <= limit else count - 1

    def _in_range(self, body: Sequence[Node], moving: Sequence[bool], growth: int) -> bool:
        """No moving slot is indexed already, wraps, or outgrows its field."""
        moves = iter(moving)
        for node in body:
            for placed, _ in node.words():
                x = placed.instruction
                for name, width in self._slots.slots(x.op).items():
                    if not next(moves):
                        continue
                    ends = [x.args[name], x.args[name] + (x.count - 1) * x.strides.get(name, 0)]
                    field = self._slots.field_width(x.op, name)
                    if x.index.get(name) or min(ends) < 0 or max(ends) >= 1 << width:
                        return False
                    if max(ends) + growth >= 1 << field:
                        return False
        return True


def _words(nodes: Sequence[Node]) -> int:
    """Queue words of the nodes, those that only wait left out."""
    return sum(1 if isinstance(n, Word) else 1 + _words(n.body) for n in nodes)


def _disjoint(repeats: list[Repeat]) -> list[Repeat]:
    """Those that do not overlap an earlier one."""
    chosen: list[Repeat] = []
    for r in repeats:
        if not chosen or r.at >= chosen[-1].at + chosen[-1].length * chosen[-1].count:
            chosen.append(r)
    return chosen


def _steady(moving: np.ndarray, steps: np.ndarray, length: int) -> tuple[int, int]:
    """How many nodes from the first on grow by one step in the same slots as the node ``length`` before; the step."""
    step = int(next(iter(steps[steps > 0]), 0))
    bad = (steps > 0) & (steps != step)
    bad[length:] |= (moving[length:] != moving[:-length]).any(axis=1)
    wrong = np.flatnonzero(bad)
    return int(wrong[0]) if len(wrong) else len(steps), step

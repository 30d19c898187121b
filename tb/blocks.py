"""Loop blocks of the program generator: a nest of loops that several queues run side by side, each in a form
of its own (counted loops, or one word with count and interval), and the words that fill the time between."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from lpu import timing
from lpu.arch import TileConfig
from lpu.isa import LOOP_INDEX, Instruction, layout
from tb.reserve import Clash, Registers, Track


def nop(rng: random.Random, length: int) -> list[Instruction]:
    """NOPs that take ``length`` cycles, in a random form."""
    words = []
    while length > 0:
        interval = rng.choice([1, 1, 2, 3, rng.randint(1, 64)])
        count = rng.randint(1, max(1, min(1024, (length - 1) // interval + 1)))
        if rng.random() < 0.7 or len(words) >= 2:
            count = min(1024, (length - 1) // interval + 1)
        rest = length - ((count - 1) * interval + 1)
        gap = min(63, rest) if rng.random() < 0.8 else 0
        words.append(Instruction("NOP", count=count, interval=interval, gap=gap))
        length = rest - gap
    return words


def fill(rng: random.Random, words: list[Instruction], length: int, closed: bool) -> None:
    """Append ``length`` idle cycles to ``words``. ``closed``: the last word ends a loop or waits, its gap is
    not free."""
    if (
        length > 0
        and words
        and not closed
        and words[-1].op not in ("LOOP", "SYNC", "NOTIFY")
        and rng.random() < 0.6
    ):
        gap = min(63 - words[-1].gap, length)
        words[-1] = replace(words[-1], gap=words[-1].gap + gap)
        length -= gap
    words += nop(rng, length)


@dataclass
class Item:
    """Words of one queue from ``start`` on; the next is dispatched at ``end`` at the earliest. ``closed``:
    see fill."""

    start: int
    end: int
    words: list[Instruction]
    closed: bool = False


@dataclass
class Level:
    """One level of a nest: iterations (of inner levels: in the first round), cycles of one, and the cycles
    of its body before the inner LOOP and behind the inner loop."""

    n: int
    d: int
    pre: int = 0
    post: int = 0


@dataclass
class Word:
    """A word of a loop body: level, which section (0: before the inner loop, 1: behind it), offset in it."""

    level: int
    section: int
    offset: int
    instruction: Instruction

    @property
    def length(self) -> int:
        return (self.instruction.count - 1) * self.instruction.interval + 1


class Nest:
    """Counts and periods, outermost first. ``grow``: a two-level nest whose inner count grows by this each
    round."""

    def __init__(self, levels: list[Level], grow: int = 0):
        self.levels, self.grow = levels, grow

    def inner(self, i: int) -> int:
        """Iterations of level 2 in round i of level 1."""
        return self.levels[1].n + i * self.grow

    def period(self, i: int) -> int:
        """Cycles of round i of level 1."""
        return self.levels[0].d + (i * self.grow * self.levels[1].d if self.grow else 0)

    def start(self, level: int) -> int:
        """From the first cycle of the outermost body to the first of this level's."""
        return sum(l.pre + timing.LOOP_CYCLES for l in self.levels[: level - 1])

    def offsets(self, level: int) -> list[tuple[tuple[int, ...], int]]:
        """((iteration of each level), cycles after the first) of every iteration of a level; may be none."""
        found: list[tuple[tuple[int, ...], int]] = [((), 0)]
        for n, l in enumerate(self.levels[:level]):
            grown = []
            for index, at in found:
                if n == 0:
                    starts = [sum(self.period(j) for j in range(i)) for i in range(l.n)]
                elif n == 1:
                    starts = [i * l.d for i in range(self.inner(index[0]))]
                else:
                    starts = [i * l.d for i in range(l.n)]
                grown += [((*index, i), at + s) for i, s in enumerate(starts)]
            found = grown
        return found

    @property
    def total(self) -> int:
        """Cycles of the whole nest behind its outermost LOOP."""
        return sum(self.period(i) for i in range(self.levels[0].n))


def random_nest(rng: random.Random, config: TileConfig) -> Nest:
    """A nest of one to loop_depth levels and at most a few dozen iterations."""
    depth = rng.choices([1, 2, 3, 4], [8, 5, 4, 2])[0]
    depth = min(depth, config.loop_depth)
    inner = Level(rng.choice([1, 2, 2, 3, 3, 4, 5, 8]), rng.choice([1, 1, 2, 2, 3, 4, 5, 6, 8, 11, 17]))
    if depth > 2:
        inner.n, inner.d = rng.choice([1, 2, 2, 3]), rng.choice([1, 1, 2, 3, 5])
    if depth == 1:
        inner.n = rng.choice([1, 2, 3, 4, 5, 6, 8, 12])
    if depth == 2 and rng.random() < 0.3:
        grow = rng.choice([1, 1, 2])
        inner.n = rng.choice([0, 0, 1, 2])
        pre, post = rng.choice([0, 0, 1, 3]), rng.choice([1, 1, 2, 5])
        outer = Level(rng.choice([2, 3]), pre + timing.LOOP_CYCLES + inner.n * inner.d + post, pre, post)
        return Nest([outer, inner], grow)
    levels = [inner]
    for _ in range(depth - 1):
        below = levels[0]
        pre, post = rng.choice([0, 0, 1, 2, 4]), rng.choice([1, 1, 2, 3, 6])
        total = pre + timing.LOOP_CYCLES + below.n * below.d + post
        levels.insert(0, Level(rng.choice([1, 2, 2, 3]), total, pre, post))
    return Nest(levels)


@dataclass
class QueueBlock:
    """A nest as one queue runs it: its first ``depth`` levels. ``base``: cycle of the outermost body's
    start."""

    queue: str
    base: int
    depth: int
    steps: list[int]
    words: list[Word] = field(default_factory=list)

    def room(self, nest: Nest, word: Word) -> bool:
        """Whether a word fits its section."""
        level = nest.levels[word.level - 1]
        size = level.d if word.level == self.depth else (level.post if word.section else level.pre)
        if word.offset < 0 or word.offset + word.length > size:
            return False
        return all(
            w.offset + w.length <= word.offset or word.offset + word.length <= w.offset
            for w in self.words
            if (w.level, w.section) == (word.level, word.section)
        )


class Block:
    """A nest in the making: hands out places to words and becomes items at the end."""

    def __init__(
        self,
        rng: random.Random,
        config: TileConfig,
        nest: Nest,
        tracks: dict[str, Track],
        registers: Registers,
    ):
        self._rng, self._config, self.nest, self._tracks, self._registers = (
            rng,
            config,
            nest,
            tracks,
            registers,
        )
        self.queues: dict[str, QueueBlock] = {}

    def locate(self, qb: QueueBlock, level: int, cycle: int, instruction: Instruction) -> Word:
        """The place of a word first dispatched at ``cycle``; raises Clash."""
        offset = cycle - qb.base - self.nest.start(level)
        word = Word(level, 0, offset, instruction)
        if level < qb.depth and offset >= self.nest.levels[level - 1].pre:
            l, below = self.nest.levels[level - 1], self.nest.levels[level]
            if self.nest.grow:
                raise Clash
            word = Word(level, 1, offset - l.pre - timing.LOOP_CYCLES - below.n * below.d, instruction)
        if not qb.room(self.nest, word):
            raise Clash
        return word

    def claim(self, queue: str, level: int, cycle: int, length: int) -> QueueBlock:
        """The queue's part of the block, reserving its time if this is the first word; raises Clash."""
        if queue in self.queues:
            if level > self.queues[queue].depth:
                raise Clash
            return self.queues[queue]
        levels = self.nest.levels
        depth = len(levels) if self.nest.grow else self._rng.randint(level, len(levels))
        l = levels[level - 1]
        if level < depth:
            if l.pre >= length and (self.nest.grow or l.post < length or self._rng.random() < 0.5):
                offset = self._rng.randint(0, l.pre - length)
            elif l.post >= length and not self.nest.grow:
                inner = levels[level]
                offset = (
                    l.pre + timing.LOOP_CYCLES + inner.n * inner.d + self._rng.randint(0, l.post - length)
                )
            else:
                raise Clash
        elif l.d < length:
            raise Clash
        else:
            offset = self._rng.randint(0, l.d - length)
        steps = [self._rng.choice([0, 1, 1, 1, 2, 3, -1, self._rng.randint(-20, 20)]) for _ in range(depth)]
        if self.nest.grow:
            steps[0] = self.nest.grow
        qb = QueueBlock(queue, cycle - offset - self.nest.start(level), depth, steps)
        self._tracks[queue].add(qb.base - timing.LOOP_CYCLES, qb.base + self.nest.total, qb)
        self.queues[queue] = qb
        return qb

    def release(self, queue: str) -> None:
        """Undo the first claim of a queue."""
        self._tracks[queue].remove(self.queues.pop(queue))

    def finish(self) -> None:
        """Replace what was reserved by items."""
        for queue, qb in self.queues.items():
            track = self._tracks[queue]
            track.remove(qb)
            item = self._item(qb)
            track.add(item.start, item.end, item)

    def _item(self, qb: QueueBlock) -> Item:
        rng, nest = self._rng, self.nest
        only = qb.words[0] if len(qb.words) == 1 else None
        level = nest.levels[0]
        if qb.depth == 1 and only and only.instruction.count == 1 and level.d <= 64 and rng.random() < 0.3:
            word = self._counted(only.instruction, qb, level)
            if word is not None:
                start = qb.base + only.offset
                return Item(start, start + (level.n - 1) * level.d + 1, [word])
        words = self._body(qb, 1)
        start = qb.base - timing.LOOP_CYCLES
        return Item(start, qb.base + nest.total, [self._loop(qb, 1, start, len(words)), *words], closed=True)

    def _counted(self, word: Instruction, qb: QueueBlock, level: Level) -> Instruction | None:
        """The loop as one word with count and interval: the loop index becomes a stride."""
        strides, index = dict(word.strides), dict(word.index)
        lay = layout(self._config, qb.queue)
        for f in lay.ops[word.op].fields:
            if f.slot is None:
                continue
            if 0 < index.get(f.name, 0) < LOOP_INDEX:
                return None  # an index register may change on the way
            strides[f.name] = qb.steps[0] if index.get(f.name) == LOOP_INDEX else 0
            if not 0 <= strides[f.name] < 1 << lay.slots[f.slot].width:
                return None
        return replace(word, count=level.n, interval=level.d, strides=strides, index={})

    def _loop(self, qb: QueueBlock, level: int, start: int, length: int) -> Instruction:
        """The LOOP word of a level, its count perhaps taken from an index register."""
        rng, nest = self._rng, self.nest
        n = nest.levels[level - 1].n
        if level == 2 and nest.grow:
            args = {"count": n, "index": LOOP_INDEX, "length": length, "step": qb.steps[1]}
            return Instruction("LOOP", args)
        times = [start]
        if level > 1:
            first = qb.base + nest.start(level) - timing.LOOP_CYCLES
            times = [first + at for _, at in nest.offsets(level - 1)]
        count, index = n, 0
        if rng.random() < 0.5:
            for x in rng.sample(range(1, self._config.index_registers), self._config.index_registers - 1):
                values = {self._registers.at("x", x, t) for t in times}
                value = values.pop() if len(values) == 1 else None
                if value is not None and 0 < value <= n:
                    count, index = n - value, x
                    break
        return Instruction(
            "LOOP", {"count": count, "index": index, "length": length, "step": qb.steps[level - 1]}
        )

    def _body(self, qb: QueueBlock, level: int) -> list[Instruction]:
        """The words of one iteration of a level."""
        rng, l = self._rng, self.nest.levels[level - 1]
        innermost = level == qb.depth
        words = self._section(qb, level, 0, l.d if innermost else l.pre, [], False)
        if not innermost:
            inner = self._body(qb, level + 1)
            start = qb.base + self.nest.start(level + 1) - timing.LOOP_CYCLES
            words = [*words, self._loop(qb, level + 1, start, len(inner)), *inner]
            tail = self._section(qb, level, 1, l.post, [], True)
            words += tail or nop(rng, l.post)
        return words

    def _section(self, qb, level, section, size, words, closed) -> list[Instruction]:
        at = 0
        for word in sorted(
            (w for w in qb.words if (w.level, w.section) == (level, section)), key=lambda w: w.offset
        ):
            fill(self._rng, words, word.offset - at, closed)
            words.append(word.instruction)
            at, closed = word.offset + word.length, False
        fill(self._rng, words, size - at, closed)
        return words

"""Flows: a random instruction with everything that feeds it, repeated alike, reserved together or not at
all."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from lpu import timing
from lpu.isa import LOOP_INDEX, Instruction, layout
from tb.blocks import Block, Item, Word
from tb.picker import Layers, Picker
from tb.reserve import Board, Clash, Dispatch, Track
from tb.values import IMAGE_CONTEXTS


@dataclass
class Step:
    """One instruction of a flow, first dispatched at ``cycle``. ``slots``: value and stride of the addresses
    that are not left to chance; ``resolved``: slot addresses of every dispatch."""

    queue: str
    cycle: int
    op: str
    args: dict[str, int]
    lanes: tuple[int, ...] | None = None
    slots: dict[str, tuple[int, int]] = field(default_factory=dict)
    strides: dict[str, int] = field(default_factory=dict)
    index: dict[str, int] = field(default_factory=dict)
    resolved: list[dict[str, int]] = field(default_factory=list)

    @property
    def instruction(self) -> Instruction:
        """What lpu.timing reads its times from."""
        return Instruction(self.op, self.args)


@dataclass
class Shape:
    """How a flow is repeated: iterations of ``block`` at ``level`` (0: none), ``count`` times every
    ``interval`` in each."""

    offsets: list[tuple[tuple[int, ...], int]]
    count: int = 1
    interval: int = 1
    block: Block | None = None
    level: int = 0

    def times(self, cycle: int) -> list[tuple[tuple[int, ...], int, int]]:
        """(iteration, repetition, cycle) of every dispatch."""
        return [(i, k, cycle + at + k * self.interval) for i, at in self.offsets for k in range(self.count)]


class Flow:
    """Builds the steps of one flow and commits them.

    Parameters
    ----------
    picker, board, tracks : the program so far. shape : how it is repeated.
    constants : slice name -> its constant words, each one value a lane.
    """

    def __init__(
        self,
        picker: Picker,
        board: Board,
        tracks: dict[str, Track],
        shape: Shape,
        constants: dict[str, list[list[int]]],
    ):
        self._p, self._board, self._tracks, self.shape, self._constants = (
            picker,
            board,
            tracks,
            shape,
            constants,
        )
        self._rng, self._config = picker.rng, picker.config
        self.steps: list[Step] = []
        self._driven: set[tuple[int, int]] = set()

    def add(self, step: Step, depth: int = 0) -> Step:
        """A step and, recursively, producers of what it samples; raises Clash."""
        if step.cycle < 0:
            raise Clash
        name = step.queue.split(".")[0]
        position = self._p.position[name]
        self.steps.append(step)
        for access in timing.results(step.instruction, self._config):
            for b in range(access.bytes):
                code = access.stream + 2 * b
                self._driven.add((code, self._board.diagonal(code, position, step.cycle + access.at)))
        for access in timing.operands(step.instruction, self._config):
            if step.lanes is not None and access.stream == step.args.get("at"):
                continue
            addresses = step.args.get({"GATHER": "src", "SCATTER": "at"}.get(step.op, ""))
            if access.stream == addresses and (step.op == "SCATTER" or self._rng.random() < 0.7):
                step.lanes = self._known(position, access.stream, step.cycle + access.at)
                continue
            self._need(position, access.stream, access.bytes, step.cycle + access.at, depth)
        return step

    def _present(self, position: int, code: int, width: int, cycle: int) -> bool:
        keys = [(code + 2 * b, self._board.diagonal(code, position, cycle)) for b in range(width)]
        if all(k in self._driven for k in keys):
            return True
        taken = self._board.claims.results
        return self.shape.level == 0 and self.shape.count == 1 and all(k in taken for k in keys)

    def _need(self, position: int, code: int, width: int, cycle: int, depth: int) -> None:
        """Make sure that a stream is there to be sampled."""
        rng = self._rng
        if self._present(position, code, width, cycle):
            return
        if (
            width == 4
            and rng.random() < 0.12
            and all(self._p.sources(position, code + 2 * b, 1) for b in range(4))
        ):
            for b in range(4):
                self._need(position, code + 2 * b, 1, cycle, depth + 1)
            return
        if (width == 1 and rng.random() < 0.15) or not self._p.sources(position, code, width):
            code, width = (code & 1) + (code >> 1) // 4 * 8, 4
        choices = self._p.sources(position, code, width)
        simple = [c for c in choices if c[1] in ("READ", "READB", "VPOP", "DRAIN", "TREAD")]
        if depth >= 2 or (simple and rng.random() < 0.6):
            choices = simple
        if not choices:
            raise Clash
        queue, op = rng.choice(choices)
        self._drive(queue, op, position, code, width, cycle, depth + 1)

    def _drive(
        self, queue: str, op: str, position: int, code: int, width: int, cycle: int, depth: int, **forced
    ) -> Step:
        """A step whose result is sampled at ``position`` in ``cycle``."""
        name = queue.split(".")[0]
        if op == "CHAIN":
            args = self._p.chain(name, width, code)
        else:
            args = self._p.args(queue, op) | {"dst": code}
            if op == "REDUCE":
                args["emit"] = 1
        args |= forced
        at = timing.results(Instruction(op, args), self._config)[0].at
        start = cycle - abs(position - self._p.position[name]) - at
        return self.add(Step(queue, start, op, args, slots={n: (v, 0) for n, v in forced.items()}), depth)

    def _known(self, position: int, code: int, cycle: int) -> tuple[int, ...]:
        """Drive a word whose lanes the generator knows: a constant of a memory, perhaps moved by an SXM."""
        rng, config = self._rng, self._config
        sources = self._p.sources(position, code, 4)
        queue, op = rng.choice([s for s in sources if s[1] in ("READ", "ROTATE", "BROADCAST")] or [("", "")])
        if not op or self._present(position, code, 4, cycle):
            raise Clash
        name = queue.split(".")[0]
        if op == "READ":
            address = rng.randrange(len(self._constants[name]))
            self._drive(queue, op, position, code, 4, cycle, 1, addr=address)
            return tuple(self._constants[name][address])
        source = self._p.stream(name, 4, True)
        n = rng.randrange(config.lanes)
        args = {"n": n, "src": source, "dst": code}
        start = cycle - abs(position - self._p.position[name]) - timing.MOVE_RESULT
        self.steps.append(Step(queue, start, op, args, slots={"n": (n, 0)}))
        if start < 0 or len(self.steps) > 8:
            raise Clash
        lanes = self._known(self._p.position[name], source, start + timing.SAMPLE)
        return tuple(lanes[n if op == "BROADCAST" else (i + n) % config.lanes] for i in range(config.lanes))

    def known_word(self, position: int, code: int, cycle: int) -> tuple[int, ...]:
        """As the address of a GATHER: for LDX."""
        return self._known(position, code, cycle)

    # Commitment ----------------------------------------------------------------------------------

    def commit(self) -> None:
        """Choose addresses, reserve everything; raises Clash with nothing changed."""
        undo = []
        try:
            places = []
            for step in self.steps:
                places.append(self._reserve(step, undo))
                self._address(step, places[-1])
            dispatches = []
            for step in self.steps:
                for resolved, (_, _, cycle) in zip(step.resolved, self.shape.times(step.cycle), strict=True):
                    dispatches.append(self._dispatch(step, resolved, cycle))
            self._board.place(dispatches)
        except Clash:
            for action in reversed(undo):
                action()
            raise
        for step, place in zip(self.steps, places, strict=True):
            place.instruction = Instruction(
                step.op, step.args, self.shape.count, self.shape.interval, 0, step.strides, step.index
            )
            if isinstance(place, _Single):
                place.realise(self._rng, step)

    def _dispatch(self, step: Step, resolved: dict[str, int], cycle: int) -> Dispatch:
        lanes = None
        if step.lanes is not None:
            depth = self._config.spec(step.queue.split(".")[0]).depth
            lanes = tuple((resolved["addr"] + n) % depth for n in step.lanes)
            if step.op == "SCATTER":
                free = Layers.of(self._config, step.queue.split(".")[0]).free
                mask = self._board.mask(step.args["mask"], cycle)
                if any(n < free and (mask is None or mask >> i & 1) for i, n in enumerate(lanes)):
                    raise Clash
        return Dispatch(step.queue, cycle, Instruction(step.op, {**step.args, **resolved}), lanes)

    def _reserve(self, step: Step, undo: list) -> Word | _Single:
        shape, length = self.shape, (self.shape.count - 1) * self.shape.interval + 1
        track = self._tracks[step.queue]
        if shape.block is None:
            item = _Single(step.cycle, step.cycle + length, [])
            track.add(item.start, item.end, item)
            undo.append(lambda: track.remove(item))
            return item
        block, known = shape.block, step.queue in shape.block.queues
        qb = block.claim(step.queue, shape.level, step.cycle, length)
        if not known:
            undo.append(lambda: block.release(step.queue))
        word = block.locate(
            qb, shape.level, step.cycle, Instruction(step.op, {}, shape.count, shape.interval)
        )
        qb.words.append(word)
        undo.append(lambda: qb.words.remove(word))
        return word

    def _address(self, step: Step, place: Word | _Single) -> None:
        """Choose value, stride and index of every slot, so that all dispatches stay where they may."""
        times = self.shape.times(step.cycle)
        lay = layout(self._config, step.queue)
        step.resolved = [{} for _ in times]
        step.strides, step.index = {}, {}
        for f in lay.ops[step.op].fields:
            if f.slot is None:
                continue
            slot = lay.slots[f.slot].width
            if f.name in step.slots:
                step.args[f.name], step.strides[f.name] = step.slots[f.name]
                for resolved, (_, k, _) in zip(step.resolved, times, strict=True):
                    resolved[f.name] = (step.args[f.name] + k * step.strides[f.name]) % (1 << slot)
                continue
            low, high = self._range(step, f.name, lay.fields[step.op][f.name][1])
            for attempt in range(6):
                stride, select = self._form(slot, attempt)
                index = self._indices(step, times, select)
                value = self._rng.choice([low, high, *(self._rng.randint(low, high) for _ in range(2))])
                if f.name == "ctx" and self._rng.random() < 0.6:
                    value %= IMAGE_CONTEXTS
                if index is None:
                    continue
                if attempt < 3 and index and stride == 0:
                    value = max(0, value - max(index))
                found = [
                    (value + k * stride) % (1 << slot) + n for (_, k, _), n in zip(times, index, strict=True)
                ]
                if all(low <= n <= high for n in found):
                    break
            else:
                stride, select, value = 0, 0, self._rng.randint(low, high)
                found = [value] * len(times)
            step.args[f.name] = value
            if stride:
                step.strides[f.name] = stride
            if select:
                step.index[f.name] = select
            for resolved, n in zip(step.resolved, found, strict=True):
                resolved[f.name] = n
        if step.op == "REDUCE" and not self._p.mixed:
            kinds = {self._p.reductions[resolved["acc"]] for resolved in step.resolved}
            if len(kinds) > 1:
                raise Clash
            step.args["how"] = kinds.pop()

    def _form(self, slot: int, attempt: int) -> tuple[int, int]:
        """(stride, index select)."""
        rng = self._rng
        limit = 1 << (slot - 1)
        stride = rng.choice([0, 1, 1, -1, 2, rng.randint(-limit, 2 * limit - 1)])
        if (self.shape.count == 1 and rng.random() < 0.9) or not -limit <= stride <= 2 * limit - 1:
            stride = 0
        select = 0
        if attempt < 5 and rng.random() < 0.7:
            select = rng.randrange(1, self._config.index_registers)
            if self.shape.level and rng.random() < 0.6:
                select = LOOP_INDEX + rng.randrange(self.shape.level)
        return stride, select

    def _indices(self, step: Step, times: list, select: int) -> list[int] | None:
        """The selected index at every dispatch, None where one is unknown."""
        if select == 0:
            return [0] * len(times)
        if select >= LOOP_INDEX:
            level = self.shape.level - (select - LOOP_INDEX)
            by = self.shape.block.queues[step.queue].steps[level - 1]
            return [i[level - 1] * by % 65536 for i, _, _ in times]
        values = [self._board.registers.at("x", select, cycle) for _, _, cycle in times]
        return None if None in values else values

    def _range(self, step: Step, name: str, width: int) -> tuple[int, int]:
        """Lowest and highest address that a step may use."""
        if name == "addr" and step.op in ("WRITE", "WRITEB", "SCATTER"):
            free = Layers.of(self._config, step.queue.split(".")[0]).free
            return (4 * free if step.op == "WRITEB" else free), (1 << width) - 1
        return 0, (1 << width) - 1


class _Single(Item):
    """A word outside every block, as one word or unrolled into several."""

    def realise(self, rng: random.Random, step: Step) -> None:
        """Set ``words``."""
        word: Instruction = self.instruction  # type: ignore[attr-defined]
        spare = rng.random() < 0.5
        if word.count == 1 and not spare:
            # A word that dispatches once ignores its interval.
            self.words = [Instruction(word.op, word.args, 1, rng.randint(1, 64), 0, word.strides, word.index)]
        elif word.count > 4 or spare:
            self.words = [word]
        else:
            self.words = [
                Instruction(
                    word.op, {**step.args, **resolved}, gap=word.interval - 1 if n < word.count - 1 else 0
                )
                for n, resolved in enumerate(step.resolved)
            ]

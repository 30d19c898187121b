"""Faults in programs. *Planned* ones add instructions to a legal program in the making, aimed at one kind of
violation through the reservation model; *blind* ones change words of a finished one and may hit anything or
nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from lpu import timing
from lpu.arch import TileConfig
from lpu.isa import LOOP_INDEX, Instruction, IsaError, encode, layout, vector_ops
from lpu.runtime.machine import ViolationKind
from tb.blocks import Item
from tb.picker import WORD_SOURCES, Picker
from tb.reserve import OFF, Board, Clash, Track

CONTROL = ("HALT", "NOP", "LOOP", "SYNC", "NOTIFY")


class Saboteur:
    """Adds instructions that violate, to the tracks of a program but not to its reservations.

    Parameters
    ----------
    picker, board, tracks : of the program.
    """

    def __init__(self, picker: Picker, board: Board, tracks: dict[str, Track]):
        self._p, self._board, self._tracks = picker, board, tracks
        self._rng, self._config = picker.rng, picker.config
        self._end = max(t.end for t in tracks.values())
        self._plans: dict[ViolationKind, Callable[[], str]] = {
            ViolationKind.CONFLICT: self._conflict,
            ViolationKind.NO_OPERAND: self._no_operand,
            ViolationKind.PORT: self._port,
            ViolationKind.COLLISION: self._collision,
            ViolationKind.RANGE: self._range,
            ViolationKind.UNDERFLOW: self._underflow,
            ViolationKind.OVERFLOW: self._overflow,
        }

    def violate(self, kind: ViolationKind) -> str:
        """Aim at a kind; says what was done. Raises Clash if no way was found."""
        for _ in range(40):
            try:
                return self._plans[kind]()
            except (Clash, IndexError):
                continue
        raise Clash

    def _put(self, queue: str, cycle: int, instruction: Instruction) -> str:
        """An instruction at a time at which its queue is free."""
        try:
            encode(self._config, queue, instruction)
        except IsaError:
            raise Clash from None
        end = cycle + (instruction.count - 1) * instruction.interval + 1
        self._tracks[queue].add(cycle, end, Item(cycle, end, [instruction]))
        return f"{instruction.op} added to {queue} in cycle {cycle}"

    def _conflict(self) -> str:
        """A second result on a diagonal that has one."""
        rng, config = self._rng, self._config
        code, position, cycle = rng.choice(self._board.words)
        sources = [
            (place, f"{name}.{unit}", op)
            for place, name in enumerate(config.slice_names)
            for unit, op in WORD_SOURCES.get(config.spec(name).kind, ())
            if op in ("READ", "DRAIN", "VPOP") and op in layout(config, f"{name}.{unit}").ops
        ]
        if self._board.claims.fifo["VPOP"] == self._board.limits["VPOP"]:
            sources = [s for s in sources if s[2] != "VPOP"]
        place, queue, op = rng.choice(sources)
        args = self._p.args(queue, op) | {"dst": code}
        at = cycle + (place - position if code & 1 == 0 else position - place)
        return self._put(
            queue, at - timing.results(Instruction(op, args), config)[0].at, Instruction(op, args)
        )

    def _no_operand(self) -> str:
        """A consumer at any time, fed by nobody or by what happens to pass."""
        rng = self._rng
        choices = [
            (q, op)
            for q in self._tracks
            for op in layout(self._config, q).ops
            if op not in CONTROL and op not in ("CONFIG", "INDEX", "POP", "PUSH", "TAIL", "VPOP", "TREAD")
        ]
        queue, op = rng.choice(choices)
        instruction = Instruction(op, self._p.args(queue, op))
        if not timing.operands(instruction, self._config):
            raise Clash
        return self._put(queue, rng.randint(0, self._end), instruction)

    def _port(self) -> str:
        """A READ on top of a GATHER, or a CHAIN into the stages of another."""
        rng, board = self._rng, self._board
        stages = sorted(s for s in board.claims.stages if s[1] != "dispatch")
        late = sorted(k for k in board.claims.reads if not self._tracks[f"{k[0]}.read"].free(k[1], k[1] + 1))
        gathers = sorted(k for k in board.claims.reads if k not in late)
        if gathers and (rng.random() < 0.4 or not stages):
            name, cycle = rng.choice(gathers)
            args = self._p.args(f"{name}.read", "READ")
            return self._put(f"{name}.read", cycle, Instruction("READ", args))
        name, stage, cycle = rng.choice(stages)
        args = self._quiet_chain(name)
        at = 0 if stage == "dispatch" else getattr(timing.chain(args, self._config), stage)
        if at is None:
            raise Clash
        return self._put(f"{name}.chain", cycle - at, Instruction("CHAIN", args))

    def _quiet_chain(self, name: str) -> dict[str, int]:
        """A CHAIN without streams."""
        for _ in range(200):
            args = self._p.chain(name)
            chain = Instruction("CHAIN", args)
            if not timing.operands(chain, self._config) and not timing.results(chain, self._config):
                return args
        raise Clash

    def _collision(self) -> str:
        """A READ of what is written, or a PASS through weights being loaded."""
        rng, claims = self._rng, self._board.claims
        if claims.weights and rng.random() < 0.4:
            (name, cycle), context = rng.choice(sorted(claims.weights.items()))
            args = {"ctx": context, "act": 0, "acc": 0, "clear": 1}
            return self._put(f"{name}.passes", cycle, Instruction("PASS", args))
        (name, cycle), lanes = rng.choice(list(claims.writes.items()))
        known = [n for n in lanes if n is not None and n != OFF]
        args = self._p.args(f"{name}.read", "READ") | {"addr": rng.choice(known)}
        return self._put(f"{name}.read", cycle, Instruction("READ", args))

    def _range(self) -> str:
        """An index or a stride that leads past the end of a field."""
        rng, config = self._rng, self._config
        queue, op = rng.choice(
            [
                (q, op.name)
                for q in self._tracks
                for op in layout(config, q).ops.values()
                if any(f.slot is not None for f in op.fields)
                and op.name in ("READ", "READB", "PASS", "DRAIN", "TREAD")
            ]
        )
        lay = layout(config, queue)
        f = rng.choice([f for f in lay.ops[op].fields if f.slot is not None])
        width = lay.fields[op][f.name][1]
        args, cycle = self._p.args(queue, op), rng.randint(0, self._end)
        x = rng.randrange(1, config.index_registers)
        value = self._board.registers.at("x", x, cycle) or 0
        if lay.slots[f.slot or 0].width > width and rng.random() < 0.3:
            args[f.name] = (1 << width) - 1
            return self._put(queue, cycle, Instruction(op, args, count=2, strides={f.name: 1}))
        # Just inside or just outside: the program decides whether it is illegal.
        args[f.name] = max(0, min((1 << width) - 1, (1 << width) - value + rng.choice([-1, 0, 0, 1])))
        return self._put(queue, cycle, Instruction(op, args, index={f.name: x}))

    def _fifo(self, op: str, limit: int) -> str:
        used = self._board.claims.fifo[op]
        args = self._p.args("host0.port", op)
        count, interval = limit - used + 1, self._rng.choice([1, 2, 5])
        return self._put(
            "host0.port", self._rng.randint(0, self._end), Instruction(op, args, count, interval)
        )

    def _underflow(self) -> str:
        op = self._rng.choice(["POP", *vector_ops(self._config)[:1]])
        return self._fifo(op, self._board.limits[op])

    def _overflow(self) -> str:
        op = self._rng.choice(["PUSH", "PUSH", *vector_ops(self._config)[1:]])
        return self._fifo(op, self._board.limits[op])


def blind(
    rng: random.Random, config: TileConfig, queues: dict[str, list[Instruction]]
) -> tuple[dict[str, list[Instruction]], str]:
    """Change one word of one queue: time, streams, addresses, or drop it. Raises Clash if the draw makes no
    word."""
    queue = rng.choice(sorted(q for q in queues if any(w.op not in CONTROL for w in queues[q])))
    words = list(queues[queue])
    at = rng.choice([n for n, w in enumerate(words) if w.op not in ("HALT", "SYNC", "NOTIFY")])
    word = words[at]
    if word.op == "LOOP":
        changed = replace(word, args={**word.args, "count": max(0, word.args["count"] + rng.choice([-1, 1]))})
        what = "count"
    else:
        what, changed = rng.choice(_CHANGES)(rng, config, queue, word)
    words[at] = changed
    try:
        encode(config, queue, changed)
    except IsaError:
        raise Clash from None
    if changed == word:
        raise Clash
    return {**queues, queue: words}, f"{what} of word {at} ({word.op}) of {queue} changed"


def _later(rng: random.Random, config: TileConfig, queue: str, word: Instruction) -> tuple[str, Instruction]:
    return "gap", replace(word, gap=max(0, word.gap + rng.choice([-2, -1, 1, 2])))


def _repeat(rng: random.Random, config: TileConfig, queue: str, word: Instruction) -> tuple[str, Instruction]:
    count = max(1, word.count + rng.choice([-1, 1, 1]))
    interval = max(1, word.interval + rng.choice([-1, 0, 0, 1]))
    return "count", replace(word, count=count, interval=interval)


def _drop(rng: random.Random, config: TileConfig, queue: str, word: Instruction) -> tuple[str, Instruction]:
    return "op", Instruction("NOP", count=word.count, interval=word.interval, gap=word.gap)


def _field(rng: random.Random, config: TileConfig, queue: str, word: Instruction) -> tuple[str, Instruction]:
    if not word.args:
        raise Clash
    lay = layout(config, queue)
    name = rng.choice(sorted(word.args))
    low, width = 0, lay.fields[word.op][name][1]
    value = rng.randint(low, (1 << width) - 1)
    if rng.random() < 0.5:
        value = word.args[name] ^ (1 << rng.randrange(width))
    return name, replace(word, args={**word.args, name: value})


def _index(rng: random.Random, config: TileConfig, queue: str, word: Instruction) -> tuple[str, Instruction]:
    if word.op in CONTROL:
        raise Clash
    slots = [f.name for f in layout(config, queue).ops[word.op].fields if f.slot is not None]
    if not slots:
        raise Clash
    name, select = rng.choice(slots), rng.randrange(config.index_registers)
    assert select < LOOP_INDEX
    return f"index of {name}", replace(word, index={**word.index, name: select})


_CHANGES = (_later, _repeat, _drop, _field, _field, _index)

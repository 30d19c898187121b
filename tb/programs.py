"""Random programs over the whole tile.

:func:`legal` reserves everything it places (tb.reserve), so that its programs must run without a violation on
any model of the tile. They use every queue, and end by spilling what state they can into the memories, where
a comparison sees it. :func:`illegal` breaks such a program. Inputs travel in ``Program.symbols``: ``tokens``
and ``vectors`` to push first.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from golden.tile import Tile, Trace
from lpu import timing
from lpu.arch import TileConfig
from lpu.isa import Destination, Instruction, Source, layout, queue_names, unit_of, vector_ops
from lpu.program import Program
from lpu.runtime.machine import Machine, MachineError, Result, Violation, ViolationKind
from tb.blocks import Block, Item, fill, random_nest
from tb.flows import Flow, Shape, Step
from tb.hostline import HostLine
from tb.mutate import Saboteur, blind
from tb.picker import PLAIN_CHAIN, Picker
from tb.reserve import Board, Clash, Registers, Track
from tb.spill import Spill
from tb.values import Inputs

__all__ = ["feed", "golden_outcome", "illegal", "legal"]

#: How often an instruction is the root of a flow (what feeds it comes along); 2 where nothing is said.
WEIGHTS = {
    "READ": 1,
    "READB": 1,
    "VPOP": 1,
    "VPUSH": 3,
    "CHAIN": 12,
    "PASS": 8,
    "LA": 4,
    "REDUCE": 6,
    "LWR": 3,
    "LWC": 3,
}
#: No program of this module runs longer.
MAX_CYCLES = 20_000


class TooLong(Exception):
    """A queue holds fewer words than the program has; try a shorter one."""


def legal(config: TileConfig, seed: int) -> Program:
    """A random program without violations; the same for the same configuration and seed."""
    scale = 1.0
    while True:
        try:
            return Maker(config, random.Random(f"{config.fingerprint} {seed} {scale:.3f}"), scale).make(seed)
        except TooLong:
            scale *= 0.7


def golden_outcome(program: Program, trace: Trace | None = None) -> tuple[Tile, Result]:
    """A fresh golden tile that ran a program with its inputs, and how it went. Raises MachineError if it
    hangs."""
    tile = Tile(program.config, trace)
    feed(tile, program)
    return tile, tile.run(max_cycles=MAX_CYCLES)


def feed(machine: Machine, program: Program) -> None:
    """Load a program of this module into a cleared machine, inputs included."""
    machine.load(program)
    machine.push_tokens(program.symbols["tokens"])
    vectors = np.array(program.symbols["vectors"], np.uint32)
    machine.push_vectors(vectors.reshape(-1, program.config.lanes))


def illegal(config: TileConfig, seed: int) -> tuple[Program, str]:
    """A random program with a violation, and what was done to a legal one. The golden model throws out what
    is still legal, and what never ends."""
    rng = random.Random(f"{config.fingerprint} illegal {seed}")
    wanted = list(ViolationKind)[seed % len(ViolationKind)]
    for attempt in itertools.count():
        maker = Maker(config, rng, 0.7**attempt if attempt < 4 else 0.3)
        try:
            if rng.random() < 0.7:
                done: list[str] = []
                program = maker.make(seed, lambda saboteur, done=done: done.append(saboteur.violate(wanted)))
                found = _violation(program)
                if found and (found.kind is wanted or attempt > 3):
                    return program, done[0]
                continue
            program = maker.make(seed)
            for _ in range(8):
                queues, what = dict(program.queues), []
                for _ in range(rng.choice([1, 1, 2])):
                    queues, one = blind(rng, config, queues)
                    what.append(one)
                changed = replace(program, queues=queues)
                if _violation(changed):
                    return changed, "; ".join(what)
        except (Clash, TooLong):
            continue
    raise AssertionError("unreachable")


def _violation(program: Program) -> Violation | None:
    try:
        return golden_outcome(program)[1].violation
    except MachineError:
        return None


class Maker:
    """One program in the making."""

    def __init__(self, config: TileConfig, rng: random.Random, scale: float):
        self._config, self._rng, self._scale = config, rng, scale
        self._tracks = {q: Track() for q in queue_names(config)}
        self._picker = Picker(rng, config)
        self._roots = [
            (f"{q}", op.name)
            for q in self._tracks
            for op in unit_of(config, q).ops
            if q.split(".")[1] != "port"
        ] + [("host0.port", op) for op in vector_ops(config)]
        self._weights = [WEIGHTS.get(op, 2) for _, op in self._roots]
        self._inputs = Inputs(rng, config)
        self._registers = Registers({}, dict(enumerate(self._inputs.masks)))
        limits = {
            "POP": len(self._inputs.tokens),
            "PUSH": config.token_fifo,
            "VPOP": len(self._inputs.vectors),
            "VPUSH": config.vector_fifo,
        }
        self._board = Board(config, self._registers, limits)

    def make(self, seed: int, sabotage: Callable[[Saboteur], None] | None = None) -> Program:
        """The program; ``sabotage`` may add to it before it is put together."""
        rng = self._rng
        self._horizon = int(rng.choice([100, 200, 300, 400]) * min(1.0, self._scale + 0.3))
        HostLine(self._picker, self._board, self._tracks, self._flow, self._inputs.tokens).write(
            self._horizon, self._scale
        )
        self._synchronise()
        loops = bool(self._config.loop_depth)
        for _ in range(rng.randint(0, 3) if loops else 0):
            self._dead_loop()
        self._prepare()
        for _ in range(int(rng.choice([8, 20, 30]) * self._scale)):
            if loops and rng.random() < 0.3:
                self._loop_block()
            else:
                for _ in range(3):
                    self._try(self._shape(), rng.randint(0, self._horizon))
        Spill(self._picker, self._board, self._tracks, self._flow).write()
        if sabotage is not None:
            sabotage(Saboteur(self._picker, self._board, self._tracks))
        return self._assemble(seed)

    # Pieces --------------------------------------------------------------------------------------

    def _flow(self, shape: Shape | None = None) -> Flow:
        return Flow(
            self._picker, self._board, self._tracks, shape or Shape([((), 0)]), self._inputs.constants
        )

    def _shape(self, block: Block | None = None, level: int = 0) -> Shape:
        rng = self._rng
        count = rng.choices([1, 2, 3, 4, rng.randint(5, 16)], [10, 3, 2, 2, 2])[0]
        interval = rng.choice([1, 1, 2, 2, 3, 4, self._config.beats, rng.randint(1, 12)])
        if count < 4 and rng.random() < 0.05:
            interval = rng.randint(60, 64)
        if block is None:
            return Shape([((), 0)], count, interval)
        count = rng.choices([1, 2, 3], [6, 1, 1])[0]
        return Shape(block.nest.offsets(level), count, interval, block, level)

    def _try(self, shape: Shape, cycle: int, root: tuple[str, str] | None = None) -> bool:
        """One flow with its root at about ``cycle``; False if nothing was found that fits."""
        rng = self._rng
        for attempt in range(8):
            if attempt % 4 == 0:
                queue, op = root or rng.choices(self._roots, self._weights)[0]
            track = self._tracks[queue]
            at = cycle + rng.randint(0, 12 if shape.level else 40)
            if shape.level == 0:
                if track.spans and rng.random() < 0.5:
                    at = rng.choice(track.spans)[1]  # back to back
                if not track.free(at, at + 1):
                    continue
            flow = self._flow(shape)
            try:
                args = self._picker.args(queue, op)
                if shape.level == 0 and shape.count == 1 and rng.random() < 0.25:
                    at = self._tap(queue, args, at)
                step = flow.add(Step(queue, at, op, args))
                if rng.random() < 0.8:
                    self._sink(flow, step)
                flow.commit()
                return True
            except Clash:
                continue
        return False

    def _tap(self, queue: str, args: dict[str, int], at: int) -> int:
        """Have an instruction sample what is on a stream for another already, if it can; when to dispatch it."""
        name = queue.split(".")[0]
        position = self._picker.position[name]
        taps = self._config.reachable(name, "tap")
        choices = [
            (code, cycle + abs(position - source))
            for code, source, cycle in self._rng.sample(self._board.words, min(8, len(self._board.words)))
            if (source < position if code & 1 == 0 else source > position)
            and ("ew"[code & 1], code >> 3) in taps
        ]
        if "src" not in args or queue.endswith(".port") or not choices:
            return at
        args["src"], sampled = self._rng.choice(choices)
        return max(0, sampled - timing.SAMPLE)

    def _sink(self, flow: Flow, step: Step) -> None:
        """Have what an instruction puts on a stream go somewhere, so that it makes a difference."""
        config, position = self._config, self._picker.position
        source = position[step.queue.split(".")[0]]
        for access in timing.results(step.instruction, config):
            sinks = [
                (queue, op, position[name])
                for queue in self._tracks
                if (name := queue.split(".")[0])
                and (position[name] > source if access.stream & 1 == 0 else position[name] < source)
                and ("ew"[access.stream & 1], access.stream >> 3) in config.reachable(name, "tap")
                for op in layout(config, queue).ops
                if op in (("WRITE", "REDUCE") if access.bytes == 4 else ("WRITEB", "LA"))
            ]
            if sinks:
                queue, op, place = self._rng.choice(sinks)
                args = self._picker.args(queue, op) | {"src": access.stream}
                cycle = step.cycle + access.at + abs(place - source) - timing.SAMPLE
                flow.add(Step(queue, cycle, op, args))

    def _loop_block(self) -> None:
        rng = self._rng
        nest = random_nest(rng, self._config)
        while not 0 < nest.total <= self._horizon:
            nest = random_nest(rng, self._config)
        block = Block(rng, self._config, nest, self._tracks, self._registers)
        start = rng.randint(10, max(11, self._horizon - nest.total // 2))
        for _ in range(rng.randint(1, 5)):
            level = len(nest.levels)
            if not nest.grow and rng.random() < 0.4:
                level = rng.randint(1, level)
            shape = self._shape(block, level)
            if shape.offsets:
                self._try(shape, start + nest.start(level))
        block.finish()

    def _synchronise(self) -> None:
        """NOTIFYs at fixed times first, then SYNCs that wait for the first one at or after them."""
        rng = self._rng
        times = []
        for _ in range(rng.randint(0, 4)):
            at, queue = rng.randint(0, self._horizon), rng.choice(list(self._tracks))
            try:
                self._tracks[queue].add(at, at + 1, Item(at, at + 1, [Instruction("NOTIFY")]))
                times.append(at)
            except Clash:
                continue
        for _ in range(rng.randint(0, 6) if times else 0):
            notify = rng.choice(times)
            at, queue = (
                max(0, notify - rng.choice([0, 0, 1, 2, rng.randint(0, 25)])),
                rng.choice(list(self._tracks)),
            )
            end = min(u for u in times if u >= at) + timing.SYNC_CYCLES
            try:
                self._tracks[queue].add(at, end, Item(at, end, [Instruction("SYNC")], closed=True))
            except Clash:
                continue

    def _junk(self, queue: str) -> Instruction:
        """A word that is never dispatched."""
        rng = self._rng
        op = rng.choice(unit_of(self._config, queue).ops).name
        try:
            args = self._picker.args(queue, op)
        except Clash:
            return Instruction("NOP")
        return Instruction(op, args, rng.randint(1, 9), rng.randint(1, 9), rng.randint(0, 9))

    def _dead_loop(self) -> None:
        """A loop that runs no time."""
        rng = self._rng
        queue, at = rng.choice(list(self._tracks)), rng.randint(0, self._horizon)
        body = [self._junk(queue) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.3:
            body[:0] = [
                Instruction("LOOP", {"count": 3, "index": 0, "length": 1, "step": 1}),
                self._junk(queue),
            ]
        zero = [x for x in range(1, self._config.index_registers) if self._registers.at("x", x, at) == 0]
        args = {"count": 0, "index": rng.choice([0, *zero]), "length": len(body), "step": rng.randint(-5, 5)}
        try:
            end = at + timing.LOOP_CYCLES
            self._tracks[queue].add(at, end, Item(at, end, [Instruction("LOOP", args), *body], closed=True))
        except Clash:
            return

    def _prepare(self) -> None:
        """Early flows that fill buffers, so that later ones work on something; now and then, all of a FIFO."""
        rng = self._rng
        for op in vector_ops(self._config):
            if rng.random() < 0.15 and self._board.limits[op]:
                shape = Shape([((), 0)], self._board.limits[op], rng.choice([1, 2, 7]))
                self._try(shape, rng.randint(6, self._horizon), ("host0.port", op))
        for queue in self._tracks:
            for op in ("LA", "LDMAP", "TLOAD", "LWR", "LWC"):
                if op in layout(self._config, queue).ops and rng.random() < 0.8:
                    self._try(Shape([((), 0)], rng.choice([2, 4, 8]), rng.choice([1, 2])), 6, (queue, op))
            if queue.endswith(".chain"):
                for n in range(self._config.vxm_registers):
                    if rng.random() < 0.7:
                        self._fill(queue, n)

    def _fill(self, queue: str, number: int) -> None:
        """A float from a stream into a vector register."""
        rng = self._rng
        for _ in range(4):
            at, flow = rng.randint(4, 40), self._flow()
            try:
                args = {"a": int(Source.FLOAT), "a_at": self._picker.stream(queue.split(".")[0], 4, True)}
                args |= {"to": int(Destination.REG), "to_at": number}
                flow.add(Step(queue, at, "CHAIN", {**PLAIN_CHAIN, **args}))
                flow.commit()
                return
            except Clash:
                continue

    def _assemble(self, seed: int) -> Program:
        """Queue words from the items of every track."""
        rng, config = self._rng, self._config
        queues, last = {}, 0
        entry = rng.choice([0, 0, 0, 1, rng.randint(0, 9)])
        for queue, track in self._tracks.items():
            words: list[Instruction] = []
            cursor, closed = 0, False
            for start, end, item in track.spans:
                fill(rng, words, start - cursor, closed)
                words += item.words
                cursor, closed = end, item.closed
            if words or rng.random() < 0.5:
                delay = rng.choice([0, 0, 1, rng.randint(0, 20)])
                fill(rng, words, delay, closed)
                last = max(last, cursor + delay)
                words.append(Instruction("HALT"))
                words += [self._junk(queue) for _ in range(rng.choice([0, 0, 2]))]
            if words:
                words[:0] = [self._junk(queue) for _ in range(entry)]
            if len(words) > config.queue_depth:
                raise TooLong
            queues[queue] = words
        program = Program(
            config,
            queues,
            self._inputs.images,
            {"main": entry},
            {"seed": seed, "tokens": self._inputs.tokens, "vectors": self._inputs.vectors},
            {"main": last},
        )
        program.check()
        return program

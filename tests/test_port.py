"""Host command interpreter: random commands under back-pressure against the protocol as the docs have it."""

from __future__ import annotations

import random

import pytest
from amaranth.sim import Simulator

from lpu.arch import SliceKind, TileConfig, parse_floorplan
from lpu.isa import layout, queue_names
from lpu.runtime.protocol import MAGIC, STATUS_WORDS, Op, Space, Status, answer, header
from rtl.port import READ_LATENCY, Port, settle_cycles

SMALL = TileConfig(
    "small", 4, 2, 2, parse_floorplan("host mem:16 mxm mem:32"), queue_depth=16, token_fifo=4, vector_fifo=2
)
#: Two words a mask, sixteen a row of weights, a slice behind the array.
WIDE = TileConfig(
    "wide", 64, 64, 2, parse_floorplan("mxm host mem:16 sxm"), queue_depth=16, token_fifo=8, vector_fifo=2
)

#: More entries than a command counts words.
LARGE = TileConfig(
    "large", 16, 16, 16384, parse_floorplan("mem:65536 mxm host"), queue_depth=16, token_fifo=2, vector_fifo=2
)


class Model:
    """What the tile keeps behind the interpreter, and the answers the docs ask for."""

    def __init__(self, config: TileConfig, status):
        self.config, self.status = config, status
        self.memory: dict[tuple[int, int, int], int] = {}
        self.tokens_in: list[int] = []
        self.tokens_out: list[int] = []
        self.vectors_in: list[int] = []
        self.vectors_out: list[int] = []
        self.busy = False
        self.spaces = {128: (config.index_registers, 1, "rw"), 130: (STATUS_WORDS, 1, "r")}
        self.spaces[129] = (config.masks, -(-config.lanes // 32), "w")
        for p, spec in enumerate(config.floorplan):
            if spec.kind is SliceKind.MEM:
                self.spaces[p] = (spec.depth, config.lanes, "rw")
            if spec.kind is SliceKind.MXM:
                self.spaces[p] = (config.contexts * config.lanes, config.lanes // 4, "w")
        for q, name in enumerate(queue_names(config)):
            self.spaces[64 + q] = (config.queue_depth, (layout(config, name).width + 31) // 32, "w")

    def wipe(self):
        """What CLEAR and reset do."""
        for entry in range(self.config.index_registers):
            self.memory[128, entry, 0] = 0
        for entry in range(self.config.masks):
            for word in range(self.spaces[129][1]):
                self.memory[129, entry, word] = 0

    def refusal(self, op, space, start, n):
        """Status of a READ or WRITE that is not done, or None."""
        entries, size, ways = self.spaces.get(space, (0, 1, ""))
        if ("r" if op == Op.READ else "w") not in ways:
            return Status.NO_SPACE
        if self.busy and space != Space.STATUS:
            return Status.BUSY
        if start * size + n > entries * size:
            return Status.PAST_END
        return None

    def execute(self, op, space, n, arguments):
        """Words of the answer."""
        lanes = self.config.lanes
        status, words = Status.DONE, []
        if op == Op.PING:
            fingerprint = int(self.config.fingerprint, 16)
            words = [MAGIC, fingerprint >> 32, fingerprint & 0xFFFFFFFF]
        elif op in (Op.READ, Op.WRITE):
            start, *values = arguments
            if refusal := self.refusal(op, space, start, n):
                return [answer(op, refusal)]
            size = self.spaces[space][1]
            if op == Op.WRITE:
                for k in range(n // size * size):
                    self.memory[space, start + k // size, k % size] = values[k]
            elif space == Space.STATUS:
                waiting = (
                    len(self.tokens_in),
                    len(self.tokens_out),
                    len(self.vectors_in) // lanes,
                    len(self.vectors_out) // lanes,
                )
                words = [*self.status, *waiting][start : start + n]
            else:
                words = [self.memory.get((space, start + k // size, k % size), 0) for k in range(n)]
        elif op == Op.START:
            if self.busy:
                status = Status.BUSY
            elif n >= self.config.queue_depth:
                status = Status.PAST_END
        elif op == Op.TOKENS_IN:
            if len(self.tokens_in) + n > self.config.token_fifo:
                status = Status.NO_ROOM
            else:
                self.tokens_in += [a & 0xFFFF for a in arguments]
        elif op == Op.VECTORS_IN:
            if len(self.vectors_in) // lanes + n // lanes > self.config.vector_fifo:
                status = Status.NO_ROOM
            else:
                self.vectors_in += arguments[: n // lanes * lanes]
        elif op == Op.TOKENS_OUT:
            count = min(n, len(self.tokens_out))
            words, self.tokens_out = self.tokens_out[:count], self.tokens_out[count:]
        elif op == Op.VECTORS_OUT:
            count = min(n, len(self.vectors_out)) // lanes * lanes
            words, self.vectors_out = self.vectors_out[:count], self.vectors_out[count:]
        elif op == Op.CLEAR:
            self.wipe()
            for fifo in (self.tokens_in, self.tokens_out, self.vectors_in, self.vectors_out):
                fifo.clear()
        else:
            return [answer(op & 0x7F, Status.UNKNOWN_OP)]
        return [answer(op, status, len(words)), *words]


class Bench:
    """Port with the tile around it played by Python; one command at a time under random stalls."""

    def __init__(self, config, rng, odds):
        self.config, self.rng, self.odds = config, rng, odds
        # Two testbenches that drew from one generator would depend on which of them runs first.
        self.tile_rng = random.Random(rng.random())
        self.dut = Port(config)
        self.status = [rng.getrandbits(32) for _ in range(6)]
        self.model = Model(config, self.status)
        self.memory: dict[tuple[int, int, int], int] = {}
        self.tokens_in, self.tokens_out, self.vectors_in, self.vectors_out = [], [], [], []
        self.starts, self.halts, self.clears, self.cycle = [], [], [], 0

    async def tile(self, ctx):
        """Everything behind the interpreter."""
        dut, lanes = self.dut, self.config.lanes
        answers = [0] * READ_LATENCY
        ctx.set(dut.status, self.status)
        while True:
            ready = self.tile_rng.random() < self.odds
            room = len(self.tokens_in) < self.config.token_fifo
            ctx.set(dut.tokens_in.ready, ready and room)
            ctx.set(dut.vectors_in.ready, ready)
            for fifo, port in ((self.tokens_out, dut.tokens_out), (self.vectors_out, dut.vectors_out)):
                ctx.set(port.valid, bool(fifo) and ready)
                ctx.set(port.payload, fifo[0] if fifo else 0)
            ctx.set(dut.tokens_waiting_in, len(self.tokens_in))
            ctx.set(dut.tokens_waiting_out, len(self.tokens_out))
            ctx.set(dut.vectors_waiting_in, len(self.vectors_in) // lanes)
            ctx.set(dut.vectors_waiting_out, -(-len(self.vectors_out) // lanes))
            ctx.set(dut.busy, self.model.busy)
            ctx.set(dut.read_data, answers.pop(0))
            (
                *_,
                write,
                read,
                space,
                entry,
                word,
                value,
                token,
                token_ok,
                vector,
                vector_ok,
                took_token,
                took_vector,
                start,
                at,
                halt,
                clear,
            ) = await ctx.tick().sample(
                dut.bus.write,
                dut.bus.read,
                dut.bus.space,
                dut.bus.entry,
                dut.bus.word,
                dut.bus.data,
                dut.tokens_in.payload,
                dut.tokens_in.valid & dut.tokens_in.ready,
                dut.vectors_in.payload,
                dut.vectors_in.valid & dut.vectors_in.ready,
                dut.tokens_out.valid & dut.tokens_out.ready,
                dut.vectors_out.valid & dut.vectors_out.ready,
                dut.start,
                dut.start_entry,
                dut.halt,
                dut.clear,
            )
            # Wiping runs over as many entries of both spaces.
            if write and (value or space < 128 or entry < self.model.spaces[space][0]):
                self.memory[space, entry, word] = value
            answers.append(self.memory.get((space, entry, word), 0) if read else 0)
            self.tokens_in += [token] if token_ok else []
            self.vectors_in += [vector] if vector_ok else []
            self.tokens_out[:1] = [] if took_token else self.tokens_out[:1]
            self.vectors_out[:1] = [] if took_vector else self.vectors_out[:1]
            self.starts += [at] if start else []
            self.halts += [self.cycle] if halt else []
            if clear:
                self.clears.append(self.cycle)
                for fifo in (self.tokens_in, self.tokens_out, self.vectors_in, self.vectors_out):
                    fifo.clear()
            self.cycle += 1

    async def send(self, ctx, words):
        for word in words:
            while self.rng.random() > self.odds:
                await ctx.tick()
            ctx.set(self.dut.command.payload, word)
            ctx.set(self.dut.command.valid, 1)
            await ctx.tick().until(self.dut.command.ready)
            ctx.set(self.dut.command.valid, 0)

    async def receive(self, ctx, count):
        words = []
        while len(words) < count:
            while self.rng.random() > self.odds:
                await ctx.tick()
            ctx.set(self.dut.response.ready, 1)
            (word,) = await ctx.tick().sample(self.dut.response.payload).until(self.dut.response.valid)
            words.append(word)
            ctx.set(self.dut.response.ready, 0)
        return words

    async def command(self, ctx, op, space=0, n=0, arguments=()):
        """Send, expect the model's answer and nothing more; compare what lies behind. Returns the status."""
        expected = self.model.execute(op, space, n, list(arguments))
        await self.send(ctx, [op << 24 | space << 16 | n, *arguments])
        actual = await self.receive(ctx, len(expected))
        what = f"op {op:#x} space {space} n {n} start {arguments[:1]} busy {self.model.busy}"
        assert actual == expected, what
        ctx.set(self.dut.response.ready, 1)
        for _ in range(6):
            assert not ctx.get(self.dut.response.valid), f"{what}: another word"
            await ctx.tick()
        ctx.set(self.dut.response.ready, 0)
        assert self.memory == self.model.memory, what
        for fifo in ("tokens_in", "tokens_out", "vectors_in", "vectors_out"):
            assert getattr(self, fifo) == getattr(self.model, fifo), f"{what}: {fifo}"
        return expected[0] >> 16 & 0xFF


def random_command(rng, bench):
    """(op, space, n, arguments): often valid, often at a limit, sometimes nonsense."""
    config, model = bench.config, bench.model
    op = rng.choice([*Op, Op.WRITE, Op.READ, Op.WRITE, Op.READ, 0x09, 0x7F, 0x80, 0xFF])
    space, n, arguments = 0, rng.randrange(4), []
    if op in (Op.WRITE, Op.READ):
        way = "r" if op == Op.READ else "w"
        fit = [space for space, (_, _, ways) in model.spaces.items() if way in ways]
        space = rng.choice(fit if rng.random() < 0.7 else [*model.spaces, 31, 63, 131, 255])
        entries, size, _ = model.spaces.get(space, (4, 1, ""))
        start = rng.choice(
            [0, rng.randrange(entries), entries - 1, entries, entries + 1, 1 << 24, 0xFFFFFFFF]
        )
        n = rng.choice([0, 1, size, size + 1, 2 * size, 3 * size - 1, max(0, entries - start) * size])
        n = min(n, 70) + rng.choice([0, 0, 0, 1])
        arguments = [start] + [rng.getrandbits(32) for _ in range(n if op == Op.WRITE else 0)]
    elif op == Op.START:
        n = rng.choice([0, config.queue_depth - 1, config.queue_depth, 0xFFFF])
    elif op in (Op.TOKENS_IN, Op.VECTORS_IN):
        unit, room = (1, config.token_fifo) if op == Op.TOKENS_IN else (config.lanes, config.vector_fifo)
        n = rng.choice([0, 1, unit, room * unit - 1, room * unit, (room + 1) * unit, 2 * unit + 1])
        arguments = [rng.getrandbits(32) for _ in range(n)]
    elif op in (Op.TOKENS_OUT, Op.VECTORS_OUT):
        n = rng.choice([0, 1, config.lanes, config.lanes + 1, 0xFFFF])
    return op, space, n, arguments


@pytest.mark.parametrize(
    ("config", "odds"),
    [(SMALL, 1.0), (SMALL, 0.5), (SMALL, 0.25), (WIDE, 1.0), (WIDE, 0.4), (LARGE, 1.0)],
    ids=lambda v: getattr(v, "name", v),
)
def test_random(config, odds):
    """Every command, every status, under every pace; nothing is written by a command that is refused."""
    rng = random.Random(f"port {config.name} {odds}")
    bench = Bench(config, rng, odds)
    seen = set()

    async def body(ctx):
        for _ in range(250):
            bench.model.busy = rng.random() < 0.3
            if rng.random() < 0.3:  # the program's side of the FIFOs
                tokens = [rng.getrandbits(16) for _ in range(rng.randrange(3))]
                vectors = [rng.getrandbits(32) for _ in range(config.lanes * rng.randrange(2))]
                for side in (bench, bench.model):
                    side.tokens_out = (side.tokens_out + tokens)[: config.token_fifo]
                    side.vectors_out = (side.vectors_out + vectors)[: config.lanes * config.vector_fifo]
                bench.tokens_in.clear(), bench.model.tokens_in.clear()
                bench.vectors_in.clear(), bench.model.vectors_in.clear()
            await ctx.tick()
            op, space, n, arguments = random_command(rng, bench)
            starts, halts = len(bench.starts), len(bench.halts)
            status = await bench.command(ctx, op, space, n, arguments)
            seen.add((op, status))
            assert bench.starts[starts:] == ([n] if op == Op.START and status == Status.DONE else [])
            assert len(bench.halts) - halts == (op == Op.CLEAR)
            if op == Op.CLEAR:
                assert bench.clears[-1] - bench.halts[-1] >= settle_cycles(config)

    run(bench, body)
    assert {status for _, status in seen} == set(Status) - {Status.LATE}
    assert {op for op, status in seen if status == Status.DONE} == set(Op) - {Op.DESKEW}
    assert {op for op, status in seen if status == Status.BUSY} == {Op.WRITE, Op.READ, Op.START}


def run(bench, body):
    async def main(ctx):
        await ctx.tick().repeat(80)  # reset wipes registers and masks
        bench.model.wipe()
        assert bench.memory == bench.model.memory
        await body(ctx)

    sim = Simulator(bench.dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench.tile, background=True)
    sim.add_testbench(main)
    sim.run()


def test_write_of_a_word_a_cycle():
    """A long WRITE to a willing tile takes its words and a few cycles."""
    bench = Bench(SMALL, random.Random(0), 1.0)

    async def body(ctx):
        before = bench.cycle
        await bench.command(ctx, Op.WRITE, 1, 64, [0, *range(64)])
        assert bench.cycle - before < 64 + 20

    run(bench, body)


def test_headers():
    """Literal words of the protocol."""
    assert header(Op.WRITE, 5, 66) == 0x01420005
    assert answer(Op.READ, Status.PAST_END) == 0x82030000
    bench = Bench(SMALL, random.Random(1), 1.0)

    async def body(ctx):
        await bench.send(ctx, [0x00000000])
        assert (await bench.receive(ctx, 4))[:2] == [0x80000003, 0x4C505531]
        await bench.send(ctx, [0x02C80001, 7])
        assert await bench.receive(ctx, 1) == [0x82020000]
        await bench.send(ctx, [0x55AA1234])
        assert await bench.receive(ctx, 1) == [0xD5010000]

    run(bench, body)

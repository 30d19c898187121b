"""The tile in Amaranth's simulator: load, run, read back; predicted cycles; status; reset at any time."""

from __future__ import annotations

import random
import re
from collections import deque
from functools import lru_cache

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from golden.tile import Tile as GoldenTile
from lpu.arch import TileConfig, parse_floorplan
from lpu.isa import Accumulate, Destination, Instruction, Operand, Quantise, Source, east, queue_names, west
from lpu.program import Program
from lpu.runtime import RtlMachine, Violation, ViolationKind
from lpu.runtime.protocol import Op, Space, Status, header
from lpu.timing import LOOP_CYCLES, SYNC_CYCLES
from rtl.tile import Tile
from rtl.verilog import tile_verilog, write

#: Every kind of slice; a link's place in the row.
ROW = TileConfig(
    "row",
    4,
    1,
    4,
    parse_floorplan("host mem:32 c2c mxm vxm mem:16"),
    activations=4,
    accumulators=4,
    streams=4,
    queue_depth=32,
    token_fifo=4,
    vector_fifo=2,
)
#: For what needs memories only: quicker. The host slice stands in the middle.
SHORT = TileConfig(
    "short", 4, 4, 4, parse_floorplan("mem:32 host mem:16"), queue_depth=32, token_fifo=4, vector_fifo=2
)
HALT = Instruction("HALT", {})


def op(name, count=1, interval=1, gap=0, strides=None, index=None, **args):
    return Instruction(name, args, count, interval, gap, strides or {}, index or {})


def loop(count, length, step=1, index=0):
    return Instruction("LOOP", {"count": count, "index": index, "length": length, "step": step})


def nop(cycles):
    return op("NOP", gap=cycles - 1) if cycles <= 64 else op("NOP", count=cycles)


class Bench:
    """The simulated tile as a transport of :class:`lpu.runtime.RtlMachine`, its streams stalling at random."""

    def __init__(self, config: TileConfig):
        self.config, self.tile, self._reset = config, Tile(config), Signal()
        self._simulator = Simulator(ResetInserter(self._reset)(self.tile))
        self._simulator.add_clock(1e-6)
        self._simulator.add_testbench(self._bench)
        self._started = False

    def restart(self, seed=None):
        """Power up again."""
        if self._started:
            self._simulator.reset()
        self._started = True
        self._commands, self._responses = deque(), deque()
        self._rng = None if seed is None else random.Random(seed)
        self.cycles, self.busy, self.violation, self._resetting = 0, 1, 0, 0

    def _chance(self):
        return self._rng is None or self._rng.random() < 0.6

    async def _bench(self, ctx):
        tile, offer = self.tile, False
        while True:
            offer = bool(self._commands) and (offer or self._chance())
            take = self._chance()
            ctx.set(tile.command.valid, offer)
            ctx.set(tile.command.payload, int(self._commands[0]) if offer else 0)
            ctx.set(tile.response.ready, take)
            ctx.set(self._reset, self._resetting)
            *_, ready, valid, payload, self.busy, self.violation = await ctx.tick().sample(
                tile.command.ready,
                tile.response.valid,
                tile.response.payload,
                tile.busy,
                tile.violation,
            )
            if offer and ready:
                if self._commands:
                    self._commands.popleft()
                offer = False
            if take and valid:
                self._responses.append(payload)
            self.cycles += 1

    def step(self, cycles=1):
        end = self.cycles + cycles
        while self.cycles < end:
            self._simulator.advance()

    def reset(self):
        """Some cycles of reset; words under way are gone."""
        self._commands.clear()
        self._resetting = 1
        self.step(3)
        self._resetting = 0
        self.step(2)
        self._responses.clear()

    def send(self, words):
        self._commands.extend(words)

    def receive(self, count):
        limit = self.cycles + 5000
        while len(self._responses) < count:
            self.step()
            assert self.cycles < limit, "no answer"
        return np.array([self._responses.popleft() for _ in range(count)], np.uint32)

    def wait(self, cycles, *, until_idle):
        end = self.cycles + cycles
        while self.cycles < end and not (until_idle and not self._commands and not self.busy):
            self.step()


@lru_cache
def bench(config):
    return Bench(config)


def machine(config, seed=None):
    """A tile fresh from power-up. Building its simulator takes longest, so there is one a configuration."""
    bench(config).restart(seed)
    return RtlMachine(bench(config), config)


def both(program, *, seed=None, prepare=lambda m: None):
    """Run on golden and RTL; equal results, memories, registers and FIFOs. Returns (result, RTL, golden)."""
    config = program.config
    golden, rtl = GoldenTile(config), machine(config, seed)
    results = []
    for m in (golden, rtl):
        m.load(program)
        prepare(m)
        results.append(m.run())
    assert results[0] == results[1]
    if results[0].violation is None:
        compare(golden, rtl)
    return results[0], rtl, golden


def compare(golden, rtl):
    config = rtl.config
    for name, spec in zip(config.slice_names, config.floorplan, strict=True):
        if spec.kind == "mem":
            expected, actual = (m.read_memory(name, 0, spec.depth) for m in (golden, rtl))
            assert (expected == actual).all(), name
    assert golden.index_registers().tolist() == rtl.index_registers().tolist()
    assert golden.pop_tokens() == rtl.pop_tokens()
    assert golden.pop_vectors().tolist() == rtl.pop_vectors().tolist()


def program(config, queues, **images):
    assert not set(queues) - set(queue_names(config))
    return Program(config, queues={q: [*words, HALT] for q, words in queues.items()}, images=images)


def random_words(seed, depth, lanes=4):
    return np.random.default_rng(seed).integers(0, 1 << 32, (depth, lanes), dtype=np.uint32)


def copy_program(count=8):
    """mem0 to mem1, eastward past the host slice."""
    read = op("READ", addr=0, dst=east(0), count=count, strides={"addr": 1})
    put = op("WRITE", addr=4, src=east(0), mask=0, count=count, strides={"addr": 1})
    # The word stands at mem0's output after two cycles and takes two to mem1, where it is sampled after one.
    queues = {"mem0.read": [read], "mem1.write": [nop(3), put]}
    return program(SHORT, queues, mem0=random_words(1, 32).tobytes(), mem1=random_words(2, 16).tobytes())


@pytest.mark.parametrize("seed", [None, 1])
def test_copy(seed):
    """The cycle count is the dispatch of the last HALT: three cycles, eight words."""
    result, rtl, _ = both(copy_program(), seed=seed)
    assert (result.cycles, result.violation, result.passes) == (11, None, 0)
    assert (rtl.read_memory("mem1", 4, 8) == random_words(1, 32)[:8]).all()
    # Again: registers, memories and counters of the first run do not matter.
    assert rtl.run() == result


def test_matrix_product():
    """Host, MEM, MXM, VXM, MEM: a product with resident weights, scaled and quantised, equal on golden."""
    rng = np.random.default_rng(3)
    weights = rng.integers(-127, 128, (4, 4, 4), dtype=np.int8)
    activations = rng.integers(-128, 128, (4, 4), dtype=np.int8)
    memory = np.zeros((32, 4), np.uint32)
    memory[:4] = activations.view(np.uint8)
    memory[8] = np.full(4, np.float32(0.0125)).view(np.uint32)
    chain = op(
        "CHAIN",
        a=Source.INT32,
        a_at=east(0),
        b=Operand.REG,
        b_at=1,
        c=Operand.NONE,
        c_at=0,
        add=0,
        f=0,
        d=Operand.NONE,
        d_at=0,
        q=Quantise.INT32,
        shift=0,
        tap=0,
        to=Destination.STREAM,
        to_at=east(0),
        accumulate=Accumulate.NONE,
        acc=0,
        mask=0,
        count=4,
        interval=4,
    )
    scale = op(
        "CHAIN",
        **{
            **chain.args,
            "a": Source.FLOAT,
            "b": Operand.NONE,
            "q": Quantise.NONE,
            "to": Destination.REG,
            "to_at": 1,
        },
    )
    queues = {
        "mem0.read": [
            op("READB", addr=0, dst=east(0), count=4, strides={"addr": 4}),
            op("READ", addr=8, dst=east(0)),
        ],
        "mxm0.load": [nop(3), op("LA", act=0, src=east(0), mask=0, count=4, strides={"act": 1})],
        "mxm0.passes": [
            nop(6),
            op("PASS", ctx=0, act=0, acc=0, clear=1, count=4, strides={"ctx": 1, "acc": 1}),
            op("PASS", ctx=3, act=1, acc=0, clear=0, count=4, strides={"ctx": -1, "acc": 1}),
        ],
        "mxm0.drain": [nop(23), op("DRAIN", acc=0, dst=east(0), count=4, interval=4, strides={"acc": 1})],
        "vxm0.chain": [nop(8), scale, nop(15), chain],
        "mem1.write": [],
    }
    # Find when the results come: golden tells the only cycle in which every WRITE finds its operand.
    for wait in range(30, 60):
        put = op("WRITE", addr=2, src=east(0), mask=0, count=4, interval=4, strides={"addr": 1})
        queues["mem1.write"] = [nop(wait), put]
        p = program(ROW, queues, mem0=memory.tobytes(), mxm0=weights.tobytes())
        golden = GoldenTile(ROW)
        golden.load(p)
        if golden.run().violation is None:
            break
    result, rtl, _ = both(p)
    assert result.passes == 8 and result.violation is None
    sums = [
        activations[0].astype(int) @ weights[n].astype(int)
        + activations[1].astype(int) @ weights[3 - n].astype(int)
        for n in range(4)
    ]
    expected = np.rint(np.array(sums) * 0.0125)
    found = rtl.read_memory("mem1", 2, 4).view(np.int32)
    assert np.abs(found - expected).max() <= 1


def test_sync_notify_and_registers():
    """A queue that waits for another; index registers and masks in the cycles in which dispatches see them."""
    queues = {
        "host0.port": [
            op("CONFIG", x=1, value=3),
            op("INDEX", x=2, src=1, add=6, shift=1, bits=16),
            op("POP", x=3),
            op("TAIL", mask=1, src=3),
            op("PUSH", src=2),
            nop(6),
            op("NOTIFY"),
            nop(3),
            op("VPOP", dst=east(0), gap=1),
            op("VPOP", dst=east(0)),
        ],
        "mem0.read": [
            op("SYNC"),
            op("READ", addr=0, dst=east(4), count=4, index={"addr": 1}),
            loop(1, 1, 2, index=2),
            op("READ", addr=0, dst=east(4), index={"addr": 8}),
        ],
        "mem1.write": [
            op("SYNC"),
            nop(3),
            op("WRITE", addr=0, src=east(4), mask=1, count=4, strides={"addr": 1}, index={"addr": 2}),
            nop(LOOP_CYCLES),
            op("WRITE", addr=8, src=east(4), mask=0, count=5, strides={"addr": 1}),
        ],
    }
    p = program(SHORT, queues, mem0=random_words(5, 32).tobytes())

    def prepare(m):
        m.push_tokens([2, 9])
        m.push_vectors(random_words(6, 2))

    result, rtl, _ = both(p, prepare=prepare)
    # NOTIFY at 11, then SYNC_CYCLES, three, four words, the wait for LOOP, five words.
    assert result.violation is None and result.cycles == 11 + SYNC_CYCLES + 3 + 4 + LOOP_CYCLES + 5
    assert rtl.index_registers().tolist()[:4] == [0, 3, 4, 2]
    assert rtl.status().tokens_in == 1 and rtl.status().vectors_in == 0
    found = rtl.read_memory("mem1", 4, 4)
    assert (found[:, :2] == random_words(5, 32)[3, :2]).all() and not found[:, 2:].any()


@pytest.mark.parametrize(
    ("queues", "expected"),
    [
        # Nothing to sample, at both ends of the row in one cycle: the westernmost.
        (
            {
                "mem0.write": [op("WRITE", addr=0, src=west(0), mask=0)],
                "mem1.write": [op("WRITE", addr=0, src=east(0), mask=0)],
            },
            Violation(1, 0, ViolationKind.NO_OPERAND),
        ),
        # RANGE at the dispatch of the second word, NO_OPERAND of the first in that cycle, in one slice.
        (
            {
                "mem1.write": [op("WRITE", addr=0, src=east(0), mask=0)],
                "mem1.read": [nop(1), op("READ", addr=12, dst=west(0), count=6, strides={"addr": 1})],
            },
            Violation(1, 2, ViolationKind.NO_OPERAND),
        ),
        # RANGE alone, at the fifth dispatch; a later violation to the west of it does not count.
        (
            {
                "mem1.read": [op("READ", addr=12, dst=west(0), count=6, strides={"addr": 1})],
                "mem0.write": [nop(4), op("WRITE", addr=0, src=west(4), mask=0)],
            },
            Violation(4, 2, ViolationKind.RANGE),
        ),
        # RANGE before OVERFLOW's place in the order of kinds, UNDERFLOW in the host slice between them.
        ({"host0.port": [op("VPOP", dst=east(0))]}, Violation(0, 1, ViolationKind.UNDERFLOW)),
        ({"host0.port": [op("PUSH", src=0, count=6)]}, Violation(5, 1, ViolationKind.OVERFLOW)),
        # In flight when the last queue halts.
        (
            {
                "mem0.read": [op("READ", addr=0, dst=east(0))],
                "mem1.read": [op("GATHER", addr=0, src=east(0), dst=east(4))],
            },
            Violation(1, 2, ViolationKind.NO_OPERAND),
        ),
    ],
)
def test_violations(queues, expected):
    """The first one by cycle, then position, then kind."""
    result, rtl, _ = both(program(SHORT, queues))
    assert result.violation == expected
    assert bench(SHORT).violation
    # START clears it, and so does CLEAR.
    rtl.load(copy_program())
    assert rtl.run().violation is None and not bench(SHORT).violation
    rtl.clear()
    rtl.load(program(SHORT, queues))
    assert rtl.run().violation == expected
    rtl.clear()
    status = rtl.status()
    assert (status.violation, status.cycles, status.passes) == (None, 0, 0) and not bench(SHORT).violation


def endless():
    """Loops long, with the host slice writing registers and FIFOs meanwhile."""
    read = op("READ", addr=0, dst=east(0), count=16, strides={"addr": 1})
    queues = {
        "mem0.read": [loop(4000, 1), read],
        "host0.port": [
            op("PUSH", src=0, count=2),
            op("TAIL", mask=1, src=3),
            loop(4000, 1),
            op("INDEX", x=1, src=1, add=1, shift=0, bits=16),
        ],
    }
    return program(SHORT, queues)


def test_busy_and_clear():
    """While a program runs the machine says so; CLEAR ends it, and leaves nothing of it."""
    rtl = machine(SHORT)
    rtl.load(endless())
    rtl._command(Op.START, "start", 0, expect=0)
    rtl.push_tokens([1, 2, 3])
    status = rtl.status()
    assert status.busy and status.tokens_in == 3 and status.tokens_out == 2
    assert rtl.status().cycles > status.cycles > 0
    for words in ([header(Op.START)], [header(Op.READ, 1, 0), 0], [header(Op.WRITE, 1, Space.INDEX), 1, 7]):
        rtl._transport.send(words)
        assert int(rtl._transport.receive(1)[0]) >> 16 & 0xFF == Status.BUSY
    rtl.clear()
    assert not bench(SHORT).busy
    status = rtl.status()
    assert not status.busy and status.cycles == 0 and status.tokens_in == status.tokens_out == 0
    assert not rtl.index_registers().any()
    golden = GoldenTile(SHORT)
    for m in (golden, rtl):
        m.load(copy_program())
    assert golden.run() == rtl.run()
    compare(golden, rtl)


def test_masks_keep_and_clear():
    """Masks loaded with a program stay from run to run; CLEAR takes all but mask 0."""
    masked = op("WRITE", addr=4, src=east(0), mask=2, count=1)
    queues = {"mem0.read": [op("READ", addr=0, dst=east(0))], "mem1.write": [nop(3), masked]}
    images = {"mem0": random_words(1, 32).tobytes(), "mem1": bytes(16 * 16)}
    p = program(SHORT, queues, masks=bytes([15, 0, 0b0101]), **images)
    result, rtl, _ = both(p)
    assert result.violation is None
    assert (rtl.read_memory("mem1", 4, 1)[0] != 0).tolist() == [True, False, True, False]
    rtl.clear()
    rtl.write_memory("mem1", 4, np.zeros((1, 4), np.uint32))
    rtl.run()
    assert not rtl.read_memory("mem1", 4, 1).any()


@pytest.mark.parametrize("seed", range(8))
def test_reset_at_any_time(seed):
    """Reset in the midst of loading, running or answering; afterwards the tile is as new but for its memories."""
    rng = random.Random(seed)
    rtl = machine(SHORT, seed)
    transport = bench(SHORT)
    if seed % 2:
        rtl.load(endless())
        rtl._command(Op.START, "start", 0, expect=0)
        transport.step(rng.randrange(120))
    transport.send([header(Op.WRITE, 64, 0), 0, *range(64), header(Op.READ, 64, 0), 0, header(Op.PING)])
    transport.step(rng.randrange(5, 200))
    transport.reset()
    assert not transport.busy
    assert not rtl.index_registers().any()
    status = rtl.status()
    assert not status.busy and status.violation is None
    assert status.tokens_in == status.tokens_out == status.vectors_in == status.vectors_out == 0
    golden = GoldenTile(SHORT)
    zero = copy_program()
    zero.images["mem0"], zero.images["mem1"] = random_words(8, 32).tobytes(), bytes(16 * 16)
    for m in (golden, rtl):
        m.load(zero)
    assert golden.run() == rtl.run()
    compare(golden, rtl)


def test_verilog(tmp_path):
    """Plain names, one file, the same text every time."""
    write(SHORT, tmp_path / "tile.v")
    text = (tmp_path / "tile.v").read_text()
    ports = set(re.search(r"^module lpu_tile\((.*?)\);", text, re.M | re.S)[1].replace("\n", " ").split(", "))
    streams = {f"{s}_{m}" for s in ("command", "response") for m in ("payload", "valid", "ready")}
    assert ports == {"clk", "rst", "busy", "violation", *streams}
    assert text == tile_verilog(SHORT, name="lpu_tile", separator="_")
    # Instances are of modules in the file.
    modules = re.findall(r"^module (\S+) \(", text, re.M)
    used = set(re.findall(r"^  (\\lpu_tile\S+)  \S+ \($", text, re.M))
    assert used and used <= set(modules) and len(modules) == len(set(modules))

"""Host slice: RTL against golden, cycle by cycle; FIFOs towards the host; the load bus."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from golden.fabric import DISPATCH, Fabric
from golden.host import Host as GoldenHost
from lpu.arch import TileConfig, parse_floorplan
from lpu.isa import CONTROL_BITS, Instruction, encode
from lpu.runtime.machine import Violation, ViolationKind
from lpu.timing import INDEX_VISIBLE
from rtl.host import INDEX_SPACE, MASK_LATENCY, MASK_SPACE, Fifo, Host
from rtl.streams import LOAD_READ_LATENCY
from tests.slicebench import Scene, random_scene

TINY = TileConfig("tiny-host", 4, 2, 8, parse_floorplan("mem:16 host mem:16"), token_fifo=4, vector_fifo=2)
#: Masks of more than one bus word, few registers.
WIDE = TileConfig(
    "wide-host",
    64,
    64,
    4,
    parse_floorplan("host mem:16"),
    streams=4,
    index_registers=4,
    masks=4,
    token_fifo=2,
    vector_fifo=2,
)
NAME = "host0"
#: Cycles that dispatch; what they start ends some cycles later.
CYCLES, TAIL = 150, 8


@dataclasses.dataclass
class Outcome:
    """What both sides show: per dispatch cycle registers and masks; FIFOs at the end; stream words; first violation."""

    registers: list[list[int]]
    masks: list[list[int]]
    tokens: list[int]
    vectors: list[list[int]]
    outputs: dict[tuple[int, int], list[int]]
    violation: Violation | None


def golden(scene, tokens, vectors) -> Outcome:
    config = scene.config
    fabric = Fabric(config)
    host = GoldenHost(fabric, NAME)
    host.tokens_in.extend(tokens)
    host.vectors_in.extend(np.array(v, np.uint32) for v in vectors)
    for (direction, stream, cycle), value in scene.inputs.items():
        neighbour = host.position + (1 if direction else -1)
        fabric.inject_byte(neighbour, 2 * stream + direction, cycle - 1, value)
    registers, masks = [], []

    def look():
        registers.append(list(host.visible))
        every = (1 << config.lanes) - 1
        masks.append(
            [every if m is None else sum(int(b) << i for i, b in enumerate(m)) for m in fabric.masks]
        )

    for cycle in range(scene.cycles):
        fabric.at(cycle, DISPATCH, look)
    for cycle, _, i in scene.issue:
        fabric.at(cycle, DISPATCH, getattr(host, i.op.lower()), cycle, dict(i.args))
    while fabric.advance():
        fabric.execute()
    outputs = {}
    for cycle in range(scene.cycles - 1):
        for code in (8 * w + d for w in range(config.words) for d in range(2)):
            beyond = host.position + (-1 if code & 1 else 1)
            word = fabric._arriving(beyond, code, cycle + 1, 0b1111)
            if word is not None:
                outputs[cycle, code] = [int(v) for v in word]
    return Outcome(
        registers,
        masks,
        list(host.tokens_out),
        [[int(x) for x in v] for v in host.vectors_out],
        outputs,
        fabric.violation,
    )


def rtl(scene, tokens, vectors, seed=0) -> Outcome:
    config = scene.config
    dut = Host(config, NAME)
    noise = random.Random(seed)
    issue = {cycle: i for cycle, _, i in scene.issue}
    found = Outcome([], [], [], [], {}, None)
    x = [0] * config.index_registers
    words_out = []

    async def fill(ctx, stream, values):
        for value in values:
            while noise.random() < 0.3:
                await ctx.tick()
            ctx.set(stream.payload, value)
            ctx.set(stream.valid, 1)
            await ctx.tick().until(stream.ready)
            ctx.set(stream.valid, 0)

    async def take(ctx, stream):
        values, idle = [], 0
        while idle < 6:
            ready = noise.random() < 0.7
            ctx.set(stream.ready, ready)
            *_, moved, value = await ctx.tick().sample(stream.valid & stream.ready, stream.payload)
            values += [value] if moved else []
            idle = 0 if moved else idle + ready
        return values

    async def bench(ctx):
        for space, count in ((INDEX_SPACE, config.index_registers), (MASK_SPACE, config.masks)):
            for entry in range(count):
                for word in range(-(-config.lanes // 32) if space == MASK_SPACE else 1):
                    for member, value in (("write", 1), ("space", space), ("entry", entry), ("word", word)):
                        ctx.set(getattr(dut.bus, member), value)
                    await ctx.tick()
        ctx.set(dut.bus.write, 0)
        await fill(ctx, dut.tokens_in, tokens)
        await fill(ctx, dut.vectors_in, [word for v in vectors for word in v])
        await ctx.tick().repeat(4)
        assert ctx.get(dut.tokens_in_level) == len(tokens)
        assert ctx.get(dut.vectors_in_level) == len(vectors)
        registers = {}
        # As the other slices have them, MASK_LATENCY later.
        spread = [[ctx.get(dut.masks[n]) for n in range(config.masks)]] * MASK_LATENCY
        for cycle in range(scene.cycles):
            i = issue.get(cycle)
            word = encode(config, f"{NAME}.port", i) if i else noise.getrandbits(80)
            ctx.set(dut.port.valid, i is not None)
            ctx.set(dut.port.op, word & 15)
            ctx.set(dut.port.payload, word >> CONTROL_BITS)
            for direction, bundle in enumerate((dut.east_in, dut.west_in)):
                valid, every = 0, []
                for stream in range(config.streams):
                    value = scene.inputs.get((direction, stream, cycle))
                    valid |= (value is not None) << stream
                    every.append(0 if value is None else int.from_bytes(value.tobytes(), "little"))
                ctx.set(bundle.valid, valid)
                ctx.set(bundle.data, every)
            if ctx.get(dut.index_write.enable):
                # Written by an instruction dispatched two cycles ago.
                write = ctx.get(dut.index_write.number), ctx.get(dut.index_write.value)
                registers[cycle - 2 + INDEX_VISIBLE] = write
            if cycle in registers:
                number, value = registers.pop(cycle)
                x[number] = value
            found.registers.append(list(x))
            spread.append([ctx.get(dut.masks[n]) for n in range(config.masks)])
            found.masks.append(spread[cycle])
            if ctx.get(dut.violation.valid) and found.violation is None:
                kind = ViolationKind(ctx.get(dut.violation.kind))
                found.violation = Violation(cycle - 1, config.position(NAME), kind)
            for direction, bundle in enumerate((dut.east_out, dut.west_out)):
                carried = ctx.get(bundle.valid)
                for stream in range(config.streams if cycle else 0):
                    assert carried >> stream & 1 or not ctx.get(bundle.data[stream]), "data that is not valid"
                for w in range(config.words):
                    if cycle and (ctx.get(bundle.valid) >> 4 * w) & 15 == 15:
                        parts = [ctx.get(bundle.data[4 * w + b]) for b in range(4)]
                        found.outputs[cycle - 1, 8 * w + direction] = [
                            sum((part >> 8 * lane & 255) << 8 * b for b, part in enumerate(parts))
                            for lane in range(config.lanes)
                        ]
            await ctx.tick()
        ctx.set(dut.port.valid, 0)
        await ctx.tick().repeat(4)
        for stream, level, size in (
            (dut.tokens_out, dut.tokens_out_level, 1),
            (dut.vectors_out, dut.vectors_out_level, config.lanes),
        ):
            count = ctx.get(level)
            values = await take(ctx, stream)
            assert len(values) == count * size and ctx.get(level) == 0
            (found.tokens if size == 1 else words_out).extend(values)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    found.vectors = [words_out[n : n + config.lanes] for n in range(0, len(words_out), config.lanes)]
    return found


def legalised(i: Instruction, rng, config) -> Instruction:
    """Random fields, but those that no program can have put right."""
    args = dict(i.args)
    if i.op in ("CONFIG", "INDEX", "LDX", "POP"):
        args["x"] = args["x"] or 1
    if i.op == "INDEX":
        args["bits"] = rng.choice([1, 8, 15, 16, 16, 16])
        args["shift"] = rng.choice([0, 0, 0, 1, 15])
    if i.op == "TAIL":
        args["mask"] = args["mask"] or 1
    return dataclasses.replace(i, args=args)


def scene_of(rng, config, density) -> Scene:
    scene = random_scene(rng, config, NAME, cycles=CYCLES + TAIL, units=("port",), density=density, small=8)
    scene.issue = [(t, u, legalised(i, rng, config)) for t, u, i in scene.issue if t < CYCLES]
    return scene


def same(expected: Outcome, actual: Outcome, end: int):
    assert actual.violation == expected.violation
    for what in ("registers", "masks"):
        for cycle, (good, bad) in enumerate(zip(getattr(expected, what), getattr(actual, what), strict=True)):
            assert cycle >= end or good == bad, f"{what} as dispatches of cycle {cycle} see them"
    good, bad = ({k: v for k, v in o.outputs.items() if k[0] < end} for o in (expected, actual))
    assert good == bad


@pytest.mark.parametrize("config", [TINY, WIDE], ids=lambda c: c.name)
@pytest.mark.parametrize("seed", range(6))
def test_random_legal(config, seed):
    """Any instructions back to back; FIFO instructions dropped where golden finds one empty or full."""
    rng = random.Random(f"host {config.name} {seed}")
    scene = scene_of(rng, config, 0.9)
    tokens = [rng.getrandbits(16) for _ in range(config.token_fifo)]
    vectors = [[rng.getrandbits(32) for _ in range(config.lanes)] for _ in range(config.vector_fifo)]
    while (expected := golden(scene, tokens, vectors)).violation:
        when = expected.violation.cycle
        fifo = [
            e for e in scene.issue if e[2].op in ("POP", "PUSH", "VPOP", "VPUSH") and when - 2 <= e[0] <= when
        ]
        assert fifo, expected.violation
        scene.issue.remove(fifo[-1])
    actual = rtl(scene, tokens, vectors)
    same(expected, actual, scene.cycles)
    assert actual.tokens == expected.tokens
    assert actual.vectors == expected.vectors
    assert expected.tokens and expected.vectors and expected.outputs


def test_random_illegal():
    """The first violation, its kind and cycle; up to then all is equal."""
    kinds = set()
    for seed in range(18):
        rng = random.Random(f"host illegal {seed}")
        scene = scene_of(rng, TINY, 0.5)
        scene.issue = scene.issue[:25]
        if seed % 3 == 0:  # take a byte of an operand away
            scene.issue = [e for e in scene.issue if e[2].op not in ("POP", "PUSH", "VPOP")]
            t, _, i = next(e for e in scene.issue if e[2].op in ("LDX", "VPUSH"))
            del scene.inputs[i.args["src"] & 1, (i.args["src"] >> 1) + rng.randrange(4), t + 1]
        if seed % 3 == 1:  # put a stream in the way
            for t, _, i in scene.issue:
                if i.op == "VPOP":
                    scene.inputs[i.args["dst"] & 1, i.args["dst"] >> 1, t + 2] = np.zeros(4, np.uint8)
        tokens, vectors = [7] * rng.randrange(1, 5), [[1, 2, 3, 4]] * rng.randrange(1, 3)
        expected = golden(scene, tokens, vectors)
        actual = rtl(scene, tokens, vectors, seed)
        same(expected, actual, expected.violation.cycle if expected.violation else scene.cycles)
        kinds.add(expected.violation and expected.violation.kind)
    assert kinds >= {
        ViolationKind.CONFLICT,
        ViolationKind.NO_OPERAND,
        ViolationKind.UNDERFLOW,
        ViolationKind.OVERFLOW,
    }


def test_bus_reads_registers_and_writes_masks():
    """Registers read back LOAD_READ_LATENCY later, X0 and other spaces as zero; mask 0 stays."""
    dut = Host(WIDE, NAME)

    async def access(ctx, what, space, entry, word=0, value=0):
        ctx.set(getattr(dut.bus, what), 1)
        for member, v in (("space", space), ("entry", entry), ("word", word), ("data", value)):
            ctx.set(getattr(dut.bus, member), v)
        await ctx.tick()
        ctx.set(getattr(dut.bus, what), 0)

    async def bench(ctx):
        for entry in range(4):
            await access(ctx, "write", INDEX_SPACE, entry, 0, 0x12340 + entry)
        for entry in range(4):
            for word in range(2):
                await access(ctx, "write", MASK_SPACE, entry, word, 0xABCD0000 + 2 * entry + word)
        for space in (INDEX_SPACE, MASK_SPACE):
            for entry in range(4):
                await access(ctx, "read", space, entry)
                await ctx.tick().repeat(LOAD_READ_LATENCY - 1)
                expected = 0x2340 + entry if space == INDEX_SPACE and entry else 0
                assert ctx.get(dut.read_data) == expected
                await ctx.tick()
                assert ctx.get(dut.read_data) == 0
        assert ctx.get(dut.masks[0]) == (1 << 64) - 1
        for entry in range(1, 4):
            low, high = (0xABCD0000 + 2 * entry + word for word in range(2))
            assert ctx.get(dut.masks[entry]) == high << 32 | low

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()


def test_fifo_clear():
    """Cleared with a word half written, it starts over."""
    m = Module()
    m.submodules.dut = dut = Fifo(width=8, depth=4)

    async def bench(ctx):
        ctx.set(dut.write, 1)
        for n in range(3):
            ctx.set(dut.write_data, n + 1)
            ctx.set(dut.push, 1)
            ctx.set(dut.add, 1)
            await ctx.tick()
        assert ctx.get(dut.level) == 3
        assert ctx.get(dut.read_data) == 1
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        assert ctx.get(dut.level) == 0
        ctx.set(dut.write_data, 9)
        await ctx.tick()
        assert ctx.get(dut.level) == 1
        assert ctx.get(dut.read_data) == 9

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()

"""Instruction control unit: dispatch times, address slots, loops, SYNC against an expansion written from the docs."""

from __future__ import annotations

import contextlib
import dataclasses
import random

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from lpu.arch import PRESETS, TileConfig
from lpu.isa import CONTROL_BITS, Instruction, encode, layout
from lpu.timing import INDEX_VISIBLE, LOOP_CYCLES, SYNC_CYCLES
from rtl.icu import NOTIFY_LATENCY, QUEUE_SPACE, START_LATENCY, Queue

TINY = PRESETS["tiny"]
#: Small memory in LUT RAM, deeper loops.
SMALL = dataclasses.replace(TINY, name="small", queue_depth=32, loop_depth=4)
#: No block RAM queue either, one level only.
FLAT = dataclasses.replace(TINY, name="flat", queue_depth=128, loop_depth=1)


#: Programs of more cycles than this are not worth simulating.
LONGEST = 6000


class TooLongError(Exception):
    """A random program that would take too long."""


class Expansion:
    """Dispatches of one queue by docs/architecture.md ("Time"): (cycle, op, fields) and RANGE cycles.

    ``x(number, cycle)`` reads an index register as visible in a cycle; ``notifies`` are the cycles of NOTIFY.
    """

    def __init__(self, config, queue, words, x=lambda number, cycle: 0, notifies=(), entry=0):
        self._lay = layout(config, queue)
        self._words, self._x, self._notifies = words, x, notifies
        self.dispatches, self.ranges, self.sent = [], [], []
        self.halt = None
        self._indices: list[int] = []
        self._cycle = 0
        self._body(entry, len(words))

    def _select(self, select, cycle):
        if select >= 8:
            return self._indices[7 - select] if select - 8 < len(self._indices) else 0
        return self._x(select, cycle) if select else 0

    def _body(self, at, end):
        while at < end and self.halt is None:
            word, t = self._words[at], self._cycle
            at += 1
            if t > LONGEST:
                raise TooLongError
            if word.op == "HALT":
                self.halt = t
            elif word.op == "SYNC":
                release = [u for u in self._notifies if u >= t]
                self._cycle = min(release) + SYNC_CYCLES
            elif word.op == "LOOP":
                length, count = word.args["length"], word.args["count"] + self._select(word.args["index"], t)
                self._cycle += LOOP_CYCLES
                self._indices.append(0)
                for _ in range(count):
                    self._body(at, at + length)
                    self._indices[-1] = (self._indices[-1] + word.args["step"]) % 2**16
                self._indices.pop()
                at += length
            else:
                self._run(word)
                self._cycle = t + (word.count - 1) * word.interval + 1 + word.gap

    def _run(self, word):
        for k in range(word.count):
            t = self._cycle + k * word.interval
            if word.op == "NOTIFY":
                self.sent.append(t)
            if word.op in ("NOP", "NOTIFY"):
                continue
            args = dict(word.args)
            for f in self._lay.ops[word.op].fields:
                if f.slot is None:
                    continue
                width = self._lay.fields[word.op][f.name][1]
                wrap = 2 ** self._lay.slots[f.slot].width
                value = (args[f.name] + k * word.strides.get(f.name, 0)) % wrap
                value += self._select(word.index.get(f.name, 0), t)
                if value >= 2**width and t not in self.ranges:
                    self.ranges.append(t)
                args[f.name] = value % 2**width
            self.dispatches.append((t, word.op, args))


def simulate(config, queue, words, *, writes=(), notifies=(), entry=0, cycles=2000, halt_at=None):
    """Run one queue. ``writes``: (dispatch cycle of the writer, number, value). Returns (dispatches, ranges, sent, halt)."""
    lay = layout(config, queue)
    m = Module()
    m.submodules.dut = dut = Queue(config, queue)
    found, ranges, sent, halt = [], [], [], []
    fields = {op.code: (name, lay.fields[name]) for name, op in lay.ops.items()}

    async def bench(ctx):
        for at, word in enumerate(words):
            encoded = encode(config, queue, word)
            for n in range((lay.width + 31) // 32):
                ctx.set(dut.bus.write, 1)
                ctx.set(dut.bus.space, dut.space)
                ctx.set(dut.bus.entry, at)
                ctx.set(dut.bus.word, n)
                ctx.set(dut.bus.data, (encoded >> (32 * n)) & 0xFFFFFFFF)
                await ctx.tick()
        ctx.set(dut.bus.write, 0)
        ctx.set(dut.entry, entry)
        for t in range(-20, cycles):
            ctx.set(dut.start, t == -START_LATENCY)
            ctx.set(dut.index_write.enable, 0)
            for writer, number, value in writes:
                if writer + INDEX_VISIBLE - 2 == t:
                    ctx.set(dut.index_write.enable, 1)
                    ctx.set(dut.index_write.number, number)
                    ctx.set(dut.index_write.value, value)
            ctx.set(dut.notified, t - NOTIFY_LATENCY in notifies)
            ctx.set(dut.halt, t == halt_at)
            port = dut.instruction
            if ctx.get(port.valid):
                name, where = fields[ctx.get(port.op)]
                payload = ctx.get(port.payload)
                args = {
                    f: (payload >> (offset - CONTROL_BITS)) % 2**width for f, (offset, width) in where.items()
                }
                found.append((t, name, args))
            if ctx.get(dut.out_of_range):
                ranges.append(t - 1)
            if ctx.get(dut.notify):
                sent.append(t)
            if t >= 0 and not ctx.get(dut.running) and not halt:
                halt.append(t)
            await ctx.tick()

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return found, ranges, sent, halt[0] if halt else None


def unsigned(config, queue, dispatches):
    """Signed fields as their bits, to compare with the port."""
    lay = layout(config, queue)
    return [
        (t, op, {f: value % 2 ** lay.fields[op][f][1] for f, value in args.items()})
        for t, op, args in dispatches
    ]


def check(config, queue, words, *, slack=20, **options):
    """Compare hardware with expansion; returns the expansion."""
    writes = options.pop("writes", ())
    notifies = options.pop("notifies", ())
    entry = options.pop("entry", 0)

    def x(number, cycle):
        seen = [(t, value) for t, n, value in writes if n == number and t + INDEX_VISIBLE <= cycle]
        return max(seen)[1] if seen else 0

    expected = Expansion(config, queue, words, x, notifies, entry)
    cycles = expected.halt + slack
    found, ranges, sent, halt = simulate(
        config, queue, words, writes=writes, notifies=notifies, entry=entry, cycles=cycles
    )
    assert found == unsigned(config, queue, expected.dispatches)
    assert ranges == expected.ranges
    assert sent == expected.sent
    assert halt == expected.halt
    return expected


HALT = Instruction("HALT", {})


def loop(count, length, step=1, index=0):
    return Instruction("LOOP", {"count": count, "index": index, "length": length, "step": step})


def drain(acc=0, **options):
    return Instruction("DRAIN", {"acc": acc, "dst": 0}, **options)


def test_every_cycle():
    """One word a cycle, nothing in between."""
    expected = check(TINY, "mxm0.drain", [*(drain(n % 16) for n in range(40)), HALT])
    assert [t for t, *_ in expected.dispatches] == list(range(40))


def test_count_interval_gap():
    words = [
        drain(1, count=3, interval=1, strides={"acc": 2}),
        drain(2, count=3, interval=4, gap=1, strides={"acc": -1}),
        drain(3, gap=2),
        Instruction("NOP", {}, count=2, interval=3, gap=63),
        drain(4, count=2, interval=64),
        drain(5),
        HALT,
    ]
    expected = check(TINY, "mxm0.drain", words)
    assert [t for t, *_ in expected.dispatches] == [0, 1, 2, 3, 7, 11, 13, 16 + 3 + 64 - 0, 147, 148]


@pytest.mark.parametrize("config", [TINY, SMALL, FLAT], ids=lambda c: c.name)
@pytest.mark.parametrize("length", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_loop(config, length, count):
    """Bodies shorter and longer than the pipeline, skipped and repeated; loop index steps in dispatch order."""
    body = [drain(n, index={"acc": 8}) for n in range(length)]
    words = [drain(9), loop(count, length), *body, drain(10), HALT]
    expected = check(config, "mxm0.drain", words)
    assert len(expected.dispatches) == 2 + count * length
    assert expected.halt == 1 + LOOP_CYCLES + count * length + 1


def test_loop_of_count_and_interval():
    body = [
        drain(0, count=3, interval=2, gap=1, index={"acc": 8}),
        drain(1, count=2, strides={"acc": 1}, index={"acc": 8}),
    ]
    check(TINY, "mxm0.drain", [loop(4, 2, step=-3), *body, HALT])


def test_nested_ends():
    """Inner body ends one word before the outer one; levels 8, 9, 10 name the loops from the inside."""
    words = [
        loop(2, 7, step=3),
        loop(3, 5, step=1),
        drain(0, index={"acc": 9}),
        loop(2, 2, step=2),
        drain(1, index={"acc": 10}),
        drain(2, index={"acc": 8}),
        drain(3, index={"acc": 8}),
        drain(4, index={"acc": 8}),
        HALT,
    ]
    check(TINY, "mxm0.drain", words)


def test_loop_count_from_register():
    words = [
        loop(1, 1, index=3),
        drain(0, index={"acc": 8}),
        loop(0, 1, index=3),
        drain(1),
        loop(0, 1, index=2),
        drain(2),
        HALT,
    ]
    check(TINY, "mxm0.drain", words, writes=[(-8, 3, 5)])


def test_long_loop():
    """Counts past 2**12 need the index register's bits."""
    expected = check(TINY, "mxm0.drain", [loop(4095, 1, index=1), drain(0), HALT], writes=[(-8, 1, 300)])
    assert len(expected.dispatches) == 4395


def test_index_visibility():
    """Each dispatch reads its register anew; a write shows INDEX_VISIBLE cycles later."""
    words = [drain(0, count=20, index={"acc": 1}), HALT]
    writes = [(2, 1, 5), (3, 1, 9), (4, 2, 7), (9, 1, 1)]
    expected = check(TINY, "mxm0.drain", words, writes=writes)
    values = [args["acc"] for _, _, args in expected.dispatches]
    assert values[1 + INDEX_VISIBLE : 4 + INDEX_VISIBLE] == [0, 5, 9]


def test_range():
    """Narrow operations of a wide slot, carries, high bits of the index; wrapping of the stepped value alone."""
    read = Instruction("READ", {"addr": 60, "dst": 0}, count=8, strides={"addr": 1})
    plane = Instruction("READB", {"addr": 250, "dst": 0}, count=8, strides={"addr": 1})
    indexed = Instruction("READB", {"addr": 250, "dst": 0}, count=8, strides={"addr": 1}, index={"addr": 1})
    high = Instruction("READ", {"addr": 0, "dst": 0}, index={"addr": 2})
    expected = check(
        TINY, "mem0.read", [read, plane, indexed, high, HALT], writes=[(-8, 1, 3), (-9, 2, 0x8000)]
    )
    assert expected.ranges == [4, 5, 6, 7, 19, 20, 21, 24]


def test_sync_notify():
    """NOTIFY before SYNC is lost, in its cycle counts; the first one after ends the wait."""
    words = [
        drain(0),
        Instruction("SYNC", {}),
        drain(1),
        Instruction("SYNC", {}),
        Instruction("NOTIFY", {}),
        HALT,
    ]
    for first in range(1, 12):
        check(TINY, "mxm0.drain", words, notifies=[0, first, first + 9, first + 10, first + 25])


def test_entry_and_empty_memory():
    """Word ``entry`` dispatches first; memory that was never written halts."""
    words = [drain(0), drain(1), drain(2), HALT]
    check(TINY, "mxm0.drain", words, entry=2)
    assert simulate(TINY, "mxm0.drain", [], cycles=20)[3] == 0


def test_halt_strobe():
    """CLEAR stops a queue within a loop and a gap; nothing dispatches afterwards."""
    words = [loop(4000, 2), drain(0, gap=3), drain(1, count=3), HALT]
    found, *_, halt = simulate(TINY, "mxm0.drain", words, cycles=60, halt_at=20)
    assert found and max(t for t, *_ in found) <= 20
    assert halt == 21


def random_words(rng, config, depth=0, budget=12):
    """A legal sequence of words with nested loops; a body ends with no loop."""
    words = []
    for _ in range(rng.randint(1, 4)):
        if depth < config.loop_depth and rng.random() < 0.4 and budget > 4:
            body = random_words(rng, config, depth + 1, budget - 4)
            if rng.random() < 0.3:
                body = [random_word(rng, depth + 1)]
            select = rng.choice([0, 0, 2, *([8] if depth else [])])
            count = rng.choice([0, 1, 2, 3]) if select != 8 else 0
            words += [loop(count, len(body), rng.choice([1, 1, 2, -1, 2047, -2048]), select), *body]
        else:
            words.append(random_word(rng, depth))
    words.append(random_word(rng, depth))
    return words


def random_word(rng, depth):
    if rng.random() < 0.1:
        return Instruction("NOTIFY", {})
    timing = dict(
        count=rng.choice([1, 1, 1, 2, 3]),
        interval=rng.choice([1, 1, 2, 5]),
        gap=rng.choice([0, 0, 0, 1, 2, 4]),
    )
    if rng.random() < 0.1:
        return Instruction("NOP", {}, **timing)
    selects = [0, 1, 2, *range(8, 8 + depth)]
    strides = {"ctx": rng.randint(-16, 15), "act": rng.randint(-2, 3), "acc": rng.randint(-8, 15)}
    return Instruction(
        "PASS",
        {
            "ctx": rng.randrange(32),
            "act": rng.randrange(16),
            "acc": rng.randrange(16),
            "clear": rng.randrange(2),
        },
        **timing,
        strides=strides,
        index={name: rng.choice(selects) for name in strides},
    )


@pytest.mark.parametrize("config", [TINY, SMALL], ids=lambda c: c.name)
@pytest.mark.parametrize("seed", range(40))
def test_random(config, seed):
    """Random words and nested loops, index registers changing under way. A failure repeats with its seed."""
    rng = random.Random(seed)
    while True:
        words = [*random_words(rng, config), HALT]
        if not 12 <= len(words) <= config.queue_depth:
            continue
        times = sorted(rng.sample(range(-9, 60), 8))
        writes = [(t, rng.choice([1, 2]), rng.choice([0, 1, 2, 3, 20])) for t in times]
        with contextlib.suppress(TooLongError):
            check(config, "mxm0.passes", words, writes=writes)
            return


def test_space_numbers():
    assert Queue(TINY, "mem0.read").space == QUEUE_SPACE + 1


def test_index_registers_of_host_queue():
    """A queue without slots still counts loops by an index register."""
    config: TileConfig = TINY
    push = Instruction("PUSH", {"src": 3})
    check(config, "host0.port", [loop(0, 1, index=7), push, HALT], writes=[(-8, 7, 4)])

"""The link: its codes, frames from transmitter to receiver bit by bit, errors in every place."""

import itertools
import warnings

import numpy as np
import pytest
from amaranth.hdl import Cat, ClockDomain, ClockSignal, Module, Signal
from amaranth.sim import Simulator

from lpu import link
from lpu.arch import LINK_WIDTHS, PRESETS, TileConfig
from lpu.timing import FLIT_BITS, FLIT_PAYLOAD, link_cycles, link_latency
from rtl.link import Receiver, Transmitter
from rtl.train import TrainingReceiver, TrainingSender

TINY = PRESETS["tiny"].linked()
FLITS = TINY.lanes * 32 // FLIT_PAYLOAD


def widened(width):
    return TileConfig.from_dict(TINY.to_dict() | {"link_width": width})


# Codes -------------------------------------------------------------------------------------------


def test_one_error_in_a_flit_is_corrected_and_two_are_seen():
    random = np.random.default_rng(0)
    payload = int.from_bytes(random.bytes(8), "little")
    sent = link.flit(payload)
    assert link.corrected(sent) == (payload, False, False)
    for n in range(FLIT_BITS):
        assert link.corrected(sent ^ 1 << n) == (payload, True, False)
    for a, b in itertools.combinations(range(FLIT_BITS), 2):
        assert link.corrected(sent ^ 1 << a ^ 1 << b)[2]


def test_columns_are_odd_and_different():
    columns = link.columns()
    assert len(set(columns)) == FLIT_BITS and all(c.bit_count() % 2 for c in columns)


def test_headers_are_four_bits_apart():
    words = [link.header(n) for n in range(16)]
    assert words[0] == 0
    assert min((a ^ b).bit_count() for a, b in itertools.combinations(words, 2)) == 4


def test_the_check_is_the_one_of_the_standard():
    """CRC-16/MCRF4XX of "123456789" is 0x6F91; it is this check, reflected."""
    text = b"123456789"
    value = link.check_of(int.from_bytes(text, "little"), 8 * len(text))
    assert int(f"{value:016b}"[::-1], 2) == 0x6F91


@pytest.mark.parametrize(
    ("name", "cycles", "share"), [("tiny", 21, 0.76), ("ecp5-85f", 75, 0.853), ("sim64", 291, 0.879)]
)
def test_payload_share(name, cycles, share):
    config = PRESETS[name]
    assert link_cycles(config) == cycles and link_latency(config) == cycles + 24
    assert config.lanes * 32 / (cycles * config.link_width) == pytest.approx(share, abs=0.01)


# Transmitter and receiver ------------------------------------------------------------------------


def passed(config, frames, errors=(), gap=0):
    """Send (word, information) frames; ``errors``: {beat of all: bits turned over}. Returns [(cycle, word, information, bad,
    corrected)] of what arrived, cycles counted from that of the first header."""
    m = Module()
    m.submodules.transmitter = transmitter = Transmitter(config)
    m.submodules.receiver = receiver = Receiver(config, "pins")
    m.submodules.training = training = TrainingSender(config)
    flip = Signal(config.link_width)
    m.d.comb += [
        training.frames.eq(transmitter.data),
        training.learnt.eq(receiver.learnt),
        training.other.eq(receiver.other),
        receiver.training.eq(training.training),
        receiver.wires.data.eq(training.wires ^ flip),
        receiver.wires.clk.eq(~ClockSignal("sync")),
    ]
    found = []

    async def bench(ctx):
        while ctx.get(training.training):
            await ctx.tick()
        await ctx.tick().repeat(40)
        waiting, at, cycle = list(frames), -1, -2
        while cycle < (len(frames) + 1) * (link_cycles(config) + gap) + 20:
            ready = bool(waiting) and ctx.get(transmitter.ready) and cycle >= at - 1
            ctx.set(transmitter.send, int(ready))
            if ready:
                word, information = waiting.pop(0)
                ctx.set(transmitter.word, word)
                ctx.set(transmitter.information, information)
                at = cycle + link_cycles(config) + gap + 1
            ctx.set(flip, dict(errors).get(cycle, 0))
            if ctx.get(receiver.arrived):
                members = (receiver.word, receiver.information, receiver.bad, receiver.corrected)
                found.append((cycle, *(ctx.get(x) for x in members)))
            await ctx.tick()
            cycle += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


def words(count, seed=0):
    random = np.random.default_rng(seed)
    return [int.from_bytes(random.bytes(TINY.lanes * 4), "little") for _ in range(count)]


@pytest.mark.parametrize("width", LINK_WIDTHS)
@pytest.mark.parametrize("gap", [0, 5])
def test_frames_arrive(width, gap):
    config, sent = widened(width), [(w, 2 * n + 1 & 15) for n, w in enumerate(words(4))]
    found = passed(config, sent, gap=gap)
    assert [f[1:] for f in found] == [(*frame, 0, 0) for frame in sent]
    first = found[0][0]
    assert [f[0] - first for f in found] == [n * (link_cycles(config) + gap) for n in range(4)]
    # SEND two cycles before, header, frame, and what the receiver takes: with time to spare before the word is due.
    assert 4 + first < link_latency(config) - 8


def test_the_transmitter_sends_what_the_contract_says():
    config = widened(9)
    m = Module()
    m.submodules.transmitter = transmitter = Transmitter(config)
    seen = []

    async def bench(ctx):
        (word,) = words(1)
        ctx.set(transmitter.send, 1)
        ctx.set(transmitter.word, word)
        ctx.set(transmitter.information, 11)
        await ctx.tick()
        ctx.set(transmitter.send, 0)
        for _ in range(link_cycles(config)):
            seen.append(ctx.get(transmitter.data))
            await ctx.tick()
        assert ctx.get(transmitter.data) == 0
        assert seen == link.frame(word, FLITS, 11, 9)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen


@pytest.mark.parametrize("width", [8, 18])
def test_any_single_error_is_corrected_in_the_same_cycle(width):
    """One wrong bit in each beat of a frame in turn, header, flits and check: the same word at the same time."""
    config, (word,) = widened(width), words(1)
    (clean,) = passed(config, [(word, 5)])
    random = np.random.default_rng(1)
    for beat in range(link_cycles(config)):
        used = 8 if beat == 0 else 16 if beat == link_cycles(config) - 1 and width > 16 else width
        bit = int(random.integers(used))
        (found,) = passed(config, [(word, 5)], {beat: 1 << bit})
        assert found[:3] == clean[:3] and not found[3], (beat, bit)
        assert found[4] == (beat != 0)


def test_two_errors_in_a_flit_are_seen():
    (word,) = words(1)
    random = np.random.default_rng(2)
    per_flit = FLIT_BITS // TINY.link_width
    for _ in range(12):
        a, b = random.choice(FLIT_BITS, 2, replace=False)
        flit = int(random.integers(FLITS))
        errors: dict[int, int] = {}
        for n in (int(a), int(b)):
            beat = 1 + flit * per_flit + n // TINY.link_width
            errors[beat] = errors.get(beat, 0) ^ 1 << n % TINY.link_width
        ((_, _, _, bad, corrected),) = passed(TINY, [(word, 5)], errors)
        assert bad and not corrected


def test_three_errors_in_a_flit_are_seen_by_the_check():
    """SECDED alone would turn them into four."""
    (word,) = words(1)
    ((_, got, _, bad, _),) = passed(TINY, [(word, 5)], {1: 0b111})
    assert bad and got != word


def test_a_receiver_that_begins_within_a_frame_finds_the_next():
    """A stray beat takes the place of a header; behind low wires all is well again."""
    (word,) = words(1)
    found = passed(TINY, [(word, 3), (word, 5)], {0: link.header(3) ^ 0b11, 1: 0}, gap=2 * link_cycles(TINY))
    assert found[-1][1:] == (word, 5, 0, 0)


# Training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [8, 24])
@pytest.mark.parametrize("seed", range(3))
def test_wires_in_any_order_and_turned_over(width, seed):
    """Once trained, beats come out as they went in."""
    config, random = widened(width), np.random.default_rng(seed)
    order, turned = [int(n) for n in random.permutation(width)], int(random.integers(1 << width))
    m = Module()
    m.domains.pins = ClockDomain(reset_less=True)
    m.submodules.sender = sender = TrainingSender(config)
    m.submodules.receiver = receiver = TrainingReceiver(config, "pins")
    m.d.comb += [
        ClockSignal("pins").eq(~ClockSignal("sync")),
        receiver.raw.eq(Cat(sender.wires[n] for n in order) ^ turned),
        receiver.training.eq(sender.training),
        sender.learnt.eq(receiver.learnt),
        sender.other.eq(receiver.other),
    ]
    beats = [int(b) for b in random.integers(1 << width, size=50)]
    came: list[int] = []

    async def bench(ctx):
        waited = 0
        while ctx.get(sender.training):
            assert ctx.get(receiver.beats) == 0
            await ctx.tick()
            waited += 1
        assert waited < 400
        await ctx.tick().repeat(40)
        for beat in [*beats, *[0] * 8]:
            ctx.set(sender.frames, beat)
            await ctx.tick()
            came.append(ctx.get(receiver.beats))

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    first = next(n for n, b in enumerate(came) if b)
    start = next(n for n, b in enumerate(beats) if b)
    assert came[first : first + len(beats) - start] == beats[start:]


def test_a_wire_that_is_dead_is_not_learnt():
    m = Module()
    m.domains.pins = ClockDomain(reset_less=True)
    m.submodules.sender = sender = TrainingSender(TINY)
    m.submodules.receiver = receiver = TrainingReceiver(TINY, "pins")
    m.d.comb += [
        ClockSignal("pins").eq(~ClockSignal("sync")),
        receiver.raw.eq(sender.wires & 0b11101111),
        receiver.training.eq(sender.training),
        sender.learnt.eq(receiver.learnt),
        sender.other.eq(receiver.other),
    ]

    async def bench(ctx):
        await ctx.tick().repeat(600)
        assert ctx.get(sender.training) and not ctx.get(receiver.learnt)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()

"""The UART: bytes through a wire, clocks that differ, lines that misbehave."""

import random

import pytest
from amaranth.sim import Simulator

from fpga.uart import Receiver, Transmitter, checked, divisor


def received(wire, cycles_a_bit, *, take=lambda cycle: True, spare=40):
    """Bytes that a receiver finds in levels of a wire, one a cycle."""
    receiver = Receiver(divisor=cycles_a_bit)
    found = []

    async def bench(ctx):
        for cycle, level in enumerate([*wire, *[1] * spare]):
            ctx.set(receiver.rx, level)
            ctx.set(receiver.bytes.ready, take(cycle))
            if ctx.get(receiver.bytes.valid) and take(cycle):
                found.append(ctx.get(receiver.bytes.payload))
            await ctx.tick()

    simulator = Simulator(receiver)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


def wire(data, cycles_a_bit, *, phase=0.0, idle=0):
    """Levels of a wire that carries bytes, sampled once a cycle; ``cycles_a_bit`` need not be whole."""
    levels = []
    for byte in data:
        levels += [0, *(byte >> n & 1 for n in range(8)), 1, *[1] * idle]
    length = int(len(levels) * cycles_a_bit)
    return [1] * 5 + [levels[min(len(levels) - 1, int((n + phase) / cycles_a_bit))] for n in range(length)]


DATA = [0x00, 0xFF, 0x55, 0xAA, 0x80, 0x01, 0xC0, 0xDB, 0xDC, 0x7E]


@pytest.mark.parametrize("cycles", [2, 3, 4, 7, 8, 20])
def test_bytes_arrive_back_to_back(cycles):
    assert received(wire(DATA, cycles), cycles) == DATA


@pytest.mark.parametrize("error", [-0.03, -0.02, 0.02, 0.03])
@pytest.mark.parametrize("cycles", [6, 16, 20])
def test_clocks_may_differ(cycles, error):
    """3 % in all, whatever the phase: more than the 2 % that a divisor may be off."""
    for phase in (0.0, 0.3, 0.7):
        assert received(wire(DATA, cycles * (1 + error), phase=phase), cycles) == DATA


def test_spikes_are_voted_down():
    levels = wire(DATA, 16)
    rng = random.Random(1)
    # A cycle turned over in every bit, wherever it is.
    spiked = list(levels)
    for at in range(5 + 16, len(levels) - 16, 16):
        spiked[at + rng.randrange(16)] ^= 1
    assert received(spiked, 16) == DATA
    assert received([1] * 10 + [0] * 3 + [1] * 200 + wire(DATA, 16), 16) == DATA


def test_a_byte_without_stop_bit_is_dropped():
    levels = wire([0x41], 8)
    broken = [*levels[:-8], *[0] * 8, *[1] * 100]
    assert received(broken + wire(DATA, 8), 8) == DATA


def test_a_byte_nobody_takes_stays_and_the_next_is_dropped():
    late = 2 * 80 + 20
    assert received(wire([1, 2, 3], 8), 8, take=lambda cycle: cycle >= late, spare=300) == [1, 3]


@pytest.mark.parametrize("cycles", [2, 5, 8])
def test_both_ends(cycles):
    transmitter = Transmitter(divisor=cycles)
    levels = []

    async def bench(ctx):
        left = list(DATA)
        while left or len(levels) < 11 * cycles * len(DATA):
            ctx.set(transmitter.bytes.valid, bool(left))
            ctx.set(transmitter.bytes.payload, left[0] if left else 0)
            levels.append(ctx.get(transmitter.tx))
            taken = left and ctx.get(transmitter.bytes.ready)
            await ctx.tick()
            if taken:
                left.pop(0)

    simulator = Simulator(transmitter)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert received(levels, cycles) == DATA
    # A byte takes ten bits and the cycle in which the next one is taken.
    assert levels[1 : 1 + cycles] == [0] * cycles
    assert levels[1 + 10 * cycles + 1 :][:cycles] == [0] * cycles


def test_divisors():
    assert divisor(60_000_000, 1_000_000) == 60
    assert divisor(60_000_000, 115_200) == 521
    with pytest.raises(ValueError, match="3000000 baud cannot be made of a clock of 25000000 Hz within 2%"):
        divisor(25_000_000, 3_000_000)
    for baud in (0, -1, 60_000_000):
        with pytest.raises(ValueError, match="at least 2"):
            divisor(60_000_000, baud)
    with pytest.raises(ValueError, match="UART of 1 cycles a bit: use at least 2"):
        checked(1)
